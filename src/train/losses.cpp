// Losses with the nodes of tensorflow/python/ops/losses/losses_impl.py.

#include "hub/losses.h"

#include "train/node_support.h"

namespace hub::losses {
namespace {

// How many elements have a weight; by row with `per_row`.
Output num_present(const Output& losses, const Output& weights, bool per_row = false) {
  const Graph graph = losses.graph();
  const NameScope scope(graph, "num_present");
  const Output is_zero = ops::equal(weights, 0.0);
  const Output zeros = zeros_like_of(weights);
  const Output ones = ones_like_of(weights);
  const Output present = broadcast_weights(ops::select(is_zero, zeros, ones), losses);
  if (per_row) {
    const Output axes = axes_after_first(present);
    return ops::reduce_sum(present, axes, KeepDims::kYes, scope.name());
  }
  return ops::reduce_sum(present, {}, KeepDims::kNo, scope.name());
}

Output num_elements(const Output& losses) {
  const Graph graph = losses.graph();
  const NameScope scope(graph, "num_elements");
  return ops::cast(ops::size(losses, kInt32, scope.name()), losses.dtype());
}

Output safe_mean(const Output& loss, const Output& count) {
  const Output total = ops::reduce_sum(loss);
  total.set_shape(PartialShape::scalar());
  return div_no_nan(total, count, "value");
}

Output reduced(const Output& losses, const Output& weights, Reduction reduction) {
  const Output weighted = ops::multiply(losses, weights);
  if (reduction == Reduction::kNone) return weighted;
  const Output sum = ops::reduce_sum(weighted);
  switch (reduction) {
    case Reduction::kMean: {
      const Output ones = ones_like_of(losses);
      return safe_mean(sum, ops::reduce_sum(ones * weights));
    }
    case Reduction::kSumByNonzeroWeights: return safe_mean(sum, num_present(losses, weights));
    case Reduction::kSumOverBatchSize: return safe_mean(sum, num_elements(losses));
    default: return sum;
  }
}

void add_loss(const Output& loss, const LossOptions& options) {
  if (!options.collection.empty()) loss.graph().add_to_collection(options.collection, loss);
}

Output weighted_loss(const Output& losses, const LossOptions& options, std::string_view scope_name,
                     const Input& weights) {
  const Graph graph = losses.graph();
  const NameScope scope(graph, scope_name);
  const Operation check = assert_broadcastable(graph, weights, losses);
  const ControlDependencies after(graph, std::vector<Operation>{check});
  const Output exact = ops::cast(losses, kFloat);
  const Output exact_weights = cast_input(graph, weights, kFloat);
  const Output loss = ops::cast(reduced(exact, exact_weights, options.reduction), losses.dtype());
  add_loss(loss, options);
  return loss;
}

// What the elementwise losses share: names, casts, checks, weights.
template <class Elementwise>
Output elementwise_loss(const Output& labels, const Output& predictions, const LossOptions& options,
                        std::string_view name, const Elementwise& losses_of) {
  const NameScope scope(predictions.graph(), name_or(options.name, name));
  const Output p = ops::cast(predictions, kFloat);
  const Output l = ops::cast(labels, kFloat);
  check_same_shape(p, l);
  return weighted_loss(losses_of(l, p), options, scope.name(), options.weights);
}

// sparse_softmax_cross_entropy's weights: one dimension more than the labels' goes away.
Input squeezed_weights(const Graph& graph, const Input& given, const Output& labels) {
  const Output weights = given.output() != nullptr ? *given.output() : ops::constant(graph, given);
  if (weights.shape().has_rank() && labels.shape().has_rank() &&
      weights.shape().rank() == labels.shape().rank() + 1) {
    return ops::squeeze(weights, {-1});
  }
  return weights;
}

}  // namespace

Output compute_weighted_loss(const Output& losses, const LossOptions& options) {
  return weighted_loss(losses, options, name_or(options.name, "weighted_loss"), options.weights);
}

Output absolute_difference(const Output& labels, const Output& predictions,
                           const LossOptions& options) {
  return elementwise_loss(
      labels, predictions, options, "absolute_difference",
      [](const Output& l, const Output& p) { return ops::abs(ops::subtract(p, l)); });
}

Output mean_squared_error(const Output& labels, const Output& predictions,
                          const LossOptions& options) {
  return elementwise_loss(
      labels, predictions, options, "mean_squared_error",
      [](const Output& l, const Output& p) { return ops::squared_difference(p, l); });
}

Output huber_loss(const Output& labels, const Output& predictions, double delta,
                  const LossOptions& options) {
  return elementwise_loss(
      labels, predictions, options, "huber_loss", [delta](const Output& l, const Output& p) {
        const Output error = ops::abs(ops::subtract(p, l));
        const Output quadratic = ops::minimum(error, delta);
        const Output linear = ops::subtract(error, quadratic);
        const Output half = ops::constant(p.graph(), 0.5, kFloat);
        const Output squares = ops::multiply(half, ops::multiply(quadratic, quadratic));
        return ops::add(squares, ops::multiply(delta, linear));
      });
}

Output log_loss(const Output& labels, const Output& predictions, double epsilon,
                const LossOptions& options) {
  return elementwise_loss(
      labels, predictions, options, "log_loss", [epsilon](const Output& l, const Output& p) {
        const Output of_ones = -ops::multiply(l, ops::log(p + epsilon));
        const Output others = 1.0 - l;
        const Output of_zeros = ops::multiply(others, ops::log((1.0 - p) + epsilon));
        return of_ones - of_zeros;
      });
}

Output hinge_loss(const Output& labels, const Output& logits, const LossOptions& options) {
  return elementwise_loss(labels, logits, options, "hinge_loss",
                          [](const Output& l, const Output& p) {
                            const Output ones = ones_like_of(l);
                            const Output signs = ops::subtract(2.0 * l, ones);
                            return ops::relu(ops::subtract(ones, ops::multiply(signs, p)));
                          });
}

Output cosine_distance(const Output& labels, const Output& predictions, int axis,
                       const LossOptions& options) {
  return elementwise_loss(labels, predictions, options, "cosine_distance_loss",
                          [axis](const Output& l, const Output& p) {
                            const Output products = ops::multiply(p, l);
                            return 1.0 - ops::reduce_sum(products, {axis}, KeepDims::kYes);
                          });
}

Output mean_pairwise_squared_error(const Output& labels, const Output& predictions,
                                   const LossOptions& options) {
  if (options.reduction != Reduction::kSumByNonzeroWeights)
    throw value_error("mean_pairwise_squared_error takes no reduction.");
  const Graph graph = predictions.graph();
  const NameScope scope(graph, name_or(options.name, "mean_pairwise_squared_error"));
  const Output weights = cast_input(graph, options.weights, kFloat);
  const Output l = ops::cast(labels, kFloat);
  const Operation check = assert_broadcastable(graph, weights, l);
  const ControlDependencies after(graph, std::vector<Operation>{check});
  const Output p = ops::cast(predictions, kFloat);
  check_same_shape(p, l);
  const Output difference = ops::subtract(p, l);
  const Output axes = axes_after_first(difference);
  const Output squares = ops::reduce_sum(ops::square(difference), axes, KeepDims::kYes);
  const Output present = num_present(difference, weights, true);
  const Output pairs = ops::maximum(present - 1.0, 0.0);
  const Output term1 = 2.0 * div_no_nan(squares, pairs, "value");
  const Output sums = ops::square(ops::reduce_sum(difference, axes, KeepDims::kYes));
  const Output ordered_pairs = ops::maximum(ops::multiply(present, present - 1.0), 0.0);
  const Output term2 = 2.0 * div_no_nan(sums, ordered_pairs, "value");
  const Output loss = ops::reduce_sum(ops::multiply(term1 - term2, weights));
  const Output any_present = ops::greater(ops::reduce_sum(present), 0.0);
  const Output mean = ops::select(any_present, loss, zeros_like_of(loss), "value");
  add_loss(mean, options);
  return mean;
}

Output sigmoid_cross_entropy(const Output& given_labels, const Output& logits,
                             double label_smoothing, const LossOptions& options) {
  const NameScope scope(logits.graph(), name_or(options.name, "sigmoid_cross_entropy_loss"));
  Output labels = ops::cast(given_labels, logits.dtype());
  check_same_shape(logits, labels);
  if (label_smoothing > 0) labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing;
  const Output losses = ops::sigmoid_cross_entropy_with_logits(labels, logits, "xentropy");
  return weighted_loss(losses, options, scope.name(), options.weights);
}

Output softmax_cross_entropy(const Output& onehot_labels, const Output& logits,
                             double label_smoothing, const LossOptions& options) {
  const NameScope scope(logits.graph(), name_or(options.name, "softmax_cross_entropy_loss"));
  Output labels = ops::cast(onehot_labels, logits.dtype());
  check_same_shape(logits, labels);
  if (label_smoothing > 0) {
    const Output classes = ops::cast(element_of(ops::shape(labels), -1), logits.dtype());
    const Output others = label_smoothing / classes;
    labels = labels * (1.0 - label_smoothing) + others;
  }
  labels = ops::stop_gradient(labels, "labels_stop_gradient");
  const Output losses = ops::softmax_cross_entropy_with_logits(labels, logits, "xentropy");
  return weighted_loss(losses, options, scope.name(), options.weights);
}

Output sparse_softmax_cross_entropy(const Output& labels, const Output& logits,
                                    const LossOptions& options) {
  const Graph graph = logits.graph();
  const NameScope scope(graph, name_or(options.name, "sparse_softmax_cross_entropy_loss"));
  const auto squeezed = remove_squeezable_dimensions(labels, logits, 1);
  const Input weights = squeezed_weights(graph, options.weights, squeezed.labels);
  const Output losses = ops::sparse_softmax_cross_entropy_with_logits(
      squeezed.labels, squeezed.predictions, "xentropy");
  return weighted_loss(losses, options, scope.name(), weights);
}

std::vector<Output> collected_losses(const Graph& graph, std::string_view scope) {
  std::vector<Output> losses = graph.collection(Collections::kLosses);
  std::erase_if(losses, [&](const Output& loss) { return !loss.name().starts_with(scope); });
  return losses;
}

Output total_loss(const Graph& graph, bool add_regularization_losses, std::string_view name) {
  std::vector<Output> losses = collected_losses(graph);
  if (add_regularization_losses) {
    const std::vector<Output> penalties = regularization_losses(graph);
    losses.insert(losses.end(), penalties.begin(), penalties.end());
  }
  if (losses.empty()) {
    throw value_error(
        "inputs must be a list of at least one Tensor with the same dtype and shape: the graph "
        "has no losses.");
  }
  return ops::add_n(losses, name);
}

}  // namespace hub::losses
