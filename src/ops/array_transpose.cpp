// Ops that lay the same elements out in another order.

#include <algorithm>
#include <complex>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// A permutation of 0..rank-1. Errors: INVALID_ARGUMENT.
void check_permutation(const std::vector<std::int64_t>& perm, int rank) {
  std::vector<bool> seen(static_cast<std::size_t>(rank), false);
  bool valid = perm.size() == static_cast<std::size_t>(rank);
  for (std::size_t i = 0; valid && i < perm.size(); ++i) {
    valid = perm[i] >= 0 && perm[i] < rank && !seen[static_cast<std::size_t>(perm[i])];
    if (valid) seen[static_cast<std::size_t>(perm[i])] = true;
  }
  if (!valid) {
    throw invalid_argument("Transpose: perm must be a permutation of the axes. Details: [",
                           join(perm, ","), "] for rank ", rank, ".");
  }
}

Shapes transposed_shape(ShapeContext& c) {
  PartialShape input = c.input(0);
  const auto perm = constant_integers(c, 1);
  std::int64_t rank = input.rank();
  if (rank < 0 && c.input(1).has_rank() && c.input(1).rank() == 1) rank = c.input(1).dim(0);
  if (rank < 0) return {PartialShape()};
  // A vector of one element permutes scalars as well.
  if (!input.has_rank() && rank < 2) return {PartialShape()};
  input = c.with_rank(0, static_cast<int>(std::min<std::int64_t>(rank, Shape::kMaxRank + 1)));
  const PartialShape perm_shape = c.with_rank(1, 1);
  (void)merge_dims(perm_shape.dim(0), rank, "Transpose: the length of perm and the rank");
  if (!perm) return {PartialShape::unknown_dims(input.rank())};
  std::vector<std::int64_t> dims;
  for (const std::int64_t axis : *perm)
    dims.push_back(input.dim(normalized_axis(axis, input.rank())));
  return {PartialShape(std::move(dims))};
}

template <class T>
void conjugate(KernelContext& ctx, Tensor& tensor) {
  T* values = tensor.mutable_data<T>();
  ctx.parallel_for(tensor.num_elements(), 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) values[i] = std::conj(values[i]);
  });
}

void transpose(KernelContext& ctx, bool conjugated) {
  const Tensor& input = ctx.input(0);
  const int rank = input.rank();
  if (ctx.input(1).rank() != 1) {
    throw invalid_argument("Transpose: perm must be a vector. Details: its shape is ",
                           ctx.input(1).shape(), ".");
  }
  const std::vector<std::int64_t> perm = integer_vector(ctx, 1, "perm");
  check_permutation(perm, rank);
  std::vector<std::int64_t> strides(static_cast<std::size_t>(rank));
  row_major_strides(input.shape().dims(), strides);
  std::vector<std::int64_t> dims;
  std::vector<CopyAxis> axes;
  bool moves = false;  // an axis of more than one element overtakes another
  std::int64_t last = -1;
  for (const std::int64_t axis : perm) {
    const std::int64_t dim = input.dim(static_cast<int>(axis));
    dims.push_back(dim);
    axes.push_back({dim, strides[static_cast<std::size_t>(axis)], 0});
    if (dim == 1) continue;
    moves = moves || axis < last;
    last = axis;
  }
  const bool conjugates =
      conjugated && (input.dtype() == DType::kComplex64 || input.dtype() == DType::kComplex128);
  if (!moves && !conjugates) return ctx.set_output(0, input.reshaped(Shape(dims)));
  std::int64_t stride = 1;
  for (std::size_t i = axes.size(); i-- > 0;) {
    axes[i].to = stride;
    stride *= axes[i].size;
  }
  Tensor& result = ctx.output(0, Shape(dims));
  copy_box(ctx, input.dtype(), axes, input.raw_data(), result.mutable_raw_data());
  if (!conjugates) return;
  if (input.dtype() == DType::kComplex64) {
    conjugate<std::complex<float>>(ctx, result);
  } else {
    conjugate<std::complex<double>>(ctx, result);
  }
}

void compute_transpose(KernelContext& ctx) { transpose(ctx, false); }
void compute_conjugate_transpose(KernelContext& ctx) { transpose(ctx, true); }

Shapes tiled_shape(ShapeContext& c) {
  const PartialShape input = c.input(0);
  PartialShape multiples_shape = c.with_rank(1, 1);
  const std::int64_t rank = merge_dims(multiples_shape.dim(0), input.has_rank() ? input.rank() : -1,
                                       "Tile: the length of multiples and the rank");
  if (rank < 0) return {PartialShape()};
  const int result_rank = static_cast<int>(std::min<std::int64_t>(rank, Shape::kMaxRank + 1));
  const PartialShape partial = elements_of(c, 1);
  std::vector<std::int64_t> dims(static_cast<std::size_t>(result_rank), -1);
  for (int i = 0; i < result_rank; ++i) {
    const auto axis = static_cast<std::size_t>(i);
    const std::int64_t multiple = partial.has_rank() && i < partial.rank() ? partial.dim(i) : -1;
    if (multiple >= 0 && input.dim(i) >= 0)
      dims[axis] = mul_or_throw(input.dim(i), multiple, "Tile: a dimension");
  }
  return {PartialShape(std::move(dims))};
}

