#pragma once

// exp, log, tanh, erf and sigmoid of 16 floats, within 2 ulp; NaN gives NaN. To be included outside
// of HUB_BEGIN_AVX512, and called inside.

#include "ops/kernels/avx512.h"
#include "ops/kernels/piecewise_tables.h"

#if HUB_HAS_AVX512
HUB_BEGIN_AVX512
namespace hub::avx512 {

using Floats = __m512;

// The first `count` of 16 lanes.
inline __mmask16 first_lanes(std::int64_t count) {
  return static_cast<__mmask16>((1u << static_cast<unsigned>(count)) - 1u);
}

inline Floats all(float x) { return _mm512_set1_ps(x); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats fma(Floats a, Floats b, float c) { return _mm512_fmadd_ps(a, b, all(c)); }
inline Floats fma(Floats a, float b, Floats c) { return _mm512_fmadd_ps(a, all(b), c); }

// 2^(i / 16).
alignas(64) inline constexpr float kRootsOfTwo[16] = {
    1.0f,        1.04427373f, 1.09050775f, 1.13878858f, 1.18920708f, 1.24185777f,
    1.29683959f, 1.35425556f, 1.41421354f, 1.47682619f, 1.54221082f, 1.61049032f,
    1.68179286f, 1.75625217f, 1.8340081f,  1.91520655f};
// What they lose in rounding.
alignas(64) inline constexpr float kRestsOfRoots[16] = {0.0f,
                                                        4.83347016e-08f,
                                                        -1.30775399e-08f,
                                                        5.38622231e-08f,
                                                        3.79763527e-08f,
                                                        4.4968381e-08f,
                                                        -4.01899953e-08f,
                                                        -1.01233493e-08f,
                                                        2.4203235e-08f,
                                                        -4.50089885e-08f,
                                                        8.07090483e-09f,
                                                        9.83621717e-09f,
                                                        -2.47553267e-08f,
                                                        -9.23577037e-09f,
                                                        -1.1239278e-08f,
                                                        9.84532811e-09f};

enum class ExpError { kOneUlp, kHalfUlp };

// exp(x) for x in [-104, 89], or NaN: 2^n * exp(r) with 16 n an integer, |r| <= ln2 / 32.
template <ExpError kError = ExpError::kOneUlp>
inline Floats exp_bounded(Floats x) {
  constexpr float kRounding = 786432.0f;  // 1.5 * 2^19: adding it rounds to a multiple of 1/16
  const Floats shifted = fma(x, 1.44269504f, all(kRounding));
  const Floats n = _mm512_sub_ps(shifted, all(kRounding));
  Floats r = fma(n, -0.693359375f, x);
  r = fma(n, 2.12194440e-4f, r);
  const Floats p = fma(fma(r, 0.166666672f, all(0.5f)), _mm512_mul_ps(r, r), r);
  // The place in the table is in the last bits; scalef multiplies with 2^floor(n).
  const __m512i place = _mm512_castps_si512(shifted);
  const Floats root = _mm512_permutexvar_ps(place, _mm512_load_ps(kRootsOfTwo));
  if constexpr (kError == ExpError::kHalfUlp) {
    const Floats rest = fma(root, p, _mm512_permutexvar_ps(place, _mm512_load_ps(kRestsOfRoots)));
    return _mm512_scalef_ps(_mm512_add_ps(root, rest), n);
  } else {
    return _mm512_scalef_ps(fma(root, p, root), n);
  }
}

// min and max give their second operand where one is NaN.
inline Floats exp(Floats x) {
  return exp_bounded(_mm512_min_ps(all(89.0f), _mm512_max_ps(all(-104.0f), x)));
}

// Negative: NaN. Zero, of either sign: -inf.
inline Floats log(Floats x) {
  const __m512i bits = _mm512_castps_si512(x);
  // The mantissa lies in [sqrt(1/2), sqrt(2)).
  const __m512i e = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f3504f3)), 23);
  const Floats f = _mm512_sub_ps(
      _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(e, 23))), all(1.0f));
  const Floats n = _mm512_cvtepi32_ps(e);
  Floats p = all(7.0376836292e-2f);
  p = fma(p, f, -1.1514610310e-1f);
  p = fma(p, f, 1.1676998740e-1f);
  p = fma(p, f, -1.2420140846e-1f);
  p = fma(p, f, 1.4249322787e-1f);
  p = fma(p, f, -1.6668057665e-1f);
  p = fma(p, f, 2.0000714765e-1f);
  p = fma(p, f, -2.4999993993e-1f);
  p = fma(p, f, 3.3333331174e-1f);
  const Floats z = _mm512_mul_ps(f, f);
  Floats y = _mm512_mul_ps(_mm512_mul_ps(p, f), z);
  y = fma(n, -2.12194440e-4f, y);
  y = fma(z, -0.5f, y);
  y = fma(n, 0.693359375f, _mm512_add_ps(f, y));
  // What is no positive finite number.
  const __mmask16 special =
      _mm512_fpclass_ps_mask(x, 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80);
  if (__builtin_expect(special == 0, 1)) return y;
  y = _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
  y = _mm512_mask_mov_ps(y, _mm512_fpclass_ps_mask(x, 0x08), x);
  y = _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_EQ_OQ),
                         all(-__builtin_inff()));
  return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ),
                            all(__builtin_nanf("")));
}

