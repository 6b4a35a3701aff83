#include "ops/nn_conv.h"

#include <algorithm>

#include "base/checked.h"
#include "graph/shape_rules.h"
#include "ops/kernels/conv_loops.h"
#include "ops/nn_layout.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using dnn::ConvKind;
using dnn::ConvShape;

void check_depthwise_strides(std::string_view op, const WindowAttrs& window) {
  if (window.axes[0].stride == window.axes[1].stride) return;
  throw invalid_argument(op, ": the strides of rows and columns must be equal. Details: they are ",
                         window.axes[0].stride, " and ", window.axes[1].stride, ".");
}

// What follows from the channels of input and filter.
void set_channels(std::string_view op, ConvShape& shape, bool depthwise, std::int64_t depth,
                  std::int64_t filter_depth, std::int64_t filter_width) {
  shape.in_channels = depth;
  if (depthwise) {
    if (depth != filter_depth) {
      throw invalid_argument(op,
                             ": the input and the filter must have equal depth. Details: ", depth,
                             " and ", filter_depth, ".");
    }
    shape.groups = depth;
    shape.out_channels = mul_or_throw(depth, filter_width, "The number of output channels");
    return;
  }
  if (filter_depth == 0 || depth % filter_depth != 0) {
    throw invalid_argument(
        op, ": the input's depth must be a multiple of the filter's input depth. Details: ", depth,
        " and ", filter_depth, ".");
  }
  shape.groups = depth / filter_depth;
  shape.out_channels = filter_width;
  if (shape.groups != 0 && filter_width % shape.groups != 0) {
    throw invalid_argument(
        op, ": the number of groups must divide the filter's output depth. Details: ", shape.groups,
        " groups, output depth ", filter_width, ".");
  }
}

void check_rank(std::string_view op, std::string_view what, const Shape& shape, int rank) {
  if (shape.rank() == rank) return;
  throw invalid_argument(op, ": ", what, " must have rank ", rank, ". Details: its shape is ",
                         shape, ".");
}

bool is_empty(const ConvShape& shape) {
  return shape.batch == 0 || shape.in_pixels() == 0 || shape.out_pixels() == 0 ||
         shape.filter_elements() == 0 || shape.in_channels == 0;
}

Tensor zeros(KernelContext& c, DType dtype, const Shape& shape) {
  Tensor result = c.temporary(dtype, shape);
  std::ranges::fill(result.mutable_bytes(), std::byte{0});
  return result;
}

// The node's tensors, as the kernels want them: channels last, no 16-bit floats.
Tensor as_computed(KernelContext& c, const Tensor& x, const ImageLayout& layout) {
  const Tensor wide = is_short_float(x.dtype()) ? converted(c, x, kFloat) : x;
  return layout.channels_first ? channels_last(c, wide) : wide;
}

DType computed_dtype(DType dtype) { return is_short_float(dtype) ? kFloat : dtype; }

// Sets output 0 to a result with the channels last, in the node's layout and dtype.
void set_result(KernelContext& c, Tensor result, const ImageLayout& layout) {
  if (layout.channels_first) result = channels_first(c, result);
  c.set_output(0, converted(c, result, c.output_dtype(0)));
}

// Calls body with double or int32, the types that only loops compute.
template <class Body>
void dispatch_loops(DType dtype, Body&& body) {
  dispatch(TypeList<double, std::int32_t>{}, dtype, std::forward<Body>(body));
}

void check_gradient(std::string_view op, const Shape& gradient, const ConvShape& shape) {
  if (gradient == conv_output(shape)) return;
  throw invalid_argument(
      op,
      ": the gradient must have the shape of the convolution's result. Details: (channels last) ",
      gradient, " instead of ", conv_output(shape), ".");
}

// The result in its own memory where that is the node's output, else a temporary.
Tensor result_tensor(KernelContext& c, const Shape& shape, const ImageLayout& layout) {
  const DType dtype = computed_dtype(c.output_dtype(0));
  return !layout.channels_first && dtype == c.output_dtype(0) ? c.output(0, shape)
                                                              : c.temporary(dtype, shape);
}

}  // namespace

ConvAttrs conv_attrs(const KernelInit& init, int spatial_dims, bool depthwise) {
  ConvAttrs attrs{convolution_attrs(init.node().attrs, init.op(), spatial_dims), depthwise};
  if (depthwise) check_depthwise_strides(init.op(), attrs.window);
  return attrs;
}

