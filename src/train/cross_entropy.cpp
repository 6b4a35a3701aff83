// Cross entropies (tensorflow/python/ops/nn_ops.py, nn_impl.py).

#include "hub/losses.h"
#include "train/node_support.h"

namespace hub::ops {
namespace {

bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBfloat16; }

// A vector of one element of which the value is known only as a tensor.
Output vector_of(const Output& scalar, std::string_view name) {
  return scalar.graph().op("Pack", {scalar}, {}, name);
}

// All dimensions but the last one become one.
Output flatten_outer_dims(const Output& x) {
  const Graph graph = x.graph();
  const Output rank_of_x = rank(x);
  const Output dims = shape(x);
  const Output last = subtract(rank_of_x, 1);
  Output last_dim;
  {
    const NameScope scope(graph, "Slice");
    const Output begin = vector_of(last, "begin");
    const Output size = constant(graph, int_vector({1}), "size");
    last_dim = graph.op("Slice", {dims, begin, size}, {}, scope.name());
  }
  Output flat;
  {
    const NameScope scope(graph, "concat");
    const Output first = constant(graph, int_vector({-1}), "values_0");
    const Output axis = constant(graph, 0, kInt32, "axis");
    flat = graph.op("ConcatV2", {first, last_dim, axis}, {}, scope.name());
  }
  return reshape(x, flat);
}

// The shape without its last dimension.
Output outer_shape(const Output& dims, const Output& rank_of_x) {
  const Graph graph = dims.graph();
  const Output count = subtract(rank_of_x, 1);
  const NameScope scope(graph, "Slice");
  const Output begin = constant(graph, int_vector({0}), "begin");
  const Output size = vector_of(count, "size");
  return graph.op("Slice", {dims, begin, size}, {}, scope.name());
}

PartialShape without_last(const PartialShape& shape) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.pop_back();
  return PartialShape(dims);
}

void check_sparse_shapes(const PartialShape& labels, const PartialShape& logits) {
  if (!logits.has_rank()) return;
  if (logits.rank() == 0)
    throw value_error("`logits` cannot be a scalar. Details: received shape ", logits, ".");
  if (!labels.has_rank()) return;
  if (labels.rank() != logits.rank() - 1 || !labels.is_compatible_with(without_last(logits))) {
    throw value_error(
        "`labels.shape` must equal `logits.shape` except for the last dimension. Details: "
        "labels.shape=",
        labels, " and logits.shape=", logits, ".");
  }
}

// Fails where the labels' shape is not the logits' without the last dimension.
Operation check_shapes_later(const Output& labels, const Output& logits) {
  const Graph graph = logits.graph();
  const Output of_labels = shape(labels);
  const Output of_logits = shape(logits);
  const NameScope inside(graph, "assert_equal");
  const NameScope slice_scope(graph, "strided_slice");
  const Output begin = constant(graph, int_vector({0}), "stack");
  const Output end = constant(graph, int_vector({-1}), "stack_1");
  const Output step = constant(graph, int_vector({1}), "stack_2");
  const Output outer = graph.op("StridedSlice", {of_logits, begin, end, step}, {{"begin_mask", 1}},
                                slice_scope.name());
  const Output same = reduce_all(equal(of_labels, outer));
  return graph.op("Assert",
                  {same,
                   "The labels' shape is the logits' without the last dimension. Details: "
                   "labels",
                   of_labels, "logits", of_logits},
                  {{"T", std::vector<DType>{kString, kInt32, kString, kInt32}}});
}

Output sparse_of_any_rank(const Output& labels, const Output& logits, const Output& labels_shape,
                          std::string_view name) {
  const Graph graph = logits.graph();
  const Output classes = element_of(shape(logits), -1);
  Output flat_shape;
  {
    const NameScope scope(graph, "Reshape/shape");
    const Output first = constant(graph, -1, kInt32, "0");
    flat_shape = graph.op("Pack", {first, classes}, {}, scope.name());
  }
  const Output flat_logits = reshape(logits, flat_shape);
  const Output flat_labels = reshape(labels, PartialShape{-1});
  const Output cost =
      graph.op("SparseSoftmaxCrossEntropyWithLogits", {flat_logits, flat_labels}, {}, name);
  const Output result = reshape(cost, labels_shape);
  result.set_shape(labels.shape());
  return result;
}

}  // namespace

Output sigmoid_cross_entropy_with_logits(const Output& labels, const Output& logits,
                                         std::string_view name) {
  const Graph graph = logits.graph();
  const NameScope scope(graph, name_or(name, "logistic_loss"));
  if (!labels.shape().is_compatible_with(logits.shape())) {
    throw value_error("`logits` and `labels` must have the same shape, received (", logits.shape(),
                      " vs ", labels.shape(), ").");
  }
  const Output zeros = zeros_like_of(logits);
  const Output positive = greater_equal(logits, zeros);
  const Output relu_logits = select(positive, logits, zeros);
  const Output negated = negative(logits);
  const Output minus_abs = select(positive, negated, logits);
  const Output product = logits * labels;
  const Output linear = relu_logits - product;
  return graph.op("AddV2", {linear, log1p(exp(minus_abs))}, {}, scope.name());
}

Output softmax_cross_entropy_with_logits(const Output& labels, const Output& logits,
                                         std::string_view name) {
  const Graph graph = logits.graph();
  const NameScope scope(graph, name_or(name, "softmax_cross_entropy_with_logits"));
  const Output precise = is_half(logits.dtype()) ? cast(logits, kFloat) : logits;
  const Output precise_labels = cast(labels, precise.dtype());
  const Output input_rank = rank(precise);
  const Output input_shape = shape(precise);
  const Output flat_logits = flatten_outer_dims(precise);
  const Output flat_labels = flatten_outer_dims(precise_labels);
  const Output flat_cost =
      graph.op("SoftmaxCrossEntropyWithLogits", {flat_logits, flat_labels}, {}, scope.name());
  const Output cost = reshape(flat_cost, outer_shape(input_shape, input_rank));
  if (logits.shape().has_rank() && logits.shape().rank() > 0)
    cost.set_shape(without_last(logits.shape()));
  return cast(cost, logits.dtype());
}

Output sparse_softmax_cross_entropy_with_logits(const Output& labels, const Output& logits,
                                                std::string_view given_name) {
  const Graph graph = logits.graph();
  const std::string_view name = name_or(given_name, "SparseSoftmaxCrossEntropyWithLogits");
  const NameScope scope(graph, name);
  const Output precise = logits.dtype() == DType::kFloat16 ? cast(logits, kFloat) : logits;
  const Output labels_shape = shape(labels);
  check_sparse_shapes(labels.shape(), logits.shape());
  if (logits.shape().has_rank() && logits.shape().rank() == 2) {
    const Output cost =
        graph.op("SparseSoftmaxCrossEntropyWithLogits", {precise, labels}, {}, given_name);
    return cast(cost, logits.dtype());
  }
  std::vector<Operation> checks;
  const bool is_known = labels.shape().is_fully_defined() && logits.shape().has_rank() &&
                        without_last(logits.shape()).is_fully_defined();
  if (!is_known) checks.push_back(check_shapes_later(labels, logits));
  const ControlDependencies after(graph, checks);
  return cast(sparse_of_any_rank(labels, precise, labels_shape, given_name), logits.dtype());
}

}  // namespace hub::ops
