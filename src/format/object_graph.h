#pragma once

// What a SavedModel of TensorFlow 2 says of its objects, as far as the library looks at it.

#include <string>
#include <string_view>
#include <vector>

#include "hub/tensor.h"

namespace hub {

struct SavedVariable {
  std::string name;  // may be empty or not unique
  DType dtype = DType::kInvalid;
  PartialShape shape;
  bool trainable = false;
};

// The variables of the model: those that the root object lists as its `variables` (so a
// reusable SavedModel leaves out what its optimizer needs), else all that there are.
// `place` names the source in errors.
// Errors: DATA_LOSS (kind decode) where the bytes are no SavedObjectGraph, INVALID_ARGUMENT
// for an unknown dtype.
std::vector<SavedVariable> parse_saved_variables(std::string_view object_graph,
                                                 std::string_view place);

}  // namespace hub
