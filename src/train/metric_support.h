#pragma once

// What metrics share (tensorflow/python/ops/metrics_impl.py).

#include "hub/metrics.h"
#include "train/node_support.h"

namespace hub::metrics {

// A local variable of zeros, its name below the name scope.
Variable metric_variable(const Graph& graph, const Shape& shape, std::string_view name);

// Adds to a metric's variable.
struct Sum {
  Variable variable;
  Output updated;  // the value after the update
};
Sum add_to(const Variable& variable, const Output& delta);

// Weights with one dimension less or more than the values get or lose a last one of 1.
Output fitted_weights(const Output& weights, const Output& values);
// A metric's scope: "accuracy", made unique.
class MetricScope {
 public:
  MetricScope(const Graph& graph, std::string_view name, std::string_view default_name);

 private:
  std::optional<VariableScope> scope_;
};

}  // namespace hub::metrics
