#pragma once

// Gradients through what has structure: function calls, conditionals, loops.

#include <optional>
#include <string_view>
#include <vector>

#include "graph/gradient_context.h"

namespace hub {

// The gradients to the node's inputs where it calls a function, branches or loops.
std::optional<Gradients> structural_gradient(GradientContext& context);

// True for the ops that structural_gradient knows by name.
bool has_structural_gradient(std::string_view op);

// Puts While nodes in the place of the well-formed v1 loops that the tensors depend on.
void raise_loops(GraphState& graph, const std::vector<Output>& ys);

}  // namespace hub
