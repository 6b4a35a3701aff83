#pragma once

// exp, log, tanh and friends of floats without branches or calls, so that a loop over them
// is vectorised (see lanes.h); so they are always inlined. Each is within about 2 ulp; NaN gives
// NaN. Denormal results are left to the step, which flushes them.

#include <bit>
#include <cmath>
#include <cstdint>

namespace hub::vector_math {

// condition ? a : b, without a branch into which a compiler could move the work for a or b.
[[gnu::always_inline]] inline float select(bool condition, float a, float b) {
  const std::uint32_t mask = condition ? ~std::uint32_t{0} : 0;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(a) & mask) |
                              (std::bit_cast<std::uint32_t>(b) & ~mask));
}

// x = n * ln2 + r with an integer n and |r| <= ln2 / 2.
struct ExpReduced {
  float r;
  std::int32_t n;
};

[[gnu::always_inline]] inline ExpReduced reduce_exp(float x) {
  constexpr float kRounding = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = std::fma(x, 1.44269504f, kRounding);
  const float n = shifted - kRounding;
  float r = std::fma(n, -0.693359375f, x);
  r = std::fma(n, 2.12194440e-4f, r);
  return {r, std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRounding)};
}

// exp(r) - 1 for |r| <= ln2 / 2.
[[gnu::always_inline]] inline float expm1_reduced(float r) {
  float p = 1.9875691500e-4f;
  p = std::fma(p, r, 1.3981999507e-3f);
  p = std::fma(p, r, 8.3334519073e-3f);
  p = std::fma(p, r, 4.1665795894e-2f);
  p = std::fma(p, r, 1.6666665459e-1f);
  p = std::fma(p, r, 5.0000001201e-1f);
  return std::fma(p, r * r, r);
}

// value * 2^n for n in [-252, 254], also where 2^n is no float.
[[gnu::always_inline]] inline float scale_by_power(float value, std::int32_t n) {
  const std::int32_t half = n >> 1;
  const float a = std::bit_cast<float>((half + 127) << 23);
  const float b = std::bit_cast<float>((n - half + 127) << 23);
  return value * a * b;
}

// x within [low, high]; NaN stays.
[[gnu::always_inline]] inline float bounded(float x, float low, float high) {
  const float above = select(x < low, low, x);
  return select(above > high, high, above);
}

[[gnu::always_inline]] inline float exp(float x) {
  const ExpReduced e = reduce_exp(bounded(x, -104.0f, 89.0f));
  return scale_by_power(1.0f + expm1_reduced(e.r), e.n);
}

[[gnu::always_inline]] inline float expm1(float x) {
  const ExpReduced e = reduce_exp(bounded(x, -104.0f, 89.0f));
  const float q = expm1_reduced(e.r);
  const float power = scale_by_power(1.0f, e.n);
  const float small = std::fma(power, q, power - 1.0f);
  const float large = scale_by_power(1.0f + q, e.n);  // 2^n alone may be infinite
  return select(x == 0.0f, x, select(x > 30.0f, large, small));
}

// Negative: NaN. Zero, of either sign: -inf.
[[gnu::always_inline]] inline float log(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  // The mantissa lies in [sqrt(1/2), sqrt(2)).
  const std::int32_t e = static_cast<std::int32_t>(bits - 0x3f3504f3u) >> 23;
  const float f = std::bit_cast<float>(bits - (static_cast<std::uint32_t>(e) << 23)) - 1.0f;
  const auto n = static_cast<float>(e);
  float p = 7.0376836292e-2f;
  p = std::fma(p, f, -1.1514610310e-1f);
  p = std::fma(p, f, 1.1676998740e-1f);
  p = std::fma(p, f, -1.2420140846e-1f);
  p = std::fma(p, f, 1.4249322787e-1f);
  p = std::fma(p, f, -1.6668057665e-1f);
  p = std::fma(p, f, 2.0000714765e-1f);
  p = std::fma(p, f, -2.4999993993e-1f);
  p = std::fma(p, f, 3.3333331174e-1f);
  const float z = f * f;
  float y = p * f * z;
  y = std::fma(n, -2.12194440e-4f, y);
  y = std::fma(z, -0.5f, y);
  y = std::fma(n, 0.693359375f, f + y);
  constexpr float kInfinity = __builtin_inff();
  y = select(x < kInfinity, y, x);  // +inf and NaN
  y = select(x == 0.0f, -kInfinity, y);
  return select(x < 0.0f, __builtin_nanf(""), y);
}

