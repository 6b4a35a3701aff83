// Maximum pools of images, and their gradients. A window's maximum starts from the dtype's
// lowest finite value, and NaN never is one, as in TensorFlow.

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

template <class T>
bool is_larger(T a, T b) {
  return static_cast<Wide<T>>(a) > static_cast<Wide<T>>(b);
}

template <class T>
void take_larger(const T* x, std::int64_t count, T* maximum) {
  for_channels(count, [=](std::int64_t i) {
    const T value = x[i], best = maximum[i];
    maximum[i] = is_larger(value, best) ? value : best;
  });
}

double window_ns(const ConvShape& s) {
  return 0.3 * static_cast<double>(pixels(s.kernel)) * static_cast<double>(s.in_channels) + 5;
}

template <class T>
void max_pool(KernelContext& c, const ConvShape& shape, T start, const T* x, T* y) {
  const ConvShape s = as_volume(shape);
  const std::int64_t outputs = pixels(s.output), channels = s.in_channels;
  if constexpr (std::is_same_v<T, float>) {
    return c.parallel_for(
        s.batch * outputs, window_ns(s) / 4,
        [&](std::int64_t begin, std::int64_t end) { max_pool_float(s, start, x, y, begin, end); });
  }
  c.parallel_for(s.batch * outputs, window_ns(s), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* image = x + i / outputs * pixels(s.input) * channels;
      T* result = y + i * channels;
      std::fill_n(result, channels, start);
      each_tap(s, position(i % outputs, s.output), [&](std::int64_t, std::int64_t pixel) {
        take_larger(image + pixel * channels, channels, result);
      });
    }
  });
}

// Where the first largest element of a window is: its pixel, for channels [first, last). A
// NaN counts only where it comes first.
template <class T>
void find_maxima(const ConvShape& s, const T* image, std::int64_t output, std::int64_t first,
                 std::int64_t last, T* maxima, std::int64_t* at) {
  bool is_first = true;
  each_tap(s, position(output, s.output), [&](std::int64_t, std::int64_t pixel) {
    const T* values = image + pixel * s.in_channels;
    for (std::int64_t i = first; i < last; ++i) {
      if (!is_first && !is_larger(values[i], maxima[i - first])) continue;
      maxima[i - first] = values[i];
      at[i - first] = pixel;
    }
    is_first = false;
  });
}

// Images, and the channels of each in parts: what one thread does of a gradient.
struct ChannelParts {
  static constexpr std::int64_t kWidth = 64;
  explicit ChannelParts(const ConvShape& s)
      : channels(s.in_channels), parts((channels + kWidth - 1) / kWidth) {}
  std::int64_t image(std::int64_t item) const { return item / parts; }
  std::int64_t first(std::int64_t item) const { return item % parts * kWidth; }
  std::int64_t last(std::int64_t item) const { return std::min(first(item) + kWidth, channels); }
  std::int64_t channels;
  std::int64_t parts;
};

double part_ns(const ConvShape& s) {
  return static_cast<double>(pixels(s.output) * pixels(s.kernel)) *
         static_cast<double>(ChannelParts::kWidth);
}

// dx gets each gradient at its window's maximum.
template <class T>
void max_pool_grad(KernelContext& c, const ConvShape& shape, const T* x, const T* dy, T* dx) {
  const ConvShape s = as_volume(shape);
  const ChannelParts parts(s);
  const std::int64_t outputs = pixels(s.output), channels = s.in_channels, inputs = pixels(s.input);
  std::fill_n(dx, s.batch * inputs * channels, T{});
  c.parallel_for(s.batch * parts.parts, part_ns(s), [&](std::int64_t begin, std::int64_t end) {
    std::array<T, ChannelParts::kWidth> maxima;
    std::array<std::int64_t, ChannelParts::kWidth> at;
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t first = parts.first(item), last = parts.last(item);
      const T* image = x + parts.image(item) * inputs * channels;
      T* result = dx + parts.image(item) * inputs * channels;
      for (std::int64_t output = 0; output < outputs; ++output) {
        find_maxima(s, image, output, first, last, maxima.data(), at.data());
        const T* gradients = dy + (parts.image(item) * outputs + output) * channels;
        for (std::int64_t i = first; i < last; ++i) {
          T& sum = result[at[static_cast<std::size_t>(i - first)] * channels + i];
          sum = static_cast<T>(static_cast<Wide<T>>(sum) + static_cast<Wide<T>>(gradients[i]));
        }
      }
    }
  });
}

