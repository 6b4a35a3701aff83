// What all optimisers share (tensorflow/python/training/optimizer.py, slot_creator.py).

#include <algorithm>

#include "base/errors.h"
#include "graph/graph_state.h"
#include "hub/ops.h"
#include "hub/optimizers.h"

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

Optimizer::~Optimizer() = default;

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

Operation Optimizer::update_one(const GradientAndVariable& pair) {
  const Variable& variable = pair.variable;
  const Graph graph = variable.graph();
  std::string scope_name = variable.name();
  const NameScope scope(graph, cat("update_", scope_name));
  const Colocation colocation(graph, variable.op());
  if (!pair.gradient.slices) return apply_dense(variable, pair.gradient.dense);
  const IndexedSlices slices =
      adds_duplicates() ? *pair.gradient.slices : without_duplicates(graph, *pair.gradient.slices);
  return apply_sparse(variable, slices.values, slices.indices);
}

Operation Optimizer::apply_gradients(const std::vector<GradientAndVariable>& gradients,
                                     const Variable& global_step, std::string_view name) {
  std::vector<Variable> variables;
  for (const GradientAndVariable& pair : gradients) {
    if (pair.gradient.is_valid()) variables.push_back(pair.variable);
  }
  if (variables.empty()) {
    throw value_error(
        "No gradients provided for any variable. Details: the loss does not depend "
        "on ",
        gradients.empty() ? "anything that trains"
                          : cat("\"", gradients.front().variable.name(), "\" or any of the others"),
        ".");
  }
  const Graph graph = variables.front().graph();
  {
    const ControlDependencies outside(graph);
    const NameScope top(graph, "");
    create_slots(variables);
  }
  scalars_.clear();
  const NameScope scope(graph, name.empty() ? std::string_view(name_) : name);
  std::vector<Operation> updates;
  for (const GradientAndVariable& pair : gradients) {
    if (pair.gradient.is_valid()) updates.push_back(update_one(pair));
  }
  Operation step;
  if (global_step) {
    const Operation all = finish(updates, "update");
    const ControlDependencies after(graph, std::vector<Operation>{all});
    const Colocation colocation(graph, global_step.op());
    const Tensor one =
        global_step.dtype() == kInt64 ? make_scalar<std::int64_t>(1) : make_scalar<std::int32_t>(1);
    step = global_step.assign_add(one, scope.name());
  } else {
    step = finish(updates, scope.name());
  }
  graph.add_to_collection(kTrainOp, step);
  return step;
}

Operation Optimizer::minimize(const Output& loss, const MinimizeOptions& options) {
  return apply_gradients(compute_gradients(loss, options), options.global_step, options.name);
}

void Optimizer::create_slots(const std::vector<Variable>&) {}

Operation Optimizer::finish(const std::vector<Operation>& updates, std::string_view name) {
  return ops::group(updates.front().graph(), updates, name);
}

void Optimizer::make_slot(const Variable& variable, std::string_view slot,
                          const Initializer& value) {
  const Graph graph = variable.graph();
  Variable& made = slots_[{&graph.state(), variable.name(), std::string(slot)}];
  if (made) return;
  const VariableScope scope(graph, DefaultName{cat(variable.name(), "/", name_)});
  const Colocation colocation(graph, variable.op());
  made = get_variable(graph, "", variable.shape(),
                      {.dtype = variable.dtype(),
                       .initializer = value,
                       .trainable = false,
                       .use_resource = variable.is_resource()});
}

void Optimizer::make_slot(const Variable& variable, std::string_view slot, double value) {
  make_slot(variable, slot, value == 0 ? init::zeros() : init::constant(value));
}

Variable Optimizer::slot(const Variable& variable, std::string_view name) const {
  const auto found = slots_.find({&variable.graph().state(), variable.name(), std::string(name)});
  return found == slots_.end() ? Variable() : found->second;
}

Variable Optimizer::required_slot(const Variable& variable, std::string_view slot_name) const {
  Variable found = slot(variable, slot_name);
  if (found) return found;
  throw internal_error("A slot was not made. Details: \"", slot_name, "\" of \"", variable.name(),
                       "\".");
}

void Optimizer::make_variable_once(std::string_view name, double value, const Variable& beside) {
  const Graph graph = beside.graph();
  Variable& made = slots_[{&graph.state(), {}, std::string(name)}];
  if (made) return;
  const Colocation colocation(graph, beside.op());
  made = make_variable(graph, make_scalar(static_cast<float>(value)), name,
                       {.trainable = false, .use_resource = beside.is_resource()});
}

Variable Optimizer::own_variable(std::string_view name) const {
  for (const auto& [key, variable] : slots_) {
    if (key.variable.empty() && key.slot == name) return variable;
  }
  throw internal_error("A variable was not made. Details: \"", name, "\".");
}

std::vector<Variable> Optimizer::variables() const {
  std::vector<Variable> result;
  for (const auto& entry : slots_) result.push_back(entry.second);
  return result;
}

Output Optimizer::scalar(const Variable& variable, std::string_view name, const Input& value) {
  const Graph graph = variable.graph();
  if (const Output* tensor = value.output())
    return tensor->dtype() == variable.dtype() ? *tensor : ops::cast(*tensor, variable.dtype());
  Output& made =
      scalars_[{&graph.state(), std::string(dtype_name(variable.dtype())), std::string(name)}];
  // TensorFlow makes a float32 of it first, and casts that.
  if (!made) {
    const Output number = ops::constant(graph, value, kFloat, name);
    made = variable.dtype() == kFloat ? number : ops::cast(number, variable.dtype());
  }
  return made;
}

Operation Optimizer::update(std::string_view op, const std::vector<Variable>& variables,
                            const std::vector<Output>& tensors, const Attrs& attrs) const {
  std::vector<Input> inputs;
  for (const Variable& variable : variables) inputs.emplace_back(variable.handle());
  inputs.insert(inputs.end(), tensors.begin(), tensors.end());
  const bool is_resource = variables.front().is_resource();
  return variables.front().graph().op(is_resource ? cat("Resource", op) : std::string(op), inputs,
                                      attrs, op);
}

}  // namespace hub::train
