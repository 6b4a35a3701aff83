// Metrics with the nodes of tensorflow/python/ops/metrics_impl.py.

#include "hub/metrics.h"

#include "ops/functions/variable_store.h"
#include "train/metric_support.h"

namespace hub::metrics {
namespace {

constexpr std::string_view kMetricVariables = "metric_variables";

Metric mean_of(const Output& given, const Output& given_weights, std::string_view name,
               std::string_view default_name) {
  const Graph graph = given.graph();
  const MetricScope scope(graph, name, default_name);
  Output values = ops::cast(given, kFloat);
  const Variable total = metric_variable(graph, Shape{}, "total");
  const Variable count = metric_variable(graph, Shape{}, "count");
  Output number;
  if (given_weights) {
    const Output weights =
        broadcast_weights(ops::cast(fitted_weights(given_weights, values), kFloat), values);
    values = ops::multiply(values, weights);
    number = ops::reduce_sum(weights);
  } else {
    number = ops::cast(ops::size(values), kFloat);
  }
  const Sum new_total = add_to(total, ops::reduce_sum(values));
  Sum new_count;
  {
    const ControlDependencies after(graph, std::vector<Output>{values});
    new_count = add_to(count, number);
  }
  Metric result;
  result.value = div_no_nan(total, ops::maximum(count, 0.0), "value");
  const Output updated_count = ops::maximum(new_count.updated, 0.0);
  result.update = div_no_nan(new_total.updated, updated_count, "update_op");
  result.variables = {total, count};
  return result;
}

// How many examples fulfil a condition.
struct Count {
  Variable variable;
  Output value;
  Output updated;
};

Count count_of(const Output& labels, const Output& predictions, const Output& given_weights,
               bool wanted_label, bool wanted_prediction, std::string_view name) {
  const Graph graph = labels.graph();
  const MetricScope scope(graph, {}, name);
  const Output label = ops::equal(labels, wanted_label);
  const Output prediction = ops::equal(predictions, wanted_prediction);
  const Output condition = ops::logical_and(label, prediction);
  {
    const NameScope check(graph, "assert_type");
    ops::no_op(graph, "statically_determined_correct_type");
  }
  Count result;
  result.variable = metric_variable(graph, Shape{}, "count");
  Output values = ops::cast(condition, kFloat);
  if (given_weights) {
    const Output weights = ops::cast(fitted_weights(given_weights, values), kFloat);
    const Operation check = assert_broadcastable(graph, weights, values);
    const ControlDependencies after(graph, std::vector<Operation>{check});
    values = ops::multiply(values, weights);
  }
  result.value = ops::identity(result.variable);
  result.updated = add_to(result.variable, ops::reduce_sum(values)).updated;
  return result;
}

// part / (part + rest), 0 where both are.
Output share(const Graph& graph, const Output& part, const Output& rest, std::string_view name) {
  const Output sum = part + rest;
  const Output any = ops::greater(sum, 0.0);
  const Output ratio = part / (part + rest);
  const NameScope scope(graph, name);
  const Output zero = ops::constant(graph, 0.0, kFloat, "e");
  return graph.op("Select", {any, ratio, zero}, {}, scope.name());
}

Metric share_of_positives(const Output& given_labels, const Output& given_predictions,
                          const MetricOptions& options, std::string_view default_name,
                          bool rest_label, bool rest_prediction, std::string_view rest_name) {
  const Graph graph = given_predictions.graph();
  const MetricScope scope(graph, options.name, default_name);
  const Output bool_predictions = ops::cast(given_predictions, kBool);
  const Output bool_labels = ops::cast(given_labels, kBool);
  const auto [labels, predictions] = remove_squeezable_dimensions(bool_labels, bool_predictions);
  check_same_shape(predictions, labels);
  const Output weights = options.weights ? fitted_weights(options.weights, predictions) : Output();
  const Count positives = count_of(labels, predictions, weights, true, true, "true_positives");
  const Count rest = count_of(labels, predictions, weights, rest_label, rest_prediction, rest_name);
  Metric result;
  result.value = share(graph, positives.value, rest.value, "value");
  result.update = share(graph, positives.updated, rest.updated, "update_op");
  result.variables = {positives.variable, rest.variable};
  return result;
}

LabelsAndPredictions fitted(const Output& labels, const Output& predictions) {
  const auto result = remove_squeezable_dimensions(labels, predictions);
  check_same_shape(result.predictions, result.labels);
  return result;
}

}  // namespace

MetricScope::MetricScope(const Graph& graph, std::string_view name, std::string_view default_name) {
  if (name.empty()) {
    scope_.emplace(graph, DefaultName{std::string(default_name)});
  } else {
    scope_.emplace(graph, name);
  }
}

Variable metric_variable(const Graph& graph, const Shape& shape, std::string_view name) {
  VariableSpec spec;
  spec.name = name;
  spec.make_value = [=] { return ops::zeros(graph, shape); };
  spec.trainable = false;
  spec.collections = {std::string(Collections::kLocalVariables), std::string(kMetricVariables)};
  spec.use_resource = VariableScope::current(graph).use_resource().value_or(false);
  return create_variable(graph, spec);
}

Sum add_to(const Variable& variable, const Output& delta) {
  const Graph graph = variable.graph();
  const Operation update = variable.assign_add(delta);
  if (!variable.is_resource()) return {variable, update.output(0)};
  const ControlDependencies after(graph, std::vector<Operation>{update});
  const Output now = graph.op("ReadVariableOp", {variable.handle()}, {{"dtype", variable.dtype()}});
  return {variable, now};
}

Output fitted_weights(const Output& weights, const Output& values) {
  if (!weights.shape().has_rank() || !values.shape().has_rank()) return weights;
  if (weights.shape().rank() == 0) return weights;
  const int difference = weights.shape().rank() - values.shape().rank();
  if (difference == 1) return ops::squeeze(weights, {-1});
  if (difference == -1) return ops::expand_dims(weights, -1);
  return weights;
}

Metric mean(const Output& values, const MetricOptions& options) {
  return mean_of(values, options.weights, options.name, "mean");
}

Metric accuracy(const Output& given_labels, const Output& given_predictions,
                const MetricOptions& options) {
  const auto [labels, predictions] = fitted(given_labels, given_predictions);
  const Output weights = options.weights ? fitted_weights(options.weights, predictions) : Output();
  const Output equal = ops::equal(ops::cast(predictions, labels.dtype()), labels);
  return mean_of(ops::cast(equal, kFloat), weights, options.name, "accuracy");
}

Metric mean_squared_error(const Output& given_labels, const Output& given_predictions,
                          const MetricOptions& options) {
  const auto [labels, predictions] = fitted(given_labels, given_predictions);
  const Output weights = options.weights ? fitted_weights(options.weights, predictions) : Output();
  const Output errors = ops::squared_difference(labels, predictions);
  return mean_of(errors, weights, options.name, "mean_squared_error");
}

Metric mean_absolute_error(const Output& given_labels, const Output& given_predictions,
                           const MetricOptions& options) {
  const auto [labels, predictions] = fitted(given_labels, given_predictions);
  const Output weights = options.weights ? fitted_weights(options.weights, predictions) : Output();
  const Output errors = ops::abs(predictions - labels);
  return mean_of(errors, weights, options.name, "mean_absolute_error");
}

Metric root_mean_squared_error(const Output& labels, const Output& predictions,
                               const MetricOptions& options) {
  MetricOptions named = options;
  if (named.name.empty()) named.name = "root_mean_squared_error";
  Metric result = mean_squared_error(labels, predictions, named);
  result.value = ops::sqrt(result.value);
  result.update = ops::sqrt(result.update);
  return result;
}

Metric precision(const Output& labels, const Output& predictions, const MetricOptions& options) {
  return share_of_positives(labels, predictions, options, "precision", false, true,
                            "false_positives");
}

Metric recall(const Output& labels, const Output& predictions, const MetricOptions& options) {
  return share_of_positives(labels, predictions, options, "recall", true, false, "false_negatives");
}

}  // namespace hub::metrics
