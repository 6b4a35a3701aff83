#pragma once

// The fastest loops that this CPU has over functions of floats.

#include "ops/elementwise.h"

namespace hub {

// Null where nothing is faster than the plain loops. An element's result does not depend on
// its place, nor on the loop.
struct FloatLoop {
  UnaryLoop plain = nullptr;
  UnaryLoop streaming = nullptr;  // past the caches
};
struct FloatLoops {
  FloatLoop exp, log, tanh, erf, sigmoid, sqrt;
};

const FloatLoops& float_loops();

}  // namespace hub
