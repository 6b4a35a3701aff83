#pragma once

// Loops over floats for CPUs with 512-bit vectors, chosen when the program runs. The bits are those
// of the other loops: the same plain arithmetic, lane by lane.

#include <cstdint>

#include "ops/elementwise.h"
#include "ops/kernels/float_functions.h"
#include "ops/lanes.h"

// Clang has no attribute for the width of vectors.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HUB_HAS_WIDE_LANES 1
// Before a function: it and what it calls are compiled for such CPUs.
#define HUB_WIDE_LANES \
  [[gnu::target("avx512f,avx512vl,avx512dq,avx512bw,prefer-vector-width=512"), gnu::flatten]]
#else
#define HUB_HAS_WIDE_LANES 0
#endif

namespace hub {

#if HUB_HAS_WIDE_LANES
inline bool cpu_has_wide_lanes() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}

template <class Op>
HUB_WIDE_LANES void wide_loop(const void* x, void* result, std::int64_t count) {
  const auto* from = static_cast<const float*>(x);
  auto* to = static_cast<float*>(result);
  for_lanes<64>(count, [=](std::int64_t i) { to[i] = Op::apply(from[i]); });
}
#endif

// As unary_loops, with the fastest loop for float that this CPU has: the op's own
// (`static FloatLoop fastest()`, of nulls where there is none), or the wide one.
template <class Op>
const Loops<UnaryLoop>& widest_unary_loops() {
  static const Loops<UnaryLoop> loops = [] {
    Loops<UnaryLoop> result = unary_loops<Op>;
#if HUB_HAS_WIDE_LANES
    if (cpu_has_wide_lanes()) result.f32 = wide_loop<Op>;
#endif
    if constexpr (requires { Op::fastest(); }) {
      const FloatLoop fastest = Op::fastest();
      if (fastest.plain != nullptr) result.f32 = fastest.plain;
      result.f32_streaming = fastest.streaming;
    }
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
