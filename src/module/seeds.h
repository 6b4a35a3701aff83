#pragma once

#include <cstdint>

#include "graph/graph_data.h"

namespace hub {

// Gives every random op that has no seed (its attributes `seed` and `seed2` are both 0) one
// that follows from `seed` and its place, in the library's functions too: runs of an equal
// graph with an equal seed give equal numbers.
void seed_random_ops(GraphData& graph, std::int64_t seed);

}  // namespace hub
