#pragma once

// In what two models differ.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/module_files.h"

namespace hub {

enum class DifferenceKind {
  kFormat,
  kGraph,      // one has a graph with these tags, the other not
  kSignature,  // an input or output, or a signature as a whole
  kVariable,   // as the graph declares it
  kValue,      // as it is stored
  kAttachment,
  kAsset,
  kOp,    // how many nodes of it
  kNode,  // a node's op, inputs or attributes
  kFunction,
};
// "format", "graph", "signature"...
std::string_view to_string(DifferenceKind kind);

struct Difference {
  DifferenceKind kind;
  std::optional<std::vector<std::string>> tags = {};  // of the graph; none: it is of no graph
  std::string name = {};
  // What it is in each model; none: it is not there.
  std::optional<std::string> first = {};
  std::optional<std::string> second = {};
  // Of values: the largest absolute difference of two numbers.
  std::optional<double> largest = {};
};

// Graphs are told apart by their tags; the order of graphs, nodes and map entries does not count,
// nor where a model lies. Errors: those of reading stored tensors.
std::vector<Difference> diff_models(const ModuleFiles& first, const ModuleFiles& second);

}  // namespace hub
