// Ops that compute with small vectors of integers: ranges, offsets, shapes of broadcasts.

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// How many steps of delta lead from start to before limit. Errors: INVALID_ARGUMENT.
template <class T>
std::int64_t range_size(T start, T limit, T delta) {
  if (delta == 0) throw invalid_argument("Range: delta must not be zero.");
  if (delta > 0 ? !(start <= limit) : !(start >= limit)) {
    throw invalid_argument("Range: delta must lead from start to limit. Details: start ", start,
                           ", limit ", limit, ", delta ", delta, ".");
  }
  if constexpr (std::is_integral_v<T>) {
    const auto distance = static_cast<std::uint64_t>(limit) - static_cast<std::uint64_t>(start);
    const std::uint64_t length = delta > 0 ? distance : 0 - distance;
    const std::uint64_t step =
        delta > 0 ? static_cast<std::uint64_t>(delta) : 0 - static_cast<std::uint64_t>(delta);
    const std::uint64_t size = length / step + (length % step != 0 ? 1 : 0);
    if (size <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return static_cast<std::int64_t>(size);
    }
  } else {
    const T size = std::ceil(std::abs((limit - start) / delta));
    if (size < static_cast<T>(std::numeric_limits<std::int64_t>::max()))
      return static_cast<std::int64_t>(size);
  }
  throw invalid_argument("Range: there are too many steps. Details: start ", start, ", limit ",
                         limit, ", delta ", delta, ".");
}

using RangeTypes = TypeList<float, double, std::int32_t, std::int64_t>;

Shapes range_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) c.at_most_rank(i, 1);
  const Tensor* start = c.input_value(0);
  const Tensor* limit = c.input_value(1);
  const Tensor* delta = c.input_value(2);
  const DType dtype = c.output_dtype(0);
  const bool computed = dtype == kFloat || dtype == kDouble || dtype == kInt32 || dtype == kInt64;
  const bool known = computed && start != nullptr && limit != nullptr && delta != nullptr &&
                     start->num_elements() == 1 && limit->num_elements() == 1 &&
                     delta->num_elements() == 1;
  if (known) {
    std::int64_t size = -1;
    dispatch(RangeTypes{}, dtype, [&]<class T>() {
      size = range_size(start->scalar<T>(), limit->scalar<T>(), delta->scalar<T>());
    });
    return {vector_shape(size)};
  }
  const auto first = c.input_as_int(0);
  const auto last = c.input_as_int(1);
  const auto step = c.input_as_int(2);
  if (!first || !last || !step || *step <= 0 || *first > *last) return {vector_shape(-1)};
  return {vector_shape(range_size(*first, *last, *step))};
}

void compute_range(KernelContext& ctx) {
  for (int i = 0; i < 3; ++i) {
    if (ctx.input(i).rank() > 1 || ctx.input(i).num_elements() != 1) {
      throw invalid_argument("Range: start, limit and delta must be scalars. Details: input ", i,
                             " has shape ", ctx.input(i).shape(), ".");
    }
  }
  dispatch(RangeTypes{}, ctx.input(0).dtype(), [&]<class T>() {
    const T start = ctx.input(0).scalar<T>();
    const T delta = ctx.input(2).scalar<T>();
    const std::int64_t size = range_size(start, ctx.input(1).scalar<T>(), delta);
    T* values = ctx.output(0, Shape{size}).template mutable_data<T>();
    // Integers wrap on the way to a value that fits.
    using Wide = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;
    for (std::int64_t i = 0; i < size; ++i) {
      const Wide steps = static_cast<Wide>(static_cast<T>(i)) * static_cast<Wide>(delta);
      values[i] = static_cast<T>(static_cast<Wide>(start) + steps);
    }
  });
}

// A vector input of shapes' dimensions. Errors: INVALID_ARGUMENT for another rank.
std::vector<std::int64_t> dims_input(const KernelContext& ctx, int input) {
  if (ctx.input(input).rank() != 1) {
    throw invalid_argument(ctx.node().op_name, ": input ", input,
                           " must be a vector. Details: its shape is ", ctx.input(input).shape(),
                           ".");
  }
  return integer_vector(ctx, input, "a shape");
}

Tensor& integer_vector_output(KernelContext& ctx, int output,
                              const std::vector<std::int64_t>& values) {
  Tensor& result = ctx.output(output, Shape{static_cast<std::int64_t>(values.size())});
  for (std::size_t i = 0; i < values.size(); ++i)
    set_integer(result, static_cast<std::int64_t>(i), values[i]);
  return result;
}

