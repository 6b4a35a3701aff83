// Transposed convolutions (keras/layers/convolutional/conv2d_transpose.py, conv3d_transpose.py).

#include <algorithm>

#include "train/conv_support.h"
#include "train/node_support.h"

namespace hub::layers {
namespace {

struct Transposed {
  std::string_view layer;
  std::string_view op;
  int rank;  // spatial axes
  // Sizes that are known are numbers in the node that makes the output's shape.
  bool uses_known_sizes;
  // TensorFlow's layer reads the output's batch size once more.
  bool reads_batch_again;
};

// How much longer than length * stride the output is.
int surplus(int kernel_size, int stride, Padding padding) {
  return padding == Padding::kSame ? 0 : std::max(kernel_size - stride, 0);
}

Output output_length(const Output& length, int kernel_size, int stride, Padding padding) {
  const Output scaled = length * stride;
  return padding == Padding::kSame ? scaled : scaled + surplus(kernel_size, stride, padding);
}

// A dimension of the output: a number, or a tensor.
using Dim = std::variant<std::int64_t, Output>;

Output packed(const Graph& graph, const std::vector<Dim>& dims) {
  const NameScope scope(graph, "stack");
  std::vector<Input> inputs;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (const auto* number = std::get_if<std::int64_t>(&dims[i])) {
      inputs.emplace_back(ops::constant(graph, *number, kInt32, std::to_string(i)));
    } else {
      inputs.emplace_back(std::get<Output>(dims[i]));
    }
  }
  return graph.op("Pack", inputs, {}, scope.name());
}

struct Geometry {
  std::vector<int> kernel_size;
  std::vector<int> strides;
  int filters;
  Padding padding;
  DataFormat format;
};

Output output_shape(const Transposed& what, const Output& inputs, const Geometry& geometry) {
  const Graph graph = inputs.graph();
  const Output dims = ops::shape(inputs);
  const Output batch = element_of(dims, 0);
  const int first = geometry.format == DataFormat::kChannelsFirst ? 2 : 1;
  std::vector<Dim> lengths;
  for (int i = 0; i < what.rank; ++i) {
    const std::int64_t known = inputs.shape().dim(first + i);
    if (what.uses_known_sizes && known >= 0) {
      lengths.emplace_back(known);
    } else {
      lengths.emplace_back(element_of(dims, first + i));
    }
  }
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const int kernel = geometry.kernel_size[i];
    const int stride = geometry.strides[i];
    if (auto* number = std::get_if<std::int64_t>(&lengths[i])) {
      *number = *number * stride + surplus(kernel, stride, geometry.padding);
    } else {
      lengths[i] = output_length(std::get<Output>(lengths[i]), kernel, stride, geometry.padding);
    }
  }
  std::vector<Dim> all = {batch};
  const Dim filters = std::int64_t{geometry.filters};
  if (geometry.format == DataFormat::kChannelsFirst) all.push_back(filters);
  all.insert(all.end(), lengths.begin(), lengths.end());
  if (geometry.format == DataFormat::kChannelsLast) all.push_back(filters);
  return packed(graph, all);
}

PartialShape known_output_shape(const Output& inputs, const Geometry& geometry) {
  std::vector<std::int64_t> dims(inputs.shape().dims().begin(), inputs.shape().dims().end());
  const std::size_t first = geometry.format == DataFormat::kChannelsFirst ? 2 : 1;
  for (std::size_t i = 0; i < geometry.strides.size(); ++i) {
    std::int64_t& dim = dims[first + i];
    if (dim >= 0) {
      dim = dim * geometry.strides[i] +
            surplus(geometry.kernel_size[i], geometry.strides[i], geometry.padding);
    }
  }
  dims[static_cast<std::size_t>(channel_axis(geometry.format, static_cast<int>(dims.size())))] =
      geometry.filters;
  return PartialShape(dims);
}

Output conv_transpose(const Transposed& what, const Output& inputs, int filters,
                      const Sizes& kernel_size, const ConvOptions& options) {
  check_rank(what.layer, inputs, what.rank + 2);
  if (has_holes(options.dilation_rate.of_rank(what.rank, "dilation_rate")))
    throw value_error("Transposed convolutions have no dilation.");
  const Geometry geometry = {kernel_size.of_rank(what.rank, "kernel_size"),
                             options.strides.of_rank(what.rank, "strides"), filters,
                             options.padding, options.data_format};
  const Graph graph = inputs.graph();
  const std::int64_t channels =
      known_channels(what.layer, inputs, channel_axis(options.data_format, what.rank + 2));
  const LayerScope layer(graph, what.layer, options.name, options.reuse);
  std::vector<std::int64_t> kernel_shape(geometry.kernel_size.begin(), geometry.kernel_size.end());
  kernel_shape.push_back(filters);
  kernel_shape.push_back(channels);
  const Variable kernel = layer.add_weight(
      "kernel", Shape(kernel_shape),
      {options.kernel_initializer, options.kernel_regularizer, options.trainable, inputs.dtype()});
  Variable bias;
  if (options.use_bias) {
    bias = layer.add_weight(
        "bias", {filters},
        {options.bias_initializer, options.bias_regularizer, options.trainable, inputs.dtype()});
  }
  const Output shape = output_shape(what, inputs, geometry);
  if (what.reads_batch_again) element_of(shape, 0);
  Output y = graph.op(what.op, {shape, kernel, inputs},
                      {{"strides", all_axes(geometry.strides, options.data_format)},
                       {"padding", padding_name(options.padding)},
                       {"data_format", format_name(options.data_format, what.rank)}},
                      what.layer);
  y.set_shape(known_output_shape(inputs, geometry));
  if (options.use_bias) y = add_bias(y, bias, options.data_format);
  y = options.activation(y);
  layer.add_activity_loss(options.activity_regularizer, y);
  return y;
}

}  // namespace

Output conv2d_transpose(const Output& inputs, int filters, const Sizes& kernel_size,
                        const ConvOptions& options) {
  return conv_transpose({"conv2d_transpose", "Conv2DBackpropInput", 2, true, true}, inputs, filters,
                        kernel_size, options);
}
Output conv3d_transpose(const Output& inputs, int filters, const Sizes& kernel_size,
                        const ConvOptions& options) {
  return conv_transpose({"conv3d_transpose", "Conv3DBackpropInputV2", 3, false, false}, inputs,
                        filters, kernel_size, options);
}

}  // namespace hub::layers
