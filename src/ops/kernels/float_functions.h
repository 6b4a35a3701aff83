#pragma once

// The fastest loops that this CPU has over functions of floats.

#include "ops/elementwise.h"

namespace hub {

// Null where nothing is faster than the plain loops. An element's result does not depend on
// its place.
struct FloatLoops {
  UnaryLoop exp = nullptr, log = nullptr, tanh = nullptr, erf = nullptr, sigmoid = nullptr;
};

const FloatLoops& float_loops();

}  // namespace hub
