#pragma once

#include "graph/graph_state.h"
#include "replay/golden_value.h"

namespace hub::replay {

// All that a graph's collections hold, by name.
std::map<std::string, std::vector<std::string>> collection_names(const GraphState& graph);

// Compares what golden.json says of instances of the module: their variables, the graph's
// collections before and after a call, the call's scope, static shapes, penalties.
// Throws Mismatch.
void check_instances(const GoldenFolder& golden);

}  // namespace hub::replay
