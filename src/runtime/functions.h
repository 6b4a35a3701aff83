#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "graph/function.h"
#include "ops/kernel.h"
#include "runtime/plan.h"

namespace hub {

// The functions of a graph, each instantiation planned at its first call. Thread-safe.
class FunctionRuntime final : public FunctionFinder {
 public:
  FunctionRuntime(const GraphData& library, ResourceManager& resources, bool passes,
                  bool raise_loops);
  ~FunctionRuntime() override;

  std::shared_ptr<const FunctionInstance> find(const FunctionRef& function) override;

 private:
  class Instance;
  const GraphData& library_;
  ResourceManager& resources_;
  const bool passes_;
  const bool raise_loops_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Instance>> instances_;
};

}  // namespace hub
