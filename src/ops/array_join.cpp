// Ops that join tensors into one and cut one into several.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// A tensor seen from one axis: blocks of `axis * inner` consecutive elements, `outer` times.
struct AxisView {
  std::int64_t outer = 1;
  std::int64_t inner = 1;
};
AxisView axis_view(const Shape& shape, int axis) {
  return {shape.slice(0, axis).num_elements(), shape.slice(axis + 1, shape.rank()).num_elements()};
}

// Copies a part of an axis: `count` of `from_size` positions, into or out of a larger tensor.
void copy_part(KernelContext& ctx, DType dtype, const AxisView& view, std::int64_t count,
               const void* from, std::int64_t from_size, void* to, std::int64_t to_size) {
  const CopyAxis axes[] = {{view.outer, from_size * view.inner, to_size * view.inner},
                           {count * view.inner, 1, 1}};
  copy_box(ctx, dtype, axes, from, to);
}

PartialShape merged_ranks(ShapeContext& c, ArgRange values) {
  PartialShape merged;
  for (int i = values.begin; i < values.begin + values.count; ++i) {
    if (c.input(i).has_rank()) {
      c.at_least_rank(i, 1);
      merged = merged.merge_with(PartialShape::unknown_dims(c.input(i).rank()));
    }
  }
  return merged;
}

// The elements of vectors joined, where the number of each is known.
void join_values(ShapeContext& c, ArgRange values) {
  if (c.output_dtype(0) != DType::kInt32 && c.output_dtype(0) != DType::kInt64) return;
  std::vector<std::int64_t> elements;
  for (int i = values.begin; i < values.begin + values.count; ++i) {
    const PartialShape part = elements_of(c, i);
    if (!part.has_rank()) return;
    elements.insert(elements.end(), part.dims().begin(), part.dims().end());
  }
  set_known_elements(c, 0, elements);
}

Shapes concat_shape(ShapeContext& c, std::string_view axis_name) {
  const ArgRange values = c.input_range("values");
  const int axis_input = c.input_range(axis_name).begin;
  c.at_most_rank(axis_input, 1);
  PartialShape result = merged_ranks(c, values);
  const auto axis_value = constant_integers(c, axis_input);
  if (!axis_value || axis_value->size() != 1 || !result.has_rank()) return {std::move(result)};
  const int axis = normalized_axis(axis_value->front(), result.rank());
  std::int64_t total = 0;
  for (int i = values.begin; i < values.begin + values.count; ++i) {
    if (!c.input(i).has_rank()) {
      total = -1;
      continue;
    }
    total = add_dims(total, c.input(i).dim(axis));
    result = result.merge_with(replace_dim(c.input(i), axis, -1));
  }
  if (result.rank() == 1) join_values(c, values);
  return {replace_dim(result, axis, total)};
}

Shapes concat_v1_shape(ShapeContext& c) { return concat_shape(c, "concat_dim"); }
Shapes concat_v2_shape(ShapeContext& c) { return concat_shape(c, "axis"); }

class ConcatKernel final : public Kernel {
 public:
  explicit ConcatKernel(const KernelInit& init)
      : values_(init.input_range("values")),
        axis_(init.input_range(init.op() == "Concat" ? "concat_dim" : "axis").begin) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& axis_tensor = ctx.input(axis_);
    const std::string& op = ctx.node().op_name;
    if (axis_tensor.rank() > 1) {
      throw invalid_argument(op, ": the axis must be a scalar. Details: its shape is ",
                             axis_tensor.shape(), ".");
    }
    const Shape& first = ctx.input(values_.begin).shape();
    const int axis = checked_axis(integer_scalar(ctx, axis_, "the axis"), first.rank(), op);
    std::int64_t total = 0;
    for (int i = values_.begin; i < values_.begin + values_.count; ++i) {
      check_fits(ctx.input(i).shape(), first, axis);
      total = add_or_throw(total, ctx.input(i).dim(axis), "Concat: the joined dimension");
    }
    if (const int only = only_filled(ctx); only >= 0 && ctx.input(only).dim(axis) == total) {
      return ctx.set_output(0, ctx.input(only));
    }
    Tensor& result = ctx.output(0, first.with_dim(axis, total));
    const AxisView view = axis_view(first, axis);
    std::int64_t done = 0;
    for (int i = values_.begin; i < values_.begin + values_.count; ++i) {
      const Tensor& part = ctx.input(i);
      if (part.num_elements() == 0) continue;
      const std::int64_t size = part.dim(axis);
      copy_part(ctx, part.dtype(), view, size, part.raw_data(), size,
                element_at(result, done * view.inner), total);
      done += size;
    }
  }

 private:
  static void check_fits(const Shape& shape, const Shape& first, int axis) {
    bool fits = shape.rank() == first.rank();
    for (int i = 0; fits && i < first.rank(); ++i) fits = i == axis || shape.dim(i) == first.dim(i);
    if (!fits) {
      throw invalid_argument("Concat: all inputs must agree except along the axis. Details: ",
                             first, " and ", shape, ", axis ", axis, ".");
    }
  }

  // The only input with elements, -1 where there are none or several.
  int only_filled(const KernelContext& ctx) const {
    int only = -1;
    for (int i = values_.begin; i < values_.begin + values_.count; ++i) {
      if (ctx.input(i).num_elements() == 0) continue;
      if (only >= 0) return -1;
      only = i;
    }
    return only;
  }

  ArgRange values_;
  int axis_;
};

