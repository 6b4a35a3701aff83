// Local response normalisation, and the old batch normalisation with given statistics.

#include <algorithm>
#include <cmath>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/channels.h"
#include "ops/row_sums.h"
#include "ops/softmax_rows.h"
#include "ops/vector_math.h"
#include "ops/wide.h"

namespace hub {
namespace {

// y = x * (bias + alpha * sum of squares of neighbouring channels) ^ -beta.
struct LrnAttrs {
  explicit LrnAttrs(const KernelInit& init)
      : radius(init.attr<std::int64_t>("depth_radius")),
        bias(init.attr<float>("bias")),
        alpha(init.attr<float>("alpha")),
        beta(init.attr<float>("beta")) {
    if (radius >= 0 && radius <= std::numeric_limits<std::int32_t>::max()) return;
    throw invalid_argument(init.op(), ": depth_radius must be in [0, 2^31). Details: it is ",
                           radius, ".");
  }

  std::int64_t radius;
  float bias;
  float alpha;
  float beta;
};

// Rows of channels with as many zeros on both sides as a window reaches.
class LrnRow {
 public:
  LrnRow(const LrnAttrs& attrs, std::int64_t channels)
      : attrs_(attrs),
        channels_(channels),
        radius_(std::min(attrs.radius, channels)),
        squares_(static_cast<std::size_t>(channels + 2 * radius_)),
        norms_(static_cast<std::size_t>(channels)) {}

  // bias + alpha * (sum of squares), of each channel.
  const float* norms(const float* x) {
    float* square = squares_.data() + radius_;
    float* norm = norms_.data();
    for_channels(channels_, [=](std::int64_t i) {
      square[i] = x[i] * x[i];
      norm[i] = 0;
    });
    for (std::int64_t offset = -radius_; offset <= radius_; ++offset) {
      for_channels(channels_, [=](std::int64_t i) { norm[i] += square[i + offset]; });
    }
    const float bias = attrs_.bias, alpha = attrs_.alpha;
    for_channels(channels_, [=](std::int64_t i) { norm[i] = bias + alpha * norm[i]; });
    return norm;
  }

  float scale(float norm) const {
    if (attrs_.beta == 1.0f) return 1 / norm;
    if (attrs_.beta == 0.5f) return 1 / std::sqrt(norm);
    return vector_math::exp(vector_math::log(norm) * -attrs_.beta);
  }

  // What dy gives to each x, over the channels whose windows it is in.
  void add_gradient(const float* dy, const float* x, const float* y, float* dx) {
    const float* norm = norms(x);
    const float factor = -2 * attrs_.alpha * attrs_.beta;
    std::fill_n(dx, channels_, 0.0f);
    for (std::int64_t j = 0; j < channels_; ++j) {
      const float shared = factor * y[j] / norm[j] * dy[j];
      const std::int64_t end = std::min(channels_, j + radius_ + 1);
      for (std::int64_t k = std::max<std::int64_t>(0, j - radius_); k < end; ++k)
        dx[k] += shared * x[k];
      dx[j] += std::pow(norm[j], -attrs_.beta) * dy[j];
    }
  }

 private:
  const LrnAttrs& attrs_;
  std::int64_t channels_;
  std::int64_t radius_;
  std::vector<float> squares_;
  std::vector<float> norms_;
};

void check_rank4(const KernelContext& c, const Tensor& x) {
  if (x.rank() == 4) return;
  throw invalid_argument(c.node().op_name, ": the input must have rank 4. Details: its shape is ",
                         x.shape(), ".");
}

class LrnKernel final : public Kernel {
 public:
  explicit LrnKernel(const KernelInit& init) : attrs_(init) {}
  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    check_rank4(c, x);
    Tensor& y = c.output(0, x.shape());
    if (x.num_elements() == 0) return;
    const std::int64_t channels = x.dim(3), rows = x.num_elements() / channels;
    const double row_ns = static_cast<double>(channels) *
                          (0.2 * static_cast<double>(std::min(attrs_.radius, channels)) + 3);
    c.parallel_for(rows, row_ns, [&](std::int64_t begin, std::int64_t end) {
      WideRows<float> from(x, channels);
      NarrowRows<float> to(y, channels);
      LrnRow lrn(attrs_, channels);
      for (std::int64_t row = begin; row < end; ++row) {
        const float* in = from.row(row);
        const float* norm = lrn.norms(in);
        float* out = to.row(row);
        for_channels(channels, [&](std::int64_t i) { out[i] = in[i] * lrn.scale(norm[i]); });
        to.store(row);
      }
    });
  }

