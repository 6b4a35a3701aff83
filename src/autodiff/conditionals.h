#pragma once

// Conditionals of TensorFlow 1: Switch and Merge.

#include <string_view>
#include <vector>

#include "graph/gradient_context.h"

namespace hub {

// The op, or its form for references.
bool is_op(const Node& node, std::string_view name);

// An output of a Switch.
struct Branch {
  int switch_node = -1;
  int output = 0;
};

// The Switch that decides whether the tensor is alive, if any; conditionals inside of its branch
// are passed over.
Branch find_branch(const GraphData& graph, OutputId from);
// All of them, from the inside out.
std::vector<Branch> branches_around(const GraphData& graph, OutputId from);

Gradients merge_gradient(GradientContext& c);
Gradients switch_gradient(GradientContext& c);

}  // namespace hub
