// A convolution with what follows it, in one: bias or batch normalisation, a residual, and Relu or
// Relu6.
// Batch normalisation of inference is folded into filter and bias, which are made anew only
// when a variable that they come from was written.

#include <algorithm>
#include <cmath>

#include "ops/fused_residual.h"
#include "ops/fusion_match.h"
#include "ops/nn_conv.h"

namespace hub {
namespace {

constexpr std::string_view kFusedOp = "_HubConvolution";

dnn::Activation activation_of(const KernelInit& init) {
  const auto& name = init.attr<std::string>("activation");
  return name == "Relu"    ? dnn::Activation::kRelu
         : name == "Relu6" ? dnn::Activation::kRelu6
                           : dnn::Activation::kNone;
}

class FusedConvKernel final : public Kernel {
 public:
  explicit FusedConvKernel(const KernelInit& init)
      : attrs_(conv_attrs(init, 2, init.attr<bool>("depthwise"))),
        batch_norm_(init.attr<bool>("batch_norm")),
        scaled_(init.attr<bool>("scaled")),
        epsilon_(init.attr<float>("epsilon")),
        residual_(init.attr<bool>("residual") ? init.num_inputs() - 1 : -1),
        num_arguments_(init.num_inputs() - (residual_ > 0 ? 1 : 0)),
        activation_(row_activation(init.attr<std::string>("activation"))),
        convolution_(
            dnn::ConvKind::kForward, true,
            {.bias = true, .accumulate = residual_ > 0, .activation = activation_of(init)}),
        without_residual_(dnn::ConvKind::kForward, true, {.bias = true}) {}

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const dnn::ConvShape shape =
        conv_shape(c.node().op_name, attrs_, x.shape(), c.input(1).shape());
    const Shape result = conv_output(shape);
    const std::shared_ptr<const Derived> derived = derive(c, shape);
    if (residual_ > 0 && c.input(residual_).shape() != result)
      return compute_broadcast(c, shape, *derived, result);
    Tensor& y = residual_ > 0 ? residual_in_output(c, result) : c.output(0, result);
    if (y.num_elements() != 0) run(c, convolution_, shape, *derived, y);
  }

 private:
  // Filter and bias, and the tensors that they were made of.
  struct Derived {
    std::vector<Tensor> from;
    Tensor filter;
    Tensor bias;
  };

  static void run(KernelContext& c, const FloatConvolution& convolution,
                  const dnn::ConvShape& shape, const Derived& derived, Tensor& y) {
    convolution.run(c, shape, const_cast<float*>(c.input(0).data<float>()), derived.filter,
                    y.mutable_data<float>(), derived.bias.data<float>());
  }

  // The output that holds the residual already.
  Tensor& residual_in_output(KernelContext& c, const Shape& shape) const {
    const Tensor& residual = c.input(residual_);
    // The input of the convolution, if it is that, is still to be read.
    Tensor& y = c.input(0).shares_buffer_with(residual) ? c.output(0, shape)
                                                        : c.output_in_place(residual_, 0, shape);
    if (y.raw_data() == residual.raw_data()) return y;
    const float* from = residual.data<float>();
    float* to = y.mutable_data<float>();
    c.parallel_for(y.num_elements(), 0.15, [=](std::int64_t begin, std::int64_t end) {
      std::copy(from + begin, from + end, to + begin);
    });
    return y;
  }

  // The sum with a residual of another shape, which the graph did not tell.
  void compute_broadcast(KernelContext& c, const dnn::ConvShape& shape, const Derived& derived,
                         const Shape& product_shape) const {
    Tensor product = c.temporary(kFloat, product_shape);
    if (product.num_elements() != 0) run(c, without_residual_, shape, derived, product);
    add_broadcast_residual(c, product, c.input(residual_), activation_);
  }

  std::shared_ptr<const Derived> derive(KernelContext& c, const dnn::ConvShape& shape) const {
    const std::lock_guard lock(mutex_);
    if (is_derived_from_inputs(c)) return derived_;
    auto fresh = std::make_shared<Derived>();
    for (int i = 1; i < num_arguments_; ++i) {
      fresh->from.push_back(c.input(i));
      c.input(i).buffer()->pin();
    }
    check_arguments(c, shape);
    if (batch_norm_) {
      fold_batch_norm(*fresh, shape);
    } else if (scaled_) {
      const float* scale = fresh->from[1].data<float>();
      fresh->filter = scaled_filter(fresh->from[0], scale, shape.out_channels);
      fresh->bias = fresh->from[2];
    } else {
      fresh->filter = fresh->from[0];
      fresh->bias = fresh->from[1];
    }
    return derived_ = std::move(fresh);
  }