class MaxPoolKernel final : public PoolKernel {
 public:
  MaxPoolKernel(const KernelInit& init, int first_input)
      : PoolKernel(init, 2), first_input_(first_input) {}
  void compute(KernelContext& c) const override {
    const WindowAttrs attrs = window(c, first_input_);
    const Shape input = channels_last_shape(c, 0);
    if (attrs.channel_size > 1) return pool_channels(c, attrs, input);
    const ConvShape shape = pool_shape(c.node().op_name, attrs, input);
    const Tensor x = channels_last_input(c, 0);
    Tensor y = result(c, pool_output(shape));
    if (y.num_elements() != 0) {
      dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
        max_pool<T>(c, shape, lowest_finite<T>(), x.data<T>(), y.mutable_data<T>());
      });
    }
    finish(c, std::move(y));
  }

 private:
  // Maxima of neighbouring channels; the strides over the image do not count.
  void pool_channels(KernelContext& c, const WindowAttrs& attrs, const Shape& input) const {
    const std::int64_t channels = input.dim(3), size = attrs.channel_size;
    if (attrs.axes[0].size != 1 || attrs.axes[1].size != 1 || channels % size != 0 ||
        attrs.channel_stride != size) {
      throw unimplemented(
          c.node().op_name,
          ": a window over channels must divide them, be equal to its stride and cover one "
          "pixel. Details: ",
          channels, " channels, window ", attrs.axes[0].size, "x", attrs.axes[1].size, "x", size,
          ", stride ", attrs.channel_stride, ".");
    }
    const Tensor x = channels_last_input(c, 0);
    Tensor y = result(c, input.with_dim(3, channels / size));
    dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      T* to = y.mutable_data<T>();
      for (std::int64_t i = 0; i < y.num_elements(); ++i) {
        to[i] = *std::max_element(from + i * size, from + (i + 1) * size,
                                  [](T a, T b) { return is_larger(b, a); });
      }
    });
    finish(c, std::move(y));
  }

  int first_input_;
};

// (input, output, gradient): the output is not read.
class MaxPoolGradKernel final : public PoolKernel {
 public:
  MaxPoolGradKernel(const KernelInit& init, int first_input)
      : PoolKernel(init, 2), first_input_(first_input) {}
  void compute(KernelContext& c) const override {
    const WindowAttrs attrs = window(c, first_input_);
    const ConvShape shape = pool_shape(c.node().op_name, attrs, channels_last_shape(c, 0));
    if (attrs.channel_size > 1) {
      throw unimplemented(c.node().op_name, ": a window over channels has no gradient.");
    }
    check_shape(c, "the pool's output", channels_last_shape(c, 1), pool_output(shape));
    check_shape(c, "the gradient", channels_last_shape(c, 2), pool_output(shape));
    const Tensor x = channels_last_input(c, 0);
    const Tensor dy = channels_last_input(c, 2);
    Tensor dx = result(c, x.shape());
    dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
      max_pool_grad<T>(c, shape, x.data<T>(), dy.data<T>(), dx.mutable_data<T>());
    });
    finish(c, std::move(dx));
  }

 private:
  int first_input_;
};

// (input, output, gradient of the gradient): picks what lies at the first element that
// equals the window's output.
class MaxPoolGradGradKernel final : public PoolKernel {
 public:
  MaxPoolGradGradKernel(const KernelInit& init, int first_input, int spatial_dims)
      : PoolKernel(init, spatial_dims), first_input_(first_input) {}
  void compute(KernelContext& c) const override {
    const WindowAttrs attrs = window(c, first_input_);
    const ConvShape shape = pool_shape(c.node().op_name, attrs, channels_last_shape(c, 0));
    check_shape(c, "the pool's output", channels_last_shape(c, 1), pool_output(shape));
    check_shape(c, "the gradient's gradient", channels_last_shape(c, 2), channels_last_shape(c, 0));
    const Tensor x = channels_last_input(c, 0), y = channels_last_input(c, 1),
                 ddx = channels_last_input(c, 2);
    Tensor ddy = result(c, pool_output(shape));
    dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
      pick<T>(c, as_volume(shape), x.data<T>(), y.data<T>(), ddx.data<T>(), ddy.mutable_data<T>());
    });
    finish(c, std::move(ddy));
  }

 private:
  template <class T>
  static void pick(KernelContext& c, const ConvShape& s, const T* x, const T* y, const T* from,
                   T* to) {
    const std::int64_t outputs = pixels(s.output), channels = s.in_channels;
    c.parallel_for(s.batch * outputs, 2 * window_ns(s), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin * channels; i < end * channels; ++i) {
        const std::int64_t output = i / channels;
        const std::int64_t image = output / outputs * pixels(s.input) * channels + i % channels;
        const auto wanted = static_cast<Wide<T>>(y[i]);
        bool found = false;
        to[i] = T{};
        each_tap(s, position(output % outputs, s.output), [&](std::int64_t, std::int64_t pixel) {
          if (found || static_cast<Wide<T>>(x[image + pixel * channels]) != wanted) return;
          found = true;
          to[i] = from[image + pixel * channels];
        });
      }
    });
  }

  int first_input_;
};

