#include "ops/kernels/transpose_tiles.h"

#include "ops/kernels/avx512.h"

namespace hub {

#if HUB_HAS_AVX512
namespace {
HUB_BEGIN_AVX512

// How many rows ahead lines are asked for: more than the processor does where rows are far apart.
constexpr std::int64_t kAhead = 32;

inline __m512 zip_pairs(__m512 a, __m512 b, bool high) {
  const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
  return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(x, y) : _mm512_unpacklo_pd(x, y));
}

template <bool kStreams>
inline void transpose_tile(const float* from, std::int64_t from_stride, float* to,
                           std::int64_t to_stride) {
  __m512 a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    a[i] = _mm512_loadu_ps(from + i * from_stride);
    if (kStreams) __builtin_prefetch(from + (i + kAhead) * from_stride);
  }
  // Quarters of a vector, 4 x 4 at a time: a[4 g + k] holds columns k, 4 + k, ... of rows 4 g on.
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    a[i] = zip_pairs(b[i], b[i + 2], false);
    a[i + 1] = zip_pairs(b[i], b[i + 2], true);
    a[i + 2] = zip_pairs(b[i + 1], b[i + 3], false);
    a[i + 3] = zip_pairs(b[i + 1], b[i + 3], true);
  }
  // Then the quarters themselves.
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    const __m512 even_low = _mm512_shuffle_f32x4(a[k], a[4 + k], 0x88);
    const __m512 even_high = _mm512_shuffle_f32x4(a[8 + k], a[12 + k], 0x88);
    const __m512 odd_low = _mm512_shuffle_f32x4(a[k], a[4 + k], 0xdd);
    const __m512 odd_high = _mm512_shuffle_f32x4(a[8 + k], a[12 + k], 0xdd);
    b[k] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
    b[4 + k] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
    b[8 + k] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
    b[12 + k] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (kStreams) {
      _mm512_stream_ps(to + i * to_stride, b[i]);
    } else {
      _mm512_storeu_ps(to + i * to_stride, b[i]);
    }
  }
}

template <bool kStreams>
void transpose_all(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
                   std::int64_t rows, std::int64_t columns) {
  for (std::int64_t c = 0; c < columns; c += kTransposeTile) {
    for (std::int64_t r = 0; r < rows; r += kTransposeTile)
      transpose_tile<kStreams>(from + r * from_stride + c, from_stride, to + c * to_stride + r,
                               to_stride);
  }
}

// Floats only in name: no instruction here looks at their values.
void transpose_in_avx512(const std::uint32_t* from, std::int64_t from_stride, std::uint32_t* to,
                         std::int64_t to_stride, std::int64_t rows, std::int64_t columns,
                         bool streams) {
  const auto* source = reinterpret_cast<const float*>(from);
  auto* target = reinterpret_cast<float*>(to);
  if (streams) {
    transpose_all<true>(source, from_stride, target, to_stride, rows, columns);
  } else {
    transpose_all<false>(source, from_stride, target, to_stride, rows, columns);
  }
}

HUB_END_AVX512
}  // namespace
#endif

TransposeTiles fastest_transpose_tiles() {
#if HUB_HAS_AVX512
  if (cpu_has_avx512()) return transpose_in_avx512;
#endif
  return nullptr;
}

}  // namespace hub
