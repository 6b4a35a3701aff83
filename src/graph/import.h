#pragma once

// GraphDef <-> GraphData.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph_data.h"

namespace hub {

struct ImportOptions {
  // Put before every name, with a '/' between: "module/w". Also rewrites `_class`
  // constraints ("loc:@w") and the frames of loops, so that two imports stay apart.
  std::string prefix;
  // Inputs to take from elsewhere: a tensor's name in the GraphDef -> an output that the graph
  // has. The named nodes are imported all the same. "^name" maps a control edge.
  std::map<std::string, OutputId, std::less<>> input_map;
  // The inputs are spelled as in a function's body: "node:output_name:index".
  bool function_body = false;
  // Control inputs that every imported node without inputs gets.
  std::vector<std::int32_t> control_dependencies;
};

// Adds all nodes and functions of `graph_def` to `graph`; gives the indices of the new
// nodes in the order of the GraphDef. Nodes may stand in any order.
// Errors: INVALID_ARGUMENT (a cycle that is no loop, a missing input, a wrong attribute),
// ALREADY_EXISTS (a name twice); the graph may then hold a part of the nodes.
std::vector<int> import_graph_def(const GraphDef& graph_def, const ImportOptions& options,
                                  GraphData& graph);
inline std::vector<int> import_graph_def(const GraphDef& graph_def, GraphData& graph) {
  return import_graph_def(graph_def, {}, graph);
}

// All nodes in order, with defaults as they are in `graph`, and the function library.
// Ops whose names begin with '_' cannot be exported: INTERNAL.
GraphDef export_graph_def(const GraphData& graph);

}  // namespace hub
