// Maximum pools of volumes, and their gradients, which follow another rule than those of
// images: every element that (nearly) equals its window's output gets the gradient.

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernels/window_loops.h"
#include "ops/nn_layout.h"
#include "ops/nn_pool.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using dnn::ConvShape;
using PoolTypes = TypeList<float, Half, BFloat16>;

double window_ns(const ConvShape& s) {
  return 0.5 * static_cast<double>(pixels(s.kernel)) * static_cast<double>(s.in_channels) + 5;
}

void check_channel_window(const KernelContext& c, const WindowAttrs& attrs) {
  if (attrs.channel_size == 1) return;
  throw unimplemented(c.node().op_name,
                      ": pooling over channels is not supported. Details: the window covers ",
                      attrs.channel_size, " channels.");
}

// The maximum starts from -inf; NaN is passed over, but a window of nothing else gives NaN.
template <class T>
void max_pool(KernelContext& c, const ConvShape& s, const T* x, T* y) {
  const std::int64_t outputs = pixels(s.output), channels = s.in_channels;
  c.parallel_for(s.batch * outputs, window_ns(s), [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> maxima(static_cast<std::size_t>(channels));
    for (std::int64_t i = begin; i < end; ++i) {
      const T* image = x + i / outputs * pixels(s.input) * channels;
      std::ranges::fill(maxima, std::numeric_limits<float>::quiet_NaN());
      each_tap(s, position(i % outputs, s.output), [&](std::int64_t, std::int64_t pixel) {
        const T* values = image + pixel * channels;
        float* maximum = maxima.data();
        for (std::int64_t j = 0; j < channels; ++j) {
          const auto value = static_cast<float>(values[j]);
          maximum[j] = value <= maximum[j] || std::isnan(value) ? maximum[j] : value;
        }
      });
      for (std::int64_t j = 0; j < channels; ++j)
        y[i * channels + j] = static_cast<T>(maxima[static_cast<std::size_t>(j)]);
    }
  });
}

// Elements this close to the maximum count as equal to it (infinities are not).
constexpr float kEqual = 1e-5f;

template <class T>
void max_pool_grad(KernelContext& c, const ConvShape& s, const T* x, const T* y, const T* dy,
                   T* dx) {
  const std::int64_t inputs = pixels(s.input), outputs = pixels(s.output), channels = s.in_channels;
  c.parallel_for(s.batch * inputs, window_ns(s), [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sums(static_cast<std::size_t>(channels));
    for (std::int64_t i = begin; i < end; ++i) {
      const T* values = x + i * channels;
      const std::int64_t base = i / inputs * outputs;
      std::ranges::fill(sums, 0.0f);
      each_window(s, position(i % inputs, s.input), [&](std::int64_t, std::int64_t output) {
        const T* maxima = y + (base + output) * channels;
        const T* gradients = dy + (base + output) * channels;
        float* sum = sums.data();
        for (std::int64_t j = 0; j < channels; ++j) {
          const float distance =
              std::abs(static_cast<float>(values[j]) - static_cast<float>(maxima[j]));
          if (distance < kEqual) sum[j] += static_cast<float>(gradients[j]);
        }
      });
      for (std::int64_t j = 0; j < channels; ++j)
        dx[i * channels + j] = static_cast<T>(sums[static_cast<std::size_t>(j)]);
    }
  });
}

class MaxPool3DKernel final : public PoolKernel {
 public:
  explicit MaxPool3DKernel(const KernelInit& init) : PoolKernel(init, 3) {}
  void compute(KernelContext& c) const override {
    WindowAttrs attrs = window(c, -1);
    check_channel_window(c, attrs);
    if (attrs.padding == Padding::kSame) attrs.padding = Padding::kSameCentered;
    const ConvShape shape = pool_shape(c.node().op_name, attrs, channels_last_shape(c, 0));
    const Tensor x = channels_last_input(c, 0);
    Tensor y = result(c, pool_output(shape));
    if (y.num_elements() != 0) {
      dispatch(PoolTypes{}, x.dtype(),
               [&]<class T>() { max_pool<T>(c, shape, x.data<T>(), y.mutable_data<T>()); });
    }
    finish(c, std::move(y));
  }
};

// (input, output, gradient).
class MaxPool3DGradKernel final : public PoolKernel {
 public:
  explicit MaxPool3DGradKernel(const KernelInit& init) : PoolKernel(init, 3) {}
  void compute(KernelContext& c) const override {
    const WindowAttrs attrs = window(c, -1);
    check_channel_window(c, attrs);
    const ConvShape shape = pool_shape(c.node().op_name, attrs, channels_last_shape(c, 0));
    check_shape(c, "the pool's output", channels_last_shape(c, 1), pool_output(shape));
    check_shape(c, "the gradient", channels_last_shape(c, 2), pool_output(shape));
    if (c.input(0).dtype() != c.input(2).dtype()) {
      throw unimplemented(c.node().op_name, ": the gradient must have the input's dtype. Details: ",
                          c.input(2).dtype(), " and ", c.input(0).dtype(), ".");
    }
    const Tensor x = channels_last_input(c, 0), y = channels_last_input(c, 1),
                 dy = channels_last_input(c, 2);
    Tensor dx = result(c, x.shape());
    dispatch(PoolTypes{}, x.dtype(), [&]<class T>() {
      max_pool_grad<T>(c, shape, x.data<T>(), y.data<T>(), dy.data<T>(), dx.mutable_data<T>());
    });
    finish(c, std::move(dx));
  }
};

constexpr OpDef kOps[] = {
    {.name = "MaxPool3D",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
              "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: {half, bfloat16, float}",
     .shape = pool_shape_rule<3>,
     .kernel = make_kernel<MaxPool3DKernel>},
    {.name = "MaxPool3DGrad",
     .inputs = "orig_input: TInput, orig_output: TInput, grad: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
              "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: {half, bfloat16, float} = float; "
              "TInput: {half, bfloat16, float} = float",
     .shape = pool_grad_shape<5>,
     .kernel = make_kernel<MaxPool3DGradKernel>},
};

}  // namespace

OpFamily nn_max_pool3d_ops() { return kOps; }

}  // namespace hub
