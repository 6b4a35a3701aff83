// Ops about shapes: asking for them, and giving the same elements another one.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {
namespace {

Shapes shape_vector_shape(ShapeContext& c) {
  Shapes shapes;
  for (int i = 0; i < c.num_outputs(); ++i) {
    const PartialShape& input = c.input(i);
    if (input.has_rank()) c.set_output_partial_value(i, input);
    shapes.push_back(vector_shape(input.rank()));
  }
  return shapes;
}

void compute_shape(KernelContext& ctx) {
  for (int i = 0; i < ctx.num_outputs(); ++i) {
    const Shape& shape = ctx.input(i).shape();
    Tensor& result = ctx.output(i, Shape{shape.rank()});
    for (int axis = 0; axis < shape.rank(); ++axis) set_integer(result, axis, shape.dim(axis));
  }
}

Shapes size_shape(ShapeContext& c) {
  if (const auto shape = c.input(0).as_shape()) {
    c.set_output_partial_value(0, vector_shape(shape->num_elements()));
  }
  return {Shape{}};
}

void compute_size(KernelContext& ctx) {
  set_integer(ctx.output(0, Shape{}), 0, ctx.input(0).num_elements());
}

Shapes rank_shape(ShapeContext& c) {
  if (c.input(0).has_rank()) c.set_output_partial_value(0, vector_shape(c.input(0).rank()));
  return {Shape{}};
}

void compute_rank(KernelContext& ctx) {
  set_integer(ctx.output(0, Shape{}), 0, ctx.input(0).rank());
}

// The product of the known dimensions, and where the only unknown one is. Nothing where
// more than one is unknown.
struct KnownElements {
  std::int64_t product = 1;
  int unknown_axis = -1;
};
std::optional<KnownElements> known_elements(const PartialShape& shape) {
  KnownElements known;
  if (!shape.has_rank()) return std::nullopt;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape.dim(axis) < 0) {
      if (known.unknown_axis >= 0) return std::nullopt;
      known.unknown_axis = axis;
    } else {
      known.product = mul_or_throw(known.product, shape.dim(axis), "The number of elements");
    }
  }
  return known;
}

[[noreturn]] void cannot_reshape(const PartialShape& from, const PartialShape& to) {
  throw invalid_argument("Reshape: the number of elements must stay the same. Details: from ", from,
                         " to ", to, ".");
}

// An unknown dimension of `to` where it follows from the known ones.
PartialShape completed_shape(const PartialShape& from, const PartialShape& to) {
  const auto old_count = known_elements(from);
  const auto new_count = known_elements(to);
  if (!old_count || !new_count) return to;
  const bool old_known = old_count->unknown_axis < 0;
  const bool new_known = new_count->unknown_axis < 0;
  if (old_known && new_known && old_count->product != new_count->product) cannot_reshape(from, to);
  if (old_known && !new_known && new_count->product > 0) {
    if (old_count->product % new_count->product != 0) cannot_reshape(from, to);
    return replace_dim(to, new_count->unknown_axis, old_count->product / new_count->product);
  }
  if (!old_known && new_known && old_count->product > 0) {
    if (new_count->product % old_count->product != 0) cannot_reshape(from, to);
  }
  return to;
}

// A vector or scalar keeps its known elements under another shape of rank 0 or 1.
void keep_value(ShapeContext& c, const PartialShape& result) {
  if (!result.has_rank() || result.rank() > 1) return;
  if (auto value = c.input_partial_value(0)) c.set_output_partial_value(0, std::move(*value));
}

Shapes reshaped_shape(ShapeContext& c) {
  PartialShape result = completed_shape(c.input(0), c.input_as_shape(1));
  keep_value(c, result);
  if (const auto& handle = c.input_handle(0)) c.set_output_handle(0, *handle);
  return {std::move(result)};
}

}  // namespace

Shape shape_after_reshape(const Shape& input, std::vector<std::int64_t> sizes) {
  std::int64_t product = 1;
  bool has_zero = false;
  int unknown = -1;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::int64_t size = sizes[i];
    if (size == -1 && unknown >= 0) {
      throw invalid_argument("Reshape: at most one size may be -1. Details: got [",
                             join(sizes, ","), "].");
    }
    if (size < -1) {
      throw invalid_argument("Reshape: sizes must be >= -1. Details: got [", join(sizes, ","),
                             "].");
    }
    if (size == -1) unknown = static_cast<int>(i);
    if (size == 0) has_zero = true;
    if (size > 0) product = mul_or_throw(product, size, "Reshape: the number of elements");
  }
  if (unknown >= 0) {
    std::int64_t count = 1;
    for (const std::int64_t dim : input.dims()) {
      if (dim > 0 || !has_zero) count = mul_or_throw(count, dim, "Reshape: the number of elements");
    }
    if (count % product != 0) cannot_reshape(input, PartialShape(sizes));
    sizes[static_cast<std::size_t>(unknown)] = count / product;
  }
  Shape result(sizes);
  if (result.num_elements() != input.num_elements()) cannot_reshape(input, result);
  return result;
}