Shapes packed_shape(ShapeContext& c) {
  PartialShape element;
  for (int i = 0; i < c.num_inputs(); ++i) element = element.merge_with(c.input(i));
  if (!element.has_rank()) return {PartialShape()};
  const int axis = normalized_axis(c.attr<std::int64_t>("axis"), element.rank() + 1);
  std::vector<std::int64_t> dims(element.dims().begin(), element.dims().end());
  dims.insert(dims.begin() + axis, c.num_inputs());
  if (element.rank() == 0) {
    std::vector<std::int64_t> elements;
    for (int i = 0; i < c.num_inputs(); ++i) elements.push_back(c.input_as_int(i).value_or(-1));
    const DType dtype = c.output_dtype(0);
    if (dtype == DType::kInt32 || dtype == DType::kInt64) set_known_elements(c, 0, elements);
  }
  return {PartialShape(std::move(dims))};
}

class PackKernel final : public Kernel {
 public:
  explicit PackKernel(const KernelInit& init) : axis_(init.attr<std::int64_t>("axis")) {}
  void compute(KernelContext& ctx) const override {
    const Shape& shape = ctx.input(0).shape();
    const int count = ctx.num_inputs();
    const int axis = checked_axis(axis_, shape.rank() + 1, "Pack");
    for (int i = 1; i < count; ++i) {
      if (ctx.input(i).shape() != shape) {
        throw invalid_argument("Pack: all inputs must have one shape. Details: input 0 has ", shape,
                               ", input ", i, " has ", ctx.input(i).shape(), ".");
      }
    }
    Shape packed = shape.with_inserted(axis, count);
    if (count == 1) return ctx.set_output(0, ctx.input(0).reshaped(std::move(packed)));
    Tensor& result = ctx.output(0, packed);
    if (result.num_elements() == 0) return;
    const AxisView view = axis_view(packed, axis);
    for (int i = 0; i < count; ++i) {
      copy_part(ctx, result.dtype(), view, 1, ctx.input(i).raw_data(), 1,
                element_at(result, i * view.inner), count);
    }
  }

 private:
  std::int64_t axis_;
};

// Output i takes the positions from `begin` on; a view where they lie behind one another.
void set_part(KernelContext& ctx, int i, const Tensor& value, int axis, std::int64_t begin,
              std::int64_t size, Shape shape) {
  const AxisView view = axis_view(value.shape(), axis);
  const std::int64_t first = shape.num_elements() == 0 ? 0 : begin * view.inner;
  if (view.outer <= 1 || shape.num_elements() == 0) {
    return ctx.set_output(i, view_of(value, first, std::move(shape)));
  }
  Tensor& part = ctx.output(i, shape);
  copy_part(ctx, value.dtype(), view, size, element_at(value, first), value.dim(axis),
            part.mutable_raw_data(), size);
}

