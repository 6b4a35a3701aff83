// Batch normalisation, fused: inference with given statistics, or training with those of the
// batch. Output 2 is the variance with Bessel's correction, the reserve spaces hold what the
// gradient needs: the batch's mean and its variance without the correction.

#include <cmath>
#include <limits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/channels.h"
#include "ops/kernel.h"
#include "ops/row_sums.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using BatchNormTypes = TypeList<float, Half, BFloat16>;

bool channels_first(std::string_view data_format) { return data_format.starts_with("NC"); }

struct Moments {
  std::vector<float> mean;
  std::vector<float> variance;  // of the batch, not of the population
};

// Elements of a channel.
float count_of(const ChannelView& view) {
  return static_cast<float>(view.outer) * static_cast<float>(view.inner);
}

// Two passes, so that the variance of large values does not cancel.
template <class T>
Moments moments(KernelContext& c, const ChannelView& view, const T* x) {
  const float share = 1 / count_of(view);  // of an element in the mean
  const std::int64_t row = view.channels * view.inner;
  Moments result;
  const auto sums = row_sums<float>(
      c, view.outer, view.channels, row, [&](std::int64_t begin, std::int64_t end, float* sum) {
        each_element(view, begin, end, [=](std::int64_t channel, std::int64_t i) {
          sum[channel] += static_cast<float>(x[i]);
        });
      });
  for (const double sum : sums) result.mean.push_back(static_cast<float>(sum) * share);
  const float* mean = result.mean.data();
  const auto squares = row_sums<float>(
      c, view.outer, view.channels, row, [&](std::int64_t begin, std::int64_t end, float* sum) {
        each_element(view, begin, end, [=](std::int64_t channel, std::int64_t i) {
          const float centered = static_cast<float>(x[i]) - mean[channel];
          sum[channel] += centered * centered;
        });
      });
  for (const double sum : squares) result.variance.push_back(static_cast<float>(sum) * share);
  return result;
}

// y = (x - mean) * scale / sqrt(variance + epsilon) + offset.
template <class T>
void normalize(KernelContext& c, const ChannelView& view, const T* x, const float* mean,
               const float* variance, const float* scale, const float* offset, float epsilon,
               T* y) {
  std::vector<float> factors(static_cast<std::size_t>(view.channels));
  for (std::size_t i = 0; i < factors.size(); ++i)
    factors[i] = 1 / std::sqrt(variance[i] + epsilon) * scale[i];
  const float* factor = factors.data();
  each_element(c, view, 0.4, [=](std::int64_t channel, std::int64_t i) {
    y[i] = static_cast<T>((static_cast<float>(x[i]) - mean[channel]) * factor[channel] +
                          offset[channel]);
  });
}

