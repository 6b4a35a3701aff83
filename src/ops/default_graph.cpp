#include "graph/graph_state.h"
#include "hub/graph.h"
#include "ops/builtin.h"

namespace hub {

Graph::Graph() : Graph(std::make_shared<GraphState>(builtin_ops())) {}

}  // namespace hub
