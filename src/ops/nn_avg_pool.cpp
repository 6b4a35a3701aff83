// Average pools of images and volumes, and their gradients. A window that reaches over the
// edge is divided by the elements that it really covers.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/channels.h"
#include "ops/kernels/conv_loops.h"
#include "ops/kernels/pool_float.h"
#include "ops/kernels/window_loops.h"
#include "ops/nn_layout.h"
#include "ops/nn_pool.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using dnn::ConvShape;

double window_ns(const ConvShape& s) {
  return 0.3 * static_cast<double>(pixels(s.kernel)) * static_cast<double>(s.in_channels) + 5;
}

std::int64_t covered(const ConvShape& s, const std::array<std::int64_t, 3>& output) {
  std::int64_t count = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t begin = output[i] * s.stride[i] - s.before[i];
    count *= std::min(begin + s.kernel[i], s.input[i]) - std::max<std::int64_t>(begin, 0);
  }
  return count;
}

template <class T>
void average_pool(KernelContext& c, const ConvShape& shape, const T* x, T* y) {
  const ConvShape s = as_volume(shape);
  const std::int64_t outputs = pixels(s.output), channels = s.in_channels;
  if constexpr (std::is_same_v<T, float>) {
    return c.parallel_for(
        s.batch * outputs, window_ns(s) / 4,
        [&](std::int64_t begin, std::int64_t end) { average_pool_float(s, x, y, begin, end); });
  }
  c.parallel_for(s.batch * outputs, window_ns(s), [&](std::int64_t begin, std::int64_t end) {
    std::vector<Wide<T>> sums(static_cast<std::size_t>(channels));
    for (std::int64_t i = begin; i < end; ++i) {
      const T* image = x + i / outputs * pixels(s.input) * channels;
      const auto output = position(i % outputs, s.output);
      std::ranges::fill(sums, Wide<T>{});
      Wide<T>* sum = sums.data();
      each_tap(s, output, [&](std::int64_t, std::int64_t pixel) {
        const T* values = image + pixel * channels;
        for_channels(channels, [=](std::int64_t j) { sum[j] += static_cast<Wide<T>>(values[j]); });
      });
      const auto count = static_cast<Wide<T>>(covered(s, output));
      T* result = y + i * channels;
      for_channels(channels, [=](std::int64_t j) { result[j] = static_cast<T>(sum[j] / count); });
    }
  });
}

template <class T>
void average_pool_grad(KernelContext& c, const ConvShape& shape, const T* dy, T* dx) {
  const ConvShape s = as_volume(shape);
  const std::int64_t inputs = pixels(s.input), outputs = pixels(s.output), channels = s.in_channels;
  std::vector<Wide<T>> weights(static_cast<std::size_t>(outputs));  // of a window's elements
  for (std::int64_t i = 0; i < outputs; ++i) {
    weights[static_cast<std::size_t>(i)] =
        1 / static_cast<Wide<T>>(covered(s, position(i, s.output)));
  }
  c.parallel_for(s.batch * inputs, window_ns(s), [&](std::int64_t begin, std::int64_t end) {
    std::vector<Wide<T>> sums(static_cast<std::size_t>(channels));
    for (std::int64_t i = begin; i < end; ++i) {
      const T* gradients = dy + i / inputs * outputs * channels;
      std::ranges::fill(sums, Wide<T>{});
      Wide<T>* sum = sums.data();
      each_window(s, position(i % inputs, s.input), [&](std::int64_t, std::int64_t output) {
        const T* values = gradients + output * channels;
        const Wide<T> weight = weights[static_cast<std::size_t>(output)];
        for_channels(channels,
                     [=](std::int64_t j) { sum[j] += static_cast<Wide<T>>(values[j]) * weight; });
      });
      for (std::int64_t j = 0; j < channels; ++j) dx[i * channels + j] = static_cast<T>(sum[j]);
    }
  });
}

void check_channel_window(const KernelContext& c, const WindowAttrs& attrs) {
  if (attrs.channel_size == 1) return;
  throw unimplemented(c.node().op_name,
                      ": pooling over channels is not supported. Details: the window covers ",
                      attrs.channel_size, " channels.");
}

template <int kSpatialDims>
class AvgPoolKernel final : public PoolKernel {
 public:
  explicit AvgPoolKernel(const KernelInit& init) : PoolKernel(init, kSpatialDims) {}
  void compute(KernelContext& c) const override {
    WindowAttrs attrs = window(c, -1);
    check_channel_window(c, attrs);
    if (kSpatialDims == 3 && attrs.padding == Padding::kSame)
      attrs.padding = Padding::kSameCentered;
    const ConvShape shape = pool_shape(c.node().op_name, attrs, channels_last_shape(c, 0));
    const Tensor x = channels_last_input(c, 0);
    Tensor y = result(c, pool_output(shape));
    if (y.num_elements() != 0) {
      dispatch(Floats{}, x.dtype(),
               [&]<class T>() { average_pool<T>(c, shape, x.data<T>(), y.mutable_data<T>()); });
    }
    finish(c, std::move(y));
  }
};

// (shape of the input, gradient).
template <int kSpatialDims>
class AvgPoolGradKernel final : public PoolKernel {
 public:
  explicit AvgPoolGradKernel(const KernelInit& init) : PoolKernel(init, kSpatialDims) {}
  void compute(KernelContext& c) const override {
    const WindowAttrs attrs = window(c, -1);
    check_channel_window(c, attrs);
    Shape input = shape_input(c, 0, "orig_input_shape");
    if (input.rank() == kSpatialDims + 2 && attrs.layout.channels_first)
      input = channels_last(input);
    const ConvShape shape = pool_shape(c.node().op_name, attrs, input);
    check_shape(c, "the gradient", channels_last_shape(c, 1), pool_output(shape));
    const Tensor dy = channels_last_input(c, 1);
    Tensor dx = result(c, input);
    if (dx.num_elements() != 0) {
      dispatch(Floats{}, dy.dtype(), [&]<class T>() {
        average_pool_grad<T>(c, shape, dy.data<T>(), dx.mutable_data<T>());
      });
    }
    finish(c, std::move(dx));
  }
};

template <int kRank>
Shapes grad_shape(ShapeContext& c) {
  return {c.input_as_shape(0).merge_with(PartialShape::unknown_dims(kRank))};
}

constexpr OpDef kOps[] = {
    {.name = "AvgPool",
     .inputs = "value: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', 'VALID'}; "
              "data_format: {'NHWC', 'NCHW'} = 'NHWC'; T: {half, bfloat16, float, double}",
     .shape = pool_shape_rule<2>,
     .kernel = make_kernel<AvgPoolKernel<2>>},
    {.name = "AvgPool3D",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
              "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: {half, bfloat16, float, double}",
     .shape = pool_shape_rule<3>,
     .kernel = make_kernel<AvgPoolKernel<3>>},
    {.name = "AvgPool3DGrad",
     .inputs = "orig_input_shape: int32, grad: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
              "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: {half, bfloat16, float, double}",
     .shape = grad_shape<5>,
     .kernel = make_kernel<AvgPoolGradKernel<3>>},
    {.name = "AvgPoolGrad",
     .inputs = "orig_input_shape: int32, grad: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', 'VALID'}; "
              "data_format: {'NHWC', 'NCHW'} = 'NHWC'; T: {half, bfloat16, float, double}",
     .shape = grad_shape<4>,
     .kernel = make_kernel<AvgPoolGradKernel<2>>},
};

}  // namespace

OpFamily nn_avg_pool_ops() { return kOps; }

}  // namespace hub