ConvShape conv_shape(std::string_view op, const ConvAttrs& attrs, const Shape& input,
                     const Shape& filter) {
  const int dims = attrs.window.layout.spatial_dims;
  check_rank(op, "the input", input, dims + 2);
  check_rank(op, "the filter", filter, dims + 2);
  ConvShape shape;
  shape.spatial_dims = dims;
  shape.batch = input.dim(0);
  set_channels(op, shape, attrs.depthwise, input.dim(dims + 1), filter.dim(dims),
               filter.dim(dims + 1));
  for (int i = 0; i < dims; ++i) {
    const auto a = static_cast<std::size_t>(i);
    WindowAxis axis = attrs.window.axes[a];
    axis.size = filter.dim(i);
    if ((axis.size == 0 && !attrs.depthwise) || axis.size >= kMaxWindowSize) {
      throw invalid_argument(
          op, ": the filter's sizes must be in [1, 2^31). Details: its shape is ", filter, ".");
    }
    const WindowSteps steps = window_steps(op, input.dim(i + 1), axis, attrs.window.padding);
    shape.input[a] = input.dim(i + 1);
    shape.kernel[a] = axis.size;
    shape.output[a] = steps.output;
    shape.stride[a] = axis.stride;
    shape.dilation[a] = axis.dilation;
    shape.before[a] = steps.before;
  }
  return shape;
}

Shape conv_output(const ConvShape& shape) {
  std::vector<std::int64_t> dims{shape.batch};
  for (int i = 0; i < shape.spatial_dims; ++i)
    dims.push_back(shape.output[static_cast<std::size_t>(i)]);
  dims.push_back(shape.out_channels);
  return Shape(dims);
}

ConvKernel::ConvKernel(const KernelInit& init, int spatial_dims, bool depthwise)
    : attrs_(conv_attrs(init, spatial_dims, depthwise)),
      convolution_(ConvKind::kForward, init.input_is_stable(1)) {
  if (spatial_dims == 3 && attrs_.window.padding == Padding::kSame) {
    attrs_.window.padding = Padding::kSameCentered;
  }
}

void ConvKernel::compute(KernelContext& c) const {
  const ImageLayout& layout = attrs_.window.layout;
  check_rank(c.node().op_name, "the input", c.input(0).shape(), layout.rank());
  const Shape input =
      layout.channels_first ? channels_last(c.input(0).shape()) : c.input(0).shape();
  const ConvShape shape = conv_shape(c.node().op_name, attrs_, input, c.input(1).shape());
  if (is_empty(shape))
    return set_result(c, zeros(c, c.output_dtype(0), conv_output(shape)), layout);
  Tensor x = as_computed(c, c.input(0), layout);
  const Tensor filter =
      is_short_float(c.input(1).dtype()) ? converted(c, c.input(1), kFloat) : c.input(1);
  Tensor y = result_tensor(c, conv_output(shape), layout);
  if (x.dtype() == kFloat) {
    convolution_.run(c, shape, x.mutable_data<float>(), filter, y.mutable_data<float>());
  } else {
    dispatch_loops(x.dtype(), [&]<class T>() {
      conv_forward_loops<T>(c, shape, x.data<T>(), filter.data<T>(), y.mutable_data<T>());
    });
  }
  set_result(c, std::move(y), layout);
}

ConvBackwardDataKernel::ConvBackwardDataKernel(const KernelInit& init, int spatial_dims,
                                               bool depthwise, SizesFrom sizes)
    : attrs_(conv_attrs(init, spatial_dims, depthwise)),
      sizes_(sizes),
      convolution_(ConvKind::kBackwardData, init.input_is_stable(1)) {}

// Channels last. A vector of the spatial sizes alone takes the rest from the other inputs.
Shape ConvBackwardDataKernel::input_shape(const KernelContext& c, const Shape& filter,
                                          const Shape& gradient) const {
  const ImageLayout& layout = attrs_.window.layout;
  const std::string& op = c.node().op_name;
  if (sizes_ == SizesFrom::kTensor) return c.input(0).shape();
  std::vector<std::int64_t> sizes = integer_vector(c, 0, "input_sizes");
  if (sizes.size() == 2 && layout.spatial_dims == 2 && !attrs_.depthwise) {
    return Shape{gradient.dim(0), sizes[0], sizes[1], filter.dim(2)};
  }
  if (sizes.size() != static_cast<std::size_t>(layout.rank())) {
    throw invalid_argument(op, ": input_sizes must have ", layout.rank(),
                           " elements. Details: got [", join(sizes, ","), "].");
  }
  return layout.channels_first ? channels_last(Shape(sizes)) : Shape(sizes);
}

