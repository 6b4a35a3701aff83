#include "runtime/loop_kernel.h"

#include <algorithm>
#include <array>

#include "base/errors.h"

namespace hub {
namespace {

std::unique_ptr<Plan> plan_part(const FunctionBody& part, const PlanRequest& outer,
                                const std::vector<bool>& stable_inputs, ResourceManager& resources,
                                FunctionRuntime& functions) {
  PlanRequest request;
  request.stable_feeds = stable_inputs;
  request.feeds = part.inputs;
  request.fetches = part.outputs;
  request.targets = part.targets;
  request.passes = outer.passes;
  request.raise_loops = outer.raise_loops;
  request.loops = outer.loops;
  request.effects = outer.effects;
  return std::make_unique<Plan>(part.graph, request, resources, functions);
}

// What an iteration changes is not stable, whatever it starts from.
std::vector<bool> stable_captures(std::vector<bool> stable_inputs, std::size_t num_variables) {
  std::fill_n(stable_inputs.begin(), num_variables, false);
  return stable_inputs;
}

}  // namespace

LoopKernel::LoopKernel(const Loop& loop, const PlanRequest& outer, std::vector<bool> stable_inputs,
                       ResourceManager& resources, FunctionRuntime& functions)
    : num_variables_(loop.variables.size()) {
  const std::vector<bool> stable = stable_captures(std::move(stable_inputs), num_variables_);
  condition_ = plan_part(*loop.condition, outer, stable, resources, functions);
  body_ = plan_part(*loop.body, outer, stable, resources, functions);
}

void LoopKernel::compute(KernelContext& context) const {
  const auto count = static_cast<std::size_t>(context.num_inputs());
  std::vector<Tensor> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = context.take_input(static_cast<int>(i));
  std::vector<Tensor> inputs(count);
  std::vector<Tensor> next(num_variables_);
  std::array<Tensor, 1> condition;
  while (true) {
    context.step().check_cancelled();
    std::ranges::copy(values, inputs.begin());
    condition_->run(context.step(), inputs, condition);
    for (Tensor& input : inputs) input = Tensor();
    if (condition[0].dtype() != DType::kBool || condition[0].shape().rank() != 0) {
      throw invalid_argument("A loop's condition must be a bool scalar. Details: it is ",
                             condition[0], ".");
    }
    if (!condition[0].scalar<bool>()) break;
    for (std::size_t i = 0; i < num_variables_; ++i) inputs[i] = std::move(values[i]);
    std::copy(values.begin() + static_cast<std::ptrdiff_t>(num_variables_), values.end(),
              inputs.begin() + static_cast<std::ptrdiff_t>(num_variables_));
    body_->run(context.step(), inputs, next);
    for (std::size_t i = 0; i < num_variables_; ++i) values[i] = std::move(next[i]);
  }
  for (std::size_t i = 0; i < num_variables_; ++i)
    context.set_output(static_cast<int>(i), std::move(values[i]));
}

}  // namespace hub
