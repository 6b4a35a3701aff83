#pragma once

// Graphs as TensorFlow's messages: GraphDef (nodes and functions), MetaGraphDef (also the
// collections: variables, losses, loops...), as bytes.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"

namespace hub {

struct ExportGraphOptions {
  bool strip_default_attrs = false;  // attributes that have the op's default are left out
  bool output_shapes = true;         // says the static shapes, where they are known
  std::vector<std::string> tags = {};
};

// Deterministic bytes: the same graph gives the same ones.
// Errors: INVALID_ARGUMENT for a collection that holds nodes as well as variables.
HUB_EXPORT std::string export_graph_def(const Graph& graph, const ExportGraphOptions& options = {});
HUB_EXPORT std::string export_meta_graph_def(const Graph& graph,
                                             const ExportGraphOptions& options = {});

struct ImportGraphOptions {
  // The nodes come below this name scope, which is made unique within the current one; with a '/'
  // at its end it is taken as it is; empty: no scope.
  std::string name = {};
  // Tensors ("x:0") of the message that are taken from the graph instead.
  std::map<std::string, Output> input_map = {};
};

// Adds what the message holds, below what is around: control dependencies, devices, loops and
// conditionals hold for the new nodes too. Gives the name scope ("import/", "" for none).
// Errors: DATA_LOSS (kind decode) for bytes that are no such message; INVALID_ARGUMENT for a graph
// that is not right, ALREADY_EXISTS for names that are there: part of the nodes may then be added.
HUB_EXPORT std::string import_graph_def(const Graph& graph, std::string_view bytes,
                                        const ImportGraphOptions& options = {});
HUB_EXPORT std::string import_meta_graph_def(const Graph& graph, std::string_view bytes,
                                             const ImportGraphOptions& options = {});

}  // namespace hub
