// Slice, StridedSlice and their relatives.

#include <algorithm>

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/strided_slice.h"

namespace hub {
namespace {

// Copies a box of `input` into output 0; a view where its elements lie behind one another.
void set_box(KernelContext& ctx, const Tensor& input, StridedSlice::Box box, const Shape& shape) {
  if (shape.num_elements() == 0) return ctx.set_output(0, view_of(input, 0, shape));
  std::int64_t stride = 1;
  bool contiguous = true;
  for (std::size_t i = box.axes.size(); i-- > 0;) {
    CopyAxis& axis = box.axes[i];
    axis.to = stride;
    contiguous = contiguous && (axis.size == 1 || axis.from == stride);
    stride *= axis.size;
  }
  if (contiguous) return ctx.set_output(0, view_of(input, box.first, shape));
  Tensor& result = ctx.output(0, shape);
  copy_box(ctx, input.dtype(), box.axes, element_at(input, box.first), result.mutable_raw_data());
}

[[noreturn]] void bad_slice(int axis, std::int64_t begin, std::int64_t size,
                            const PartialShape& shape) {
  throw invalid_argument("Slice: begin and begin + size must lie in the dimension. Details: axis ",
                         axis, " of ", shape, ", begin ", begin, ", size ", size, ".");
}

Shapes sliced_shape(ShapeContext& c) {
  const PartialShape begin_shape = c.with_rank(1, 1);
  const PartialShape size_shape = c.with_rank(2, 1);
  const std::int64_t rank =
      merge_dims(begin_shape.dim(0), size_shape.dim(0), "Slice: the lengths of begin and size");
  PartialShape input = c.input(0);
  if (rank >= 0)
    input = c.with_rank(0, static_cast<int>(std::min<std::int64_t>(rank, Shape::kMaxRank + 1)));
  const auto begin = constant_integers(c, 1);
  const auto size = constant_integers(c, 2);
  if (!input.has_rank()) return {PartialShape()};
  const PartialShape partial_size = elements_of(c, 2);
  std::vector<std::int64_t> dims(static_cast<std::size_t>(input.rank()), -1);
  for (int i = 0; i < input.rank(); ++i) {
    const auto axis = static_cast<std::size_t>(i);
    const std::int64_t dim = input.dim(i);
    if (begin && size) {
      const std::int64_t b = begin->at(axis);
      const std::int64_t s = size->at(axis);
      if (s < -1 || (s == -1 && dim >= 0 && b > dim)) bad_slice(i, b, s, input);
      dims[axis] = s >= 0 ? s : (dim >= 0 && b >= 0 ? dim - b : -1);
    } else if (partial_size.has_rank() && partial_size.rank() == input.rank()) {
      dims[axis] = partial_size.dim(i);
    }
  }
  if (input.rank() == 1 && begin && begin->front() >= 0 && dims[0] >= 0) {
    const PartialShape elements = elements_of(c, 0);
    if (elements.has_rank()) {
      const int first = static_cast<int>(begin->front());
      c.set_output_partial_value(0, sub_shape(elements, first, first + static_cast<int>(dims[0])));
    }
  }
  return {PartialShape(std::move(dims))};
}

void compute_slice(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  const int rank = input.rank();
  if (ctx.input(1).shape() != Shape{rank} || ctx.input(2).shape() != Shape{rank}) {
    throw invalid_argument("Slice: begin and size must be vectors of the input's rank. Details: ",
                           ctx.input(1).shape(), " and ", ctx.input(2).shape(), ", the rank is ",
                           rank, ".");
  }
  const std::vector<std::int64_t> begin = integer_vector(ctx, 1, "begin");
  std::vector<std::int64_t> size = integer_vector(ctx, 2, "size");
  StridedSlice slice;
  for (int i = 0; i < rank; ++i) {
    const std::int64_t b = begin[static_cast<std::size_t>(i)];
    std::int64_t& s = size[static_cast<std::size_t>(i)];
    if (s == -1 && b <= input.dim(i)) s = input.dim(i) - b;
    if (b < 0 || b > input.dim(i) || s < 0 || s > input.dim(i) - b)
      bad_slice(i, b, s, input.shape());
    slice.axes.push_back({b, 1, s});
  }
  set_box(ctx, input, slice.box(input.shape()), Shape(size));
}

// begin, end or strides as far as they are known; nothing where an element is not.
std::optional<std::vector<std::int64_t>> slice_entries(ShapeContext& c, int input) {
  if (auto constant = constant_integers(c, input)) return constant;
  const auto partial = c.input_partial_value(input);
  if (!partial || !partial->is_fully_defined()) return std::nullopt;
  return std::vector<std::int64_t>(partial->dims().begin(), partial->dims().end());
}

Shapes strided_slice_shape(ShapeContext& c) {
  for (int i = 1; i <= 3; ++i) c.with_rank(i, 1);
  const PartialShape& input = c.input(0);
  const auto begin = slice_entries(c, 1);
  const auto end = slice_entries(c, 2);
  const auto strides = slice_entries(c, 3);
  if (!strides || !input.has_rank()) return {PartialShape()};
  StridedSlice slice = resolve_strided_slice(input, begin, end, *strides, SliceMasks(c));
  const DType dtype = c.output_dtype(0);
  const PartialShape elements = elements_of(c, 0);
  if (slice.axes.size() == 1 && slice.result.rank() <= 1 && begin && end && elements.has_rank() &&
      (dtype == DType::kInt32 || dtype == DType::kInt64)) {
    const StridedSlice::Axis& axis = slice.axes[0];
    std::vector<std::int64_t> taken;
    for (std::int64_t i = 0; i < axis.size; ++i) {
      taken.push_back(elements.dim(static_cast<int>(axis.begin + i * axis.stride)));
    }
    set_known_elements(c, 0, taken);
  }
  return {std::move(slice.result)};
}

class StridedSliceKernel final : public Kernel {
 public:
  explicit StridedSliceKernel(const KernelInit& init) : masks_(init) {}
  void compute(KernelContext& ctx) const override {
    const Tensor& input = ctx.input(0);
    const StridedSlice slice = resolve_strided_slice(ctx, input.shape(), 1, masks_);
    set_box(ctx, input, slice.box(input.shape()), *slice.result.as_shape());
  }

