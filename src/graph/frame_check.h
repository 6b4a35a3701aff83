#pragma once

#include "graph/graph_data.h"

namespace hub {

// Checks that loops are where TensorFlow accepts them (ValidateControlFlowInfo in
// tensorflow/core/graph/control_flow.cc). Errors: INVALID_ARGUMENT for a node with inputs from
// different frames, an Enter without a frame's name, two LoopConds in one frame; INTERNAL for a
// frame in two places.
void check_frames(const GraphData& graph);

}  // namespace hub
