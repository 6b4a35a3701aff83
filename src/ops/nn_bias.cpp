// Adding a bias to each channel, and its gradient.

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/channels.h"
#include "ops/kernel.h"
#include "ops/row_sums.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

int channel_axis(int rank, bool channels_first) { return channels_first ? 1 : rank - 1; }

ChannelView checked_view(const KernelContext& c, const Shape& shape, bool channels_first) {
  if (shape.rank() < 2) {
    throw invalid_argument(c.node().op_name,
                           ": the value must have rank >= 2. Details: its shape is ", shape, ".");
  }
  return channel_view(shape, channel_axis(shape.rank(), channels_first));
}

class BiasAddKernel final : public Kernel {
 public:
  explicit BiasAddKernel(const KernelInit& init)
      : channels_first_(init.has_attr("data_format") &&
                        init.attr<std::string>("data_format") == "NCHW") {}
  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const Tensor& bias = c.input(1);
    const ChannelView view = checked_view(c, x.shape(), channels_first_);
    if (bias.rank() != 1 || bias.dim(0) != view.channels) {
      throw invalid_argument(
          c.node().op_name,
          ": the bias must be a vector with one element for each channel. Details: the "
          "value's shape is ",
          x.shape(), ", the bias's ", bias.shape(), ".");
    }
    Tensor& y = c.output_in_place(0, 0, x.shape());
    if (x.num_elements() == 0) return;
    dispatch(Numbers{}, x.dtype(), [&]<class T>() {
      const T* from = x.data<T>();
      const T* added = bias.data<T>();
      T* to = y.mutable_data<T>();
      each_element(c, view, 0.3, [=](std::int64_t channel, std::int64_t i) {
        to[i] =
            static_cast<T>(static_cast<Wide<T>>(from[i]) + static_cast<Wide<T>>(added[channel]));
      });
    });
  }

 private:
  bool channels_first_;
};

class BiasAddGradKernel final : public Kernel {
 public:
  explicit BiasAddGradKernel(const KernelInit& init)
      : channels_first_(init.attr<std::string>("data_format") == "NCHW") {}
  void compute(KernelContext& c) const override {
    const Tensor& dy = c.input(0);
    const ChannelView view = checked_view(c, dy.shape(), channels_first_);
    Tensor& result = c.output(0, Shape{view.channels});
    dispatch(Numbers{}, dy.dtype(), [&]<class T>() {
      const T* from = dy.data<T>();
      const auto sums = row_sums<Wide<T>>(
          c, view.outer, view.channels, view.channels * view.inner,
          [&](std::int64_t begin, std::int64_t end, Wide<T>* sum) {
            each_element(view, begin, end, [=](std::int64_t channel, std::int64_t i) {
              sum[channel] = static_cast<Wide<T>>(sum[channel] + static_cast<Wide<T>>(from[i]));
            });
          });
      T* to = result.mutable_data<T>();
      for (std::int64_t i = 0; i < view.channels; ++i) {
        to[i] = static_cast<T>(static_cast<Wide<T>>(sums[static_cast<std::size_t>(i)]));
      }
    });
  }

 private:
  bool channels_first_;
};

Shapes bias_add_shape(ShapeContext& c) {
  const auto* format =
      c.node().attrs.contains("data_format") ? &c.attr<std::string>("data_format") : nullptr;
  const bool channels_first = format != nullptr && *format == "NCHW";
  const PartialShape value = c.at_least_rank(0, channels_first ? 3 : 2);
  const PartialShape bias = c.with_rank(1, 1);
  if (!value.has_rank()) return {PartialShape::unknown_rank()};
  const int axis = channel_axis(value.rank(), channels_first);
  const std::int64_t channels =
      merge_dims(value.dim(axis), bias.dim(0), "The numbers of biases and of channels");
  return {replace_dim(value, axis, channels)};
}

Shapes bias_add_grad_shape(ShapeContext& c) {
  const bool channels_first = c.attr<std::string>("data_format") == "NCHW";
  const PartialShape value = c.at_least_rank(0, channels_first ? 3 : 2);
  if (!value.has_rank()) return {PartialShape{-1}};
  return {PartialShape{value.dim(channel_axis(value.rank(), channels_first))}};
}

constexpr OpDef kOps[] = {
    {.name = "BiasAdd",
     .inputs = "value: T, bias: T",
     .outputs = "output: T",
     .attrs = "T: numbertype; data_format: {'NHWC', 'NCHW'} = 'NHWC'",
     .shape = bias_add_shape,
     .kernel = make_kernel<BiasAddKernel>},
    {.name = "BiasAddGrad",
     .inputs = "out_backprop: T",
     .outputs = "output: T",
     .attrs = "T: numbertype; data_format: {'NHWC', 'NCHW'} = 'NHWC'",
     .shape = bias_add_grad_shape,
     .kernel = make_kernel<BiasAddGradKernel>},
    {.name = "BiasAddV1",
     .inputs = "value: T, bias: T",
     .outputs = "output: T",
     .attrs = "T: numbertype",
     .shape = bias_add_shape,
     .kernel = make_kernel<BiasAddKernel>},
};

}  // namespace

OpFamily nn_bias_ops() { return kOps; }

}  // namespace hub