 private:
  LrnAttrs attrs_;
};

// (gradient, x, y).
class LrnGradKernel final : public Kernel {
 public:
  explicit LrnGradKernel(const KernelInit& init) : attrs_(init) {}
  void compute(KernelContext& c) const override {
    const Tensor &dy = c.input(0), &x = c.input(1), &y = c.input(2);
    check_rank4(c, x);
    if (!(dy.shape() == x.shape()) || !(y.shape() == x.shape())) {
      throw invalid_argument("LRNGrad: the three inputs must have one shape. Details: ", dy.shape(),
                             ", ", x.shape(), " and ", y.shape(), ".");
    }
    Tensor& dx = c.output(0, x.shape());
    if (x.num_elements() == 0) return;
    const std::int64_t channels = x.dim(3), rows = x.num_elements() / channels;
    const double row_ns = static_cast<double>(channels) *
                          (static_cast<double>(std::min(attrs_.radius, channels)) + 20);
    c.parallel_for(rows, row_ns, [&](std::int64_t begin, std::int64_t end) {
      WideRows<float> gradients(dy, channels), inputs(x, channels), outputs(y, channels);
      NarrowRows<float> to(dx, channels);
      LrnRow lrn(attrs_, channels);
      for (std::int64_t row = begin; row < end; ++row) {
        lrn.add_gradient(gradients.row(row), inputs.row(row), outputs.row(row), to.row(row));
        to.store(row);
      }
    });
  }

 private:
  LrnAttrs attrs_;
};

using GlobalTypes = TypeList<float, double, Half>;

// The statistics of BatchNormWithGlobalNormalization: vectors, one element for each channel.
void check_statistics(const KernelContext& c, std::initializer_list<int> inputs) {
  const Tensor& x = c.input(0);
  check_rank4(c, x);
  for (const int i : inputs) {
    if (c.input(i).rank() == 1 && c.input(i).dim(0) == x.dim(3)) continue;
    throw invalid_argument(c.node().op_name, ": input ", i,
                           " must be a vector with one element for each channel. Details: "
                           "its shape is ",
                           c.input(i).shape(), ", there are ", x.dim(3), " channels.");
  }
}

class GlobalNormKernel final : public Kernel {
 public:
  explicit GlobalNormKernel(const KernelInit& init)
      : epsilon_(init.attr<float>("variance_epsilon")),
        scales_(init.attr<bool>("scale_after_normalization")) {}
  void compute(KernelContext& c) const override {
    check_statistics(c, {1, 2, 3, 4});
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0, x.shape());
    dispatch(GlobalTypes{}, x.dtype(), [&]<class T>() {
      using W = Wide<T>;
      const ChannelView view = channel_view(x.shape(), 3);
      std::vector<W> factors(static_cast<std::size_t>(view.channels));
      for (std::size_t i = 0; i < factors.size(); ++i) {
        factors[i] =
            1 / std::sqrt(static_cast<W>(c.input(2).data<T>()[i]) + static_cast<W>(epsilon_));
        if (scales_) factors[i] *= static_cast<W>(c.input(4).data<T>()[i]);
      }
      const W* factor = factors.data();
      const T *from = x.data<T>(), *mean = c.input(1).data<T>(), *beta = c.input(3).data<T>();
      T* to = y.mutable_data<T>();
      each_element(c, view, 0.5, [=](std::int64_t channel, std::int64_t i) {
        to[i] = static_cast<T>((static_cast<W>(from[i]) - static_cast<W>(mean[channel])) *
                                   factor[channel] +
                               static_cast<W>(beta[channel]));
      });
    });
  }

 private:
  float epsilon_;
  bool scales_;
};

// (x, mean, variance, gamma, gradient) -> gradients to x, mean, variance, beta, gamma.
class GlobalNormGradKernel final : public Kernel {
 public:
  explicit GlobalNormGradKernel(const KernelInit& init)
      : epsilon_(init.attr<float>("variance_epsilon")),
        scales_(init.attr<bool>("scale_after_normalization")) {}
  void compute(KernelContext& c) const override {
    check_statistics(c, {1, 2, 3});
    if (!(c.input(4).shape() == c.input(0).shape())) {
      throw invalid_argument(c.node().op_name,
                             ": the gradient must have x's shape. Details: ", c.input(4).shape(),
                             " and ", c.input(0).shape(), ".");
    }
    dispatch(GlobalTypes{}, c.input(0).dtype(), [&]<class T>() { compute<T>(c); });
  }

