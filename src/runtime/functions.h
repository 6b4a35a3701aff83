#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "graph/function.h"
#include "ops/kernel.h"
#include "runtime/plan.h"

namespace hub {

// The functions of a graph, each instantiation planned at its first call. Thread-safe.
class FunctionRuntime {
 public:
  FunctionRuntime(const GraphData& library, ResourceManager& resources, bool passes,
                  bool raise_loops);
  ~FunctionRuntime();
  FunctionRuntime(const FunctionRuntime&) = delete;
  FunctionRuntime& operator=(const FunctionRuntime&) = delete;

  // For the functions that `caller` names, a node of a plan with these `effects`.
  FunctionFinder& finder(const Node& caller, Effects effects);

 private:
  class Instance;
  class Finder;

  std::shared_ptr<const FunctionInstance> find(const FunctionRef& function, Effects effects);

  const GraphData& library_;
  ResourceManager& resources_;
  const bool passes_;
  const bool raise_loops_;
  std::mutex mutex_;
  std::map<std::pair<std::string, Effects>, std::shared_ptr<Instance>> instances_;
  std::unique_ptr<Finder> needed_;
  std::unique_ptr<Finder> all_;
};

}  // namespace hub
