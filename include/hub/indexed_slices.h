#pragma once

#include "hub/graph.h"

namespace hub {

// Some rows of a larger tensor; a row may occur more than once. Gradients are, signatures not.
struct IndexedSlices {
  Output values;
  Output indices;
  Output dense_shape;
};

}  // namespace hub
