#include "ops/softmax_rows.h"

#include "ops/kernels/avx512_math.h"
#include "ops/vector_math.h"
#include "ops/wide_lanes.h"

namespace hub {
namespace {

struct Softmax {
  RowExponentials<float> (*exponentials)(const float* x, std::int64_t n, float* exps);
  void (*row)(const float* x, std::int64_t n, float* y);
};

RowExponentials<float> exponentials_in_lanes(const float* x, std::int64_t n, float* exps) {
  const auto maximum = reduction::reduce_row<reduction::Max<float>>(x, n);
  for_lanes(n, [=](std::int64_t i) { exps[i] = vector_math::exp(x[i] - maximum); });
  return {maximum, reduction::reduce_row<reduction::Sum<float>>(exps, n)};
}

void softmax_in_lanes(const float* x, std::int64_t n, float* y) {
  const float scale = 1 / exponentials_in_lanes(x, n, y).sum;
  for_lanes(n, [=](std::int64_t i) { y[i] *= scale; });
}

#if HUB_HAS_AVX512
HUB_BEGIN_AVX512

// Its largest element; -inf where all are NaN. A NaN is lost here and found again in the sum.
avx512::Floats largest(const float* x, std::int64_t n) {
  const avx512::Floats lowest = avx512::all(-__builtin_inff());
  avx512::Floats a = lowest, b = lowest, c = lowest, d = lowest;
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    a = _mm512_max_ps(_mm512_loadu_ps(x + i), a);
    b = _mm512_max_ps(_mm512_loadu_ps(x + i + 16), b);
    c = _mm512_max_ps(_mm512_loadu_ps(x + i + 32), c);
    d = _mm512_max_ps(_mm512_loadu_ps(x + i + 48), d);
  }
  for (; i < n; i += 16) {
    const __mmask16 lanes = avx512::first_lanes(std::min<std::int64_t>(n - i, 16));
    a = _mm512_max_ps(_mm512_mask_loadu_ps(lowest, lanes, x + i), a);
  }
  a = _mm512_max_ps(_mm512_max_ps(a, b), _mm512_max_ps(c, d));
  return avx512::all(_mm512_reduce_max_ps(a));
}

RowExponentials<float> exponentials_in_avx512(const float* x, std::int64_t n, float* exps) {
  const avx512::Floats maximum = largest(x, n);
  avx512::Floats even = _mm512_setzero_ps(), odd = even;
  std::int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const avx512::Floats first = avx512::exp(_mm512_sub_ps(_mm512_loadu_ps(x + i), maximum));
    const avx512::Floats second = avx512::exp(_mm512_sub_ps(_mm512_loadu_ps(x + i + 16), maximum));
    _mm512_storeu_ps(exps + i, first);
    _mm512_storeu_ps(exps + i + 16, second);
    even = _mm512_add_ps(even, first);
    odd = _mm512_add_ps(odd, second);
  }
  for (; i < n; i += 16) {
    const __mmask16 lanes = avx512::first_lanes(std::min<std::int64_t>(n - i, 16));
    const avx512::Floats last =
        avx512::exp(_mm512_sub_ps(_mm512_mask_loadu_ps(maximum, lanes, x + i), maximum));
    _mm512_mask_storeu_ps(exps + i, lanes, last);
    even = _mm512_mask_add_ps(even, lanes, even, last);
  }
  return {_mm512_cvtss_f32(maximum), _mm512_reduce_add_ps(_mm512_add_ps(even, odd))};
}

void softmax_in_avx512(const float* x, std::int64_t n, float* y) {
  const float scale = 1 / exponentials_in_avx512(x, n, y).sum;
  const avx512::Floats factor = avx512::all(scale);
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    _mm512_storeu_ps(y + i, _mm512_mul_ps(_mm512_loadu_ps(y + i), factor));
  for (; i < n; ++i) y[i] *= scale;
}

HUB_END_AVX512
#endif

Softmax fastest_softmax() {
#if HUB_HAS_AVX512
  if (cpu_has_avx512()) return {exponentials_in_avx512, softmax_in_avx512};
#endif
  return {exponentials_in_lanes, softmax_in_lanes};
}

const Softmax& softmax() {
  static const Softmax fastest = fastest_softmax();
  return fastest;
}

}  // namespace

RowExponentials<float> exponentials_of_row(const float* x, std::int64_t n, float* exps) {
  return softmax().exponentials(x, n, exps);
}

void softmax_of_row(const float* x, std::int64_t n, float* y) { softmax().row(x, n, y); }

}  // namespace hub
