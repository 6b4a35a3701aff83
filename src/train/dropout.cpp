// Dropout (keras/layers/regularization/dropout.py; nn_ops._dropout).

#include <algorithm>

#include "hub/control_flow.h"
#include "train/layer_scope.h"
#include "train/node_support.h"

namespace hub::layers {
namespace {

void check_noise_shape(const Output& inputs, const std::vector<int>& noise_shape) {
  const PartialShape& shape = inputs.shape();
  if (!shape.has_rank() || shape.rank() == static_cast<int>(noise_shape.size())) return;
  throw value_error("noise_shape has the rank of the inputs. Details: shape ", shape, ", got [",
                    join(noise_shape, ","), "].");
}

// No tensor where each element drops on its own.
Output noise_tensor(const Output& inputs, const std::vector<int>& noise_shape) {
  if (noise_shape.empty()) return {};
  check_noise_shape(inputs, noise_shape);
  const Graph graph = inputs.graph();
  const Output dims = ops::shape(inputs);
  if (std::ranges::count(noise_shape, -1) == 0)
    return ops::constant(graph, int_vector(noise_shape));
  std::vector<Output> unknown;
  for (std::size_t i = 0; i < noise_shape.size(); ++i) {
    if (noise_shape[i] < 0) unknown.push_back(element_of(dims, static_cast<int>(i)));
  }
  const NameScope scope(graph, "packed");
  std::vector<Input> parts;
  std::size_t next = 0;
  for (std::size_t i = 0; i < noise_shape.size(); ++i) {
    parts.emplace_back(noise_shape[i] < 0
                           ? unknown[next++]
                           : ops::constant(graph, noise_shape[i], kInt32, std::to_string(i)));
  }
  return graph.op("Pack", parts, {}, scope.name());
}

Output dropped(const Output& x, const DropoutOptions& options) {
  const Graph graph = x.graph();
  const Output noise_shape = noise_tensor(x, options.noise_shape);
  const NameScope scope(graph, "dropout");
  const Output scale = ops::constant(graph, 1 / (1 - options.rate), x.dtype());
  const Output scaled = ops::multiply(x, scale);
  const Output dims = noise_shape ? noise_shape : ops::shape(x);
  Output random;
  {
    const NameScope inside(graph, "random_uniform");
    const auto [first, second] = graph.op_seeds(options.seed);
    random = graph.op("RandomUniform", {dims},
                      {{"seed", first}, {"seed2", second}, {"dtype", x.dtype()}});
  }
  const Output kept = ops::greater_equal(random, options.rate);
  const Output zero = ops::constant(graph, 0, x.dtype());
  const Output y = graph.op("SelectV2", {kept, scaled, zero});
  y.set_shape(x.shape());
  return y;
}

}  // namespace

Output dropout(const Output& inputs, const DropoutOptions& options) {
  if (!(options.rate >= 0 && options.rate < 1)) {
    throw value_error("Invalid value ", options.rate,
                      " received for `rate`, expected a value between 0 and 1.");
  }
  const LayerScope layer(inputs.graph(), "dropout", options.name);
  if (options.rate == 0) return ops::identity(inputs);
  if (const bool* training = std::get_if<bool>(&options.training))
    return *training ? dropped(inputs, options) : ops::identity(inputs);
  return cond(
      std::get<Output>(options.training), [&] { return dropped(inputs, options); },
      [&] { return ops::identity(inputs); });
}

}  // namespace hub::layers
