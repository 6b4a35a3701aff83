#pragma once

#include "graph/graph_data.h"
#include "ops/kernel.h"

namespace hub {

// Computes what depends on constants only, and the handles that never change in a session;
// replaces their uses by Const nodes. Then infers shapes again with what is known now.
// Nodes that fail stay as they are: they fail when they run, if they do.
void fold_constants(GraphData& graph, ResourceManager& resources);

}  // namespace hub