 private:
  template <class T>
  void compute(KernelContext& c) const {
    using W = Wide<T>;
    const ChannelView view = channel_view(c.input(0).shape(), 3);
    const std::int64_t channels = view.channels;
    const T *x = c.input(0).data<T>(), *mean = c.input(1).data<T>(), *dy = c.input(4).data<T>();
    const auto sums =
        row_sums<W>(c, view.outer, 2 * channels, 2 * channels,
                    [&](std::int64_t begin, std::int64_t end, W* sum) {
                      each_element(view, begin, end, [=](std::int64_t channel, std::int64_t i) {
                        const auto gradient = static_cast<W>(dy[i]);
                        sum[channel] += gradient;
                        sum[channels + channel] +=
                            gradient * (static_cast<W>(x[i]) - static_cast<W>(mean[channel]));
                      });
                    });
    const Shape shape{channels};
    T* out[4];
    for (int i = 0; i < 4; ++i) out[i] = c.output(i + 1, shape).template mutable_data<T>();
    std::vector<W> factors(static_cast<std::size_t>(channels));
    for (std::int64_t i = 0; i < channels; ++i) {
      const auto index = static_cast<std::size_t>(i);
      const W variance = static_cast<W>(c.input(2).data<T>()[i]) + static_cast<W>(epsilon_);
      const W root = 1 / std::sqrt(variance);
      const W gamma = scales_ ? static_cast<W>(c.input(3).data<T>()[i]) : W(1);
      const auto total = static_cast<W>(sums[index]),
                 centered = static_cast<W>(sums[index + factors.size()]);
      factors[index] = root * gamma;
      out[0][i] = static_cast<T>(-total * factors[index]);
      out[1][i] = static_cast<T>(centered * gamma * W(-0.5) * root / variance);
      out[2][i] = static_cast<T>(total);
      out[3][i] = static_cast<T>(scales_ ? centered * root : W(0));
    }
    const W* factor = factors.data();
    T* dx = c.output(0, c.input(0).shape()).template mutable_data<T>();
    each_element(c, view, 0.4, [=](std::int64_t channel, std::int64_t i) {
      dx[i] = static_cast<T>(static_cast<W>(dy[i]) * factor[channel]);
    });
  }

  float epsilon_;
  bool scales_;
};

Shapes rank4_shape(ShapeContext& c) { return {c.with_rank(0, 4)}; }

Shapes lrn_grad_shape(ShapeContext& c) {
  return {c.with_rank(0, 4).merge_with(c.with_rank(1, 4)).merge_with(c.with_rank(2, 4))};
}

std::int64_t merged_channels(ShapeContext& c, const PartialShape& x, int last) {
  std::int64_t channels = x.dim(3);
  for (int i = 1; i <= last; ++i) {
    channels = merge_dims(channels, c.with_rank(i, 1).dim(0),
                          "The sizes of the statistics and the channels");
  }
  return channels;
}

Shapes global_norm_shape(ShapeContext& c) {
  const PartialShape x = c.with_rank(0, 4);
  return {replace_dim(x, 3, merged_channels(c, x, 4))};
}

Shapes global_norm_grad_shape(ShapeContext& c) {
  const PartialShape x = c.with_rank(0, 4).merge_with(c.with_rank(4, 4));
  const std::int64_t channels = merged_channels(c, x, 3);
  const PartialShape vector{channels};
  return {replace_dim(x, 3, channels), vector, vector, vector, vector};
}

constexpr OpDef kOps[] = {
    {.name = "BatchNormWithGlobalNormalization",
     .inputs = "t: T, m: T, v: T, beta: T, gamma: T",
     .outputs = "result: T",
     .attrs = "T: numbertype; variance_epsilon: float; scale_after_normalization: bool",
     .shape = global_norm_shape,
     .kernel = make_kernel<GlobalNormKernel>},
    {.name = "BatchNormWithGlobalNormalizationGrad",
     .inputs = "t: T, m: T, v: T, gamma: T, backprop: T",
     .outputs = "dx: T, dm: T, dv: T, db: T, dg: T",
     .attrs = "T: numbertype; variance_epsilon: float; scale_after_normalization: bool",
     .shape = global_norm_grad_shape,
     .kernel = make_kernel<GlobalNormGradKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "LRN",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "depth_radius: int = 5; bias: float = 1.0; alpha: float = 1.0; beta: float = 0.5; "
              "T: {half, bfloat16, float} = float",
     .shape = rank4_shape,
     .kernel = make_kernel<LrnKernel>},
    {.name = "LRNGrad",
     .inputs = "input_grads: T, input_image: T, output_image: T",
     .outputs = "output: T",
     .attrs = "depth_radius: int = 5; bias: float = 1.0; alpha: float = 1.0; beta: float = 0.5; "
              "T: {half, bfloat16, float} = float",
     .shape = lrn_grad_shape,
     .kernel = make_kernel<LrnGradKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily nn_norm_ops() { return kOps; }

}  // namespace hub
