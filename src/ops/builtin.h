#pragma once

#include "graph/op.h"

namespace hub {

// All ops of this library. Immutable, made at the first call.
const OpRegistry& builtin_ops();

}  // namespace hub
