#pragma once

// What the functions of hub/ops.h share.

#include <initializer_list>

#include "base/errors.h"
#include "graph/graph_state.h"
#include "hub/ops.h"

namespace hub {

// The graph of the first input that is a tensor. Errors: INVALID_ARGUMENT where none is.
inline Graph graph_of(std::initializer_list<const Input*> inputs) {
  for (const Input* input : inputs) {
    if (GraphState* state = input->graph_state()) return Graph(state->shared_from_this());
  }
  throw invalid_argument("At least one input must be a tensor of a graph.");
}

inline std::string_view name_or(std::string_view name, std::string_view otherwise) {
  return name.empty() ? otherwise : name;
}

// A vector of int32.
inline Tensor int_vector(const std::vector<int>& values) {
  return make_tensor<std::int32_t>(Shape{static_cast<std::int64_t>(values.size())},
                                   std::span<const std::int32_t>(values));
}

}  // namespace hub
