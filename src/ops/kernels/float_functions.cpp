#include "ops/kernels/float_functions.h"

#include "ops/kernels/avx512_math.h"

namespace hub {

#if HUB_HAS_AVX512
namespace {
HUB_BEGIN_AVX512

template <avx512::Floats (*kFunction)(avx512::Floats)>
void loop(const void* x, void* result, std::int64_t count) {
  const auto* from = static_cast<const float*>(x);
  auto* to = static_cast<float*>(result);
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) _mm512_storeu_ps(to + i, kFunction(_mm512_loadu_ps(from + i)));
  if (i == count) return;
  const __mmask16 rest = avx512::first_lanes(count - i);
  // The other lanes hold 1: no function raises an exception there.
  const avx512::Floats last = _mm512_mask_loadu_ps(avx512::all(1.0f), rest, from + i);
  _mm512_mask_storeu_ps(to + i, rest, kFunction(last));
}

HUB_END_AVX512
}  // namespace
#endif

const FloatLoops& float_loops() {
  static const FloatLoops loops = [] {
    FloatLoops result;
#if HUB_HAS_AVX512
    if (cpu_has_avx512()) {
      result = {loop<avx512::exp>, loop<avx512::log>, loop<avx512::tanh>, loop<avx512::erf>,
                loop<avx512::sigmoid>};
    }
#endif
    return result;
  }();
  return loops;
}

}  // namespace hub