// What 1 + x lost in rounding is given back.
[[gnu::always_inline]] inline float log1p(float x) {
  const float u = 1.0f + x;
  const float y = log(u);
  const float lost = (x - (u - 1.0f)) / u;
  const float small = select(x == 0.0f, x, y + lost);
  return select(u > 0.0f, select(u < __builtin_inff(), small, y), y);
}

[[gnu::always_inline]] inline float tanh(float x) {
  const float a = std::fabs(x);
  const float z = x * x;
  float p = -5.70498872745e-3f;  // for |x| < 0.625
  p = std::fma(p, z, 2.06390887954e-2f);
  p = std::fma(p, z, -5.37397155531e-2f);
  p = std::fma(p, z, 1.33314422036e-1f);
  p = std::fma(p, z, -3.33332819422e-1f);
  const float small = std::fma(p * z, a, a);
  const float large = 1.0f - 2.0f / (exp(a + a) + 1.0f);
  return std::copysign(select(a < 0.625f, small, large), x);
}

// exp(-|x|) / (1 + exp(-|x|)) or 1 / (1 + exp(-|x|)). An error of half an ulp may double in the
// quotient, so what the reduction, the sums and the division lose is given back.
[[gnu::always_inline]] inline float sigmoid(float x) {
  const float a = bounded(-std::fabs(x), -104.0f, 0.0f);
  const ExpReduced reduced = reduce_exp(a);
  const float r = reduced.r;
  const auto n = static_cast<float>(reduced.n);
  const float high = std::fma(n, -0.693359375f, a);  // exact
  const float lost = std::fma(n, 2.12194440e-4f, high - r);
  const float rest = expm1_reduced(r) - r + lost;
  const float sum = 1.0f + r;
  const float e = scale_by_power(sum + (r - (sum - 1.0f) + rest), reduced.n);
  const float numerator = select(x < 0.0f, e, 1.0f);
  const float denominator = 1.0f + e;
  const float quotient = numerator / denominator;
  const float left =
      std::fma(-quotient, denominator, numerator) - quotient * (e - (denominator - 1.0f));
  return std::fma(left, std::fma(-0.5f, e, 1.0f), quotient);
}

// 1 - exp(polynomial) where that loses nothing, an odd polynomial below.
[[gnu::always_inline]] inline float erf(float x) {
  const float a = std::fabs(x);
  const float z = x * x;
  float p = std::fma(-1.72853470e-5f, a, 3.83197126e-4f);
  p = std::fma(p, z, std::fma(-3.88396438e-3f, a, 2.42546219e-2f));
  p = std::fma(p, a, -1.06777877e-1f);
  p = std::fma(p, a, -6.34846687e-1f);
  p = std::fma(p, a, -1.28717512e-1f);
  const float large = 1.0f - exp(std::fma(p, a, -a));
  float q = -5.96761703e-4f;
  q = std::fma(q, z, 4.99119423e-3f);
  q = std::fma(q, z, -2.67681349e-2f);
  q = std::fma(q, z, 1.12819925e-1f);
  q = std::fma(q, z, -3.76125336e-1f);
  q = std::fma(q, z, 1.28379166e-1f);
  const float small = std::fma(q, a, a);
  constexpr float kBoundary = 0.927734375f;
  return std::copysign(select(a > kBoundary, large, small), x);
}

}  // namespace hub::vector_math
