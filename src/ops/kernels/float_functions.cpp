#include "ops/kernels/float_functions.h"

#include <algorithm>

#include "ops/kernels/avx512_math.h"

namespace hub {

#if HUB_HAS_AVX512
namespace {
HUB_BEGIN_AVX512

using avx512::Floats;

inline Floats sqrt(Floats x) { return _mm512_sqrt_ps(x); }

template <Floats (*kFunction)(Floats)>
inline void some_lanes(const float* from, float* to, std::int64_t count) {
  const __mmask16 lanes = avx512::first_lanes(count);
  // The other lanes hold 1: no function raises an exception there.
  const Floats x = _mm512_mask_loadu_ps(avx512::all(1.0f), lanes, from);
  _mm512_mask_storeu_ps(to, lanes, kFunction(x));
}

template <Floats (*kFunction)(Floats)>
void loop(const void* x, void* result, std::int64_t count) {
  const auto* from = static_cast<const float*>(x);
  auto* to = static_cast<float*>(result);
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) _mm512_storeu_ps(to + i, kFunction(_mm512_loadu_ps(from + i)));
  if (i < count) some_lanes<kFunction>(from + i, to + i, count - i);
}

template <Floats (*kFunction)(Floats)>
void streaming_loop(const void* x, void* result, std::int64_t count) {
  // Arithmetic fills the processor's view of what comes: lines are asked for before.
  constexpr std::int64_t kAhead = 768;
  const auto* from = static_cast<const float*>(x);
  auto* to = static_cast<float*>(result);
  const auto misplaced = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to) % 64 / 4);
  std::int64_t i = std::min((16 - misplaced) % 16, count);
  if (i > 0) some_lanes<kFunction>(from, to, i);
  for (; i + 16 <= count; i += 16) {
    __builtin_prefetch(from + i + kAhead);
    _mm512_stream_ps(to + i, kFunction(_mm512_loadu_ps(from + i)));
  }
  if (i < count) some_lanes<kFunction>(from + i, to + i, count - i);
}

template <Floats (*kFunction)(Floats)>
constexpr FloatLoop loops_of() {
  return {loop<kFunction>, streaming_loop<kFunction>};
}

HUB_END_AVX512
}  // namespace
#endif

const FloatLoops& float_loops() {
  static const FloatLoops loops = [] {
    FloatLoops result;
#if HUB_HAS_AVX512
    if (cpu_has_avx512()) {
      result = {loops_of<avx512::exp>(), loops_of<avx512::log>(),     loops_of<avx512::tanh>(),
                loops_of<avx512::erf>(), loops_of<avx512::sigmoid>(), loops_of<sqrt>()};
    }
#endif
    return result;
  }();
  return loops;
}

}  // namespace hub
