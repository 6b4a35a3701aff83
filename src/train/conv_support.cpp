#include "train/conv_support.h"

#include <algorithm>

#include "train/node_support.h"

namespace hub::layers {
namespace {

struct Paddings {
  std::vector<int> base;  // before, after; before, after...
  Output paddings;
  Output crops;
};

std::vector<int> base_paddings(const std::vector<int>& kernel_size, const std::vector<int>& rates,
                               Padding padding) {
  std::vector<int> result;
  for (std::size_t i = 0; i < kernel_size.size(); ++i) {
    const int total = padding == Padding::kSame ? (kernel_size[i] - 1) * rates[i] : 0;
    result.push_back(total / 2);
    result.push_back(total - total / 2);
  }
  return result;
}

Tensor pairs(const std::vector<int>& values) {
  return int_vector(values).reshaped({static_cast<std::int64_t>(values.size() / 2), 2});
}

// array_ops.required_space_to_batch_paddings of sizes that are known.
void known_paddings(const Graph& graph, const std::vector<int>& sizes,
                    const std::vector<int>& rates, Padding padding, Paddings& result) {
  const NameScope scope(graph, "required_space_to_batch_paddings");
  ops::constant(graph, int_vector(sizes), "input_shape");
  if (padding == Padding::kValid) ops::constant(graph, pairs(result.base), "base_paddings");
  std::vector<int> paddings, crops;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const int full = sizes[i] + result.base[2 * i] + result.base[2 * i + 1];
    const int extra = (rates[i] - full % rates[i]) % rates[i];
    paddings.push_back(result.base[2 * i]);
    paddings.push_back(result.base[2 * i + 1] + extra);
    crops.push_back(0);
    crops.push_back(extra);
  }
  result.paddings = ops::constant(graph, pairs(paddings), "paddings");
  result.crops = ops::constant(graph, pairs(crops), "crops");
}

void unknown_paddings(const Output& sizes, const std::vector<int>& rates, Paddings& result) {
  const Graph graph = sizes.graph();
  const NameScope scope(graph, "required_space_to_batch_paddings");
  std::vector<int> before, after;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    before.push_back(result.base[2 * i]);
    after.push_back(result.base[2 * i + 1]);
  }
  const Output start = ops::constant(graph, int_vector(before));
  const Output end = ops::constant(graph, int_vector(after));
  const Output blocks = ops::constant(graph, int_vector(rates));
  const Output full = (sizes + start) + end;
  const Output rest = ops::floor_mod(full, blocks, "mod");
  const Output extra = ops::floor_mod(blocks - rest, blocks, "mod");
  result.paddings = ops::stack({start, end + extra}, 1, "paddings");
  result.crops = ops::stack({ops::zeros_like(extra), extra}, 1, "crops");
}

std::vector<int> spatial_sizes(const Output& inputs, DataFormat format) {
  const PartialShape& shape = inputs.shape();
  const int first = format == DataFormat::kChannelsFirst ? 2 : 1;
  std::vector<int> result;
  for (int i = 0; i < shape.rank() - 2; ++i)
    result.push_back(static_cast<int>(shape.dim(first + i)));
  return result;
}

Output sizes_tensor(const Output& inputs, int count, DataFormat format) {
  const Output dims = ops::shape(inputs);
  const int first = format == DataFormat::kChannelsFirst ? 2 : 1;
  return ops::slice(dims, {first}, {count});
}

// Block shapes and pairs for the axes that SpaceToBatchND cuts: from axis 1 on.
std::vector<int> with_channels(std::vector<int> blocks, DataFormat format) {
  if (format == DataFormat::kChannelsFirst) blocks.insert(blocks.begin(), 1);
  return blocks;
}
Output with_channels(const Output& pairs_of_axes, DataFormat format) {
  if (format != DataFormat::kChannelsFirst) return pairs_of_axes;
  const Output none = ops::constant(pairs_of_axes.graph(), pairs({0, 0}));
  return ops::concat({none, pairs_of_axes}, 0);
}

// SpaceToBatchND or BatchToSpaceND with its constants.
Output moved(std::string_view op, std::string_view pairs_name, const Output& x,
             const std::vector<int>& blocks, const Output& axis_pairs) {
  const Graph graph = x.graph();
  const NameScope scope(graph, op);
  const Output block_shape = ops::constant(graph, int_vector(blocks), "block_shape");
  Output pairs_tensor = axis_pairs;
  if (axis_pairs.op().type() == "Const") {
    const Attr value = axis_pairs.op().attr("value");
    pairs_tensor = ops::constant(graph, std::get<Tensor>(value.value()), pairs_name);
  }
  return graph.op(op, {x, block_shape, pairs_tensor}, {}, scope.name());
}

}  // namespace

std::string_view format_name(DataFormat format, int spatial_axes) {
  const bool first = format == DataFormat::kChannelsFirst;
  if (spatial_axes == 3) return first ? "NCDHW" : "NDHWC";
  return first ? "NCHW" : "NHWC";
}

std::string_view padding_name(Padding padding) {
  return padding == Padding::kSame ? "SAME" : "VALID";
}

std::vector<std::int64_t> all_axes(const std::vector<int>& spatial, DataFormat format) {
  std::vector<std::int64_t> result = {1};
  if (format == DataFormat::kChannelsFirst) result.push_back(1);
  result.insert(result.end(), spatial.begin(), spatial.end());
  if (format == DataFormat::kChannelsLast) result.push_back(1);
  return result;
}

int channel_axis(DataFormat format, int rank) {
  return format == DataFormat::kChannelsFirst ? 1 : rank - 1;
}

Output add_bias(const Output& x, const Variable& bias, DataFormat format) {
  return x.graph().op("BiasAdd", {x, bias}, {{"data_format", format_name(format, 2)}});
}

bool has_holes(const std::vector<int>& rates) {
  return std::ranges::any_of(rates, [](int rate) { return rate > 1; });
}

void check_strides_and_dilation(const std::vector<int>& strides, const std::vector<int>& rates) {
  if (!has_holes(strides) || !has_holes(rates)) return;
  throw value_error(
      "`strides > 1` not supported in conjunction with `dilation_rate > 1`. Details: received "
      "strides=[",
      join(strides, ","), "] and dilation_rate=[", join(rates, ","), "].");
}

Output dilated(const Output& inputs, const std::vector<int>& kernel_size,
               const std::vector<int>& rates, Padding padding, DataFormat format,
               const std::function<Output(const Output&)>& convolve) {
  const Graph graph = inputs.graph();
  const std::vector<int> sizes = spatial_sizes(inputs, format);
  Paddings paddings;
  paddings.base = base_paddings(kernel_size, rates, padding);
  if (std::ranges::all_of(sizes, [](int size) { return size >= 0; })) {
    known_paddings(graph, sizes, rates, padding, paddings);
  } else {
    const Output dims = sizes_tensor(inputs, static_cast<int>(sizes.size()), format);
    unknown_paddings(dims, rates, paddings);
  }
  const std::vector<int> blocks = with_channels(rates, format);
  const Output pieces =
      moved("SpaceToBatchND", "paddings", inputs, blocks, with_channels(paddings.paddings, format));
  const Output result = convolve(pieces);
  return moved("BatchToSpaceND", "crops", result, blocks, with_channels(paddings.crops, format));
}

}  // namespace hub::layers