class BatchNormKernel final : public Kernel {
 public:
  explicit BatchNormKernel(const KernelInit& init)
      : epsilon_(init.attr<float>("epsilon")),
        average_factor_(init.attr<float>("exponential_avg_factor")),
        training_(init.attr<bool>("is_training")),
        channels_first_(channels_first(init.attr<std::string>("data_format"))) {}

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    if (x.rank() != 4 && x.rank() != 5) {
      throw invalid_argument(c.node().op_name, ": x must have rank 4 or 5. Details: its shape is ",
                             x.shape(), ".");
    }
    const ChannelView view = channel_view(x.shape(), channels_first_ ? 1 : x.rank() - 1);
    check_vector(c, 1, "scale", view.channels);
    check_vector(c, 2, "offset", view.channels);
    const bool uses_given = !training_ || average_factor_ != 1;
    for (const int i : {3, 4}) {
      if (uses_given) {
        check_vector(c, i, i == 3 ? "mean" : "variance", view.channels);
      } else if (c.input(i).rank() != 1) {
        throw invalid_argument(c.node().op_name,
                               ": mean and variance must be vectors. Details: their shapes are ",
                               c.input(3).shape(), " and ", c.input(4).shape(), ".");
      }
    }
    if (c.num_outputs() > 5) c.output(5, Shape{}).mutable_data<float>()[0] = 0;
    if (x.num_elements() == 0) {
      compute_empty(c);
    } else if (training_) {
      train(c, view);
    } else {
      infer(c, view);
    }
  }

 private:
  static void check_vector(const KernelContext& c, int input, std::string_view what,
                           std::int64_t channels) {
    const Tensor& vector = c.input(input);
    if (vector.rank() == 1 && vector.dim(0) == channels) return;
    throw invalid_argument(c.node().op_name, ": ", what,
                           " must be a vector with one element for each channel. Details: "
                           "its shape is ",
                           vector.shape(), ", x has ", channels, " channels.");
  }

  static float* vector_output(KernelContext& c, int i, const Shape& shape) {
    return c.output(i, shape).mutable_data<float>();
  }

  // As in TensorFlow: mean and variance of nothing are NaN, in inference too.
  static void compute_empty(KernelContext& c) {
    c.output(0, c.input(0).shape());
    const Shape shape = c.input(1).shape();
    for (int i = 1; i < 5; ++i) {
      float* values = vector_output(c, i, shape);
      std::fill_n(values, shape.num_elements(),
                  i < 3 ? std::numeric_limits<float>::quiet_NaN() : 0.0f);
    }
  }

  void infer(KernelContext& c, const ChannelView& view) const {
    const float* mean = c.input(3).data<float>();
    const float* variance = c.input(4).data<float>();
    const Shape shape = c.input(1).shape();
    std::copy_n(mean, view.channels, vector_output(c, 1, shape));
    std::copy_n(variance, view.channels, vector_output(c, 2, shape));
    std::fill_n(vector_output(c, 3, shape), view.channels, 0.0f);
    std::fill_n(vector_output(c, 4, shape), view.channels, 0.0f);
    dispatch(BatchNormTypes{}, c.input(0).dtype(), [&]<class T>() {
      const T* x = c.input(0).data<T>();
      Tensor& y = c.output_in_place(0, 0, c.input(0).shape());
      normalize(c, view, x, mean, variance, c.input(1).data<float>(), c.input(2).data<float>(),
                epsilon_, y.mutable_data<T>());
    });
  }

  void train(KernelContext& c, const ChannelView& view) const {
    const Shape shape = c.input(1).shape();
    float* mean = vector_output(c, 1, shape);
    float* variance = vector_output(c, 2, shape);
    float* saved_mean = vector_output(c, 3, shape);
    float* saved_variance = vector_output(c, 4, shape);
    dispatch(BatchNormTypes{}, c.input(0).dtype(), [&]<class T>() {
      const T* x = c.input(0).data<T>();
      const Moments found = moments(c, view, x);
      std::copy_n(found.mean.data(), view.channels, saved_mean);
      std::copy_n(found.variance.data(), view.channels, saved_variance);
      Tensor& y = c.output_in_place(0, 0, c.input(0).shape());
      normalize(c, view, x, saved_mean, saved_variance, c.input(1).data<float>(),
                c.input(2).data<float>(), epsilon_, y.mutable_data<T>());
    });
    const double count = static_cast<double>(view.outer) * static_cast<double>(view.inner);
    const auto correction = static_cast<float>(count / std::max(count - 1, 1.0));
    for (std::int64_t i = 0; i < view.channels; ++i) {
      mean[i] = mixed(c, 3, i, saved_mean[i]);
      variance[i] = mixed(c, 4, i, saved_variance[i] * correction);
    }
  }

  // The running average that input `input` holds, moved towards the batch's value.
  float mixed(const KernelContext& c, int input, std::int64_t channel, float batch_value) const {
    if (average_factor_ == 1) return batch_value;
    return (1 - average_factor_) * c.input(input).data<float>()[channel] +
           average_factor_ * batch_value;
  }

  float epsilon_;
  float average_factor_;
  bool training_;
  bool channels_first_;
};

class BatchNormGradKernel final : public Kernel {
 public:
  explicit BatchNormGradKernel(const KernelInit& init)
      : epsilon_(init.attr<float>("epsilon")),
        training_(init.attr<bool>("is_training")),
        channels_first_(channels_first(init.attr<std::string>("data_format"))) {}

  void compute(KernelContext& c) const override {
    const Tensor& dy = c.input(0);
    const Tensor& x = c.input(1);
    if ((x.rank() != 4 && x.rank() != 5) || !(dy.shape() == x.shape())) {
      throw invalid_argument(c.node().op_name,
                             ": the gradient and x must have one shape, of rank 4 or 5. Details: ",
                             dy.shape(), " and ", x.shape(), ".");
    }
    const ChannelView view = channel_view(x.shape(), channels_first_ ? 1 : x.rank() - 1);
    for (int i = 2; i < 5; ++i) {
      if (c.input(i).rank() == 1 && c.input(i).dim(0) == view.channels) continue;
      throw invalid_argument(c.node().op_name, ": input ", i,
                             " must be a vector with one element for each channel. "
                             "Details: its shape is ",
                             c.input(i).shape(), ", x has ", view.channels, " channels.");
    }
    c.output(3, Shape{0});
    c.output(4, Shape{0});
    dispatch(BatchNormTypes{}, x.dtype(), [&]<class T>() { compute<T>(c, view); });
  }

