// Ops that put a border around a tensor.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {
namespace {

struct Padding {
  std::int64_t before = 0;
  std::int64_t after = 0;
};

// One pair for each axis. Errors: INVALID_ARGUMENT, and UNIMPLEMENTED above TensorFlow's
// greatest rank.
std::vector<Padding> read_paddings(const Tensor& paddings, int rank, int max_rank,
                                   std::string_view op) {
  if (rank > max_rank) {
    throw unimplemented(op, ": the input's rank must be at most ", max_rank, ". Details: it is ",
                        rank, ".");
  }
  if (paddings.shape() != Shape{rank, 2}) {
    throw invalid_argument(op, ": paddings must be a pair for each axis. Details: their shape is ",
                           paddings.shape(), ", the input's rank is ", rank, ".");
  }
  std::vector<Padding> result;
  for (int axis = 0; axis < rank; ++axis) {
    result.push_back({integer_at(paddings, axis * 2), integer_at(paddings, axis * 2 + 1)});
    if (result.back().before < 0 || result.back().after < 0) {
      throw invalid_argument(op, ": paddings must be >= 0. Details: axis ", axis, " has ",
                             result.back().before, " and ", result.back().after, ".");
    }
  }
  return result;
}

constexpr int kMaxPadRank = 6;

Shape padded(const Shape& input, const std::vector<Padding>& paddings) {
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < input.rank(); ++axis) {
    const Padding& padding = paddings[static_cast<std::size_t>(axis)];
    const std::int64_t border = add_or_throw(padding.before, padding.after, "Pad: a dimension");
    dims.push_back(add_or_throw(input.dim(axis), border, "Pad: a dimension"));
  }
  return Shape(dims);
}

Shapes padded_shape(ShapeContext& c) {
  const PartialShape paddings_shape = c.with_rank(1, 2);
  (void)merge_dims(paddings_shape.dim(1), 2, "Pad: the second dimension of paddings and 2");
  const Tensor* paddings = c.input_value(1);
  const std::int64_t rank = merge_dims(paddings_shape.dim(0), c.input(0).rank(),
                                       "Pad: the length of paddings and the rank");
  if (rank < 0) return {PartialShape()};
  const PartialShape input =
      c.with_rank(0, static_cast<int>(std::min<std::int64_t>(rank, Shape::kMaxRank + 1)));
  if (paddings == nullptr) return {PartialShape::unknown_dims(input.rank())};
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < input.rank(); ++axis) {
    const std::int64_t before = integer_at(*paddings, axis * 2);
    const std::int64_t after = integer_at(*paddings, axis * 2 + 1);
    if (before < 0 || after < 0) {
      throw invalid_argument("Pad: paddings must be >= 0. Details: axis ", axis, " has ", before,
                             " and ", after, ".");
    }
    dims.push_back(add_dims(input.dim(axis), add_dims(before, after)));
  }
  return {PartialShape(std::move(dims))};
}

void pad(KernelContext& ctx, const Tensor* value) {
  const Tensor& input = ctx.input(0);
  const auto paddings = read_paddings(ctx.input(1), input.rank(), kMaxPadRank, ctx.node().op_name);
  const Shape shape = padded(input.shape(), paddings);
  if (shape == input.shape()) return ctx.set_output(0, input);
  Tensor& result = ctx.output(0, shape);
  if (value != nullptr) {
    fill_tensor(ctx, value->raw_data(), result);
  } else {
    zero_tensor(ctx, result);
  }
  std::vector<CopyAxis> axes(static_cast<std::size_t>(input.rank()));
  std::int64_t first = 0;
  std::int64_t from = 1;
  std::int64_t to = 1;
  for (int axis = input.rank() - 1; axis >= 0; --axis) {
    axes[static_cast<std::size_t>(axis)] = {input.dim(axis), from, to};
    first += paddings[static_cast<std::size_t>(axis)].before * to;
    from *= input.dim(axis);
    to *= shape.dim(axis);
  }
  if (input.num_elements() == 0) return;
  copy_box(ctx, input.dtype(), axes, input.raw_data(), element_at(result, first));
}

void compute_pad(KernelContext& ctx) { pad(ctx, nullptr); }

void compute_pad_v2(KernelContext& ctx) {
  if (ctx.input(2).rank() != 0) {
    throw invalid_argument("PadV2: constant_values must be a scalar. Details: its shape is ",
                           ctx.input(2).shape(), ".");
  }
  pad(ctx, &ctx.input(2));
}

constexpr OpDef kOps[] = {
    {.name = "Pad",
     .inputs = "input: T, paddings: Tpaddings",
     .outputs = "output: T",
     .attrs = "T: type; Tpaddings: {int32, int64} = int32",
     .shape = padded_shape,
     .kernel = kernel_function<compute_pad>},
    {.name = "PadV2",
     .inputs = "input: T, paddings: Tpaddings, constant_values: T",
     .outputs = "output: T",
     .attrs = "T: type; Tpaddings: {int32, int64} = int32",
     .shape = padded_shape,
     .kernel = kernel_function<compute_pad_v2>},
};

}  // namespace

OpFamily array_pad_ops() { return kOps; }

}  // namespace hub
