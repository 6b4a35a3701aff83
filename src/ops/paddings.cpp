#include "ops/paddings.h"

#include <algorithm>

#include "base/checked.h"
#include "graph/shape_rules.h"

namespace hub {
namespace {

BorderSize border_at(const Tensor& paddings, int axis, std::string_view op) {
  const BorderSize border{integer_at(paddings, axis * 2), integer_at(paddings, axis * 2 + 1)};
  if (border.before < 0 || border.after < 0) {
    throw invalid_argument(op, ": paddings must be >= 0. Details: axis ", axis, " has ",
                           border.before, " and ", border.after, ".");
  }
  return border;
}

}  // namespace

std::vector<BorderSize> read_borders(const Tensor& paddings, int rank, std::string_view op) {
  if (paddings.shape() != Shape{rank, 2}) {
    throw invalid_argument(op, ": paddings must be a pair for each axis. Details: their shape is ",
                           paddings.shape(), ", the input's rank is ", rank, ".");
  }
  std::vector<BorderSize> borders;
  for (int axis = 0; axis < rank; ++axis) borders.push_back(border_at(paddings, axis, op));
  return borders;
}

Shape bordered_shape(const Shape& inside, const std::vector<BorderSize>& borders) {
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < inside.rank(); ++axis) {
    const BorderSize& border = borders[static_cast<std::size_t>(axis)];
    const std::int64_t both = add_or_throw(border.before, border.after, "A padded dimension");
    dims.push_back(add_or_throw(inside.dim(axis), both, "A padded dimension"));
  }
  return Shape(dims);
}

BorderedBox::BorderedBox(const Shape& inside, const Shape& outside,
                         const std::vector<BorderSize>& borders)
    : axes(static_cast<std::size_t>(inside.rank())) {
  std::int64_t from = 1;
  std::int64_t to = 1;
  for (int axis = inside.rank() - 1; axis >= 0; --axis) {
    const auto i = static_cast<std::size_t>(axis);
    axes[i] = {inside.dim(axis), from, to};
    first += borders[i].before * to;
    from *= inside.dim(axis);
    to *= outside.dim(axis);
  }
}

Shapes padding_rule(ShapeContext& c,
                    const std::function<std::int64_t(std::int64_t, const BorderSize&)>& resize) {
  const PartialShape paddings_shape = c.with_rank(1, 2);
  (void)merge_dims(paddings_shape.dim(1), 2, "The second dimension of paddings and 2");
  const std::int64_t rank =
      merge_dims(paddings_shape.dim(0), c.input(0).rank(), "The length of paddings and the rank");
  if (rank < 0) return {PartialShape()};
  const PartialShape input =
      c.with_rank(0, static_cast<int>(std::min<std::int64_t>(rank, Shape::kMaxRank + 1)));
  const Tensor* paddings = c.input_value(1);
  if (paddings == nullptr) return {PartialShape::unknown_dims(input.rank())};
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < input.rank(); ++axis) {
    dims.push_back(resize(input.dim(axis), border_at(*paddings, axis, c.node().op_name)));
  }
  return {PartialShape(std::move(dims))};
}

}  // namespace hub
