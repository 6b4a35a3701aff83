#pragma once

// A library function instantiated: its body as a graph.

#include <memory>
#include <string>
#include <vector>

#include "graph/graph_data.h"

namespace hub {

struct FunctionBody {
  explicit FunctionBody(const OpRegistry& registry) : graph(registry) {}

  GraphData graph;  // shares the library of functions
  std::vector<OutputId> inputs;
  std::vector<OutputId> outputs;
  std::vector<DType> output_dtypes;
  std::vector<int> targets;  // nodes that run for their effect: the control returns
  std::vector<int> effects;  // stateful nodes: which callers run those that nothing needs differs
};

// The body of `function` with the attributes' placeholders replaced.
// Errors: NOT_FOUND where `library` has no such function, INVALID_ARGUMENT for a malformed body.
std::unique_ptr<FunctionBody> instantiate_function(const FunctionRef& function,
                                                   const GraphData& library);

// One text for each different instantiation: the name and the attributes.
std::string function_key(const FunctionRef& function);

}  // namespace hub
