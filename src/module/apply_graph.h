#pragma once

// A module's computation in a graph: made for each application, on the state of the instance.

#include <map>
#include <string>

#include "graph/graph_state.h"
#include "hub/value.h"
#include "module/spec_impl.h"

namespace hub {

struct Application {
  const MetaGraph& meta_graph;
  const BoundSignature& signature;
  // "w:0" of the module -> the state's tensor.
  const std::map<std::string, OutputId, std::less<>>& state;
  ValueMap inputs;   // as the signature wants them
  std::string name;  // of the name scope, made unique: "module_apply_default"
  bool trainable = false;
};

// Adds the module's nodes in the current scope, below what is around, and gives the outputs.
// Errors: of kind value where a signature's tensor is not in the graph, and where constraints of
// colocation contradict each other.
Outputs import_apply_graph(const Graph& graph, const Application& application);

// --- colocation.cpp ---

// A tensor of the module that stands for another one now: by its node's name in the module.
using MappedTensors = std::map<std::string, OutputId, std::less<>>;  // "node:0"

// Constraints on the place of nodes that were replaced ("loc:@scope/x" of the nodes added below
// `scope`) become constraints on the place of what replaces them.
// Errors: of kind value ("Failed to rewrite colocation constraints") where outputs of one node are
// replaced by tensors at different places, and a node is to be at its place.
void rewrite_colocation(GraphState& graph, const std::string& scope, const std::vector<int>& nodes,
                        const MappedTensors& mapped);

}  // namespace hub
