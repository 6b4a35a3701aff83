#include "train/node_support.h"

#include "hub/control_flow.h"

namespace hub {
namespace {

Output strided_slice(const Output& x, int begin, int end, const Attrs& masks) {
  const Graph graph = x.graph();
  const NameScope scope(graph, "strided_slice");
  const Output first = ops::constant(graph, int_vector({begin}), "stack");
  const Output last = ops::constant(graph, int_vector({end}), "stack_1");
  const Output step = ops::constant(graph, int_vector({1}), "stack_2");
  return graph.op("StridedSlice", {x, first, last, step}, masks, scope.name());
}

// weights_broadcast_ops._has_valid_dims.
Output has_valid_dims(const Output& weights_shape, const Output& values_shape) {
  const Graph graph = values_shape.graph();
  const NameScope scope(graph, "has_invalid_dims");
  const Output values_2d = ops::expand_dims(values_shape, -1);
  const Output valid = ops::concat({values_2d, ones_like_of(values_2d)}, 1);
  const Output weights_2d = ops::expand_dims(weights_shape, -1);
  const Operation invalid =
      graph.op("DenseToDenseSetOperation", {weights_2d, valid}, {{"set_operation", "a-b"}});
  const Output count = ops::size(invalid.output(1), kInt32, "num_invalid_dims");
  return graph.op("Equal", {0, count}, {}, scope.name());
}

struct ShapeAndRank {
  Output shape;
  Output rank;
};

Output valid_nonscalar_shape(const ShapeAndRank& weights, const ShapeAndRank& values) {
  const Graph graph = values.shape.graph();
  const NameScope scope(graph, "has_valid_nonscalar_shape");
  const Output same_rank = ops::equal(values.rank, weights.rank, "is_same_rank");
  return cond(
      same_rank, [&] { return has_valid_dims(weights.shape, values.shape); },
      [&] { return same_rank; }, scope.name());
}

// control_flow_assert.Assert, which runs only where the condition is false.
Operation guarded_assert(const Graph& graph, const Output& condition,
                         const std::vector<Input>& data) {
  const Output checked = cond(
      condition, [&] { return ops::constant(graph, true); },
      [&] {
        std::vector<Input> inputs = {condition};
        inputs.insert(inputs.end(), data.begin(), data.end());
        std::vector<DType> dtypes;
        for (const Input& input : data)
          dtypes.push_back(input.output() != nullptr ? input.dtype() : kString);
        const Operation check = graph.op("Assert", inputs, {{"T", dtypes}});
        return ops::with_dependencies({check}, ops::constant(graph, false));
      },
      "AssertGuard");
  return checked.op();
}

[[noreturn]] void weights_do_not_fit(const PartialShape& weights, const PartialShape& values) {
  throw value_error("weights can not be broadcast to values. Details: values.shape=", values,
                    ", weights.shape=", weights, ".");
}

// False where it is known only when the graph runs.
bool fits_statically(const PartialShape& weights, const PartialShape& values) {
  if (weights.rank() != values.rank()) weights_do_not_fit(weights, values);
  if (!weights.is_fully_defined() || !values.is_fully_defined()) return false;
  for (int i = 0; i < weights.rank(); ++i) {
    if (weights.dim(i) != 1 && weights.dim(i) != values.dim(i)) weights_do_not_fit(weights, values);
  }
  return true;
}

ShapeAndRank shape_and_rank(const Output& x) {
  const Output shape = ops::shape(x, kInt32, "shape");
  return {shape, ops::rank(x, "rank")};
}

}  // namespace

Output cast_input(const Graph& graph, const Input& value, DType dtype) {
  if (const Output* output = value.output()) return ops::cast(*output, dtype);
  if (const auto* read = std::get_if<VariableRead>(&value.value())) {
    if (read->dtype == dtype) return graph.op("Identity", {value});
    return graph.op("Cast", {value}, {{"DstT", dtype}});
  }
  const NameScope scope(graph, "Cast");
  const Output x = ops::constant(graph, value, DType::kInvalid, "x");
  if (x.dtype() == dtype) return x;
  return graph.op("Cast", {x}, {{"DstT", dtype}}, scope.name());
}

Output element_of(const Output& x, int index) {
  return strided_slice(x, index, index + 1, {{"shrink_axis_mask", 1}, {"end_mask", 0}});
}
Output without_first(const Output& x) { return strided_slice(x, 1, 0, {{"end_mask", 1}}); }
Output first_elements(const Output& x, int count) {
  return strided_slice(x, 0, count, {{"begin_mask", 1}});
}

Output zeros_like_of(const Output& x) {
  if (const auto shape = x.shape().as_shape())
    return ops::zeros(x.graph(), *shape, x.dtype(), "zeros_like");
  return ops::zeros_like(x);
}

Output ones_like_of(const Output& x) {
  const Graph graph = x.graph();
  const NameScope scope(graph, "ones_like");
  Output dims;
  if (x.shape().is_fully_defined()) {
    const NameScope inside(graph, "Shape");
    dims = ops::shape(x, kInt32, "shape_as_tensor");
  } else {
    dims = ops::shape(x);
  }
  const Output one = ops::constant(graph, 1, x.dtype(), "Const");
  return graph.op("Fill", {dims, one}, {}, scope.name());
}

Output div_no_nan(const Input& x, const Input& y, std::string_view name) {
  return graph_of({&x, &y}).op("DivNoNan", {x, y}, {}, name);
}

Output axes_after_first(const Output& x) { return ops::range(1, ops::rank(x), 1); }

void check_same_shape(const Output& predictions, const Output& labels) {
  if (predictions.shape().is_compatible_with(labels.shape())) return;
  throw value_error("Shapes ", predictions.shape(), " and ", labels.shape(),
                    " are incompatible. Details: predictions \"", predictions.name(),
                    "\", labels \"", labels.name(), "\".");
}

LabelsAndPredictions remove_squeezable_dimensions(const Output& labels, const Output& predictions,
                                                  int expected_difference) {
  const NameScope scope(predictions.graph(), "remove_squeezable_dimensions");
  if (!labels.shape().has_rank() || !predictions.shape().has_rank()) return {labels, predictions};
  const auto may_be_one = [](const PartialShape& shape) {
    return shape.rank() > 0 &&
           (shape.dim(shape.rank() - 1) < 0 || shape.dim(shape.rank() - 1) == 1);
  };
  const int difference = predictions.shape().rank() - labels.shape().rank();
  if (difference == expected_difference + 1 && may_be_one(predictions.shape()))
    return {labels, ops::squeeze(predictions, {-1})};
  if (difference == expected_difference - 1 && may_be_one(labels.shape()))
    return {ops::squeeze(labels, {-1}), predictions};
  return {labels, predictions};
}

Operation assert_broadcastable(const Graph& graph, const Input& weights_input,
                               const Output& values) {
  const NameScope scope(graph, "assert_broadcastable");
  Output weights;
  ShapeAndRank of_weights;
  {
    const NameScope inside(graph, "weights");
    weights = weights_input.output() != nullptr
                  ? *weights_input.output()
                  : ops::constant(graph, weights_input, DType::kInvalid, inside.name());
    of_weights = shape_and_rank(weights);
  }
  ShapeAndRank of_values;
  {
    const NameScope inside(graph, "values");
    of_values = shape_and_rank(values);
  }
  if (weights.shape().has_rank() && values.shape().has_rank()) {
    if (weights.shape().rank() == 0) return ops::no_op(graph, "static_scalar_check_success");
    if (fits_statically(weights.shape(), values.shape()))
      return ops::no_op(graph, "static_dims_check_success");
  }
  const Output is_scalar = graph.op("Equal", {0, of_weights.rank}, {}, "is_scalar");
  const Output is_valid = cond(
      is_scalar, [&] { return is_scalar; },
      [&] { return valid_nonscalar_shape(of_weights, of_values); }, "is_valid_shape");
  return guarded_assert(
      graph, is_valid,
      {"weights can not be broadcast to values.", "weights.shape=", weights.name(),
       of_weights.shape, "values.shape=", values.name(), of_values.shape, "is_scalar=", is_scalar});
}

Output broadcast_weights(const Output& weights, const Output& values) {
  const Graph graph = values.graph();
  const NameScope scope(graph, "broadcast_weights");
  if (weights.shape().is_fully_defined() && values.shape().is_fully_defined() &&
      weights.shape().is_compatible_with(values.shape())) {
    return weights;
  }
  const Operation check = assert_broadcastable(graph, weights, values);
  const ControlDependencies after(graph, std::vector<Operation>{check});
  const Output ones = ones_like_of(values);
  return graph.op("Mul", {weights, ones}, {}, scope.name());
}

}  // namespace hub
