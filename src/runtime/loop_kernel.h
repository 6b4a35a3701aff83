#pragma once

#include <memory>

#include "graph/loops.h"
#include "ops/kernel.h"
#include "runtime/plan.h"

namespace hub {

// Runs a v1 loop that was raised to structure: its variables are moved through the body,
// which may write them in place. Inputs: the variables' first values, then what is captured.
class LoopKernel final : public Kernel {
 public:
  // `stable_inputs` says which inputs of the loop's node are stable.
  LoopKernel(const Loop& loop, const PlanRequest& outer, std::vector<bool> stable_inputs,
             ResourceManager& resources, FunctionRuntime& functions);
  void compute(KernelContext& context) const override;

 private:
  std::size_t num_variables_;
  std::unique_ptr<Plan> condition_;
  std::unique_ptr<Plan> body_;
};

}  // namespace hub
