// Depthwise and separable convolutions (keras/layers/convolutional/base_separable_conv.py;
// tf.nn.separable_conv2d).

#include "train/conv_support.h"
#include "train/node_support.h"

namespace hub::layers {
namespace {

struct Settings {
  std::vector<int> kernel_size;
  std::vector<int> strides;
  std::vector<int> rates;
  std::int64_t channels;
};

Settings settings_of(std::string_view layer, int rank, const Output& inputs,
                     const Sizes& kernel_size, const SeparableConvOptions& options) {
  check_rank(layer, inputs, rank + 2);
  Settings result = {kernel_size.of_rank(rank, "kernel_size"),
                     options.strides.of_rank(rank, "strides"),
                     options.dilation_rate.of_rank(rank, "dilation_rate"),
                     known_channels(layer, inputs, channel_axis(options.data_format, rank + 2))};
  check_strides_and_dilation(result.strides, result.rates);
  if (options.depth_multiplier < 1) {
    throw value_error("`depth_multiplier` is a positive number. Details: got ",
                      options.depth_multiplier, ".");
  }
  return result;
}

Variable depthwise_kernel(const LayerScope& layer, const Settings& settings, DType dtype,
                          const SeparableConvOptions& options) {
  std::vector<std::int64_t> shape(settings.kernel_size.begin(), settings.kernel_size.end());
  shape.push_back(settings.channels);
  shape.push_back(options.depth_multiplier);
  return layer.add_weight(
      "depthwise_kernel", Shape(shape),
      {options.depthwise_initializer, options.depthwise_regularizer, options.trainable, dtype});
}

// Adds nodes to the current name scope; `name` is the op's. Settings are two-dimensional.
Output depthwise(const Output& inputs, const Input& kernel, const Settings& settings,
                 const SeparableConvOptions& options, std::string_view name) {
  const DataFormat format = options.data_format;
  const auto convolve = [&](const Output& x, Padding padding) -> Output {
    return x.graph().op("DepthwiseConv2dNative", {x, kernel},
                        {{"strides", all_axes(settings.strides, format)},
                         {"padding", padding_name(padding)},
                         {"data_format", format_name(format, 2)}},
                        name);
  };
  if (!has_holes(settings.rates)) return convolve(inputs, options.padding);
  return dilated(inputs, settings.kernel_size, settings.rates, options.padding, format,
                 [&](const Output& pieces) { return convolve(pieces, Padding::kValid); });
}

// tf.nn.separable_conv2d.
Output separable(const Output& inputs, const Input& depthwise_filter, const Input& pointwise_filter,
                 const Settings& settings, const SeparableConvOptions& options) {
  const Graph graph = inputs.graph();
  const NameScope scope(graph, "separable_conv2d");
  const std::vector<int> filter_shape = {settings.kernel_size[0], settings.kernel_size[1],
                                         static_cast<int>(settings.channels),
                                         options.depth_multiplier};
  ops::constant(graph, int_vector(filter_shape), "Shape");
  ops::constant(graph, int_vector(settings.rates), "dilation_rate");
  const Output mixed = depthwise(inputs, depthwise_filter, settings, options, "depthwise");
  return graph.op("Conv2D", {mixed, pointwise_filter},
                  {{"strides", std::vector<std::int64_t>{1, 1, 1, 1}},
                   {"padding", "VALID"},
                   {"data_format", format_name(options.data_format, 2)}},
                  scope.name());
}

struct Kernels {
  Variable depthwise;
  Variable pointwise;
  Variable bias;
};

Kernels kernels_of(const LayerScope& layer, const Settings& settings, int filters, DType dtype,
                   const SeparableConvOptions& options) {
  Kernels result;
  result.depthwise = depthwise_kernel(layer, settings, dtype, options);
  std::vector<std::int64_t> shape(settings.kernel_size.size(), 1);
  shape.push_back(settings.channels * options.depth_multiplier);
  shape.push_back(filters);
  result.pointwise = layer.add_weight(
      "pointwise_kernel", Shape(shape),
      {options.pointwise_initializer, options.pointwise_regularizer, options.trainable, dtype});
  if (options.use_bias) {
    result.bias = layer.add_weight(
        "bias", {filters},
        {options.bias_initializer, options.bias_regularizer, options.trainable, dtype});
  }
  return result;
}

Output finished(const LayerScope& layer, const Output& x, const SeparableConvOptions& options) {
  const Output y = options.activation(x);
  layer.add_activity_loss(options.activity_regularizer, y);
  return y;
}

}  // namespace

Output separable_conv2d(const Output& inputs, int filters, const Sizes& kernel_size,
                        const SeparableConvOptions& options) {
  const Settings settings = settings_of("separable_conv2d", 2, inputs, kernel_size, options);
  const LayerScope layer(inputs.graph(), "separable_conv2d", options.name, options.reuse);
  const Kernels kernels = kernels_of(layer, settings, filters, inputs.dtype(), options);
  Output y = separable(inputs, kernels.depthwise, kernels.pointwise, settings, options);
  if (options.use_bias) y = add_bias(y, kernels.bias, options.data_format);
  return finished(layer, y, options);
}

Output separable_conv1d(const Output& inputs, int filters, const Sizes& kernel_size,
                        const SeparableConvOptions& options) {
  Settings settings = settings_of("separable_conv1d", 1, inputs, kernel_size, options);
  const Graph graph = inputs.graph();
  const LayerScope layer(graph, "separable_conv1d", options.name, options.reuse);
  const Kernels kernels = kernels_of(layer, settings, filters, inputs.dtype(), options);
  const int axis = options.data_format == DataFormat::kChannelsFirst ? 2 : 1;
  const Output wide = ops::expand_dims(inputs, axis);
  const Output depthwise_filter = graph.op("ExpandDims", {kernels.depthwise, 0});
  const Output pointwise_filter = graph.op("ExpandDims", {kernels.pointwise, 0});
  settings.kernel_size.insert(settings.kernel_size.begin(), 1);
  settings.rates.insert(settings.rates.begin(), 1);
  settings.strides.push_back(settings.strides[0]);
  Output y = separable(wide, depthwise_filter, pointwise_filter, settings, options);
  if (options.use_bias) y = add_bias(y, kernels.bias, options.data_format);
  return finished(layer, ops::squeeze(y, {axis}), options);
}

Output depthwise_conv2d(const Output& inputs, const Sizes& kernel_size,
                        const SeparableConvOptions& options) {
  const Settings settings = settings_of("depthwise_conv2d", 2, inputs, kernel_size, options);
  const LayerScope layer(inputs.graph(), "depthwise_conv2d", options.name, options.reuse);
  const Variable kernel = depthwise_kernel(layer, settings, inputs.dtype(), options);
  Variable bias;
  if (options.use_bias) {
    bias = layer.add_weight(
        "bias", {settings.channels * options.depth_multiplier},
        {options.bias_initializer, options.bias_regularizer, options.trainable, inputs.dtype()});
  }
  Output y = depthwise(inputs, kernel, settings, options, "depthwise");
  if (options.use_bias) y = add_bias(y, bias, options.data_format);
  return finished(layer, y, options);
}

}  // namespace hub::layers
