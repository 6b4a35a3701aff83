#pragma once

#include "graph/op.h"

namespace hub {

// Whether a node of this op holds a module's state (a variable, a table): it is made once for each
// instance. Everything else is made for each application.
inline bool is_state_op(const Op* op) {
  return op != nullptr && op->schema().is_stateful && op->schema().inputs.empty();
}

}  // namespace hub