namespace {

void compute_reshape(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  ctx.set_output(
      0, input.reshaped(shape_after_reshape(input.shape(), integer_vector(ctx, 1, "shape"))));
}

Shapes quantized_reshaped_shape(ShapeContext& c) {
  c.with_rank(2, 0);
  c.with_rank(3, 0);
  return {completed_shape(c.input(0), c.input_as_shape(1)), Shape{}, Shape{}};
}

// The range of the quantized values is passed on, as scalars.
void compute_quantized_reshape(KernelContext& ctx) {
  compute_reshape(ctx);
  for (int i = 1; i <= 2; ++i) ctx.set_output(i, ctx.input(i + 1).reshaped(Shape{}));
}

int expansion_axis(std::int64_t axis, int rank) {
  if (axis < -1 - rank || axis > rank) {
    throw invalid_argument("ExpandDims: the axis must be in [", -1 - rank, ", ", rank,
                           "]. Details: got ", axis, ".");
  }
  return static_cast<int>(axis < 0 ? axis + rank + 1 : axis);
}

Shapes expanded_shape(ShapeContext& c) {
  const PartialShape& input = c.input(0);
  if (!input.has_rank()) return {PartialShape()};
  const auto axis = constant_integers(c, 1);
  if (!axis) return {PartialShape::unknown_dims(input.rank() + 1)};
  if (axis->size() != 1) {
    throw invalid_argument("ExpandDims: the axis must be a single number. Details: got ",
                           axis->size(), ".");
  }
  std::vector<std::int64_t> dims(input.dims().begin(), input.dims().end());
  dims.insert(dims.begin() + expansion_axis(axis->front(), input.rank()), 1);
  PartialShape result(std::move(dims));
  keep_value(c, result);
  return {std::move(result)};
}

void compute_expand_dims(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  const int axis = expansion_axis(integer_scalar(ctx, 1, "the axis"), input.rank());
  ctx.set_output(0, input.reshaped(input.shape().with_inserted(axis, 1)));
}

// Which axes to squeeze: those listed, or all of size 1 where the list is empty.
std::vector<bool> listed_axes(const std::vector<std::int64_t>& axes, int rank) {
  std::vector<bool> listed(static_cast<std::size_t>(rank), false);
  for (const std::int64_t axis : axes)
    listed[static_cast<std::size_t>(checked_axis(axis, rank, "Squeeze"))] = true;
  return listed;
}

[[noreturn]] void cannot_squeeze(int axis, const PartialShape& shape) {
  throw invalid_argument("Squeeze: a squeezed axis must have size 1. Details: axis ", axis, " of ",
                         shape, ".");
}

Shapes squeezed_shape(ShapeContext& c) {
  const auto& axes = c.attr<AttrList>("squeeze_dims").ints;
  const PartialShape& input = c.input(0);
  if (!input.has_rank()) return {PartialShape()};
  const std::vector<bool> listed = listed_axes(axes, input.rank());
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < input.rank(); ++axis) {
    const std::int64_t dim = input.dim(axis);
    const bool explicitly = listed[static_cast<std::size_t>(axis)];
    if (explicitly && dim >= 0 && dim != 1) cannot_squeeze(axis, input);
    if (axes.empty() && dim < 0) return {PartialShape()};
    if (!explicitly && !(axes.empty() && dim == 1)) dims.push_back(dim);
  }
  PartialShape result(std::move(dims));
  keep_value(c, result);
  return {std::move(result)};
}

class SqueezeKernel final : public Kernel {
 public:
  explicit SqueezeKernel(const KernelInit& init)
      : axes_(init.attr<AttrList>("squeeze_dims").ints) {}
  void compute(KernelContext& ctx) const override {
    const Tensor& input = ctx.input(0);
    const std::vector<bool> listed = listed_axes(axes_, input.rank());
    std::vector<std::int64_t> dims;
    for (int axis = 0; axis < input.rank(); ++axis) {
      const bool explicitly = listed[static_cast<std::size_t>(axis)];
      if (explicitly && input.dim(axis) != 1) cannot_squeeze(axis, input.shape());
      if (!explicitly && !(axes_.empty() && input.dim(axis) == 1)) dims.push_back(input.dim(axis));
    }
    ctx.set_output(0, input.reshaped(Shape(dims)));
  }

 private:
  std::vector<std::int64_t> axes_;
};

std::int64_t bitcast_size(DType dtype) {
  const auto size = static_cast<std::int64_t>(dtype_size(dtype));
  if (size == 0)
    throw invalid_argument("Bitcast: the dtype must have a fixed size. Details: ", dtype, ".");
  return size;
}