  bool is_derived_from_inputs(const KernelContext& c) const {
    if (derived_ == nullptr) return false;
    for (int i = 1; i < num_arguments_; ++i) {
      if (derived_->from[static_cast<std::size_t>(i - 1)].raw_data() != c.input(i).raw_data())
        return false;
    }
    return true;
  }

  void check_arguments(const KernelContext& c, const dnn::ConvShape& shape) const {
    for (int i = 2; i < num_arguments_; ++i) {
      const Shape& argument = c.input(i).shape();
      if (argument.rank() == 1 && argument.dim(0) == shape.out_channels) continue;
      throw invalid_argument(batch_norm_ ? "FusedBatchNorm" : "BiasAdd",
                             ": there must be one value for each of ", shape.out_channels,
                             " channels. Details: input ", i - 1, " has shape ", argument, ".");
    }
  }

  // y = (conv(x) - mean) * factor + offset, with factor = scale / sqrt(variance + epsilon).
  void fold_batch_norm(Derived& derived, const dnn::ConvShape& shape) const {
    const Tensor& filter = derived.from[0];
    const float* scale = derived.from[1].data<float>();
    const float* offset = derived.from[2].data<float>();
    const float* mean = derived.from[3].data<float>();
    const float* variance = derived.from[4].data<float>();
    const auto channels = shape.out_channels;
    derived.bias = Tensor(kFloat, Shape{channels});
    std::vector<float> factors(static_cast<std::size_t>(channels));
    for (std::int64_t i = 0; i < channels; ++i) {
      const float factor = scale[i] / std::sqrt(variance[i] + epsilon_);
      factors[static_cast<std::size_t>(i)] = factor;
      derived.bias.mutable_data<float>()[i] = offset[i] - mean[i] * factor;
    }
    derived.filter = scaled_filter(filter, factors.data(), channels);
  }

  // The output channel is the filter's last index; depthwise, its last two.
  static Tensor scaled_filter(const Tensor& filter, const float* factors, std::int64_t channels) {
    Tensor scaled(kFloat, filter.shape());
    const float* from = filter.data<float>();
    float* to = scaled.mutable_data<float>();
    for (std::int64_t i = 0; i < filter.num_elements(); ++i)
      to[i] = from[i] * factors[i % channels];
    return scaled;
  }

