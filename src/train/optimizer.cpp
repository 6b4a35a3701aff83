// What all optimisers share (tensorflow/python/training/optimizer.py, slot_creator.py).

#include <algorithm>

#include "base/errors.h"
#include "graph/graph_state.h"
#include "hub/ops.h"
#include "hub/optimizers.h"
#include "train/update_rule.h"

namespace hub::train {
namespace {

constexpr std::string_view kTrainOp = "train_op";

// Partitioned variables as their parts.
std::vector<Variable> single_variables(const std::vector<Variable>& variables) {
  std::vector<Variable> result;
  for (const Variable& variable : variables) {
    if (variable.is_partitioned()) {
      result.insert(result.end(), variable.parts().begin(), variable.parts().end());
    } else {
      result.push_back(variable);
    }
  }
  return result;
}

bool is_floating(DType dtype) {
  return dtype == kFloat || dtype == kDouble || dtype == DType::kFloat16 ||
         dtype == DType::kBfloat16;
}

// Each row once: those of one index added up.
IndexedSlices without_duplicates(const Graph& graph, const IndexedSlices& slices) {
  const Operation unique = graph.op("Unique", {slices.indices});
  const Output count = ops::gather(ops::shape(unique.output(0)), 0);
  const Output rows = graph.op("UnsortedSegmentSum", {slices.values, unique.output(1), count});
  return {rows, unique.output(0), slices.dense_shape};
}

}  // namespace

Optimizer::Optimizer(std::string name, std::unique_ptr<UpdateRule> rule)
    : rule_(std::move(rule)), state_(std::make_unique<OptimizerState>(std::move(name))) {}
Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;
Optimizer& Optimizer::operator=(Optimizer&&) noexcept = default;

std::vector<GradientAndVariable> Optimizer::compute_gradients(
    const Output& loss, const MinimizeOptions& options) const {
  if (!is_floating(loss.dtype())) {
    throw value_error("A loss is of a floating dtype. Details: \"", loss.name(), "\" is ",
                      loss.dtype(), ".");
  }
  const Graph graph = loss.graph();
  const std::vector<Variable> variables =
      single_variables(options.variables.empty() ? trainable_variables(graph) : options.variables);
  if (variables.empty()) throw value_error("No variables to optimize.");
  std::vector<Output> handles;
  for (const Variable& variable : variables) handles.push_back(variable.handle());
  const std::vector<Output> weights =
      options.grad_loss ? std::vector<Output>{options.grad_loss} : std::vector<Output>{};
  const std::vector<GradientValue> values = gradients(graph, {loss}, handles, weights);
  std::vector<GradientAndVariable> result;
  for (std::size_t i = 0; i < variables.size(); ++i) result.push_back({values[i], variables[i]});
  return result;
}

namespace {

Operation update_variable(const GradientAndVariable& pair, const UpdateRule& rule,
                          const OptimizerState& state) {
  const Variable& variable = pair.variable;
  const Graph graph = variable.graph();
  const NameScope scope(graph, cat("update_", variable.name()));
  const Colocation colocation(graph, variable.op());
  if (!pair.gradient.slices) return rule.apply(state, variable, {pair.gradient.dense});
  const IndexedSlices slices = rule.adds_duplicates()
                                   ? *pair.gradient.slices
                                   : without_duplicates(graph, *pair.gradient.slices);
  return rule.apply(state, variable, {slices.values, slices.indices});
}

[[noreturn]] void refuse_no_gradients(const std::vector<GradientAndVariable>& gradients) {
  std::vector<std::string> names;
  for (const GradientAndVariable& pair : gradients) names.push_back(pair.variable.name());
  throw value_error("No gradients provided for any variable. Details: the loss depends on none of ",
                    names.empty() ? "no variables" : printable(join(names)), ".");
}

}  // namespace

Operation Optimizer::apply_gradients(const std::vector<GradientAndVariable>& gradients,
                                     const Variable& global_step, std::string_view name) {
  std::vector<Variable> variables;
  for (const GradientAndVariable& pair : gradients) {
    if (pair.gradient.is_valid()) variables.push_back(pair.variable);
  }
  if (variables.empty()) refuse_no_gradients(gradients);
  const Graph graph = variables.front().graph();
  {
    const ControlDependencies outside(graph);
    const NameScope top(graph, "");
    rule_->create_slots(*state_, variables);
  }
  const NameScope scope(graph, name.empty() ? std::string_view(state_->name()) : name);
  state_->begin_step();
  rule_->prepare(*state_, graph);
  std::vector<Operation> updates;
  for (const GradientAndVariable& pair : gradients) {
    if (pair.gradient.is_valid()) updates.push_back(update_variable(pair, *rule_, *state_));
  }
  Operation step;
  if (global_step) {
    const Operation all = rule_->finish(*state_, updates, "update");
    const ControlDependencies after(graph, std::vector<Operation>{all});
    const Colocation colocation(graph, global_step.op());
    const Tensor one =
        global_step.dtype() == kInt64 ? make_scalar<std::int64_t>(1) : make_scalar<std::int32_t>(1);
    step = global_step.assign_add(one, scope.name());
  } else {
    step = rule_->finish(*state_, updates, scope.name());
  }
  graph.add_to_collection(kTrainOp, step);
  return step;
}

Operation Optimizer::minimize(const Output& loss, const MinimizeOptions& options) {
  return apply_gradients(compute_gradients(loss, options), options.global_step, options.name);
}

Variable Optimizer::slot(const Variable& variable, std::string_view name) const {
  return state_->find_slot(variable, name);
}

std::vector<Variable> Optimizer::variables() const { return state_->variables(); }

void UpdateRule::create_slots(OptimizerState&, const std::vector<Variable>&) const {}

Operation UpdateRule::finish(const OptimizerState&, const std::vector<Operation>& updates,
                             std::string_view name) const {
  return ops::group(updates.front().graph(), updates, name);
}

}  // namespace hub::train
