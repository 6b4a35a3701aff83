// Moving averages (tensorflow/python/training/moving_averages.py, slot_creator.py).

#include "hub/moving_averages.h"

#include <algorithm>

#include "ops/functions/variable_store.h"
#include "train/node_support.h"

namespace hub {
namespace {

void check_dtype(DType dtype, std::string_view name) {
  if (dtype == kFloat || dtype == kDouble || dtype == DType::kFloat16 ||
      dtype == DType::kBfloat16) {
    return;
  }
  throw type_error("The variables must be half, float, or double: ", name, ". Details: got ", dtype,
                   ".");
}

// A variable beside another one: "NAME/SLOT", outside of the current scopes.
Variable slot(const Graph& graph, std::string_view primary, std::string_view name,
              const std::function<Output()>& value, bool use_resource) {
  VariableSpec spec;
  const NameScope top(graph, "");
  spec.name = cat(primary, "/", name);
  spec.make_value = value;
  spec.trainable = false;
  spec.use_resource = use_resource;
  return create_variable(graph, spec);
}

// tf.assign_sub and the like: the value after the update, as the next node reads it.
struct Written {
  Operation op;
  Input value;
};

Written written(const Variable& variable, const Operation& update) {
  if (!variable.is_resource()) return {update, update.output(0)};
  const Graph graph = variable.graph();
  const ControlDependencies after(graph, std::vector<Operation>{update});
  const Output now = graph.op("ReadVariableOp", {variable.handle()}, {{"dtype", variable.dtype()}});
  return {update, now};
}

struct BiasedState {
  Variable biased;
  Variable local_step;
};

BiasedState biased_state(const Variable& variable) {
  const Graph graph = variable.graph();
  const Colocation colocation(graph, variable.op());
  const NameScope top(graph, "");
  const Shape shape = *variable.shape().as_shape();
  const DType dtype = variable.dtype();
  const auto zeros = [=](const Shape& of) { return [=] { return ops::zeros(graph, of, dtype); }; };
  BiasedState result;
  result.biased = slot(graph, variable.name(), "biased", zeros(shape), variable.is_resource());
  result.local_step =
      slot(graph, variable.name(), "local_step", zeros(Shape{}), variable.is_resource());
  return result;
}

Operation assign_debiased(const Variable& variable, const Input& value, const Output& decay,
                          const NameScope& scope) {
  const Graph graph = variable.graph();
  const BiasedState state = biased_state(variable);
  const Output now = state.biased;
  const Output delta = (now - value) * decay;
  const Written biased = written(state.biased, state.biased.assign_sub(delta));
  Input one = 1;
  if (variable.is_resource()) one = ops::constant(graph, 1, variable.dtype());
  const Written step = written(state.local_step, state.local_step.assign_add(one));
  const Output base = 1.0 - decay;
  const Output factor = 1.0 - ops::pow(base, step.value);
  return variable.assign(biased.value / factor, scope.name());
}

}  // namespace

Operation assign_moving_average(const Variable& variable, const Input& value,
                                const Input& given_decay, bool zero_debias, std::string_view name) {
  const Graph graph = variable.graph();
  const NameScope scope(graph, name_or(name, "AssignMovingAvg"));
  Output decay;
  if (given_decay.graph_state() != nullptr) {
    decay = 1.0 - given_decay;
  } else {
    decay = ops::constant(graph, 1.0 - std::get<double>(given_decay.value()), kFloat, "decay");
  }
  decay = ops::cast(decay, variable.dtype());
  if (zero_debias) return assign_debiased(variable, value, decay, scope);
  const Output now = variable;
  const Output delta = (now - value) * decay;
  if (!variable.is_resource()) return variable.assign_sub(delta, scope.name());
  return written(variable, variable.assign_sub(delta)).op;
}

ExponentialMovingAverage::ExponentialMovingAverage(double decay, MovingAverageOptions options)
    : decay_(decay), options_(std::move(options)) {}

Output ExponentialMovingAverage::decay_tensor(const Graph& graph) const {
  const Output decay = ops::constant(graph, decay_, kFloat, "decay");
  if (!options_.num_updates) return decay;
  Output updates;
  if (options_.num_updates->dtype() == kFloat) {
    updates = cast_input(graph, *options_.num_updates, kFloat);
  } else {
    updates = graph.op("Cast", {*options_.num_updates}, {{"DstT", kFloat}}, "num_updates");
  }
  const Output above = 1.0 + updates;
  const Output below = 10.0 + updates;
  return ops::minimum(decay, above / below);
}

Operation ExponentialMovingAverage::apply(const std::vector<Variable>& variables) {
  if (variables.empty()) throw value_error("There is no variable to average.");
  const Graph graph = variables[0].graph();
  for (const Variable& variable : variables) {
    check_dtype(variable.dtype(), variable.name());
    if (of_variables_.contains(variable.name())) continue;
    const ControlDependencies anywhere(graph);
    const Output initial = variable.initialized_value();
    Variable average;
    {
      const Colocation colocation(graph, variable.op());
      average = slot(
          graph, variable.name(), options_.name, [&] { return initial; }, variable.is_resource());
    }
    of_variables_.emplace(variable.name(), average);
    add_to_collection(Collections::kMovingAverageVariables, variable);
  }
  const NameScope scope(graph, options_.name);
  const Output decay = decay_tensor(graph);
  std::vector<Operation> updates;
  for (const Variable& variable : variables) {
    updates.push_back(
        assign_moving_average(of_variables_.at(variable.name()), variable, decay, false));
  }
  return ops::group(graph, updates, scope.name());
}

Operation ExponentialMovingAverage::apply(const std::vector<Output>& tensors) {
  if (tensors.empty()) throw value_error("There is no tensor to average.");
  const Graph graph = tensors[0].graph();
  std::vector<Output> new_ones;
  for (const Output& tensor : tensors) {
    check_dtype(tensor.dtype(), tensor.name());
    if (of_tensors_.contains(tensor)) continue;
    const std::optional<Shape> shape = tensor.shape().as_shape();
    if (!shape) {
      throw value_error("Shape of a new variable (", tensor.op().name(), "/", options_.name,
                        ") must be fully defined, but instead was ", tensor.shape(), ".");
    }
    const ControlDependencies anywhere(graph);
    const bool use_resource = VariableScope::current(graph).use_resource().value_or(false);
    of_tensors_.emplace(
        tensor, slot(
                    graph, tensor.op().name(), options_.name,
                    [&] { return ops::zeros(graph, *shape, tensor.dtype()); }, use_resource));
    new_ones.push_back(tensor);
  }
  const NameScope scope(graph, options_.name);
  const Output decay = decay_tensor(graph);
  std::vector<Operation> updates;
  for (const Output& tensor : tensors) {
    const bool debias =
        options_.zero_debias && std::ranges::find(new_ones, tensor) != new_ones.end();
    updates.push_back(assign_moving_average(of_tensors_.at(tensor), tensor, decay, debias));
  }
  return ops::group(graph, updates, scope.name());
}

Variable ExponentialMovingAverage::average(const Variable& variable) const {
  const auto found = of_variables_.find(variable.name());
  return found == of_variables_.end() ? Variable() : found->second;
}

Variable ExponentialMovingAverage::average(const Output& tensor) const {
  const auto found = of_tensors_.find(tensor);
  return found == of_tensors_.end() ? Variable() : found->second;
}

std::string ExponentialMovingAverage::average_name(const Variable& variable) const {
  if (const Variable found = average(variable)) return found.name();
  const Graph graph = variable.graph();
  const NameScope top(graph, "");
  return graph.unique_name(cat(variable.name(), "/", options_.name), false);
}

std::map<std::string, Variable> ExponentialMovingAverage::variables_to_restore(
    const Graph& graph) const {
  std::map<std::string, Variable> result;
  std::vector<std::string> averaged;
  const auto add = [&](const Variable& variable) {
    if (std::ranges::find(averaged, variable.name()) != averaged.end()) return;
    averaged.push_back(variable.name());
    result.emplace(average_name(variable), variable);
  };
  for (const Variable& variable : trainable_variables(graph)) add(variable);
  for (const Variable& variable :
       collection_variables(graph, Collections::kMovingAverageVariables)) {
    add(variable);
  }
  for (const Variable& variable : collection_variables(graph)) {
    if (std::ranges::find(averaged, variable.name()) == averaged.end())
      result.try_emplace(variable.name(), variable);
  }
  return result;
}

}  // namespace hub
