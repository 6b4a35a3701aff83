#pragma once

// Which nodes of a graph cannot run here, said before anything runs.

#include <string>
#include <vector>

#include "format/graph_def.h"
#include "graph/op.h"

namespace hub {

struct UnsupportedNode {
  std::string node;
  std::string op;
  std::string function;  // in whose body it is; empty: in the graph itself
  std::string reason;
};

// Nodes whose op is unknown or has no kernel, whose attributes do not fit the op or its kernel,
// that call functions which are not there, or whose dtypes have no kernel, as far as that shows
// when the kernel is tried on made-up inputs. In the order of the graph, then of the functions
// that it calls.
std::vector<UnsupportedNode> unsupported_nodes(const GraphDef& graph, const OpRegistry& registry);

// Ops that move values (Switch, Merge...) have no kernels: the executor is theirs.
bool is_supported(const Op* op);

}  // namespace hub
