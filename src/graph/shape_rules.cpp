#include "graph/shape_rules.h"

#include <algorithm>

#include "base/errors.h"

namespace hub {

Shapes unchanged_shape(ShapeContext& c) {
  return Shapes(static_cast<std::size_t>(c.num_outputs()), c.input(0));
}

Shapes scalar_shape(ShapeContext& c) {
  return Shapes(static_cast<std::size_t>(c.num_outputs()), PartialShape(Shape()));
}

Shapes unknown_shape(ShapeContext& c) { return Shapes(static_cast<std::size_t>(c.num_outputs())); }

Shapes broadcast_shape(ShapeContext& c) { return {broadcast(c.input(0), c.input(1))}; }

Shapes merged_shape(ShapeContext& c) {
  PartialShape shape;
  for (int i = 0; i < c.num_inputs(); ++i) shape = shape.merge_with(c.input(i));
  return Shapes(static_cast<std::size_t>(c.num_outputs()), shape);
}

PartialShape broadcast(const PartialShape& a, const PartialShape& b) {
  if (!a.has_rank() || !b.has_rank()) return {};
  const int rank = std::max(a.rank(), b.rank());
  std::vector<std::int64_t> dims(static_cast<std::size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const std::int64_t x = i < rank - a.rank() ? 1 : a.dim(i - (rank - a.rank()));
    const std::int64_t y = i < rank - b.rank() ? 1 : b.dim(i - (rank - b.rank()));
    std::int64_t& dim = dims[static_cast<std::size_t>(i)];
    if (x == 1) {
      dim = y;
    } else if (y == 1 || x == y) {
      dim = x;
    } else if (x < 0 || y < 0) {
      dim = std::max(x, y);  // the known one: the other must be equal or 1
    } else {
      throw invalid_argument("Shapes must fit each other for broadcasting. Details: ", a, " and ",
                             b, ".");
    }
  }
  return PartialShape(std::move(dims));
}

PartialShape concatenate(const PartialShape& a, const PartialShape& b) {
  if (!a.has_rank() || !b.has_rank()) return {};
  std::vector<std::int64_t> dims(a.dims().begin(), a.dims().end());
  dims.insert(dims.end(), b.dims().begin(), b.dims().end());
  return PartialShape(std::move(dims));
}

PartialShape sub_shape(const PartialShape& shape, int begin, int end) {
  if (!shape.has_rank()) return {};
  if (begin < 0) begin += shape.rank();
  if (end < 0) end += shape.rank();
  begin = std::clamp(begin, 0, shape.rank());
  end = std::clamp(end, begin, shape.rank());
  return PartialShape(
      std::vector<std::int64_t>(shape.dims().begin() + begin, shape.dims().begin() + end));
}

PartialShape replace_dim(const PartialShape& shape, int axis, std::int64_t size) {
  if (!shape.has_rank()) return {};
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims[static_cast<std::size_t>(normalized_axis(axis, shape.rank()))] = size;
  return PartialShape(std::move(dims));
}

int normalized_axis(std::int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    throw invalid_argument("The axis must be in [", -rank, ", ", rank, "). Details: got ", axis,
                           ".");
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::int64_t merge_dims(std::int64_t a, std::int64_t b, std::string_view what) {
  if (a < 0) return b;
  if (b >= 0 && a != b) throw invalid_argument(what, " must agree. Details: ", a, " and ", b, ".");
  return a;
}

}  // namespace hub