[[noreturn]] void cannot_broadcast(std::string_view op, const std::vector<std::int64_t>& a,
                                   const std::vector<std::int64_t>& b) {
  throw invalid_argument(op, ": the shapes must fit each other for broadcasting. Details: [",
                         join(a, ","), "] and [", join(b, ","), "].");
}

Shapes broadcast_args_shape(ShapeContext& c) {
  const PartialShape a = c.with_rank(0, 1);
  const PartialShape b = c.with_rank(1, 1);
  if (a.dim(0) < 0 || b.dim(0) < 0) return {vector_shape(-1)};
  return {vector_shape(std::max(a.dim(0), b.dim(0)))};
}

void compute_broadcast_args(KernelContext& ctx) {
  const std::vector<std::int64_t> a = dims_input(ctx, 0);
  const std::vector<std::int64_t> b = dims_input(ctx, 1);
  const std::size_t rank = std::max(a.size(), b.size());
  std::vector<std::int64_t> result(rank);
  for (std::size_t back = 1; back <= rank; ++back) {
    const std::int64_t x = back <= a.size() ? a[a.size() - back] : 1;
    const std::int64_t y = back <= b.size() ? b[b.size() - back] : 1;
    if (x != y && x != 1 && y != 1) cannot_broadcast("BroadcastArgs", a, b);
    result[rank - back] = x == 1 ? y : x;
  }
  integer_vector_output(ctx, 0, result);
}

Shapes broadcast_gradient_args_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(1, 1);
  return {vector_shape(-1), vector_shape(-1)};
}

// Which axes a gradient is summed over for each operand. Equal shapes: none, even where a
// dimension is 1; otherwise a dimension that is 1 in both is summed over for both.
void compute_broadcast_gradient_args(KernelContext& ctx) {
  const std::vector<std::int64_t> a = dims_input(ctx, 0);
  const std::vector<std::int64_t> b = dims_input(ctx, 1);
  std::vector<std::int64_t> sum_a;
  std::vector<std::int64_t> sum_b;
  const std::size_t rank = a == b ? 0 : std::max(a.size(), b.size());
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::size_t back = rank - axis;
    const std::int64_t x = back <= a.size() ? a[a.size() - back] : 1;
    const std::int64_t y = back <= b.size() ? b[b.size() - back] : 1;
    if (x != y && x != 1 && y != 1) cannot_broadcast("BroadcastGradientArgs", a, b);
    if (x == 1) sum_a.push_back(static_cast<std::int64_t>(axis));
    if (y == 1) sum_b.push_back(static_cast<std::int64_t>(axis));
  }
  integer_vector_output(ctx, 0, sum_a);
  integer_vector_output(ctx, 1, sum_b);
}

Shapes concat_offset_shape(ShapeContext& c) {
  const ArgRange shapes = c.input_range("shape");
  Shapes result;
  for (int i = 0; i < shapes.count; ++i) result.push_back(c.with_rank(shapes.begin + i, 1));
  return result;
}

void compute_concat_offset(KernelContext& ctx) {
  if (ctx.input(0).rank() != 0) {
    throw invalid_argument("ConcatOffset: the axis must be a scalar. Details: its shape is ",
                           ctx.input(0).shape(), ".");
  }
  const std::vector<std::int64_t> first = dims_input(ctx, 1);
  const int axis = checked_axis(integer_scalar(ctx, 0, "concat_dim"),
                                static_cast<int>(first.size()), "ConcatOffset");
  std::int64_t total = 0;
  for (int i = 0; i < ctx.num_outputs(); ++i) {
    const std::vector<std::int64_t> dims = dims_input(ctx, i + 1);
    bool fits = dims.size() == first.size();
    for (std::size_t k = 0; fits && k < dims.size(); ++k)
      fits = static_cast<int>(k) == axis || dims[k] == first[k];
    if (!fits) {
      throw invalid_argument(
          "ConcatOffset: the shapes must agree except along the axis. Details: [", join(first, ","),
          "] and [", join(dims, ","), "], axis ", axis, ".");
    }
    std::vector<std::int64_t> offset(dims.size(), 0);
    offset[static_cast<std::size_t>(axis)] = total;
    integer_vector_output(ctx, i, offset);
    total = add_or_throw(total, dims[static_cast<std::size_t>(axis)],
                         "ConcatOffset: the joined dimension");
  }
}

Shapes inverted_shape(ShapeContext& c) { return {c.with_rank(0, 1)}; }