 private:
  // With xc = x - mean and r = 1 / sqrt(variance + epsilon):
  //   d offset = sum(dy);  d scale = r * sum(dy * xc)
  //   training: dx = scale * r * (dy - mean(dy) - xc * r^2 * mean(dy * xc));  else dx = dy * scale
  //   * r
  template <class T>
  void compute(KernelContext& c, const ChannelView& view) const {
    const T* dy = c.input(0).data<T>();
    const T* x = c.input(1).data<T>();
    const float* scale = c.input(2).data<float>();
    const float* mean = c.input(3).data<float>();
    const float* variance = c.input(4).data<float>();
    const std::int64_t channels = view.channels;
    const auto sums = row_sums<float>(
        c, view.outer, 2 * channels, 2 * channels * view.inner,
        [&](std::int64_t begin, std::int64_t end, float* sum) {
          each_element(view, begin, end, [=](std::int64_t channel, std::int64_t i) {
            const auto gradient = static_cast<float>(dy[i]);
            sum[channel] += gradient;
            sum[channels + channel] += gradient * (static_cast<float>(x[i]) - mean[channel]);
          });
        });
    const Shape shape{channels};
    float* d_scale = c.output(1, shape).template mutable_data<float>();
    float* d_offset = c.output(2, shape).template mutable_data<float>();
    const float count = count_of(view);
    const float share = 1 / count;
    const auto width = static_cast<std::size_t>(channels);
    std::vector<float> factors(width), shifts(width), slopes(width);
    for (std::size_t i = 0; i < width; ++i) {
      const float root = 1 / std::sqrt(variance[i] + epsilon_);
      const auto gradient_sum = static_cast<float>(sums[i]);
      const auto centered_sum = static_cast<float>(sums[width + i]);
      d_offset[i] = gradient_sum;
      d_scale[i] = centered_sum * root;
      factors[i] = scale[i] * root;
      if (!training_) continue;
      shifts[i] = gradient_sum * share;
      slopes[i] = root * root * (centered_sum / count);
    }
    Tensor& dx = c.output_in_place(0, 0, c.input(0).shape());
    write_dx(c, view, dy, x, mean, factors.data(), shifts.data(), slopes.data(),
             dx.mutable_data<T>());
  }

  template <class T>
  void write_dx(KernelContext& c, const ChannelView& view, const T* dy, const T* x,
                const float* mean, const float* factor, const float* shift, const float* slope,
                T* dx) const {
    if (!training_) {
      each_element(c, view, 0.4, [=](std::int64_t channel, std::int64_t i) {
        dx[i] = static_cast<T>(static_cast<float>(dy[i]) * factor[channel]);
      });
      return;
    }
    each_element(c, view, 0.6, [=](std::int64_t channel, std::int64_t i) {
      const float centered = static_cast<float>(x[i]) - mean[channel];
      dx[i] = static_cast<T>(factor[channel] * (static_cast<float>(dy[i]) - shift[channel] -
                                                centered * slope[channel]));
    });
  }

  float epsilon_;
  bool training_;
  bool channels_first_;
};

int format_rank(const std::string& data_format) { return static_cast<int>(data_format.size()); }

Shapes batch_norm_shape(ShapeContext& c) {
  const std::string& format = c.attr<std::string>("data_format");
  const PartialShape x = c.input(0).has_rank() && c.input(0).rank() == 5
                             ? c.input(0)
                             : c.with_rank(0, format_rank(format));
  const int axis = channels_first(format) ? 1 : x.rank() - 1;
  std::int64_t channels = x.dim(axis);
  const bool uses_given =
      !c.attr<bool>("is_training") || c.attr<float>("exponential_avg_factor") != 1;
  for (int i = 1; i < (uses_given ? 5 : 3); ++i) {
    channels = merge_dims(channels, c.with_rank(i, 1).dim(0),
                          "The sizes of scale, offset, mean, variance and the channels");
  }
  Shapes shapes(static_cast<std::size_t>(c.num_outputs()), PartialShape{channels});
  shapes[0] = replace_dim(x, axis, channels);
  if (shapes.size() > 5) shapes[5] = PartialShape::unknown_rank();
  return shapes;
}