// The maxima and their flat indices in the batch or in their image.
class MaxPoolWithArgmaxKernel final : public PoolKernel {
 public:
  explicit MaxPoolWithArgmaxKernel(const KernelInit& init)
      : PoolKernel(init, 2), batch_in_index_(init.attr<bool>("include_batch_in_index")) {}
  void compute(KernelContext& c) const override {
    const ConvShape shape = pool_shape(c.node().op_name, window(c, -1), channels_last_shape(c, 0));
    const Tensor& x = c.input(0);
    if (x.num_elements() == 0) {
      throw invalid_argument(
          "MaxPoolWithArgmax: the input must have elements. Details: its shape is ", x.shape(),
          ".");
    }
    Tensor& y = c.output(0, pool_output(shape));
    Tensor& argmax = c.output(1, pool_output(shape));
    if (y.num_elements() == 0) return;
    dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
      dispatch(Indices{}, argmax.dtype(), [&]<class Index>() {
        find<T, Index>(c, as_volume(shape), x.data<T>(), y.mutable_data<T>(),
                       argmax.mutable_data<Index>());
      });
    });
  }

 private:
  template <class T, class Index>
  void find(KernelContext& c, const ConvShape& s, const T* x, T* y, Index* argmax) const {
    const std::int64_t outputs = pixels(s.output), channels = s.in_channels,
                       image_size = pixels(s.input) * channels;
    c.parallel_for(s.batch * outputs, 3 * window_ns(s), [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::int64_t> at(static_cast<std::size_t>(channels));
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t image = i / outputs;
        find_maxima(s, x + image * image_size, i % outputs, 0, channels, y + i * channels,
                    at.data());
        const std::int64_t base = batch_in_index_ ? image * image_size : 0;
        for (std::int64_t channel = 0; channel < channels; ++channel) {
          const std::int64_t index = at[static_cast<std::size_t>(channel)] * channels + channel;
          argmax[i * channels + channel] = static_cast<Index>(base + index);
        }
      }
    });
  }

  bool batch_in_index_;
};

// (input, gradient, argmax): dx at each flat index gets the gradient.
class MaxPoolGradWithArgmaxKernel final : public PoolKernel {
 public:
  explicit MaxPoolGradWithArgmaxKernel(const KernelInit& init)
      : PoolKernel(init, 2), batch_in_index_(init.attr<bool>("include_batch_in_index")) {}
  void compute(KernelContext& c) const override {
    const ConvShape shape = pool_shape(c.node().op_name, window(c, -1), channels_last_shape(c, 0));
    const Tensor& dy = c.input(1);
    const Tensor& argmax = c.input(2);
    check_shape(c, "the gradient", dy.shape(), pool_output(shape));
    check_shape(c, "argmax", argmax.shape(), pool_output(shape));
    Tensor& dx = c.output(0, c.input(0).shape());
    dispatch(RealNumbers{}, dy.dtype(), [&]<class T>() {
      dispatch(Indices{}, argmax.dtype(), [&]<class Index>() {
        scatter<T, Index>(c, shape, dy.data<T>(), argmax.data<Index>(), dx);
      });
    });
  }

 private:
  template <class T, class Index>
  void scatter(const KernelContext& c, const ConvShape& s, const T* dy, const Index* argmax,
               Tensor& dx) const {
    T* result = dx.mutable_data<T>();
    const std::int64_t image_size = s.in_pixels() * s.in_channels;
    const std::int64_t outputs = s.out_pixels() * s.out_channels;
    const std::int64_t limit = batch_in_index_ ? dx.num_elements() : image_size;
    std::fill_n(result, dx.num_elements(), T{});
    for (std::int64_t i = 0; i < s.batch * outputs; ++i) {
      const auto index = static_cast<std::int64_t>(argmax[i]);
      if (index < 0 || index >= limit) {
        throw invalid_argument(c.node().op_name, ": argmax must be in [0, ", limit,
                               "). Details: element ", i, " is ", index, ".");
      }
      T& sum = result[index + (batch_in_index_ ? 0 : i / outputs * image_size)];
      sum = static_cast<T>(static_cast<Wide<T>>(sum) + static_cast<Wide<T>>(dy[i]));
    }
  }