void compute_invert_permutation(KernelContext& ctx) {
  const std::vector<std::int64_t> perm = dims_input(ctx, 0);
  std::vector<std::int64_t> inverse(perm.size(), -1);
  for (std::size_t i = 0; i < perm.size(); ++i) {
    const std::int64_t place = perm[i];
    if (place < 0 || place >= static_cast<std::int64_t>(perm.size()) ||
        inverse[static_cast<std::size_t>(place)] >= 0) {
      throw invalid_argument("InvertPermutation: the input must hold each of 0..", perm.size(),
                             "-1 once. Details: element ", i, " is ", place, ".");
    }
    inverse[static_cast<std::size_t>(place)] = static_cast<std::int64_t>(i);
  }
  integer_vector_output(ctx, 0, inverse);
}

Shapes unraveled_shape(ShapeContext& c) {
  const PartialShape& indices = c.input(0);
  const PartialShape dims = c.with_rank(1, 1);
  if (!indices.has_rank()) return {PartialShape()};
  if (indices.rank() == 0) return {vector_shape(dims.dim(0))};
  c.with_rank(0, 1);
  return {PartialShape{dims.dim(0), indices.dim(0)}};
}

// Result [axis, i]: the coordinates of flat index i. TensorFlow lets negative indices through,
// with the remainders of C.
void compute_unravel_index(KernelContext& ctx) {
  const Tensor& indices = ctx.input(0);
  const std::vector<std::int64_t> dims = dims_input(ctx, 1);
  if (indices.rank() > 1) {
    throw invalid_argument(
        "UnravelIndex: the indices must be a scalar or a vector. Details: their shape is ",
        indices.shape(), ".");
  }
  if (std::ranges::any_of(dims, [](std::int64_t dim) { return dim < 1; }))
    throw invalid_argument("UnravelIndex: dimensions must be positive. Details: [", join(dims, ","),
                           "].");
  std::int64_t total = 1;
  for (const std::int64_t dim : dims)
    total = mul_or_throw(total, dim, "UnravelIndex: the number of elements");
  const auto rank = static_cast<std::int64_t>(dims.size());
  const std::int64_t count = indices.num_elements();
  Tensor& result = ctx.output(0, indices.rank() == 0 ? Shape{rank} : Shape{rank, count});
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t index = integer_at(indices, i);
    if (index >= total) {
      throw invalid_argument("UnravelIndex: an index lies outside of the shape. Details: ", index,
                             " of [", join(dims, ","), "].");
    }
    for (std::int64_t axis = rank - 1; axis >= 0; --axis) {
      const std::int64_t dim = dims[static_cast<std::size_t>(axis)];
      set_integer(result, axis * count + i, index % dim);
      index /= dim;
    }
  }
}

constexpr OpDef kOps[] = {
    {.name = "Range",
     .inputs = "start: Tidx, limit: Tidx, delta: Tidx",
     .outputs = "output: Tidx",
     .attrs = "Tidx: {bfloat16, half, float, double, int8, int16, int32, int64, uint16, uint32} "
              "= int32",
     .shape = range_shape,
     .kernel = kernel_function<compute_range>,
     .differentiable = Differentiable::kNone},
    {.name = "BroadcastArgs",
     .inputs = "s0: T, s1: T",
     .outputs = "r0: T",
     .attrs = "T: {int32, int64} = int32",
     .shape = broadcast_args_shape,
     .kernel = kernel_function<compute_broadcast_args>,
     .differentiable = Differentiable::kRefused},
    {.name = "BroadcastGradientArgs",
     .inputs = "s0: T, s1: T",
     .outputs = "r0: T, r1: T",
     .attrs = "T: {int32, int64} = int32",
     .shape = broadcast_gradient_args_shape,
     .kernel = kernel_function<compute_broadcast_gradient_args>,
     .differentiable = Differentiable::kNone},
    {.name = "ConcatOffset",
     .inputs = "concat_dim: int32, shape: N * shape_type",
     .outputs = "offset: N * shape_type",
     .attrs = "N: int >= 2; shape_type: {int32, int64} = int32",
     .shape = concat_offset_shape,
     .kernel = kernel_function<compute_concat_offset>,
     .differentiable = Differentiable::kNone},
    {.name = "InvertPermutation",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {int32, int64} = int32",
     .shape = inverted_shape,
     .kernel = kernel_function<compute_invert_permutation>,
     .differentiable = Differentiable::kNone},
    {.name = "UnravelIndex",
     .inputs = "indices: Tidx, dims: Tidx",
     .outputs = "output: Tidx",
     .attrs = "Tidx: {int32, int64} = int32",
     .shape = unraveled_shape,
     .kernel = kernel_function<compute_unravel_index>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily array_index_ops() { return kOps; }

}  // namespace hub