Shapes batch_norm_grad_shape(ShapeContext& c) {
  const std::string& format = c.attr<std::string>("data_format");
  PartialShape x = c.input(0).merge_with(c.input(1));
  if (!x.has_rank()) x = PartialShape::unknown_dims(format_rank(format));
  if (x.rank() != 4 && x.rank() != 5) {
    throw invalid_argument(c.node().op_name, ": x must have rank 4 or 5. Details: its shape is ", x,
                           ".");
  }
  const int axis = channels_first(format) ? 1 : x.rank() - 1;
  std::int64_t channels = x.dim(axis);
  for (int i = 2; i < 5; ++i) {
    channels = merge_dims(channels, c.with_rank(i, 1).dim(0),
                          "The sizes of scale, the statistics and the channels");
  }
  const PartialShape vector{channels};
  return {replace_dim(x, axis, channels), vector, vector, PartialShape{0}, PartialShape{0}};
}

constexpr OpDef kOps[] = {
    {.name = "FusedBatchNorm",
     .inputs = "x: T, scale: T, offset: T, mean: T, variance: T",
     .outputs = "y: T, batch_mean: T, batch_variance: T, reserve_space_1: T, reserve_space_2: T",
     .attrs = "T: {float}; epsilon: float = 9.9999997e-05; exponential_avg_factor: float = 1.0; "
              "data_format: {'NHWC', 'NCHW'} = 'NHWC'; is_training: bool = true",
     .shape = batch_norm_shape,
     .kernel = make_kernel<BatchNormKernel>},
    {.name = "FusedBatchNormGrad",
     .inputs = "y_backprop: T, x: T, scale: T, reserve_space_1: T, reserve_space_2: T",
     .outputs = "x_backprop: T, scale_backprop: T, offset_backprop: T, reserve_space_3: T, "
                "reserve_space_4: T",
     .attrs = "T: {float}; epsilon: float = 9.9999997e-05; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
              "is_training: bool = true",
     .shape = batch_norm_grad_shape,
     .kernel = make_kernel<BatchNormGradKernel>},
    {.name = "FusedBatchNormGradV2",
     .inputs = "y_backprop: T, x: T, scale: float, reserve_space_1: U, reserve_space_2: U",
     .outputs = "x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_3: U, "
                "reserve_space_4: U",
     .attrs = "T: {half, bfloat16, float}; U: {float}; epsilon: float = 9.9999997e-05; "
              "data_format: {'NHWC', 'NCHW'} = 'NHWC'; is_training: bool = true",
     .shape = batch_norm_grad_shape,
     .kernel = make_kernel<BatchNormGradKernel>},
    {.name = "FusedBatchNormGradV3",
     .inputs = "y_backprop: T, x: T, scale: float, reserve_space_1: U, reserve_space_2: U, "
               "reserve_space_3: U",
     .outputs = "x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_4: U, "
                "reserve_space_5: U",
     .attrs = "T: {half, bfloat16, float}; U: {float}; epsilon: float = 9.9999997e-05; "
              "data_format: {'NHWC', 'NCHW', 'NDHWC', 'NCDHW'} = 'NHWC'; is_training: bool = true",
     .shape = batch_norm_grad_shape,
     .kernel = make_kernel<BatchNormGradKernel>},
    {.name = "FusedBatchNormV2",
     .inputs = "x: T, scale: U, offset: U, mean: U, variance: U",
     .outputs = "y: T, batch_mean: U, batch_variance: U, reserve_space_1: U, reserve_space_2: U",
     .attrs = "T: {half, bfloat16, float}; U: {float}; epsilon: float = 9.9999997e-05; "
              "exponential_avg_factor: float = 1.0; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
              "is_training: bool = true",
     .shape = batch_norm_shape,
     .kernel = make_kernel<BatchNormKernel>},
    {.name = "FusedBatchNormV3",
     .inputs = "x: T, scale: U, offset: U, mean: U, variance: U",
     .outputs = "y: T, batch_mean: U, batch_variance: U, reserve_space_1: U, reserve_space_2: U, "
                "reserve_space_3: U",
     .attrs =
         "T: {half, bfloat16, float}; U: {bfloat16, float}; epsilon: float = 9.9999997e-05; "
         "exponential_avg_factor: float = 1.0; data_format: {'NHWC', 'NCHW', 'NDHWC', 'NCDHW'} = "
         "'NHWC'; is_training: bool = true",
     .shape = batch_norm_shape,
     .kernel = make_kernel<BatchNormKernel>},
};

}  // namespace

OpFamily nn_batch_norm_ops() { return kOps; }

}  // namespace hub
