// The area under a curve (tensorflow/python/ops/metrics_impl.py, auc).

#include "train/metric_support.h"

namespace hub::metrics {
namespace {

constexpr double kBeyond = 1e-7;   // how far the outer thresholds lie beyond 0 and 1
constexpr double kEpsilon = 1e-6;  // against division by zero

Tensor thresholds_of(int count) {
  std::vector<float> result = {static_cast<float>(0 - kBeyond)};
  for (int i = 0; i + 2 < count; ++i)
    result.push_back(static_cast<float>((i + 1) * 1.0 / (count - 1)));
  result.push_back(static_cast<float>(1 + kBeyond));
  return make_tensor<float>({count}, std::span<const float>(result));
}

Operation check_limit(const Output& predictions, bool at_least) {
  const Graph graph = predictions.graph();
  const double limit = at_least ? 0 : 1;
  const Output bound = ops::constant(graph, limit, predictions.dtype());
  const NameScope scope(graph, at_least ? "assert_greater_equal" : "assert_less_equal");
  const Output fits =
      at_least ? ops::greater_equal(predictions, bound) : ops::less_equal(predictions, bound);
  return graph.op("Assert", {ops::reduce_all(fits), "predictions must be in [0, 1]", predictions},
                  {{"T", std::vector<DType>{kString, predictions.dtype()}}});
}

struct Counts {
  Input true_positives;
  Input false_negatives;
  Input true_negatives;
  Input false_positives;
};

Output ratio(const Output& part, const Output& whole) { return part / whole; }

Output area(const Counts& counts, const AucOptions& options, std::string_view name) {
  const int last = options.num_thresholds - 1;
  const Output recall_part = counts.true_positives + kEpsilon;
  const Output positives = counts.true_positives + counts.false_negatives;
  const Output recall = ratio(recall_part, positives + kEpsilon);
  Output x = recall;
  Output y = recall;
  if (options.curve == Curve::kRoc) {
    const Output negatives = counts.false_positives + counts.true_negatives;
    x = counts.false_positives / (negatives + kEpsilon);
  } else {
    const Output precise_part = counts.true_positives + kEpsilon;
    const Output predicted = counts.true_positives + counts.false_positives;
    y = ratio(precise_part, predicted + kEpsilon);
  }
  const Output x_begin = first_elements(x, last);
  const Output width = x_begin - without_first(x);
  const Output y_begin = first_elements(y, last);
  const Output y_end = without_first(y);
  Output height;
  switch (options.summation) {
    case Summation::kMinoring: height = ops::minimum(y_begin, y_end); break;
    case Summation::kMajoring: height = ops::maximum(y_begin, y_end); break;
    default: height = (y_begin + y_end) / 2.0;
  }
  return ops::reduce_sum(ops::multiply(width, height), {}, KeepDims::kNo, name);
}

// Counts of examples for each threshold.
class Counter {
 public:
  Counter(const Output& labels, const Output& predictions, const Output& weights, int thresholds)
      : graph_(predictions.graph()), thresholds_(thresholds) {
    const Output flat_predictions = ops::reshape(predictions, PartialShape{-1, 1});
    const Output flat_labels = ops::reshape(labels, PartialShape{1, -1});
    const std::int64_t known = flat_predictions.shape().dim(0);
    const Output number = known >= 0 ? ops::constant(graph_, known, kInt32)
                                     : element_of(ops::shape(flat_predictions), 0);
    const Output limits = ops::expand_dims(ops::constant(graph_, thresholds_of(thresholds)), 1);
    const Output tiled_limits =
        ops::tile(limits, ops::stack({ops::constant(graph_, 1, kInt32), number}));
    positive_ = ops::greater(repeated(ops::transpose(flat_predictions, {1, 0})), tiled_limits);
    negative_ = ops::logical_not(positive_);
    true_ = repeated(flat_labels);
    false_ = ops::logical_not(true_);
    if (weights) {
      const Output all = broadcast_weights(ops::cast(weights, kFloat), predictions);
      weights_ = repeated(ops::reshape(all, PartialShape{1, -1}));
    }
  }

  Sum true_positives() const { return sum("true_positives", true_, positive_); }
  Sum false_negatives() const { return sum("false_negatives", true_, negative_); }
  Sum true_negatives() const { return sum("true_negatives", false_, negative_); }
  Sum false_positives() const { return sum("false_positives", false_, positive_); }

 private:
  Output repeated(const Output& row) const {
    return ops::tile(row, ops::constant(graph_, int_vector({thresholds_, 1})));
  }
  Sum sum(std::string_view name, const Output& label, const Output& prediction) const {
    const Variable variable = metric_variable(graph_, {thresholds_}, name);
    Output each = ops::cast(ops::logical_and(label, prediction), kFloat);
    if (weights_) each = each * weights_;
    return add_to(variable, ops::reduce_sum(each, 1));
  }

  Graph graph_;
  int thresholds_;
  Output positive_, negative_, true_, false_, weights_;
};

}  // namespace

Metric auc(const Output& labels, const Output& predictions, const AucOptions& options) {
  if (options.num_thresholds < 2) {
    throw value_error("num_thresholds is at least 2. Details: got ", options.num_thresholds, ".");
  }
  const Graph graph = predictions.graph();
  const MetricScope scope(graph, options.name, "auc");
  const std::vector<Operation> checks = {check_limit(predictions, true),
                                         check_limit(predictions, false)};
  LabelsAndPredictions fitted;
  Output weights;
  {
    const ControlDependencies after(graph, checks);
    const Output checked = ops::identity(ops::cast(predictions, kFloat));
    fitted = remove_squeezable_dimensions(ops::cast(labels, kBool), checked);
    check_same_shape(fitted.predictions, fitted.labels);
    if (options.weights) weights = fitted_weights(options.weights, fitted.predictions);
  }
  const Counter counter(fitted.labels, fitted.predictions, weights, options.num_thresholds);
  const Sum tp = counter.true_positives();
  const Sum fn = counter.false_negatives();
  const Sum tn = counter.true_negatives();
  const Sum fp = counter.false_positives();
  Metric result;
  result.value = area({tp.variable, fn.variable, tn.variable, fp.variable}, options, "value");
  result.update = area({tp.updated, fn.updated, tn.updated, fp.updated}, options, "update_op");
  result.variables = {tp.variable, fn.variable, tn.variable, fp.variable};
  return result;
}

}  // namespace hub::metrics
