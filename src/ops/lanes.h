#pragma once

#include <cstdint>

// Says that neighbouring iterations of the loop that follows do not touch each other's
// memory (an output may lie exactly on an input).
#if defined(__clang__)
#define HUB_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define HUB_INDEPENDENT _Pragma("GCC ivdep")
#else
#define HUB_INDEPENDENT
#endif

namespace hub {

// Calls body(i) for i in [0, count), in groups of the constant kLanes, which lets the compiler
// vectorise. Vector lanes and single elements give the same bits, as long as `body` is
// plain arithmetic and calls no library function that has a vector variant.
template <std::int64_t kLanes = 32, class Body>
[[gnu::flatten]] inline void for_lanes(std::int64_t count, Body&& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    HUB_INDEPENDENT
    for (std::int64_t lane = 0; lane < kLanes; ++lane) body(i + lane);
  }
  for (; i < count; ++i) body(i);
}

}  // namespace hub
