// dense and flatten (keras/layers/core/dense.py, reshaping/flatten.py; tf.tensordot).

#include "train/layer_scope.h"
#include "train/node_support.h"

namespace hub::layers {
namespace {

Output joined(const Output& a, const Output& b) { return ops::concat({a, b}, 0); }

Output gathered(const Output& dims, const Output& indices) { return ops::gather(dims, indices); }

Output product(const Output& dims) { return ops::reduce_prod(dims); }

// The last axis of `inputs` with the first of `kernel`: tf.tensordot(inputs, kernel, [[-1], [0]]).
Output last_axis_product(const Output& inputs, const Variable& variable) {
  const Graph graph = inputs.graph();
  const int rank = inputs.shape().rank();
  const std::int64_t units = variable.shape().dim(1);
  const NameScope scope(graph, "Tensordot");
  const Output kernel = variable;
  std::vector<std::int64_t> dims(inputs.shape().dims().begin(), inputs.shape().dims().end());
  dims.back() = units;
  if (inputs.shape().is_fully_defined()) {
    const std::int64_t n = inputs.shape().dim(rank - 1);
    const std::int64_t rows = n == 0 ? 0 : inputs.shape().as_shape()->num_elements() / n;
    const Output flat = ops::reshape(inputs, PartialShape{rows, n});
    const Output result = ops::matmul(flat, kernel);
    const Output shape =
        ops::constant(graph, int_vector(std::vector<int>(dims.begin(), dims.end())), "shape");
    return graph.op("Reshape", {result, shape}, {}, scope.name());
  }
  const Output axes = ops::constant(graph, int_vector({rank - 1}), "axes");
  std::vector<int> others;
  for (int i = 0; i + 1 < rank; ++i) others.push_back(i);
  const Output free = ops::constant(graph, int_vector(others), "free");
  const Output shape = ops::shape(inputs);
  const Output free_dims = gathered(shape, free);
  const Output axes_dims = gathered(shape, axes);
  const Output rows = product(free_dims);
  const Output columns = product(axes_dims);
  const Output permutation = joined(free, axes);
  const Output flat_shape = ops::stack({rows, columns});
  const Output turned = graph.op("Transpose", {inputs, permutation}, {}, "transpose");
  const Output flat = ops::reshape(turned, flat_shape);
  const Output result = ops::matmul(flat, kernel);
  const Output last = ops::constant(graph, int_vector({static_cast<int>(units)}));
  const Output final_shape = joined(free_dims, last);
  const Output y = graph.op("Reshape", {result, final_shape}, {}, scope.name());
  y.set_shape(PartialShape(dims));
  return y;
}

std::int64_t known_size(const std::vector<std::int64_t>& dims) {
  std::int64_t size = 1;
  for (const std::int64_t dim : dims) {
    if (dim < 0) return -1;
    size *= dim;
  }
  return size;
}

}  // namespace

Output dense(const Output& inputs, int units, const DenseOptions& options) {
  const PartialShape& shape = inputs.shape();
  if (!shape.has_rank() || shape.rank() < 2) {
    throw value_error("Input of layer dense is incompatible: expected min_ndim=2. Details: \"",
                      inputs.name(), "\" has shape ", shape, ".");
  }
  if (units < 1) throw value_error("`units` is a positive number. Details: got ", units, ".");
  const std::int64_t last = known_channels("dense", inputs, shape.rank() - 1);
  const DType dtype = inputs.dtype();
  const LayerScope layer(inputs.graph(), "dense", options.name, options.reuse);
  const Variable kernel = layer.add_weight(
      "kernel", {last, units},
      {options.kernel_initializer, options.kernel_regularizer, options.trainable, dtype});
  Variable bias;
  if (options.use_bias) {
    bias = layer.add_weight(
        "bias", {units},
        {options.bias_initializer, options.bias_regularizer, options.trainable, dtype});
  }
  Output y = shape.rank() == 2 ? ops::matmul(inputs, kernel) : last_axis_product(inputs, kernel);
  if (options.use_bias) y = ops::bias_add(y, bias);
  y = options.activation(y);
  layer.add_activity_loss(options.activity_regularizer, y);
  return y;
}

Output flatten(const Output& given, DataFormat data_format, std::string_view name) {
  const Graph graph = given.graph();
  if (!given.shape().has_rank() || given.shape().rank() < 1) {
    throw value_error("Input of layer flatten is incompatible: expected min_ndim=1. Details: \"",
                      given.name(), "\" has shape ", given.shape(), ".");
  }
  const LayerScope layer(graph, "flatten", name);
  Output inputs = given;
  const int rank = inputs.shape().rank();
  if (data_format == DataFormat::kChannelsFirst && rank > 1) {
    std::vector<int> permutation = {0};
    for (int i = 2; i < rank; ++i) permutation.push_back(i);
    permutation.push_back(1);
    inputs = ops::transpose(inputs, permutation);
  }
  if (rank == 1) return ops::expand_dims(inputs, 1);
  const std::int64_t batch = inputs.shape().dim(0);
  const std::int64_t size =
      known_size({inputs.shape().dims().begin() + 1, inputs.shape().dims().end()});
  if (size >= 0 || batch >= 0) {
    const std::vector<int> dims = size >= 0 ? std::vector<int>{-1, static_cast<int>(size)}
                                            : std::vector<int>{static_cast<int>(batch), -1};
    return ops::reshape(inputs, ops::constant(graph, int_vector(dims)));
  }
  const Output rows = element_of(ops::shape(inputs), 0);
  Output shape;
  {
    const NameScope scope(graph, "Reshape/shape");
    const Output rest = ops::constant(graph, -1, kInt32, "1");
    shape = graph.op("Pack", {rows, rest}, {}, scope.name());
  }
  return ops::reshape(inputs, shape);
}

}  // namespace hub::layers
