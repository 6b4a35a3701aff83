#pragma once

// v1 loops as structure: the nodes of a frame taken apart into a condition and a body.

#include <memory>
#include <string>
#include <vector>

#include "graph/function.h"
#include "graph/graph_data.h"

namespace hub {

// A loop variable's nodes (indices in the graph). -1 where there is none.
struct LoopVariable {
  int enter = -1;
  int merge = -1;
  int switch_node = -1;
  int next_iteration = -1;
  std::vector<int> exits;
};

// A well-formed loop: Enter -> Merge -> Switch -> (body) -> NextIteration -> Merge, Switch -> Exit,
// one LoopCond, everything else computed from these and from what is captured.
struct Loop {
  std::string frame_name;
  std::vector<LoopVariable> variables;
  std::vector<OutputId> captured;   // from outside of the loop, the same in every iteration
  std::vector<int> control_inputs;  // outside nodes that come before the loop
  std::vector<int> nodes;           // all nodes of the frame, Enters and Exits too
  // Both take the variables and then what is captured. The condition gives one bool, the
  // body the variables' next values.
  std::unique_ptr<FunctionBody> condition;
  std::unique_ptr<FunctionBody> body;
};

// The loops of `graph` that hold no other loop and are well-formed. `used` says which nodes
// are alive; a node that is not counts as absent.
std::vector<Loop> find_innermost_loops(const GraphData& graph, const std::vector<bool>& used);

}  // namespace hub
