#include "train/layer_scope.h"

#include <algorithm>

#include "train/node_support.h"

namespace hub::layers {
namespace {

// The scope that the layer opens first: it takes the name scope, and is entered again at once.
VariableScopeState opened(const Graph& graph, std::string_view base_name, std::string_view name,
                          Reuse reuse) {
  if (name.empty() && reuse == Reuse::kInherit)
    return VariableScope(graph, DefaultName{std::string(base_name)}).state();
  return VariableScope(graph, name_or(name, base_name)).state();
}

}  // namespace

LayerScope::LayerScope(const Graph& graph, std::string_view base_name, std::string_view name,
                       Reuse reuse)
    : graph_(graph) {
  const VariableScopeState scope = opened(graph, base_name, name, reuse);
  VariableScopeOptions options;
  options.reuse = reuse;
  options.auxiliary_name_scope = false;
  variables_.emplace(graph, scope, options);
  names_.emplace(graph, scope.original_name_scope());
}

Variable LayerScope::add_weight(std::string_view name, const Shape& shape,
                                const Weight& weight) const {
  VariableOptions options;
  options.dtype = weight.dtype;
  options.initializer = weight.initializer;
  options.trainable = weight.trainable;
  const std::string full =
      variables_->name().empty() ? std::string(name) : cat(variables_->name(), "/", name);
  const bool is_new = !graph_.find_operation(full) && !graph_.find_operation(cat(full, "/part_0"));
  const Variable variable = get_variable(graph_, name, PartialShape(shape), options);
  if (weight.regularizer && is_new) {
    const NameScope scope(graph_, cat(name, "/Regularizer"));
    if (const Output penalty = weight.regularizer(variable))
      graph_.add_to_collection(Collections::kRegularizationLosses, penalty);
  }
  return variable;
}

void LayerScope::add_activity_loss(const Activation& regularizer, const Output& output) const {
  if (!regularizer) return;
  const NameScope scope(graph_, "ActivityRegularizer");
  const Output penalty = regularizer(output);
  const Output batch = ops::cast(element_of(ops::shape(output), 0), penalty.dtype());
  graph_.add_to_collection(Collections::kRegularizationLosses, penalty / batch);
}

void check_rank(std::string_view layer, const Output& inputs, int rank) {
  const PartialShape& shape = inputs.shape();
  if (shape.has_rank() && shape.rank() == rank) return;
  throw value_error("Input of layer ", layer, " is incompatible: expected ndim=", rank,
                    ". Details: \"", inputs.name(), "\" has shape ", shape, ".");
}

std::int64_t known_channels(std::string_view layer, const Output& inputs, int axis) {
  const std::int64_t channels = inputs.shape().dim(axis);
  if (channels < 0) {
    throw value_error("The channel dimension of the inputs to ", layer,
                      " should be defined. Details: axis ", axis, " of \"", inputs.name(),
                      "\" of shape ", inputs.shape(), ".");
  }
  return channels;
}

std::vector<int> Sizes::of_rank(int rank, std::string_view what) const {
  std::vector<int> result = values_;
  if (result.size() == 1) result.resize(static_cast<std::size_t>(rank), values_[0]);
  const bool is_small = std::ranges::any_of(result, [](int value) { return value < 1; });
  if (static_cast<int>(result.size()) != rank || is_small) {
    throw value_error("The `", what, "` argument must be one or ", rank,
                      " positive integers. Details: received [", join(values_, ","), "].");
  }
  return result;
}

}  // namespace hub::layers
