#pragma once

// Gradients: nodes that compute them are added to the graph.

#include <optional>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/indexed_slices.h"

namespace hub {

// A gradient; neither where there is none.
struct GradientValue {
  Output dense = {};
  std::optional<IndexedSlices> slices = {};
  bool is_valid() const { return dense.is_valid() || slices.has_value(); }
};

struct GradientOptions {
  // Nothing flows back through these tensors.
  std::vector<Output> stop_gradients = {};
  // The scope of the nodes that are added.
  std::string_view name = "gradients";
};

// The gradients of the sum of `ys`, weighted by `grad_ys` (ones where an element is invalid, or
// where there are none), to each of `xs`: neither dense nor slices where there is no path, or only
// through ops without gradient. An x may be a variable's handle(): the gradient is to its value.
// Well-formed loops of TensorFlow 1 on the way become While nodes; If, Case, While and calls on the
// way get further outputs.
// Errors: UNIMPLEMENTED, naming the op and the way to the y, where an op cannot be differentiated;
// INVALID_ARGUMENT for a complex y without weight, or a weight of another dtype.
HUB_EXPORT std::vector<GradientValue> gradients(const Graph& graph, const std::vector<Output>& ys,
                                                const std::vector<Output>& xs,
                                                const std::vector<Output>& grad_ys = {},
                                                const GradientOptions& options = {});
// The tensor that the gradient stands for; invalid where there is none.
HUB_EXPORT Output dense_gradient(const Graph& graph, const GradientValue& gradient);

}  // namespace hub