  ConvAttrs attrs_;
  bool batch_norm_;
  bool scaled_;
  float epsilon_;
  int residual_;  // input; -1: there is none
  int num_arguments_;
  RowActivation activation_;
  FloatConvolution convolution_;
  FloatConvolution without_residual_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Derived> derived_;
};

Shapes fused_shape(ShapeContext& c) { return conv_shape_rule(c, 2, c.attr<bool>("depthwise")); }

constexpr OpDef kOps[] = {
    {.name = kFusedOp,
     .inputs = "input: T, filter: T, args: num_args * T",
     .outputs = "output: T",
     .attrs = "T: {float}; num_args: int >= 1; strides: list(int); padding: {'SAME', 'VALID', "
              "'EXPLICIT'}; "
              "explicit_paddings: list(int) = []; data_format: {'NHWC'} = 'NHWC'; "
              "dilations: list(int) = [1, 1, 1, 1]; depthwise: bool = false; batch_norm: bool = "
              "false; scaled: bool = false; residual: bool = false; "
              "epsilon: float = 0.0; activation: string = ''",
     .shape = fused_shape,
     .kernel = make_kernel<FusedConvKernel>,
     .differentiable = Differentiable::kRefused},
};

bool is_float_convolution(const FusionGraph& g, int index) {
  const Node& node = g.node(index);
  return (node.op_name == "Conv2D" || node.op_name == "DepthwiseConv2dNative") &&
         node.outputs[0].dtype == kFloat && has_string(node, "data_format", "NHWC") &&
         g.is_private(index) && g.is_stable(node.inputs[1]);
}

// What a convolution's result is scaled and shifted by: [scale,] bias, or the four vectors of
// a batch normalisation.
struct Affine {
  int convolution = -1;
  bool batch_norm = false;
  bool scaled = false;
  float epsilon = 0;
  std::vector<OutputId> arguments;
};

// Splits the inputs of a Mul or Add into a vector with a stable value for each channel of the
// result, and the rest.
bool split_channel_vector(const FusionGraph& g, const Node& node, OutputId& vector,
                          OutputId& rest) {
  const PartialShape& result = node.outputs[0].shape;
  if (node.inputs.size() != 2 || node.outputs[0].dtype != kFloat || result.rank() != 4 ||
      result.dim(3) < 0)
    return false;
  for (const std::size_t i : {1u, 0u}) {
    const PartialShape& shape = g.graph().fact(node.inputs[i]).shape;
    if (shape.rank() != 1 || shape.dim(0) != result.dim(3) || !g.is_stable(node.inputs[i]))
      continue;
    vector = node.inputs[i];
    rest = node.inputs[1 - i];
    return rest.index == 0;
  }
  return false;
}

bool match_batch_norm_or_bias(const FusionGraph& g, int index, Affine& affine) {
  const Node& node = g.node(index);
  affine.batch_norm = is_inference_batch_norm(node);
  const bool bias = node.op_name == "BiasAdd" && has_string(node, "data_format", "NHWC");
  if ((!affine.batch_norm && !bias) || !g.only_first_output(index) || node.inputs[0].index != 0)
    return false;
  affine.convolution = node.inputs[0].node;
  affine.arguments.assign(node.inputs.begin() + 1, node.inputs.end());
  if (affine.batch_norm) affine.epsilon = std::get<float>(node.attrs.at("epsilon").value);
  return std::ranges::all_of(affine.arguments,
                             [&](OutputId argument) { return g.is_stable(argument); });
}

// Batch normalisation of inference as TensorFlow 1 composed it: conv * scale + bias.
bool match_scale_and_shift(const FusionGraph& g, int index, Affine& affine) {
  const Node& sum = g.node(index);
  OutputId bias, rest;
  if ((sum.op_name != "Add" && sum.op_name != "AddV2") || !split_channel_vector(g, sum, bias, rest))
    return false;
  affine.arguments = {bias};
  affine.convolution = rest.node;
  const Node& product = g.node(rest.node);
  OutputId scale, scaled;
  if (product.op_name == "Mul" && g.is_private(rest.node) &&
      split_channel_vector(g, product, scale, scaled)) {
    affine.scaled = true;
    affine.arguments = {scale, bias};
    affine.convolution = scaled.node;
  }
  return true;
}

// [Mul ->] Add, BiasAdd or FusedBatchNorm (inference) after a convolution.
bool match_affine(const FusionGraph& g, int index, Affine& affine) {
  affine = {};
  if (!match_batch_norm_or_bias(g, index, affine)) {
    affine = {};
    if (!match_scale_and_shift(g, index, affine)) return false;
  }
  return is_float_convolution(g, affine.convolution);
}

// The sum of such a result and another tensor of its shape.
bool match_residual(const FusionGraph& g, int index, Affine& affine, OutputId& residual) {
  const Node& sum = g.node(index);
  if (sum.op_name != "Add" && sum.op_name != "AddV2") return false;
  return in_either_order(sum, [&](OutputId product, OutputId other) {
    residual = other;
    return product.index == 0 && g.is_private(product.node) &&
           may_be_same_shape(shape_of(g, product), shape_of(g, other)) &&
           may_be_same_shape(shape_of(g, product), sum.outputs[0].shape) &&
           match_affine(g, product.node, affine) && g.node(affine.convolution).op_name == "Conv2D";
  });
}

// conv -> affine [-> Add of a residual] [-> Relu or Relu6]
bool fuse_convolution(FusionGraph& g, int root) {
  int cursor = root;
  AttrMap attrs;
  const std::string& last = g.node(root).op_name;
  if (last == "Relu" || last == "Relu6") {
    const OutputId input = g.node(root).inputs[0];
    if (input.index != 0 || g.node(root).outputs[0].dtype != kFloat) return false;
    attrs["activation"] = AttrValue(last);
    cursor = input.node;
    if (!g.is_private(cursor)) return false;
  }
  Affine affine;
  OutputId residual;
  if (!match_affine(g, cursor, affine) && !match_residual(g, cursor, affine, residual))
    return false;
  const Node& conv = g.node(affine.convolution);
  std::vector<OutputId> inputs = conv.inputs;
  inputs.insert(inputs.end(), affine.arguments.begin(), affine.arguments.end());
  if (residual.is_valid()) inputs.push_back(residual);
  attrs["residual"] = AttrValue(residual.is_valid());
  for (const std::string_view name :
       {"strides", "padding", "explicit_paddings", "dilations", "data_format"}) {
    if (const auto found = conv.attrs.find(name); found != conv.attrs.end())
      attrs[std::string(name)] = found->second;
  }
  attrs["depthwise"] = AttrValue(conv.op_name != "Conv2D");
  attrs["batch_norm"] = AttrValue(affine.batch_norm);
  attrs["scaled"] = AttrValue(affine.scaled);
  attrs["epsilon"] = AttrValue(affine.epsilon);
  g.replace(root, kFusedOp, std::move(inputs), std::move(attrs));
  return true;
}

}  // namespace

extern const Fusion kConvolutionFusion;
const Fusion kConvolutionFusion = {"convolution", fuse_convolution};

OpFamily nn_fused_conv_ops() { return kOps; }

}  // namespace hub
