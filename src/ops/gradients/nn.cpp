// Gradients of the ops of neural networks.

#include "base/errors.h"
#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

// A convolution's three ops take each other's attributes.
Attrs conv_attrs(const GradientContext& c) {
  return c.attrs(
      {"strides", "padding", "explicit_paddings", "dilations", "data_format", "use_cudnn_on_gpu"});
}

struct Convolution {
  const char* forward;
  const char* to_input;
  const char* to_filter;
};
constexpr Convolution kConv2D = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"};
constexpr Convolution kDepthwise = {"DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropInput",
                                    "DepthwiseConv2dNativeBackpropFilter"};
constexpr Convolution kConv3D = {"Conv3D", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2"};

template <const Convolution& kConv>
Gradients convolution(GradientContext& c) {
  const Attrs attrs = conv_attrs(c);
  return {op(kConv.to_input, {shape_of(c.input(0)), c.input(1), c.dy()}, attrs),
          op(kConv.to_filter, {c.input(0), shape_of(c.input(1)), c.dy()}, attrs)};
}

template <const Convolution& kConv>
Gradients to_input(GradientContext& c) {
  Attrs attrs = conv_attrs(c);
  return {{},
          op(kConv.to_filter, {c.dy(), shape_of(c.input(1)), c.input(2)}, attrs),
          op(kConv.forward, {c.dy(), c.input(1)}, attrs)};
}

template <const Convolution& kConv>
Gradients to_filter(GradientContext& c) {
  Attrs attrs = conv_attrs(c);
  return {op(kConv.to_input, {shape_of(c.input(0)), c.dy(), c.input(2)}, attrs),
          {},
          op(kConv.forward, {c.input(0), c.dy()}, attrs)};
}

Gradients dilation(GradientContext& c) {
  const Attrs attrs = c.attrs({"strides", "rates", "padding"});
  return {op("Dilation2DBackpropInput", {c.input(0), c.input(1), c.dy()}, attrs),
          op("Dilation2DBackpropFilter", {c.input(0), c.input(1), c.dy()}, attrs)};
}

Attrs pool_attrs(const GradientContext& c) {
  return c.attrs({"ksize", "strides", "padding", "explicit_paddings", "data_format"});
}

template <const char* kOp>
Gradients avg_pool(GradientContext& c) {
  return {op(kOp, {shape_of(c.input(0)), c.dy()}, pool_attrs(c))};
}
template <const char* kOp>
Gradients avg_pool_grad(GradientContext& c) {
  return {{}, op(kOp, {c.dy()}, pool_attrs(c))};
}
constexpr char kAvgPool[] = "AvgPool";
constexpr char kAvgPoolGrad[] = "AvgPoolGrad";
constexpr char kAvgPool3D[] = "AvgPool3D";
constexpr char kAvgPool3DGrad[] = "AvgPool3DGrad";

template <const char* kOp>
Gradients max_pool(GradientContext& c) {
  return c.pad({op(kOp, {c.input(0), c.output(), c.dy()}, pool_attrs(c))});
}
template <const char* kOp>
Gradients max_pool_grad(GradientContext& c) {
  return {zeros_like(c.input(0)), zeros_like(c.input(1)),
          op(kOp, {c.input(0), c.input(1), c.dy()}, pool_attrs(c))};
}
constexpr char kMaxPoolGrad[] = "MaxPoolGrad";
constexpr char kMaxPoolGradGrad[] = "MaxPoolGradGrad";
constexpr char kMaxPool3DGrad[] = "MaxPool3DGrad";
constexpr char kMaxPool3DGradGrad[] = "MaxPool3DGradGrad";

Gradients max_pool_v2(GradientContext& c) {
  return c.pad({op("MaxPoolGradV2", {c.input(0), c.output(), c.dy(), c.input(1), c.input(2)},
                   pool_attrs(c))});
}

Gradients max_pool_grad_v2(GradientContext& c) {
  return {zeros_like(c.input(0)),
          zeros_like(c.input(1)),
          op("MaxPoolGradGradV2", {c.input(0), c.input(1), c.dy(), c.input(3), c.input(4)},
             pool_attrs(c)),
          {},
          {}};
}

Gradients max_pool_with_argmax(GradientContext& c) {
  return {op("MaxPoolGradWithArgmax", {c.input(0), c.dy(), c.output(1)},
             c.attrs({"ksize", "strides", "padding", "include_batch_in_index"}))};
}

Gradients softmax(GradientContext& c) {
  const Output y = c.output();
  return {(c.dy() - sum(c.dy() * y, -1, true)) * y};
}

Gradients log_softmax(GradientContext& c) {
  return {c.dy() - sum(c.dy(), -1, true) * exp(c.output())};
}

// The loss's second output is the gradient to the logits; it has a gradient of its own.
Output logits_gradient(GradientContext& c) {
  Output result = expand(c.dy(0), -1) * c.output(1);
  if (!c.has_dy(1)) return result;
  const Output y = op("Softmax", {c.input(0)});
  const Output along = squeeze(matmul(expand(c.dy(1), 1), expand(y, 2)), {1});
  return result + (c.dy(1) - along) * y;
}

Gradients softmax_cross_entropy(GradientContext& c) {
  return {logits_gradient(c), expand(c.dy(0), -1) * -op("LogSoftmax", {c.input(0)})};
}

Gradients sparse_softmax_cross_entropy(GradientContext& c) { return {logits_gradient(c), {}}; }

Gradients bias_add(GradientContext& c) {
  return {c.dy(), op("BiasAddGrad", {c.dy()}, c.attrs({"data_format"}))};
}

Gradients bias_add_v1(GradientContext& c) {
  const Output axes = range(make_scalar<std::int32_t>(0), op("Sub", {rank_of(c.dy()), 1}));
  return {c.dy(), sum(c.dy(), axes)};
}

Gradients bias_add_grad(GradientContext& c) {
  const Output shape = shape_of(c.input(0));
  const Output bias = shape_of(c.dy());
  const bool channels_first = c.attr<std::string>("data_format") == "NCHW";
  const Output before = channels_first ? slice(shape, 0, 1) : slice(shape, 0, -1);
  std::vector<Input> narrow = {ones_like(before), bias};
  if (channels_first) narrow.emplace_back(ones_like(slice(shape, 2)));
  return {op("BroadcastTo", {reshape(c.dy(), concat(narrow)), shape})};
}

// An activation's gradient op: takes dy, and the output or the input.
template <const char* kOp, bool kByOutput>
Gradients activation(GradientContext& c) {
  return {op(kOp, {c.dy(), kByOutput ? c.output() : c.input(0)}, c.attrs({"alpha"}))};
}
// Its own gradient, where it does not depend on the second operand.
template <const char* kOp>
Gradients activation_grad(GradientContext& c) {
  return {op(kOp, {c.dy(), c.input(1)}, c.attrs({"alpha"})), zeros_like(c.input(1))};
}
// That of Elu and Selu: below zero it grows with the output.
template <const char* kOp>
Gradients exponential_grad(GradientContext& c) {
  const Output y = c.input(1);
  return {op(kOp, {c.dy(), y}), where(op("Less", {y, 0.0}), c.dy() * c.input(0), zeros_like(y))};
}
constexpr char kReluGrad[] = "ReluGrad";
constexpr char kRelu6Grad[] = "Relu6Grad";
constexpr char kEluGrad[] = "EluGrad";
constexpr char kSeluGrad[] = "SeluGrad";
constexpr char kLeakyReluGrad[] = "LeakyReluGrad";
constexpr char kSoftsignGrad[] = "SoftsignGrad";

Gradients softplus_grad(GradientContext& c) {
  const Output x = c.input(1);
  return {op("SoftplusGrad", {c.dy(), x}), c.dy() * c.input(0) / (exp(-x) + 2.0 + exp(x))};
}

Gradients lrn(GradientContext& c) {
  return {op("LRNGrad", {c.dy(), c.input(0), c.output()},
             c.attrs({"depth_radius", "bias", "alpha", "beta"}))};
}

Gradients batch_norm_v0(GradientContext& c) {
  const Operation parts = c.many("BatchNormWithGlobalNormalizationGrad",
                                 {c.input(0), c.input(1), c.input(2), c.input(4), c.dy()},
                                 c.attrs({"variance_epsilon", "scale_after_normalization"}));
  return {parts.output(0), parts.output(1), parts.output(2), parts.output(3), parts.output(4)};
}

Gradients fused_batch_norm(GradientContext& c) {
  const std::string& name = c.node().op_name;
  const bool is_training = c.attr<bool>("is_training");
  const std::string& format = c.attr<std::string>("data_format");
  Output x = c.input(0);
  Output dy = c.dy();
  Attrs attrs = c.attrs({"epsilon", "data_format", "is_training"});
  // Inference wants the channels last.
  const bool moves = !is_training && (format == "NCHW" || format == "NCDHW");
  const bool is_3d = format == "NCDHW";
  if (moves) {
    const Tensor last = is_3d ? ints({0, 2, 3, 4, 1}) : ints({0, 2, 3, 1});
    x = transpose(x, last);
    dy = transpose(dy, last);
    attrs.insert_or_assign("data_format", Attr(is_3d ? "NDHWC" : "NHWC"));
  }
  std::vector<Input> inputs = {dy, x, c.input(1), is_training ? c.output(3) : c.input(3),
                               is_training ? c.output(4) : c.input(4)};
  if (name == "FusedBatchNormV3") inputs.emplace_back(c.output(5));
  const std::string type = name == "FusedBatchNormV3"   ? "FusedBatchNormGradV3"
                           : name == "FusedBatchNormV2" ? "FusedBatchNormGradV2"
                                                        : "FusedBatchNormGrad";
  const Operation parts = c.many(type, inputs, attrs);
  Output dx = parts.output(0);
  if (moves) dx = transpose(dx, is_3d ? ints({0, 4, 1, 2, 3}) : ints({0, 3, 1, 2}));
  return c.pad({dx, parts.output(1), parts.output(2)});
}

Gradients block_lstm(GradientContext& c) {
  std::vector<Input> inputs;
  for (int i = 0; i < c.num_inputs(); ++i) inputs.emplace_back(c.input(i));
  for (int i = 0; i < c.num_outputs(); ++i) inputs.emplace_back(c.output(i));
  inputs.emplace_back(c.dy(1));
  inputs.emplace_back(c.dy(6));
  const Operation parts = c.many("BlockLSTMGrad", inputs, c.attrs({"use_peephole"}));
  Gradients result = {{}};
  for (int i = 0; i < parts.num_outputs(); ++i) result.push_back(parts.output(i));
  return result;
}

Gradients ctc_loss(GradientContext& c) {
  const Output fixed =
      op("PreventGradient", {c.output(1)}, {{"message", "CTCLoss has no second derivative."}});
  return c.pad({expand(c.dy(0), -1) * fixed});
}

Gradients fake_quant_args(GradientContext& c) {
  return {op("FakeQuantWithMinMaxArgsGradient", {c.dy(), c.input(0)},
             c.attrs({"min", "max", "num_bits", "narrow_range"}))};
}

Gradients quantize_and_dequantize_v4(GradientContext& c) {
  const Operation parts = c.many("QuantizeAndDequantizeV4Grad",
                                 {c.dy(), c.input(0), c.input(1), c.input(2)}, c.attrs({"axis"}));
  return {parts.output(0), parts.output(1), parts.output(2)};
}

template <const char* kOp>
Gradients fake_quant(GradientContext& c) {
  const Operation parts = c.many(kOp, {c.dy(), c.input(0), c.input(1), c.input(2)},
                                 c.attrs({"num_bits", "narrow_range"}));
  return {parts.output(0), parts.output(1), parts.output(2)};
}
constexpr char kFakeQuantVars[] = "FakeQuantWithMinMaxVarsGradient";
constexpr char kFakeQuantChannels[] = "FakeQuantWithMinMaxVarsPerChannelGradient";

Output image_size(const Output& image) { return slice(shape_of(image), 1, 3); }

Gradients resize_nearest(GradientContext& c) {
  return {op("ResizeNearestNeighborGrad", {c.dy(), image_size(c.input(0))},
             c.attrs({"align_corners", "half_pixel_centers"})),
          {}};
}

template <const char* kOp>
Gradients resize(GradientContext& c) {
  return {op(kOp, {c.dy(), c.input(0)}, c.attrs({"align_corners", "half_pixel_centers"})), {}};
}
constexpr char kBilinear[] = "ResizeBilinearGrad";
constexpr char kBicubic[] = "ResizeBicubicGrad";

Gradients resize_bicubic(GradientContext& c) {
  if (c.dtype(0) != DType::kFloat32 && c.dtype(0) != DType::kFloat64) return c.pad({});
  return resize<kBicubic>(c);
}

Gradients scale_and_translate(GradientContext& c) {
  return c.pad({op("ScaleAndTranslateGrad", {c.dy(), c.input(0), c.input(2), c.input(3)},
                   c.attrs({"kernel_type", "antialias"}))});
}

Gradients crop_and_resize(GradientContext& c) {
  Gradients result = c.pad({});
  if (is_differentiable(c.dtype(0)) && c.dtype(0) != DType::kBfloat16) {
    Attrs attrs = c.attrs({"T", "method"});
    result[0] =
        op("CropAndResizeGradImage", {c.dy(), c.input(1), c.input(2), shape_of(c.input(0))}, attrs);
  }
  result[1] = op("CropAndResizeGradBoxes", {c.dy(), c.input(0), c.input(1), c.input(2)});
  return result;
}

// The picture of the gradient under the inverse transformation, as TensorFlow has it.
Gradients projective_transform(GradientContext& c) {
  const Output flat =
      c.shape(1).has_rank() && c.shape(1).rank() == 1 ? expand(c.input(1), 0) : c.input(1);
  const Output rows = element(shape_of(flat), 0);
  const Output ones = filled(pack({rows, make_scalar<std::int32_t>(1)}), flat.dtype(), 1);
  const Output matrices = reshape(concat({flat, ones}, 1), ints({-1, 3, 3}));
  const Output inverse = reshape(op("MatrixInverse", {matrices}), ints({-1, 9}));
  const Output corner = op("StridedSlice", {inverse, ints({0, 8}), ints({0, 9}), ints({1, 1})},
                           {{"begin_mask", 1}, {"end_mask", 1}});
  const Output scaled = inverse / corner;
  const Output transforms = op("StridedSlice", {scaled, ints({0, 0}), ints({0, 8}), ints({1, 1})},
                               {{"begin_mask", 1}, {"end_mask", 1}});
  std::vector<Input> inputs = {c.dy(), transforms, image_size(c.input(0))};
  if (c.node().op_name == "ImageProjectiveTransformV3") inputs.emplace_back(0.0);
  return c.pad({op(c.node().op_name, inputs, c.attrs({"interpolation", "fill_mode"}))});
}

// The pieces of TensorFlow's formula: which channel is the largest, which the smallest; at a tie
// the order of the channels decides as there.
struct Hsv {
  Output r, g, b, saturation, value;
  Output r_max, g_max, b_max, r_min, g_min, b_min;
  Output r_on, g_on, b_on;  // above zero
};

Output channel(const Output& x, int k) {
  return op("StridedSlice", {x, ints({0, k}), ints({0, k + 1}), ints({1, 1})},
            {{"ellipsis_mask", 1}, {"shrink_axis_mask", 2}});
}

Output safe_inverse(const Output& x) { return op("DivNoNan", {1.0, x}); }

Hsv hsv_pieces(const Output& rgb, const Output& hsv) {
  const Output r = channel(rgb, 0);
  const Output g = channel(rgb, 1);
  const Output b = channel(rgb, 2);
  const auto both = [&](const char* p, const Output& x, const Output& y, const char* q,
                        const Output& z, const Output& w) {
    return cast(op("LogicalAnd", {op(p, {x, y}), op(q, {z, w})}), r.dtype());
  };
  const auto on = [&](const Output& x) { return cast(op("Greater", {x, 0.0}), x.dtype()); };
  return {r,
          g,
          b,
          channel(hsv, 1),
          channel(hsv, 2),
          both("GreaterEqual", r, b, "GreaterEqual", r, g),
          both("Greater", g, r, "GreaterEqual", g, b),
          both("Greater", b, r, "Greater", b, g),
          both("Less", r, b, "Less", r, g),
          both("LessEqual", g, r, "Less", g, b),
          both("LessEqual", b, r, "LessEqual", b, g),
          on(r),
          on(g),
          on(b)};
}

// Of saturation to a channel: where it is the largest, where it is the smallest.
Output saturation_part(const Output& x, const Output& on, const Output& is_max,
                       const Output& is_min, const Output& least, const Output& most) {
  return on * (is_max * least * safe_inverse(square(x)) - is_min * safe_inverse(most));
}

Gradients rgb_to_hsv(GradientContext& c) {
  const Hsv p = hsv_pieces(c.input(0), c.output());
  const Output ds_r = saturation_part(p.r, p.r_on, p.r_max, p.r_min, p.g_min * p.g + p.b_min * p.b,
                                      p.g_max * p.g + p.b_max * p.b);
  const Output ds_g = saturation_part(p.g, p.g_on, p.g_max, p.g_min, p.r_min * p.r + p.b_min * p.b,
                                      p.r_max * p.r + p.b_max * p.b);
  const Output ds_b = saturation_part(p.b, p.b_on, p.b_max, p.b_min, p.g_min * p.g + p.r_min * p.r,
                                      p.g_max * p.g + p.r_max * p.r);
  const Output by_chroma = safe_inverse(square(p.saturation)) * safe_inverse(square(p.value));
  const Output dh_r = -(p.r_on * p.r_max * (p.g - p.b) * by_chroma) +
                      p.g_on * p.g_max * p.r_min * (p.b - p.g) * safe_inverse(square(p.r - p.g)) -
                      p.g_on * p.g_max * p.b_min * safe_inverse(p.g - p.b) +
                      p.b_on * p.b_max * p.r_min * (p.b - p.g) * safe_inverse(square(p.b - p.r)) +
                      p.b_on * p.b_max * p.g_min * safe_inverse(p.b - p.g);
  const Output dh_g = -(p.g_on * p.g_max * (p.b - p.r) * by_chroma) +
                      p.r_on * p.r_max * p.g_min * (p.r - p.b) * safe_inverse(square(p.r - p.g)) +
                      p.r_on * p.r_max * p.b_min * safe_inverse(p.r - p.b) +
                      p.b_on * p.b_max * p.g_min * (p.r - p.b) * safe_inverse(square(p.b - p.g)) -
                      p.b_on * p.b_max * p.r_min * safe_inverse(p.b - p.r);
  const Output dh_b = -(p.b_on * p.b_max * (p.r - p.g) * by_chroma) +
                      p.r_on * p.r_max * p.b_min * (p.g - p.r) * safe_inverse(square(p.r - p.b)) -
                      p.r_on * p.r_max * p.g_min * safe_inverse(p.r - p.g) +
                      p.g_on * p.g_max * p.b_min * (p.g - p.r) * safe_inverse(square(p.g - p.b)) +
                      p.g_on * p.g_max * p.r_min * safe_inverse(p.g - p.r);
  const auto joined = [&](int k, const Output& x, const Output& y, const Output& z) {
    const Output dy = channel(c.dy(), k);
    return pack({dy * x, dy * y, dy * z}, -1);
  };
  return {joined(2, p.r_max, p.g_max, p.b_max) + joined(1, ds_r, ds_g, ds_b) +
          joined(0, dh_r / 6.0, dh_g / 6.0, dh_b / 6.0)};
}

constexpr GradientRule kRules[] = {
    {"RGBToHSV", rgb_to_hsv},
    {"Conv2D", convolution<kConv2D>},
    {"Conv2DBackpropInput", to_input<kConv2D>},
    {"Conv2DBackpropFilter", to_filter<kConv2D>},
    {"DepthwiseConv2dNative", convolution<kDepthwise>},
    {"DepthwiseConv2dNativeBackpropInput", to_input<kDepthwise>},
    {"DepthwiseConv2dNativeBackpropFilter", to_filter<kDepthwise>},
    {"Conv3D", convolution<kConv3D>},
    {"Conv3DBackpropInputV2", to_input<kConv3D>},
    {"Conv3DBackpropFilterV2", to_filter<kConv3D>},
    {"Dilation2D", dilation},
    {"AvgPool", avg_pool<kAvgPoolGrad>},
    {"AvgPoolGrad", avg_pool_grad<kAvgPool>},
    {"AvgPool3D", avg_pool<kAvgPool3DGrad>},
    {"AvgPool3DGrad", avg_pool_grad<kAvgPool3D>},
    {"MaxPool", max_pool<kMaxPoolGrad>},
    {"MaxPoolGrad", max_pool_grad<kMaxPoolGradGrad>},
    {"MaxPoolGradGrad", max_pool_grad<kMaxPoolGrad>},
    {"MaxPool3D", max_pool<kMaxPool3DGrad>},
    {"MaxPool3DGrad", max_pool_grad<kMaxPool3DGradGrad>},
    {"MaxPool3DGradGrad", max_pool_grad<kMaxPool3DGrad>},
    {"MaxPoolV2", max_pool_v2},
    {"MaxPoolGradV2", max_pool_grad_v2},
    {"MaxPoolWithArgmax", max_pool_with_argmax},
    {"Softmax", softmax},
    {"LogSoftmax", log_softmax},
    {"SoftmaxCrossEntropyWithLogits", softmax_cross_entropy},
    {"SparseSoftmaxCrossEntropyWithLogits", sparse_softmax_cross_entropy},
    {"BiasAdd", bias_add},
    {"BiasAddV1", bias_add_v1},
    {"BiasAddGrad", bias_add_grad},
    {"Relu", activation<kReluGrad, true>},
    {"ReluGrad", activation_grad<kReluGrad>},
    {"Relu6", activation<kRelu6Grad, true>},
    {"Relu6Grad", activation_grad<kRelu6Grad>},
    {"Elu", activation<kEluGrad, true>},
    {"EluGrad", exponential_grad<kEluGrad>},
    {"Selu", activation<kSeluGrad, true>},
    {"SeluGrad", exponential_grad<kSeluGrad>},
    {"LeakyRelu", activation<kLeakyReluGrad, false>},
    {"LeakyReluGrad", activation_grad<kLeakyReluGrad>},
    {"Softsign", activation<kSoftsignGrad, false>},
    {"SoftplusGrad", softplus_grad},
    {"LRN", lrn},
    {"BatchNormWithGlobalNormalization", batch_norm_v0},
    {"FusedBatchNorm", fused_batch_norm},
    {"FusedBatchNormV2", fused_batch_norm},
    {"FusedBatchNormV3", fused_batch_norm},
    {"BlockLSTM", block_lstm},
    {"BlockLSTMV2", block_lstm},
    {"CTCLoss", ctc_loss},
    {"CTCLossV2", ctc_loss},
    {"FakeQuantWithMinMaxArgs", fake_quant_args},
    {"FakeQuantWithMinMaxVars", fake_quant<kFakeQuantVars>},
    {"FakeQuantWithMinMaxVarsPerChannel", fake_quant<kFakeQuantChannels>},
    {"QuantizeAndDequantizeV4", quantize_and_dequantize_v4},
    {"ResizeNearestNeighbor", resize_nearest},
    {"ResizeBilinear", resize<kBilinear>},
    {"ResizeBicubic", resize_bicubic},
    {"ScaleAndTranslate", scale_and_translate},
    {"CropAndResize", crop_and_resize},
    {"ImageProjectiveTransformV2", projective_transform},
    {"ImageProjectiveTransformV3", projective_transform},
};

}  // namespace

GradientRules nn_gradients() { return kRules; }

}  // namespace hub
