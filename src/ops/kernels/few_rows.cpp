#include "ops/kernels/few_rows.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

#include "base/checked.h"
#include "base/errors.h"
#include "ops/kernels/avx512.h"

namespace hub {

void PanelMatrix::Free::operator()(float* data) const { std::free(data); }

PanelMatrix::PanelMatrix(std::int64_t rows, std::int64_t k, std::int64_t n)
    : columns_(panel_columns(rows)), k_(k), n_(n) {
  // Large pages: the processor asks for what follows in a page, not beyond it.
  constexpr std::size_t kLargePage = std::size_t{2} << 20;
  const auto size = static_cast<std::size_t>(panels() * columns_ * k) * sizeof(float);
  const std::size_t rounded = (size + kLargePage - 1) / kLargePage * kLargePage;
  data_.reset(static_cast<float*>(std::aligned_alloc(kLargePage, rounded)));
  if (data_ == nullptr) throw resource_exhausted("There is not enough memory for a packed matrix.");
#ifdef MADV_HUGEPAGE
  ::madvise(data_.get(), rounded, MADV_HUGEPAGE);
#endif
}

void PanelMatrix::pack(std::int64_t i, const float* b, std::int64_t row_step,
                       std::int64_t column_step) {
  float* to = data_.get() + i * k_ * columns_;
  const std::int64_t first = i * columns_;
  const std::int64_t width = std::min(columns_, n_ - first);
  for (std::int64_t row = 0; row < k_; ++row, to += columns_) {
    const float* from = b + row * row_step + first * column_step;
    if (column_step == 1) {
      std::copy_n(from, width, to);
    } else {
      for (std::int64_t j = 0; j < width; ++j) to[j] = from[j * column_step];
    }
    std::fill(to + width, to + columns_, 0.0f);
  }
}

#if HUB_HAS_AVX512
namespace {
HUB_BEGIN_AVX512

// Sixteen columns a vector.
template <int kRows, int kVectors>
void multiply_panel(const float* a, const PanelMatrix& b, std::int64_t i,
                    std::span<const std::int64_t> parts, float* c) {
  constexpr std::int64_t kColumns = 16 * kVectors;
  constexpr std::int64_t kAhead = 4096;
  const std::int64_t k = b.k();
  const std::int64_t width = b.n() - i * kColumns;
  const float* from = b.panel(i);
  float* to = c + i * kColumns;
  std::int64_t begin = 0;
  for (const std::int64_t part : parts) {
    const std::int64_t end = begin + part;
    __m512 sums[kRows][kVectors];
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[row][v] = _mm512_setzero_ps();
    }
    for (std::int64_t j = begin; j < end; ++j, from += kColumns) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const __m512 right = _mm512_load_ps(from + 16 * v);
        // Arithmetic of many rows hides from the processor what is read next.
        __builtin_prefetch(from + 16 * v + kAhead);
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row)
          sums[row][v] = _mm512_fmadd_ps(_mm512_set1_ps(a[row * k + j]), right, sums[row][v]);
      }
    }
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const std::int64_t left = std::clamp<std::int64_t>(width - 16 * v, 0, 16);
        const auto lanes = static_cast<__mmask16>((1u << static_cast<unsigned>(left)) - 1u);
        float* place = to + row * b.n() + 16 * v;
        __m512 sum = sums[row][v];
        if (begin > 0) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, place), sum);
        _mm512_mask_storeu_ps(place, lanes, sum);
      }
    }
    begin = end;
  }
}

template <int kRows>
void multiply_rows(const float* a, const PanelMatrix& b, std::int64_t i,
                   std::span<const std::int64_t> parts, float* c) {
  if constexpr (kRows <= 6) {
    if (b.columns() == 64) return multiply_panel<kRows, 4>(a, b, i, parts, c);
  }
  multiply_panel<kRows, 2>(a, b, i, parts, c);
}

void multiply_few_rows(const float* a, std::int64_t m, const PanelMatrix& b, std::int64_t i,
                       std::span<const std::int64_t> parts, float* c) {
  switch (m) {
    case 1: return multiply_rows<1>(a, b, i, parts, c);
    case 2: return multiply_rows<2>(a, b, i, parts, c);
    case 3: return multiply_rows<3>(a, b, i, parts, c);
    case 4: return multiply_rows<4>(a, b, i, parts, c);
    case 5: return multiply_rows<5>(a, b, i, parts, c);
    case 6: return multiply_rows<6>(a, b, i, parts, c);
    case 7: return multiply_rows<7>(a, b, i, parts, c);
    case 8: return multiply_rows<8>(a, b, i, parts, c);
    case 9: return multiply_rows<9>(a, b, i, parts, c);
    case 10: return multiply_rows<10>(a, b, i, parts, c);
    case 11: return multiply_rows<11>(a, b, i, parts, c);
    default: return multiply_rows<12>(a, b, i, parts, c);
  }
}

HUB_END_AVX512
}  // namespace
#endif

FewRowsProduct fastest_few_rows_product() {
#if HUB_HAS_AVX512
  if (cpu_has_avx512()) return multiply_few_rows;
#endif
  return nullptr;
}

}  // namespace hub
