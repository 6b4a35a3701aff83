#pragma once

// MetaGraphDef <-> graphs with their collections.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "format/saved_model.h"
#include "graph/graph_state.h"

namespace hub {

struct MetaExportOptions {
  bool strip_default_attrs = false;  // attributes that have the op's default are left out
  bool output_shapes = true;         // `_output_shapes` says what is known of the shapes
  std::vector<std::string> tags = {};
};

// The graph, its collections, and the schemas of its ops. Signatures and assets are the caller's.
// Errors: INTERNAL for a planner's op; INVALID_ARGUMENT for a collection of bytes and nodes.
MetaGraph to_meta_graph(const GraphState& graph, const MetaExportOptions& options = {});

struct MetaImportOptions {
  std::string prefix = {};  // put before all names, as ImportOptions::prefix
  std::map<std::string, OutputId, std::less<>> input_map = {};
  // Which collections are taken; empty: all.
  std::function<bool(std::string_view key)> wants_collection = {};
};

// Adds the nodes (below what is around: control dependencies, loops, conditionals) and then the
// collections, in the order of their keys; equal VariableDefs become one variable. Gives the new
// nodes. Errors: those of import_graph_def; NOT_FOUND where a collection names what is not there.
std::vector<int> import_meta_graph(const MetaGraph& meta_graph, const MetaImportOptions& options,
                                   GraphState& graph);

// All names with "prefix/" before them.
VariableDef with_prefix(VariableDef variable, std::string_view prefix);

// Leaves out attributes that have their op's default, in functions too.
void strip_default_attrs(GraphDef& graph, const OpRegistry& registry);
// The schemas of the graph's ops and those of its functions, by name.
std::vector<OpDefMessage> used_ops(const GraphDef& graph, const OpRegistry& registry);

}  // namespace hub