void ConvBackwardDataKernel::compute(KernelContext& c) const {
  const ImageLayout& layout = attrs_.window.layout;
  const std::string& op = c.node().op_name;
  check_rank(op, "the filter", c.input(1).shape(), layout.rank());
  check_rank(op, "the gradient", c.input(2).shape(), layout.rank());
  const Shape gradient =
      layout.channels_first ? channels_last(c.input(2).shape()) : c.input(2).shape();
  const Shape input = input_shape(c, c.input(1).shape(), gradient);
  const ConvShape shape = conv_shape(op, attrs_, input, c.input(1).shape());
  check_gradient(op, gradient, shape);
  if (is_empty(shape)) return set_result(c, zeros(c, c.output_dtype(0), input), layout);
  Tensor dy = as_computed(c, c.input(2), layout);
  const Tensor filter =
      is_short_float(c.input(1).dtype()) ? converted(c, c.input(1), kFloat) : c.input(1);
  Tensor dx = result_tensor(c, input, layout);
  if (dy.dtype() == kFloat) {
    convolution_.run(c, shape, dx.mutable_data<float>(), filter, dy.mutable_data<float>());
  } else {
    dispatch_loops(dy.dtype(), [&]<class T>() {
      conv_backward_data_loops<T>(c, shape, filter.data<T>(), dy.data<T>(), dx.mutable_data<T>());
    });
  }
  set_result(c, std::move(dx), layout);
}

ConvBackwardFilterKernel::ConvBackwardFilterKernel(const KernelInit& init, int spatial_dims,
                                                   bool depthwise, SizesFrom sizes)
    : attrs_(conv_attrs(init, spatial_dims, depthwise)),
      sizes_(sizes),
      convolution_(ConvKind::kBackwardFilter, false) {}

void ConvBackwardFilterKernel::compute(KernelContext& c) const {
  const ImageLayout& layout = attrs_.window.layout;
  const std::string& op = c.node().op_name;
  check_rank(op, "the input", c.input(0).shape(), layout.rank());
  check_rank(op, "the gradient", c.input(2).shape(), layout.rank());
  const Shape input =
      layout.channels_first ? channels_last(c.input(0).shape()) : c.input(0).shape();
  const Shape gradient =
      layout.channels_first ? channels_last(c.input(2).shape()) : c.input(2).shape();
  const Shape filter =
      sizes_ == SizesFrom::kTensor ? c.input(1).shape() : shape_input(c, 1, "filter_sizes");
  const ConvShape shape = conv_shape(op, attrs_, input, filter);
  check_gradient(op, gradient, shape);
  const ImageLayout as_is{layout.spatial_dims, false};
  if (is_empty(shape)) return set_result(c, zeros(c, c.output_dtype(0), filter), as_is);
  const Tensor x = as_computed(c, c.input(0), layout);
  const Tensor dy = as_computed(c, c.input(2), layout);
  Tensor result = result_tensor(c, filter, as_is);
  if (x.dtype() == kFloat) {
    convolution_.run_filter(c, shape, x.data<float>(), dy.data<float>(),
                            result.mutable_data<float>());
  } else {
    dispatch(TypeList<double>{}, x.dtype(), [&]<class T>() {
      conv_backward_filter_loops<T>(c, shape, x.data<T>(), dy.data<T>(), result.mutable_data<T>());
    });
  }
  set_result(c, std::move(result), as_is);
}

Shapes conv_shape_rule(ShapeContext& c, int spatial_dims, bool depthwise) {
  const std::string& op = c.node().op_name;
  const WindowAttrs window = convolution_attrs(c.node().attrs, op, spatial_dims);
  const ImageLayout& layout = window.layout;
  const PartialShape input = c.with_rank(0, layout.rank());
  const PartialShape filter = c.with_rank(1, layout.rank());
  const std::int64_t depth = input.dim(layout.channel_axis());
  const std::int64_t filter_depth = filter.dim(spatial_dims), width = filter.dim(spatial_dims + 1);
  std::vector<std::int64_t> dims(static_cast<std::size_t>(layout.rank()), -1);
  dims[0] = input.dim(0);
  std::int64_t& channels = dims[static_cast<std::size_t>(layout.channel_axis())];
  if (depthwise) {
    const std::int64_t common = merge_dims(depth, filter_depth, "The depths of input and filter");
    if (common >= 0 && width >= 0)
      channels = mul_or_throw(common, width, "The number of output channels");
  } else {
    channels = width;
    ConvShape checked;
    if (depth >= 0 && filter_depth > 0 && width >= 0)
      set_channels(op, checked, false, depth, filter_depth, width);
  }
  for (int i = 0; i < spatial_dims; ++i) {
    WindowAxis axis = window.axes[static_cast<std::size_t>(i)];
    axis.size = filter.dim(i);
    // The same padding does not depend on the filter.
    if (axis.size < 0 && window.padding == Padding::kSame) axis.size = 1;
    if (axis.size < 1 || axis.size >= kMaxWindowSize) continue;
    dims[static_cast<std::size_t>(layout.spatial_axis(i))] =
        window_output(op, input.dim(layout.spatial_axis(i)), axis, window.padding);
  }
  return {PartialShape(std::move(dims))};
}

}  // namespace hub
