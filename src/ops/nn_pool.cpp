#include "ops/nn_pool.h"

#include <algorithm>

#include "ops/nn_layout.h"

namespace hub {

dnn::ConvShape pool_shape(std::string_view op, const WindowAttrs& attrs, const Shape& input) {
  const int dims = attrs.layout.spatial_dims;
  if (input.rank() != dims + 2) {
    throw invalid_argument(op, ": the input must have rank ", dims + 2, ". Details: its shape is ",
                           input, ".");
  }
  dnn::ConvShape shape;
  shape.spatial_dims = dims;
  shape.batch = input.dim(0);
  shape.in_channels = shape.out_channels = shape.groups = input.dim(dims + 1);
  for (int i = 0; i < dims; ++i) {
    const auto a = static_cast<std::size_t>(i);
    const WindowAxis& axis = attrs.axes[a];
    if (attrs.padding == Padding::kExplicit && std::max(axis.before, axis.after) >= axis.size) {
      throw invalid_argument(op, ": the padding must be smaller than the window. Details: window ",
                             axis.size, ", padding ", axis.before, " and ", axis.after, ".");
    }
    const WindowSteps steps = window_steps(op, input.dim(i + 1), axis, attrs.padding);
    shape.input[a] = input.dim(i + 1);
    shape.kernel[a] = axis.size;
    shape.output[a] = steps.output;
    shape.stride[a] = axis.stride;
    shape.dilation[a] = 1;
    shape.before[a] = steps.before;
  }
  return shape;
}

Shape pool_output(const dnn::ConvShape& shape) {
  std::vector<std::int64_t> dims{shape.batch};
  for (int i = 0; i < shape.spatial_dims; ++i)
    dims.push_back(shape.output[static_cast<std::size_t>(i)]);
  dims.push_back(shape.out_channels);
  return Shape(dims);
}

PoolKernel::PoolKernel(const KernelInit& init, int spatial_dims)
    : attrs_(pool_attrs(init.node().attrs, init.op(), spatial_dims)) {}

WindowAttrs PoolKernel::window(const KernelContext& c, int first_input) const {
  if (first_input < 0) return attrs_;
  WindowAttrs attrs = attrs_;
  set_pool_window(attrs, c.node().op_name, integer_vector(c, first_input, "ksize"),
                  integer_vector(c, first_input + 1, "strides"));
  return attrs;
}

Shape PoolKernel::channels_last_shape(const KernelContext& c, int i) const {
  const Shape& shape = c.input(i).shape();
  if (shape.rank() != attrs_.layout.rank()) {
    throw invalid_argument(c.node().op_name, ": input ", i, " must have rank ",
                           attrs_.layout.rank(), ". Details: its shape is ", shape, ".");
  }
  return attrs_.layout.channels_first ? channels_last(shape) : shape;
}

Tensor PoolKernel::channels_last_input(KernelContext& c, int i) const {
  return attrs_.layout.channels_first ? channels_last(c, c.input(i)) : c.input(i);
}

Tensor PoolKernel::result(KernelContext& c, const Shape& shape) const {
  return attrs_.layout.channels_first ? c.temporary(c.output_dtype(0), shape) : c.output(0, shape);
}

void PoolKernel::finish(KernelContext& c, Tensor result) const {
  c.set_output(0, attrs_.layout.channels_first ? channels_first(c, result) : std::move(result));
}

void PoolKernel::check_shape(const KernelContext& c, std::string_view what, const Shape& got,
                             const Shape& expected) {
  if (got == expected) return;
  throw invalid_argument(c.node().op_name, ": ", what,
                         " must have the shape of the pool's result. Details: (channels last) ",
                         got, " instead of ", expected, ".");
}

Shapes pool_shape_rule(ShapeContext& c, int spatial_dims, int first_input) {
  const std::string& op = c.node().op_name;
  WindowAttrs attrs = pool_attrs(c.node().attrs, op, spatial_dims);
  const ImageLayout& layout = attrs.layout;
  const PartialShape input = c.with_rank(0, layout.rank());
  std::vector<std::int64_t> dims(static_cast<std::size_t>(layout.rank()), -1);
  dims[0] = input.dim(0);
  std::int64_t& channels = dims[static_cast<std::size_t>(layout.channel_axis())];
  if (first_input >= 0) {
    const PartialShape ksize = c.input_as_shape(first_input);
    const PartialShape strides = c.input_as_shape(first_input + 1);
    if (!ksize.is_fully_defined() || !strides.is_fully_defined())
      return {PartialShape(std::move(dims))};
    set_pool_window(attrs, op, ksize.dims(), strides.dims());
  }
  channels = input.dim(layout.channel_axis());
  if (attrs.channel_size > 1 && channels >= 0) {
    channels = c.num_outputs() == 1 ? channels / attrs.channel_size : channels;
  }
  for (int i = 0; i < spatial_dims; ++i) {
    const int axis = layout.spatial_axis(i);
    dims[static_cast<std::size_t>(axis)] =
        window_output(op, input.dim(axis), attrs.axes[static_cast<std::size_t>(i)], attrs.padding);
  }
  return {PartialShape(std::move(dims))};
}

}  // namespace hub