Shapes unpacked_shape(ShapeContext& c) {
  const auto count = static_cast<std::size_t>(c.num_outputs());
  const PartialShape& value = c.input(0);
  if (!value.has_rank()) return Shapes(count);
  const int axis = normalized_axis(c.attr<std::int64_t>("axis"), value.rank());
  (void)merge_dims(value.dim(axis), c.num_outputs(), "Unpack: num and the dimension");
  if (value.rank() == 1) {
    if (const auto elements = c.input_partial_value(0)) {
      for (int i = 0; i < c.num_outputs() && i < elements->rank(); ++i) {
        if (elements->dim(i) >= 0) c.set_output_partial_value(i, vector_shape(elements->dim(i)));
      }
    }
  }
  return Shapes(count,
                concatenate(sub_shape(value, 0, axis), sub_shape(value, axis + 1, value.rank())));
}

class UnpackKernel final : public Kernel {
 public:
  explicit UnpackKernel(const KernelInit& init) : axis_(init.attr<std::int64_t>("axis")) {}
  void compute(KernelContext& ctx) const override {
    const Tensor& value = ctx.input(0);
    const int axis = checked_axis(axis_, value.rank(), "Unpack");
    if (value.dim(axis) != ctx.num_outputs()) {
      throw invalid_argument("Unpack: the dimension must equal num. Details: axis ", axis, " of ",
                             value.shape(), ", num is ", ctx.num_outputs(), ".");
    }
    const Shape shape = value.shape().without_dim(axis);
    for (int i = 0; i < ctx.num_outputs(); ++i) set_part(ctx, i, value, axis, i, 1, shape);
  }

 private:
  std::int64_t axis_;
};

Shapes split_shape(ShapeContext& c) {
  const auto count = static_cast<std::size_t>(c.num_outputs());
  const PartialShape& value = c.input(1);
  const auto axis_value = constant_integers(c, 0);
  if (!value.has_rank()) return Shapes(count);
  if (!axis_value || axis_value->size() != 1) {
    return Shapes(count, PartialShape::unknown_dims(value.rank()));
  }
  const int axis = normalized_axis(axis_value->front(), value.rank());
  const std::int64_t dim = value.dim(axis);
  if (dim >= 0 && dim % c.num_outputs() != 0) {
    throw invalid_argument("Split: the dimension must be a multiple of num_split. Details: ", dim,
                           " and ", c.num_outputs(), ".");
  }
  return Shapes(count, replace_dim(value, axis, dim < 0 ? -1 : dim / c.num_outputs()));
}

void compute_split(KernelContext& ctx) {
  const Tensor& value = ctx.input(1);
  const int count = ctx.num_outputs();
  if (ctx.input(0).rank() != 0) {
    throw invalid_argument("Split: split_dim must be a scalar. Details: its shape is ",
                           ctx.input(0).shape(), ".");
  }
  const int axis = checked_axis(integer_scalar(ctx, 0, "split_dim"), value.rank(), "Split");
  const std::int64_t dim = value.dim(axis);
  if (dim % count != 0) {
    throw invalid_argument("Split: the dimension must be a multiple of num_split. Details: axis ",
                           axis, " of ", value.shape(), ", num_split is ", count, ".");
  }
  if (count == 1) return ctx.set_output(0, value);
  const Shape shape = value.shape().with_dim(axis, dim / count);
  for (int i = 0; i < count; ++i)
    set_part(ctx, i, value, axis, i * (dim / count), dim / count, shape);
}

// The sizes with the -1 filled in.
std::vector<std::int64_t> resolved_sizes(std::vector<std::int64_t> sizes, std::int64_t dim,
                                         int outputs) {
  if (sizes.size() != static_cast<std::size_t>(outputs)) {
    throw invalid_argument("SplitV: there must be one size for each output. Details: ",
                           sizes.size(), " sizes, ", outputs, " outputs.");
  }
  if (outputs == 1 && sizes.front() != dim) {  // TensorFlow takes no -1 here
    throw invalid_argument("SplitV: a single size must be the dimension. Details: ", sizes.front(),
                           " and ", dim, ".");
  }
  std::int64_t sum = 0;
  std::int64_t* open = nullptr;
  for (std::int64_t& size : sizes) {
    if (size < -1 || (size == -1 && open != nullptr)) {
      throw invalid_argument("SplitV: sizes must be >= 0, one of them may be -1. Details: got [",
                             join(sizes, ","), "].");
    }
    if (size == -1) {
      open = &size;
    } else {
      sum = add_or_throw(sum, size, "SplitV: the sum of the sizes");
    }
  }
  if (open != nullptr ? sum > dim : sum != dim) {
    throw invalid_argument("SplitV: the sizes must add up to the dimension. Details: [",
                           join(sizes, ","), "] and ", dim, ".");
  }
  if (open != nullptr) *open = dim - sum;
  return sizes;
}

