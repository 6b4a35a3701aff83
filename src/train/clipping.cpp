// Clipping (tensorflow/python/ops/clip_ops.py): its nodes and names.

#include "hub/clipping.h"

#include "train/node_support.h"

namespace hub {

namespace ops {
namespace {

// The dense tensor, or the values of the rows.
const Output& values_of(const GradientValue& gradient) {
  return gradient.slices ? gradient.slices->values : gradient.dense;
}

GradientValue with_values(GradientValue gradient, const Output& values) {
  (gradient.slices ? gradient.slices->values : gradient.dense) = values;
  return gradient;
}

Graph graph_of_gradients(const std::vector<GradientValue>& gradients) {
  for (const GradientValue& gradient : gradients) {
    if (gradient.is_valid()) return values_of(gradient).graph();
  }
  throw value_error("At least one gradient is needed. Details: got ", gradients.size(),
                    ", all of them none.");
}

}  // namespace

Output clip_by_value(const Output& x, const Input& min, const Input& max, std::string_view name) {
  const Graph graph = x.graph();
  const NameScope scope(graph, name_or(name, "clip_by_value"));
  const auto check = [&](const Output& result) {
    if (x.shape().is_compatible_with(result.shape())) return;
    throw value_error("The limits must broadcast to the values' shape. Details: ", x.shape(),
                      " becomes ", result.shape(), ".");
  };
  const Output below = minimum(x, max);
  check(below);
  const Output result = graph.op("Maximum", {below, min}, {}, scope.name());
  check(result);
  return result;
}

Output clip_by_norm(const Output& x, const Input& clip_norm, const Axes& axes,
                    std::string_view name) {
  const Graph graph = x.graph();
  const NameScope scope(graph, name_or(name, "clip_by_norm"));
  const Output squares = reduce_sum(x * x, axes, KeepDims::kYes);
  const Output positive = greater(squares, 0.0);
  // The gradient of the square root at 0 is infinite: it is kept away from there.
  const Output safe = select(positive, squares, ones_like_of(squares));
  const Output norm = select(positive, sqrt(safe), squares);
  const Output scaled = x * clip_norm;
  return identity(scaled / maximum(norm, clip_norm), scope.name());
}

Output clip_by_average_norm(const Output& x, const Input& clip_norm, std::string_view name) {
  const Graph graph = x.graph();
  const NameScope scope(graph, name_or(name, "clip_by_average_norm"));
  const Output count = cast(size(x), kFloat);
  const Output product = x * x;
  const Output axes = range(0, rank(x), 1);
  const Output squares = reduce_sum(product, axes);
  squares.set_shape(PartialShape::scalar());
  const Output inverse_norm = rsqrt(squares);
  const Output scaled = x * clip_norm;
  const Output average = inverse_norm * count;
  const Output one = constant(graph, 1.0, kFloat);
  return identity(scaled * minimum(average, one / clip_norm), scope.name());
}

Output global_norm(const std::vector<GradientValue>& gradients, std::string_view name) {
  const Graph graph = graph_of_gradients(gradients);
  const NameScope scope(graph, name_or(name, "global_norm"));
  std::vector<Output> half_squares;
  for (const GradientValue& gradient : gradients) {
    if (!gradient.is_valid()) continue;
    const Colocation colocation(graph, values_of(gradient).op());
    half_squares.push_back(l2_loss(values_of(gradient)));
  }
  const Output half = reduce_sum(stack(half_squares));
  const Output two = constant(graph, 2.0, half.dtype());
  return sqrt(half * two, "global_norm");
}

ClippedGradients clip_by_global_norm(const std::vector<GradientValue>& gradients,
                                     const Input& clip_norm, const Output& use_norm,
                                     std::string_view name) {
  const Graph graph = graph_of_gradients(gradients);
  ClippedGradients result{gradients, use_norm ? use_norm : global_norm(gradients, name)};
  const NameScope scope(graph, name_or(name, "clip_by_global_norm"));
  const Output inverse = 1.0 / result.norm;
  const Output one = constant(graph, 1.0, result.norm.dtype());
  const Output finite_scale = clip_norm * minimum(inverse, one / clip_norm);
  // A norm that is not finite makes this NaN.
  const Output scale = finite_scale + (result.norm - result.norm);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].is_valid()) continue;
    const Output& values = values_of(gradients[i]);
    const Colocation colocation(graph, values.op());
    const Output clipped = values * cast(scale, values.dtype());
    result.gradients[i] = with_values(gradients[i], identity(clipped, cat(scope.name(), "_", i)));
  }
  return result;
}

}  // namespace ops
}  // namespace hub
