#pragma once

// Matrix products of any number type, and of small float matrices. An element is summed in
// the order of k, whatever the number of rows: a row's result does not depend on its batch.

#include <complex>
#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __FMA__
#include <immintrin.h>
#endif

#include "ops/kernels/vector.h"

namespace hub::gemm {

// c[rows,n] = a[rows,k] * b[k,n]; row-major, `lda`, `ldb`, `ldc` elements from row to row.
template <class T>
struct Operands {
  const T* a;
  std::int64_t lda;
  const T* b;
  std::int64_t ldb;
  T* c;
  std::int64_t ldc;
  std::int64_t n;
  std::int64_t k;
};

template <class T>
T multiply_add(T a, T b, T c) {
  if constexpr (std::is_integral_v<T>) {
    using Wide = std::common_type_t<T, unsigned>;  // no overflow of promoted int
    return static_cast<T>(Wide{a} * Wide{b} + Wide{c});
  } else {
    return a * b + c;
  }
}

#ifdef __FMA__
inline float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double multiply_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
#endif

template <class T>
typename Vector<T>::type multiply_add_vector(typename Vector<T>::type a, typename Vector<T>::type b,
                                             typename Vector<T>::type c) {
#ifdef __FMA__
  if constexpr (std::is_same_v<T, float>) return _mm256_fmadd_ps(a, b, c);
  if constexpr (std::is_same_v<T, double>) return _mm256_fmadd_pd(a, b, c);
#endif
  return a * b + c;
}

// kRows rows, columns [j, j + 2 vectors).
template <class T, int kRows>
void multiply_tile(const Operands<T>& o, std::int64_t row, std::int64_t j) {
  using V = typename Vector<T>::type;
  constexpr std::int64_t kLanes = Vector<T>::kLanes;
  V sum[kRows][2] = {};
  const T* a = o.a + row * o.lda;
  const T* b = o.b + j;
  for (std::int64_t k = 0; k < o.k; ++k, b += o.ldb) {
    const V left = Vector<T>::load(b);
    const V right = Vector<T>::load(b + kLanes);
    for (int r = 0; r < kRows; ++r) {
      const V factor = a[r * o.lda + k] - V{};
      sum[r][0] = multiply_add_vector<T>(factor, left, sum[r][0]);
      sum[r][1] = multiply_add_vector<T>(factor, right, sum[r][1]);
    }
  }
  for (int r = 0; r < kRows; ++r) std::memcpy(o.c + (row + r) * o.ldc + j, sum[r], sizeof sum[r]);
}

// kRows rows, columns [j, n).
template <class T, int kRows>
void multiply_columns(const Operands<T>& o, std::int64_t row, std::int64_t j) {
  for (; j < o.n; ++j) {
    T sum[kRows] = {};
    for (std::int64_t k = 0; k < o.k; ++k) {
      for (int r = 0; r < kRows; ++r) {
        sum[r] = multiply_add(o.a[(row + r) * o.lda + k], o.b[k * o.ldb + j], sum[r]);
      }
    }
    for (int r = 0; r < kRows; ++r) o.c[(row + r) * o.ldc + j] = sum[r];
  }
}

// Rows [begin, end).
template <class T>
void multiply_rows(const Operands<T>& o, std::int64_t begin, std::int64_t end) {
  std::int64_t j = 0;
  if constexpr (std::is_arithmetic_v<T>) {
    constexpr std::int64_t kTile = 2 * Vector<T>::kLanes;
    for (; j + kTile <= o.n; j += kTile) {
      std::int64_t row = begin;
      for (; row + 4 <= end; row += 4) multiply_tile<T, 4>(o, row, j);
      for (; row < end; ++row) multiply_tile<T, 1>(o, row, j);
    }
  }
  std::int64_t row = begin;
  for (; row + 4 <= end; row += 4) multiply_columns<T, 4>(o, row, j);
  for (; row < end; ++row) multiply_columns<T, 1>(o, row, j);
}

}  // namespace hub::gemm
