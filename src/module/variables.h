#pragma once

// The variables of a meta graph, as its collections or its object graph say.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/saved_model.h"

namespace hub {

// A variable of the graph: all of a model's variable, or a part of a partitioned one.
struct VariablePart {
  std::string node;                  // that makes it: "w/part_0"
  std::vector<std::int64_t> offset;  // empty: it is the whole variable
  std::vector<std::int64_t> shape;
};

struct ModelVariable {
  std::string name;  // as in the checkpoint, without ":0"
  DType dtype = DType::kInvalid;
  PartialShape shape;
  bool trainable = false;  // as it says of itself (older files do not), or a collection says
  bool in_trainable_collection = false;  // a trainable module makes it trainable
  std::vector<VariablePart> parts;       // by offset; empty for the variables of an object graph
  bool is_partitioned() const { return !parts.empty() && !parts.front().offset.empty(); }
};

// Sorted by name; a partitioned variable is one entry. `place` names the source in errors.
// Errors: of kind runtime where parts contradict each other; DATA_LOSS for bytes in the
// collections that are no variable; INVALID_ARGUMENT for a variable without a node.
std::vector<ModelVariable> variables_of(const MetaGraph& meta_graph, std::string_view place);

}  // namespace hub
