// Pooling layers (keras/layers/pooling).

#include "train/conv_support.h"
#include "train/node_support.h"

namespace hub::layers {
namespace {

struct Pool {
  std::string_view layer;
  std::string_view op;
  int rank;  // spatial axes
};

// One-dimensional pools get a second axis of size 1.
Output pool(const Output& given, const Pool& what, const Sizes& pool_size,
            const PoolOptions& options) {
  const Graph graph = given.graph();
  check_rank(what.layer, given, what.rank + 2);
  const LayerScope layer(graph, what.layer, options.name);
  const bool is_1d = what.rank == 1;
  std::vector<int> sizes = pool_size.of_rank(what.rank, "pool_size");
  std::vector<int> strides =
      options.strides ? options.strides->of_rank(what.rank, "strides") : sizes;
  Output inputs = given;
  const int extra_axis = options.data_format == DataFormat::kChannelsFirst ? 3 : 2;
  if (is_1d) {
    sizes.push_back(1);
    strides.push_back(1);
    inputs = ops::expand_dims(given, extra_axis);
  }
  const Output result = graph.op(what.op, {inputs},
                                 {{"ksize", all_axes(sizes, options.data_format)},
                                  {"strides", all_axes(strides, options.data_format)},
                                  {"padding", padding_name(options.padding)},
                                  {"data_format", format_name(options.data_format, what.rank)}});
  return is_1d ? ops::squeeze(result, {extra_axis}) : result;
}

}  // namespace

Output max_pooling1d(const Output& inputs, const Sizes& pool_size, const PoolOptions& options) {
  return pool(inputs, {"max_pooling1d", "MaxPool", 1}, pool_size, options);
}
Output max_pooling2d(const Output& inputs, const Sizes& pool_size, const PoolOptions& options) {
  return pool(inputs, {"max_pooling2d", "MaxPool", 2}, pool_size, options);
}
Output max_pooling3d(const Output& inputs, const Sizes& pool_size, const PoolOptions& options) {
  return pool(inputs, {"max_pooling3d", "MaxPool3D", 3}, pool_size, options);
}
Output average_pooling1d(const Output& inputs, const Sizes& pool_size, const PoolOptions& options) {
  return pool(inputs, {"average_pooling1d", "AvgPool", 1}, pool_size, options);
}
Output average_pooling2d(const Output& inputs, const Sizes& pool_size, const PoolOptions& options) {
  return pool(inputs, {"average_pooling2d", "AvgPool", 2}, pool_size, options);
}
Output average_pooling3d(const Output& inputs, const Sizes& pool_size, const PoolOptions& options) {
  return pool(inputs, {"average_pooling3d", "AvgPool3D", 3}, pool_size, options);
}

}  // namespace hub::layers
