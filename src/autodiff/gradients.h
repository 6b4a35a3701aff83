#pragma once

// Gradients over a graph: nodes that compute them are added to it.

#include <memory>
#include <string_view>
#include <vector>

#include "graph/function.h"
#include "graph/gradient_context.h"
#include "hub/graph.h"

namespace hub {

struct GradientOptions {
  // Nothing flows back through these tensors.
  std::vector<Output> stop_gradients = {};
  // The scope of the nodes that are added.
  std::string_view name = "gradients";
};

// The gradients of the sum of `ys`, weighted by `grad_ys` (ones where an element is invalid, or
// where there are none), to each of `xs`: neither dense nor slices where there is no path, or only
// through ops without gradient. An x may be a variable's handle: the gradient is to its value.
// Well-formed loops of TensorFlow 1 on the way become While nodes; If, Case, While and calls on the
// way get further outputs.
// Errors: UNIMPLEMENTED, naming the op and the way to the y, where an op cannot be differentiated;
// INVALID_ARGUMENT for a complex y without weight, or a weight of another dtype.
std::vector<GradientValue> gradients(const Graph& graph, const std::vector<Output>& ys,
                                     const std::vector<Output>& xs,
                                     const std::vector<Output>& grad_ys = {},
                                     const GradientOptions& options = {});

// The gradient of a function as a body: it takes the function's arguments and then the gradients
// of its outputs, and gives a gradient for each argument, zeros where there is none. The
// function's own gradient counts where the library names one.
// Errors: those of `gradients` and of instantiate_function.
std::unique_ptr<FunctionBody> gradient_of_function(const FunctionRef& function,
                                                   const GraphData& library);

}  // namespace hub
