#pragma once

// Variables by the nodes that make them.

#include <memory>

#include "graph/node.h"
#include "ops/resource.h"

namespace hub {

// The variable that this node (VarHandleOp, VariableV2, Variable) makes or finds: one object
// for all nodes of a session that name it. nullptr for a node of another op.
std::shared_ptr<VariableResource> variable_of_node(const Node& node, ResourceManager& resources);

}  // namespace hub