// An odd function from its table.
inline Floats piecewise(Floats x, const PiecewiseTable& table) {
  const Floats sign = all(-0.0f);
  const Floats a = _mm512_min_ps(all(table.highest), _mm512_andnot_ps(sign, x));
  const __m512i shifted = _mm512_srli_epi32(_mm512_castps_si512(a), PiecewiseTable::kShift);
  const __m512i piece = _mm512_max_epi32(_mm512_sub_epi32(shifted, _mm512_set1_epi32(table.first)),
                                         _mm512_setzero_si512());
  const auto entry = [piece](const float* column) __attribute__((always_inline)) {
    return _mm512_permutex2var_ps(_mm512_load_ps(column), piece, _mm512_load_ps(column + 16));
  };
  const Floats t = _mm512_sub_ps(a, entry(table.centre));
  Floats y = entry(table.coefficients[5]);
  y = fma(y, t, entry(table.coefficients[4]));
  y = fma(y, t, entry(table.coefficients[3]));
  y = fma(y, t, entry(table.coefficients[2]));
  y = fma(y, t, entry(table.coefficients[1]));
  // In the first piece, the factor of x is 1 + y.
  const Floats value =
      _mm512_mask_mov_ps(entry(table.coefficients[0]), _mm512_testn_epi32_mask(piece, piece), a);
  y = fma(y, t, value);
  return _mm512_or_ps(y, _mm512_and_ps(sign, x));
}

inline Floats tanh(Floats x) { return piecewise(x, kTanhTable); }
inline Floats erf(Floats x) { return piecewise(x, kErfTable); }

// e / (1 + e) or 1 / (1 + e) with e = exp(-|x|); what 1 + e and the division lose is given back.
inline Floats sigmoid(Floats x) {
  const Floats sign = all(-0.0f);
  const Floats e =
      exp_bounded<ExpError::kHalfUlp>(_mm512_max_ps(all(-104.0f), _mm512_or_ps(sign, x)));
  const Floats one = all(1.0f);
  const Floats sum = _mm512_add_ps(one, e);
  const Floats lost = _mm512_sub_ps(e, _mm512_sub_ps(sum, one));
  const Floats numerator = _mm512_mask_mov_ps(one, _mm512_movepi32_mask(_mm512_castps_si512(x)), e);
  const Floats quotient = _mm512_div_ps(numerator, sum);
  const Floats left = _mm512_fnmadd_ps(quotient, lost, _mm512_fnmadd_ps(quotient, sum, numerator));
  return fma(left, fma(e, -0.5f, one), quotient);
}

}  // namespace hub::avx512
HUB_END_AVX512
#endif
