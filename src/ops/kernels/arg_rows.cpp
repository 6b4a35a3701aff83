#include "ops/kernels/arg_rows.h"

#include <algorithm>
#include <limits>

#include "ops/kernels/avx512_math.h"

namespace hub {

#if HUB_HAS_AVX512
namespace {
HUB_BEGIN_AVX512

using avx512::Floats;

// Their second operand where one is NaN.
template <bool kLargest>
inline Floats better(Floats a, Floats b) {
  return kLargest ? _mm512_max_ps(a, b) : _mm512_min_ps(a, b);
}

// Which of 64 floats are the wanted one.
inline std::uint64_t equal_lanes(const float* x, Floats wanted) {
  std::uint64_t lanes = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __mmask16 some = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + 16 * i), wanted, _CMP_EQ_OQ);
    lanes |= static_cast<std::uint64_t>(some) << (16 * i);
  }
  return lanes;
}

// `wanted` is in the row.
std::int64_t first_equal(const float* x, std::int64_t n, Floats wanted) {
  constexpr std::int64_t kBlock = 64;
  // Short rows from their end, without a branch that nobody can predict.
  constexpr std::int64_t kShort = 512;
  std::int64_t first = -1;
  const std::int64_t blocks = n / kBlock;
  if (n <= kShort) {
    for (std::int64_t block = blocks - 1; block >= 0; --block) {
      const std::uint64_t lanes = equal_lanes(x + block * kBlock, wanted);
      const std::int64_t here = block * kBlock + __builtin_ctzll(lanes | (1ULL << 63));
      first = lanes != 0 ? here : first;
    }
    if (first >= 0) return first;
  } else {
    for (std::int64_t block = 0; block < blocks; ++block) {
      const std::uint64_t lanes = equal_lanes(x + block * kBlock, wanted);
      if (lanes != 0) return block * kBlock + __builtin_ctzll(lanes);
    }
  }
  const float value = _mm512_cvtss_f32(wanted);
  first = blocks * kBlock;
  while (x[first] != value) ++first;
  return first;
}

template <bool kLargest>
std::int64_t arg_of_row(const float* x, std::int64_t n) {
  constexpr float kStart =
      kLargest ? std::numeric_limits<float>::lowest() : std::numeric_limits<float>::max();
  const Floats start = avx512::all(kStart);
  Floats a = start, b = start, c = start, d = start;
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    a = better<kLargest>(_mm512_loadu_ps(x + i), a);
    b = better<kLargest>(_mm512_loadu_ps(x + i + 16), b);
    c = better<kLargest>(_mm512_loadu_ps(x + i + 32), c);
    d = better<kLargest>(_mm512_loadu_ps(x + i + 48), d);
  }
  for (; i < n; i += 16) {
    const __mmask16 lanes = avx512::first_lanes(std::min<std::int64_t>(n - i, 16));
    a = better<kLargest>(_mm512_mask_loadu_ps(start, lanes, x + i), a);
  }
  a = better<kLargest>(better<kLargest>(a, b), better<kLargest>(c, d));
  const float winner = kLargest ? _mm512_reduce_max_ps(a) : _mm512_reduce_min_ps(a);
  return winner == kStart ? 0 : first_equal(x, n, avx512::all(winner));
}

HUB_END_AVX512
}  // namespace
#endif

ArgOfRow fastest_argmax_of_row() {
#if HUB_HAS_AVX512
  if (cpu_has_avx512()) return arg_of_row<true>;
#endif
  return nullptr;
}

ArgOfRow fastest_argmin_of_row() {
#if HUB_HAS_AVX512
  if (cpu_has_avx512()) return arg_of_row<false>;
#endif
  return nullptr;
}

}  // namespace hub