// A wider type takes the last dimension, a narrower one adds it.
Shapes bitcast_shape(ShapeContext& c) {
  const PartialShape& input = c.input(0);
  if (c.input_dtype(0) == DType::kInvalid || c.output_dtype(0) == DType::kInvalid) {
    return {PartialShape()};  // within a function, whose dtypes are not known yet
  }
  const std::int64_t from = bitcast_size(c.input_dtype(0));
  const std::int64_t to = bitcast_size(c.output_dtype(0));
  if (!input.has_rank()) return {PartialShape()};
  if (from > to) return {concatenate(input, vector_shape(from / to))};
  if (from == to) return {input};
  c.at_least_rank(0, 1);
  (void)merge_dims(input.dim(input.rank() - 1), to / from,
                   "Bitcast: the last dimension and the dtypes' ratio");
  return {sub_shape(input, 0, input.rank() - 1)};
}

void compute_bitcast(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  const std::int64_t from = bitcast_size(input.dtype());
  const std::int64_t to = bitcast_size(ctx.output_dtype(0));
  Shape shape = input.shape();
  if (from > to) {
    shape = shape.with_inserted(shape.rank(), from / to);
  } else if (from < to) {
    if (shape.rank() == 0 || shape.dim(shape.rank() - 1) != to / from) {
      throw invalid_argument(
          "Bitcast: the last dimension must be the dtypes' ratio. Details: from ", input.dtype(),
          " ", shape, " to ", ctx.output_dtype(0), ".");
    }
    shape = shape.slice(0, shape.rank() - 1);
  }
  const auto offset =
      static_cast<std::size_t>(static_cast<const std::byte*>(input.raw_data()) -
                               static_cast<const std::byte*>(input.buffer()->data()));
  if (offset % static_cast<std::size_t>(to) == 0) {
    ctx.set_output(0, Tensor(ctx.output_dtype(0), std::move(shape), input.buffer(), offset));
  } else {  // a view from the middle of a buffer, not aligned for the wider type
    Tensor& result = ctx.output(0, shape);
    copy_elements(input.dtype(), input.raw_data(), result.mutable_raw_data(), input.num_elements());
  }
}

constexpr OpDef kOps[] = {
    {.name = "Shape",
     .inputs = "input: T",
     .outputs = "output: out_type",
     .attrs = "T: type; out_type: {int32, int64} = int32",
     .shape = shape_vector_shape,
     .kernel = kernel_function<compute_shape>,
     .differentiable = Differentiable::kNone},
    {.name = "ShapeN",
     .inputs = "input: N * T",
     .outputs = "output: N * out_type",
     .attrs = "N: int >= 1; T: type; out_type: {int32, int64} = int32",
     .shape = shape_vector_shape,
     .kernel = kernel_function<compute_shape>,
     .differentiable = Differentiable::kNone},
    {.name = "Size",
     .inputs = "input: T",
     .outputs = "output: out_type",
     .attrs = "T: type; out_type: {int32, int64} = int32",
     .shape = size_shape,
     .kernel = kernel_function<compute_size>,
     .differentiable = Differentiable::kNone},
    {.name = "Rank",
     .inputs = "input: T",
     .outputs = "output: int32",
     .attrs = "T: type",
     .shape = rank_shape,
     .kernel = kernel_function<compute_rank>,
     .differentiable = Differentiable::kNone},
    {.name = "Reshape",
     .inputs = "tensor: T, shape: Tshape",
     .outputs = "output: T",
     .attrs = "T: type; Tshape: {int32, int64} = int32",
     .shape = reshaped_shape,
     .kernel = kernel_function<compute_reshape>},
    {.name = "QuantizedReshape",
     .inputs = "tensor: T, shape: Tshape, input_min: float, input_max: float",
     .outputs = "output: T, output_min: float, output_max: float",
     .attrs = "T: type; Tshape: {int32, int64} = int32",
     .shape = quantized_reshaped_shape,
     .kernel = kernel_function<compute_quantized_reshape>,
     .differentiable = Differentiable::kRefused},
    {.name = "ExpandDims",
     .inputs = "input: T, dim: Tdim",
     .outputs = "output: T",
     .attrs = "T: type; Tdim: {int32, int64} = int32",
     .shape = expanded_shape,
     .kernel = kernel_function<compute_expand_dims>},
    {.name = "Squeeze",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type; squeeze_dims: list(int) >= 0 = []",
     .shape = squeezed_shape,
     .kernel = make_kernel<SqueezeKernel>},
    {.name = "Bitcast",
     .inputs = "input: T",
     .outputs = "output: type",
     .attrs = "T: numbertype; type: numbertype",
     .shape = bitcast_shape,
     .kernel = kernel_function<compute_bitcast>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily array_shape_ops() { return kOps; }

}  // namespace hub