Shapes split_v_shape(ShapeContext& c) {
  const PartialShape& value = c.input(0);
  const auto sizes = constant_integers(c, 1);
  const auto axis_value = constant_integers(c, 2);
  const auto count = static_cast<std::size_t>(c.num_outputs());
  if (!value.has_rank()) return Shapes(count);
  if (!axis_value || axis_value->size() != 1) {
    return Shapes(count, count == 1 ? value : PartialShape::unknown_dims(value.rank()));
  }
  const int axis = normalized_axis(axis_value->front(), value.rank());
  Shapes shapes(count, replace_dim(value, axis, count == 1 ? value.dim(axis) : -1));
  if (!sizes || sizes->size() != count) return shapes;
  std::int64_t open = value.dim(axis);  // what is left for a -1
  for (const std::int64_t size : *sizes) open = open < 0 || size < 0 ? open : open - size;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t size = (*sizes)[i];
    shapes[i] = replace_dim(value, axis, size >= 0 ? size : std::max<std::int64_t>(open, -1));
  }
  return shapes;
}

void compute_split_v(KernelContext& ctx) {
  const Tensor& value = ctx.input(0);
  const Tensor& size_tensor = ctx.input(1);
  if (value.rank() == 0 || size_tensor.rank() != 1) {
    throw invalid_argument(
        "SplitV: it takes a tensor of rank >= 1 and a vector of sizes. Details: ", value.shape(),
        " and ", size_tensor.shape(), ".");
  }
  const int axis = checked_axis(integer_scalar(ctx, 2, "split_dim"), value.rank(), "SplitV");
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(size_tensor.num_elements()));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    sizes[i] = integer_at(size_tensor, static_cast<std::int64_t>(i));
  }
  sizes = resolved_sizes(std::move(sizes), value.dim(axis), ctx.num_outputs());
  std::int64_t begin = 0;
  for (int i = 0; i < ctx.num_outputs(); ++i) {
    const std::int64_t size = sizes[static_cast<std::size_t>(i)];
    set_part(ctx, i, value, axis, begin, size, value.shape().with_dim(axis, size));
    begin += size;
  }
}

constexpr OpDef kOps[] = {
    {.name = "Concat",
     .inputs = "concat_dim: int32, values: N * T",
     .outputs = "output: T",
     .attrs = "N: int >= 2; T: type",
     .shape = concat_v1_shape,
     .kernel = make_kernel<ConcatKernel>},
    {.name = "ConcatV2",
     .inputs = "values: N * T, axis: Tidx",
     .outputs = "output: T",
     .attrs = "N: int >= 2; T: type; Tidx: {int32, int64} = int32",
     .shape = concat_v2_shape,
     .kernel = make_kernel<ConcatKernel>},
    {.name = "Pack",
     .inputs = "values: N * T",
     .outputs = "output: T",
     .attrs = "N: int >= 1; T: type; axis: int = 0",
     .shape = packed_shape,
     .kernel = make_kernel<PackKernel>},
    {.name = "Unpack",
     .inputs = "value: T",
     .outputs = "output: num * T",
     .attrs = "num: int >= 0; T: type; axis: int = 0",
     .shape = unpacked_shape,
     .kernel = make_kernel<UnpackKernel>},
    {.name = "Split",
     .inputs = "split_dim: int32, value: T",
     .outputs = "output: num_split * T",
     .attrs = "num_split: int >= 1; T: type",
     .shape = split_shape,
     .kernel = kernel_function<compute_split>},
    {.name = "SplitV",
     .inputs = "value: T, size_splits: Tlen, split_dim: int32",
     .outputs = "output: num_split * T",
     .attrs = "num_split: int >= 1; T: type; Tlen: {int8, int32, int64} = int64",
     .shape = split_v_shape,
     .kernel = kernel_function<compute_split_v>},
};

}  // namespace

OpFamily array_join_ops() { return kOps; }

}  // namespace hub
