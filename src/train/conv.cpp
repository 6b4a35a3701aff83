// Convolutions (keras/layers/convolutional/base_conv.py; tf.nn.convolution).

#include "train/conv_support.h"
#include "train/node_support.h"

namespace hub::layers {
namespace {

struct Convolution {
  std::string_view layer;
  std::string_view scope;  // of the op, which has its name
  int rank;                // spatial axes
};

struct Settings {
  std::vector<int> kernel_size;
  std::vector<int> strides;
  std::vector<int> rates;
};

Settings settings_of(const Convolution& what, const Output& inputs, int filters,
                     const Sizes& kernel_size, const ConvOptions& options) {
  check_rank(what.layer, inputs, what.rank + 2);
  if (filters < 1) {
    throw value_error("Expected a strictly positive value for argument `filters`. Details: got ",
                      filters, ".");
  }
  Settings result = {kernel_size.of_rank(what.rank, "kernel_size"),
                     options.strides.of_rank(what.rank, "strides"),
                     options.dilation_rate.of_rank(what.rank, "dilation_rate")};
  check_strides_and_dilation(result.strides, result.rates);
  return result;
}

// One spatial axis: as two, the first of size 1 (tf.nn.conv1d). `name` is the op's.
Output convolve_1d(const Output& inputs, const Variable& kernel, int stride, Padding padding,
                   DataFormat format, std::string_view name) {
  const Graph graph = inputs.graph();
  const int axis = format == DataFormat::kChannelsFirst ? -2 : -3;
  const Output wide = ops::expand_dims(inputs, axis);
  const Output wide_kernel = graph.op("ExpandDims", {kernel, 0});
  const Output result = graph.op("Conv2D", {wide, wide_kernel},
                                 {{"strides", all_axes({1, stride}, format)},
                                  {"padding", padding_name(padding)},
                                  {"data_format", format_name(format, 2)}},
                                 name);
  return ops::squeeze(result, {axis});
}

Output convolve_once(const Convolution& what, const Output& inputs, const Variable& kernel,
                     const Settings& settings, Padding padding, DataFormat format,
                     std::string_view name) {
  if (what.rank == 1)
    return convolve_1d(inputs, kernel, settings.strides[0], padding, format, name);
  return inputs.graph().op(what.rank == 3 ? "Conv3D" : "Conv2D", {inputs, kernel},
                           {{"strides", all_axes(settings.strides, format)},
                            {"padding", padding_name(padding)},
                            {"data_format", format_name(format, what.rank)}},
                           name);
}

Output convolve(const Convolution& what, const Output& inputs, const Variable& kernel,
                const Settings& settings, const ConvOptions& options) {
  const Graph graph = inputs.graph();
  const NameScope scope(graph, what.scope);
  const DataFormat format = options.data_format;
  if (!has_holes(settings.rates)) {
    return convolve_once(what, inputs, kernel, settings, options.padding, format, scope.name());
  }
  ops::constant(graph, int_vector(settings.rates), "dilation_rate");
  if (options.padding == Padding::kSame) {
    const Shape shape = *kernel.shape().as_shape();
    const std::vector<int> dims(shape.dims().begin(), shape.dims().end());
    ops::constant(graph, int_vector(dims), "filter_shape");
    ops::constant(graph, int_vector({0}), "stack");
  }
  return dilated(inputs, settings.kernel_size, settings.rates, options.padding, format,
                 [&](const Output& pieces) {
                   return convolve_once(what, pieces, kernel, settings, Padding::kValid, format,
                                        scope.name());
                 });
}

Output with_bias(const Convolution& what, const Output& x, const Variable& bias, int filters,
                 DataFormat format) {
  if (what.rank > 1 || format == DataFormat::kChannelsLast) return add_bias(x, bias, format);
  const Output row = x.graph().op("Reshape", {bias, int_vector({1, filters, 1})});
  return x + row;
}

Output conv(const Convolution& what, const Output& inputs, int filters, const Sizes& kernel_size,
            const ConvOptions& options) {
  const Settings settings = settings_of(what, inputs, filters, kernel_size, options);
  const std::int64_t channels =
      known_channels(what.layer, inputs, channel_axis(options.data_format, what.rank + 2));
  const DType dtype = inputs.dtype();
  const LayerScope layer(inputs.graph(), what.layer, options.name, options.reuse);
  std::vector<std::int64_t> kernel_shape(settings.kernel_size.begin(), settings.kernel_size.end());
  kernel_shape.push_back(channels);
  kernel_shape.push_back(filters);
  const Variable kernel = layer.add_weight(
      "kernel", Shape(kernel_shape),
      {options.kernel_initializer, options.kernel_regularizer, options.trainable, dtype});
  Variable bias;
  if (options.use_bias) {
    bias = layer.add_weight(
        "bias", {filters},
        {options.bias_initializer, options.bias_regularizer, options.trainable, dtype});
  }
  Output y = convolve(what, inputs, kernel, settings, options);
  if (options.use_bias) y = with_bias(what, y, bias, filters, options.data_format);
  y = options.activation(y);
  layer.add_activity_loss(options.activity_regularizer, y);
  return y;
}

}  // namespace

Output conv1d(const Output& inputs, int filters, const Sizes& kernel_size,
              const ConvOptions& options) {
  return conv({"conv1d", "Conv1D", 1}, inputs, filters, kernel_size, options);
}
Output conv2d(const Output& inputs, int filters, const Sizes& kernel_size,
              const ConvOptions& options) {
  return conv({"conv2d", "Conv2D", 2}, inputs, filters, kernel_size, options);
}
Output conv3d(const Output& inputs, int filters, const Sizes& kernel_size,
              const ConvOptions& options) {
  return conv({"conv3d", "Conv3D", 3}, inputs, filters, kernel_size, options);
}

}  // namespace hub::layers