 private:
  SliceMasks masks_;
};

Shapes strided_slice_grad_shape(ShapeContext& c) { return {c.input_as_shape(0)}; }

class StridedSliceGradKernel final : public Kernel {
 public:
  explicit StridedSliceGradKernel(const KernelInit& init) : masks_(init) {}
  void compute(KernelContext& ctx) const override {
    const Shape shape = shape_input(ctx, 0, "shape");
    const StridedSlice slice = resolve_strided_slice(ctx, shape, 1, masks_);
    const Tensor& gradient = ctx.input(4);
    if (PartialShape(gradient.shape()) != slice.result) {
      throw invalid_argument("StridedSliceGrad: dy must have the slice's shape. Details: it is ",
                             gradient.shape(), ", the slice is ", slice.result, ".");
    }
    Tensor& result = ctx.output(0, shape);
    zero_tensor(ctx, result);
    assign_strided_slice(ctx, slice, gradient, result);
  }

 private:
  SliceMasks masks_;
};

class TensorStridedSliceUpdateKernel final : public Kernel {
 public:
  explicit TensorStridedSliceUpdateKernel(const KernelInit& init) : masks_(init) {}
  void compute(KernelContext& ctx) const override {
    const Tensor input = ctx.input(0);
    const StridedSlice slice = resolve_strided_slice(ctx, input.shape(), 1, masks_);
    Tensor& result = ctx.output(0, input.shape());
    copy_tensor(ctx, input, result);
    assign_strided_slice(ctx, slice, ctx.input(4), result);
  }

 private:
  SliceMasks masks_;
};

constexpr OpDef kOps[] = {
    {.name = "Slice",
     .inputs = "input: T, begin: Index, size: Index",
     .outputs = "output: T",
     .attrs = "T: type; Index: {int32, int64}",
     .shape = sliced_shape,
     .kernel = kernel_function<compute_slice>},
    {.name = "StridedSlice",
     .inputs = "input: T, begin: Index, end: Index, strides: Index",
     .outputs = "output: T",
     .attrs = "T: type; Index: {int16, int32, int64}; begin_mask: int = 0; end_mask: int = 0; "
              "ellipsis_mask: int = 0; new_axis_mask: int = 0; shrink_axis_mask: int = 0",
     .shape = strided_slice_shape,
     .kernel = make_kernel<StridedSliceKernel>},
    {.name = "StridedSliceGrad",
     .inputs = "shape: Index, begin: Index, end: Index, strides: Index, dy: T",
     .outputs = "output: T",
     .attrs = "T: type; Index: {int32, int64}; begin_mask: int = 0; end_mask: int = 0; "
              "ellipsis_mask: int = 0; new_axis_mask: int = 0; shrink_axis_mask: int = 0",
     .shape = strided_slice_grad_shape,
     .kernel = make_kernel<StridedSliceGradKernel>},
    {.name = "TensorStridedSliceUpdate",
     .inputs = "input: T, begin: Index, end: Index, strides: Index, value: T",
     .outputs = "output: T",
     .attrs = "T: type; Index: {int32, int64}; begin_mask: int = 0; end_mask: int = 0; "
              "ellipsis_mask: int = 0; new_axis_mask: int = 0; shrink_axis_mask: int = 0",
     .shape = unchanged_shape,
     .kernel = make_kernel<TensorStridedSliceUpdateKernel>},
};

}  // namespace

OpFamily array_slice_ops() { return kOps; }

}  // namespace hub
