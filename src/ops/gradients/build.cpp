#include "ops/gradients/build.h"

#include <algorithm>
#include <optional>

namespace hub::grad {
namespace {

// The axes of the result along which x, and y, are repeated, where static shapes say so.
struct Axes {
  std::vector<std::int32_t> x;
  std::vector<std::int32_t> y;
};

std::optional<Axes> static_axes(const PartialShape& x, const PartialShape& y) {
  if (!x.has_rank() || !y.has_rank()) return std::nullopt;
  const int rank = std::max(x.rank(), y.rank());
  Axes axes;
  for (int axis = 0; axis < rank; ++axis) {
    const int in_x = axis - (rank - x.rank());
    const int in_y = axis - (rank - y.rank());
    const std::int64_t dx = in_x < 0 ? 1 : x.dim(in_x);
    const std::int64_t dy = in_y < 0 ? 1 : y.dim(in_y);
    if (dx == 1 && dy != 1) {
      axes.x.push_back(axis);
    } else if (dy == 1 && dx != 1) {
      axes.y.push_back(axis);
    } else if (dx < 0 || dy < 0) {
      return std::nullopt;
    }
  }
  return axes;
}

Output summed(const Output& gradient, const Output& operand, const Input& axes) {
  return reshape(sum(gradient, axes, true), shape_of(operand));
}

Output summed(const Output& gradient, const Output& operand, const PartialShape& other,
              const std::vector<std::int32_t>& axes) {
  if (axes.empty() && operand.shape().rank() >= other.rank()) return gradient;
  return summed(gradient, operand,
                make_tensor<std::int32_t>(Shape{static_cast<std::int64_t>(axes.size())},
                                          std::span<const std::int32_t>(axes)));
}

}  // namespace

Output scalar(const GradientContext& c, DType dtype, double value) {
  return c.op("Const", {}, {{"dtype", dtype}, {"value", make_scalar_of(dtype, value)}});
}

Output filled(const Output& shape, DType dtype, double value) {
  return op("Fill", {shape, make_scalar_of(dtype, value)}, {{"index_type", shape.dtype()}});
}

Gradients unbroadcast_both(const Output& x, const Output& y, Output dx, Output dy) {
  if (const auto axes = static_axes(x.shape(), y.shape())) {
    if (dx) dx = summed(dx, x, y.shape(), axes->x);
    if (dy) dy = summed(dy, y, x.shape(), axes->y);
    return {dx, dy};
  }
  const Operation axes = x.graph().op("BroadcastGradientArgs", {shape_of(x), shape_of(y)});
  if (dx) dx = summed(dx, x, axes.output(0));
  if (dy) dy = summed(dy, y, axes.output(1));
  return {dx, dy};
}

Output unbroadcast(const Output& gradient, const Output& operand, const Output& other) {
  return unbroadcast_both(operand, other, gradient, {})[0];
}

Gradients pass_on(GradientContext& c, int input) {
  Gradients result = c.pad({});
  if (c.dy_slices() != nullptr) {
    c.give_slices(input, *c.dy_slices());
  } else {
    result[static_cast<std::size_t>(input)] = c.dy();
  }
  return result;
}

// An axis given twice, or a negative one, is no matter: ones are put where the axes are.
Output reduced_shape(const Output& shape, const Output& axes) {
  const Output sizes = cast(shape, DType::kInt32);
  const Output rank = size_of(sizes);
  const Output flat = reshape(cast(axes, DType::kInt32), ints({-1}));
  const Output places = op("FloorMod", {op("AddV2", {flat, rank}), rank});
  const Operation merged = shape.graph().op(
      "DynamicStitch",
      {range(make_scalar<std::int32_t>(0), rank), places, sizes, ones_like(places)},
      {{"N", 2}, {"T", DType::kInt32}});
  return merged.output(0);
}

}  // namespace hub::grad