  bool batch_in_index_;
};

template <class K, int... kArguments>
std::unique_ptr<Kernel> make_pool(const KernelInit& init) {
  return std::make_unique<K>(init, kArguments...);
}

Shapes with_argmax_shape(ShapeContext& c) {
  const PartialShape shape = pool_shape_rule<2>(c)[0];
  return {shape, shape};
}

template <int kRank>
Shapes grad_grad_shape(ShapeContext& c) {
  return {c.with_rank(1, kRank)};
}

constexpr OpDef kOps[] = {
    {.name = "MaxPool",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double, int32, int64, uint8, int16, int8, uint16, "
              "qint8} = float; ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', "
              "'VALID', 'EXPLICIT'}; explicit_paddings: list(int) = []; data_format: {'NHWC', "
              "'NCHW', 'NCHW_VECT_C'} = 'NHWC'",
     .shape = pool_shape_rule<2>,
     .kernel = make_pool<MaxPoolKernel, -1>},
    {.name = "MaxPool3DGradGrad",
     .inputs = "orig_input: T, orig_output: T, grad: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
              "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: realnumbertype",
     .shape = grad_grad_shape<5>,
     .kernel = make_pool<MaxPoolGradGradKernel, -1, 3>},
    {.name = "MaxPoolGrad",
     .inputs = "orig_input: T, orig_output: T, grad: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', 'VALID', "
              "'EXPLICIT'}; explicit_paddings: list(int) = []; data_format: {'NHWC', "
              "'NCHW'} = 'NHWC'; T: realnumbertype = float",
     .shape = pool_grad_shape<4>,
     .kernel = make_pool<MaxPoolGradKernel, -1>},
    {.name = "MaxPoolGradGrad",
     .inputs = "orig_input: T, orig_output: T, grad: T",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', 'VALID'}; "
              "data_format: {'NHWC', 'NCHW'} = 'NHWC'; T: realnumbertype",
     .shape = grad_grad_shape<4>,
     .kernel = make_pool<MaxPoolGradGradKernel, -1, 2>},
    {.name = "MaxPoolGradGradV2",
     .inputs = "orig_input: T, orig_output: T, grad: T, ksize: int32, strides: int32",
     .outputs = "output: T",
     .attrs = "padding: {'SAME', 'VALID'}; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
              "T: realnumbertype",
     .shape = grad_grad_shape<4>,
     .kernel = make_pool<MaxPoolGradGradKernel, 3, 2>,
     .differentiable = Differentiable::kRefused},
    {.name = "MaxPoolGradV2",
     .inputs = "orig_input: T, orig_output: T, grad: T, ksize: int32, strides: int32",
     .outputs = "output: T",
     .attrs = "padding: {'SAME', 'VALID'}; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
              "T: realnumbertype = float",
     .shape = pool_grad_shape<4>,
     .kernel = make_pool<MaxPoolGradKernel, 3>},
    {.name = "MaxPoolGradWithArgmax",
     .inputs = "input: T, grad: T, argmax: Targmax",
     .outputs = "output: T",
     .attrs = "ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', 'VALID'}; "
              "include_batch_in_index: bool = false; Targmax: {int32, int64}; T: realnumbertype",
     .shape = pool_grad_shape<4>,
     .kernel = make_pool<MaxPoolGradWithArgmaxKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "MaxPoolV2",
     .inputs = "input: T, ksize: int32, strides: int32",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double, int32, int64, uint8, int16, int8, uint16, "
              "qint8} = float; padding: {'SAME', 'VALID'}; data_format: {'NHWC', 'NCHW', "
              "'NCHW_VECT_C'} = 'NHWC'",
     .shape = pool_shape_rule<2, 1>,
     .kernel = make_pool<MaxPoolKernel, 1>},
    {.name = "MaxPoolWithArgmax",
     .inputs = "input: T",
     .outputs = "output: T, argmax: Targmax",
     .attrs = "ksize: list(int) >= 4; strides: list(int) >= 4; Targmax: {int32, int64} = int64; "
              "padding: {'SAME', 'VALID'}; include_batch_in_index: bool = false; "
              "T: realnumbertype",
     .shape = with_argmax_shape,
     .kernel = make_pool<MaxPoolWithArgmaxKernel>},
};

}  // namespace

OpFamily nn_max_pool_ops() { return kOps; }

}  // namespace hub
