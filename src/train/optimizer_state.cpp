#include "base/errors.h"
#include "graph/graph_state.h"
#include "hub/ops.h"
#include "train/update_rule.h"

namespace hub::train {

OptimizerState::Key OptimizerState::key_of(const Variable& variable, std::string_view slot) {
  return {&variable.graph().state(), variable.name(), std::string(slot)};
}

OptimizerState::Key OptimizerState::own_key(std::string_view name, const Graph& graph) {
  return {&graph.state(), {}, std::string(name)};
}

// tensorflow/python/training/slot_creator.py
void OptimizerState::make_slot(const Variable& variable, std::string_view slot_name,
                               const Initializer& value) {
  const Graph graph = variable.graph();
  Variable& made = slots_[key_of(variable, slot_name)];
  if (made) return;
  const VariableScope scope(graph, DefaultName{cat(variable.name(), "/", name_)});
  const Colocation colocation(graph, variable.op());
  made = get_variable(graph, "", variable.shape(),
                      {.dtype = variable.dtype(),
                       .initializer = value,
                       .trainable = false,
                       .use_resource = variable.is_resource()});
}

void OptimizerState::make_named_slot(const Variable& variable, std::string_view slot_name,
                                     std::string_view name) {
  Variable& made = slots_[key_of(variable, slot_name)];
  if (made) return;
  made = get_variable(variable.graph(), cat(variable.name(), "/", name), variable.shape(),
                      {.dtype = variable.dtype(),
                       .initializer = init::zeros(),
                       .trainable = false,
                       .use_resource = variable.is_resource()});
}

Variable OptimizerState::find_slot(const Variable& variable, std::string_view slot_name) const {
  const auto found = slots_.find(key_of(variable, slot_name));
  return found == slots_.end() ? Variable() : found->second;
}

Variable OptimizerState::slot(const Variable& variable, std::string_view slot_name) const {
  Variable found = find_slot(variable, slot_name);
  if (found) return found;
  throw internal_error("A slot was not made. Details: \"", slot_name, "\" of \"", variable.name(),
                       "\".");
}

void OptimizerState::make_own(std::string_view name, double value, const Variable& beside) {
  const Graph graph = beside.graph();
  Variable& made = slots_[own_key(name, graph)];
  if (made) return;
  const Colocation colocation(graph, beside.op());
  made = make_variable(graph, make_scalar(static_cast<float>(value)), name,
                       {.trainable = false, .use_resource = beside.is_resource()});
}

Variable OptimizerState::own(std::string_view name, const Graph& graph) const {
  const auto found = slots_.find(own_key(name, graph));
  if (found != slots_.end()) return found->second;
  throw internal_error("A variable was not made. Details: \"", name, "\".");
}

std::vector<Variable> OptimizerState::variables() const {
  std::vector<Variable> result;
  for (const auto& entry : slots_) result.push_back(entry.second);
  return result;
}

void OptimizerState::set_scalar(const Graph& graph, std::string_view name, const Input& value) {
  scalars_[std::string(name)] =
      value.output() != nullptr ? *value.output() : ops::constant(graph, value, kFloat, name);
}

Output OptimizerState::scalar(const Variable& variable, std::string_view name) const {
  const auto found = scalars_.find(name);
  if (found == scalars_.end())
    throw internal_error("A hyper-parameter was not said. Details: \"", name, "\".");
  const Output& value = found->second;
  return value.dtype() == variable.dtype() ? value : ops::cast(value, variable.dtype());
}

Operation OptimizerState::update(std::string_view op, const std::vector<Variable>& variables,
                                 const std::vector<Output>& before, const AppliedGradient& gradient,
                                 const std::vector<Output>& after, const Attrs& attrs) const {
  std::vector<Input> inputs;
  for (const Variable& variable : variables) inputs.emplace_back(variable.handle());
  inputs.insert(inputs.end(), before.begin(), before.end());
  inputs.emplace_back(gradient.values);
  if (gradient.is_sparse()) inputs.emplace_back(gradient.indices);
  inputs.insert(inputs.end(), after.begin(), after.end());
  const std::string full = cat(variables.front().is_resource() ? "Resource" : "",
                               gradient.is_sparse() ? "Sparse" : "", op);
  return variables.front().graph().op(full, inputs, attrs);
}

}  // namespace hub::train
