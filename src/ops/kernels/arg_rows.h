#pragma once

#include <cstdint>

namespace hub {

// The first of the largest (or smallest) of x[0..n), n > 0; 0 where none is better than the lowest
// (or highest) finite number: so NaN never wins.
using ArgOfRow = std::int64_t (*)(const float* x, std::int64_t n);

// Null where this CPU has nothing faster than the plain loops.
ArgOfRow fastest_argmax_of_row();
ArgOfRow fastest_argmin_of_row();

}  // namespace hub