void compute_tile(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  const int rank = input.rank();
  if (ctx.input(1).shape() != Shape{rank}) {
    throw invalid_argument(
        "Tile: multiples must have one element for each axis. Details: its shape is ",
        ctx.input(1).shape(), ", the input's rank is ", rank, ".");
  }
  const std::vector<std::int64_t> multiples = integer_vector(ctx, 1, "multiples");
  std::vector<std::int64_t> dims;
  for (int i = 0; i < rank; ++i) {
    const std::int64_t multiple = multiples[static_cast<std::size_t>(i)];
    if (multiple < 0)
      throw invalid_argument("Tile: multiples must be >= 0. Details: got [", join(multiples, ","),
                             "].");
    dims.push_back(mul_or_throw(input.dim(i), multiple, "Tile: a dimension"));
  }
  const Shape shape(dims);
  if (shape == input.shape()) return ctx.set_output(0, input);
  Tensor& result = ctx.output(0, shape);
  std::vector<CopyAxis> axes;  // two for each axis: which copy, and where in it
  std::int64_t from = 1;
  std::int64_t to = 1;
  for (int i = rank - 1; i >= 0; --i) {
    axes.push_back({input.dim(i), from, to});
    axes.push_back({multiples[static_cast<std::size_t>(i)], 0, to * input.dim(i)});
    from *= input.dim(i);
    to *= shape.dim(i);
  }
  std::ranges::reverse(axes);
  copy_box(ctx, input.dtype(), axes, input.raw_data(), result.mutable_raw_data());
}

[[noreturn]] void cannot_broadcast(const PartialShape& from, const PartialShape& to) {
  throw invalid_argument("BroadcastTo: the input must fit the shape. Details: from ", from, " to ",
                         to, ".");
}

Shapes broadcast_to_shape(ShapeContext& c) {
  const PartialShape& input = c.input(0);
  const PartialShape wanted = c.input_as_shape(1);
  if (!wanted.has_rank()) {
    // Only the rank, and only a bound of it, is known.
    return {PartialShape()};
  }
  if (!input.has_rank()) return {wanted};
  if (input.rank() > wanted.rank()) cannot_broadcast(input, wanted);
  PartialShape result = wanted;
  const int extra = wanted.rank() - input.rank();
  for (int i = 0; i < input.rank(); ++i) {
    const std::int64_t dim = input.dim(i);
    const std::int64_t target = wanted.dim(i + extra);
    if (dim >= 0 && target >= 0 && dim != 1 && dim != target) cannot_broadcast(input, wanted);
    if (dim > 1 && target < 0) result = replace_dim(result, i + extra, dim);
  }
  return {std::move(result)};
}

void compute_broadcast_to(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  if (ctx.input(1).rank() != 1) {
    throw invalid_argument("BroadcastTo: the shape must be a vector. Details: its shape is ",
                           ctx.input(1).shape(), ".");
  }
  const Shape shape = shape_input(ctx, 1, "shape");
  if (shape == input.shape()) return ctx.set_output(0, input);
  const int extra = shape.rank() - input.rank();
  if (extra < 0) cannot_broadcast(input.shape(), shape);
  std::vector<CopyAxis> axes(static_cast<std::size_t>(shape.rank()));
  std::int64_t from = 1;
  std::int64_t to = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    const std::int64_t dim = i < extra ? 1 : input.dim(i - extra);
    if (dim != shape.dim(i) && dim != 1) cannot_broadcast(input.shape(), shape);
    axes[static_cast<std::size_t>(i)] = {shape.dim(i), dim == 1 ? 0 : from, to};
    from *= dim;
    to *= shape.dim(i);
  }
  if (input.num_elements() == shape.num_elements()) return ctx.set_output(0, input.reshaped(shape));
  Tensor& result = ctx.output(0, shape);
  copy_box(ctx, input.dtype(), axes, input.raw_data(), result.mutable_raw_data());
}

constexpr OpDef kOps[] = {
    {.name = "Transpose",
     .inputs = "x: T, perm: Tperm",
     .outputs = "y: T",
     .attrs = "T: type; Tperm: {int32, int64} = int32",
     .shape = transposed_shape,
     .kernel = kernel_function<compute_transpose>},
    {.name = "ConjugateTranspose",
     .inputs = "x: T, perm: Tperm",
     .outputs = "y: T",
     .attrs = "T: type; Tperm: {int32, int64} = int32",
     .shape = transposed_shape,
     .kernel = kernel_function<compute_conjugate_transpose>},
    {.name = "Tile",
     .inputs = "input: T, multiples: Tmultiples",
     .outputs = "output: T",
     .attrs = "T: type; Tmultiples: {int32, int64} = int32",
     .shape = tiled_shape,
     .kernel = kernel_function<compute_tile>},
    {.name = "BroadcastTo",
     .inputs = "input: T, shape: Tidx",
     .outputs = "output: T",
     .attrs = "T: type; Tidx: {int32, int64} = int32",
     .shape = broadcast_to_shape,
     .kernel = kernel_function<compute_broadcast_to>},
};

}  // namespace

OpFamily array_transpose_ops() { return kOps; }

}  // namespace hub
