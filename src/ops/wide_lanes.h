#pragma once

// Elementwise loops of float functions for CPUs with 512-bit vectors, chosen when the program
// runs. The bits are those of the other loop: the same plain arithmetic, lane by lane.

#include <cstdint>

#include "ops/elementwise.h"
#include "ops/lanes.h"

// Clang has no attribute for the width of vectors.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HUB_HAS_WIDE_LANES 1
#else
#define HUB_HAS_WIDE_LANES 0
#endif

namespace hub {

#if HUB_HAS_WIDE_LANES
template <class Op>
[[gnu::target("avx512f,avx512vl,avx512dq,avx512bw,prefer-vector-width=512"), gnu::flatten]] void
wide_loop(const void* x, void* result, std::int64_t count) {
  constexpr std::int64_t kLanes = 64;
  const auto* from = static_cast<const float*>(x);
  auto* to = static_cast<float*>(result);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    HUB_INDEPENDENT
    for (std::int64_t lane = 0; lane < kLanes; ++lane) to[i + lane] = Op::apply(from[i + lane]);
  }
  for (; i < count; ++i) to[i] = Op::apply(from[i]);
}

inline bool cpu_has_wide_lanes() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

// As unary_loops, with the wide loop for float where this CPU has it.
template <class Op>
const Loops<UnaryLoop>& widest_unary_loops() {
  static const Loops<UnaryLoop> loops = [] {
    Loops<UnaryLoop> result = unary_loops<Op>;
#if HUB_HAS_WIDE_LANES
    if (cpu_has_wide_lanes()) result.f32 = wide_loop<Op>;
#endif
    return result;
  }();
  return loops;
}

template <class Op>
void compute_vectorised_unary(KernelContext& context) {
  run_unary(context, widest_unary_loops<Op>(), Op::kCost);
}
template <class Op>
inline constexpr KernelFactory vectorised_unary_kernel =
    kernel_function<compute_vectorised_unary<Op>>;

}  // namespace hub
