#pragma once

// acc[j] = op(acc[j], x[j]): what segment reductions do with a row.

#include <type_traits>

#include "ops/kernels/vector.h"
#include "ops/wrapping.h"

namespace hub {

template <class T>
inline constexpr bool kHasVectors = std::is_arithmetic_v<T>;

// Integers as unsigned ones.
template <class T>
struct AddRow {
  static T join(T a, T b) { return wrapping_add(a, b); }
  template <class V>
  static V join_vectors(const V& a, const V& b) {
    return a + b;
  }
};

template <class T>
struct MultiplyRow {
  static T join(T a, T b) { return wrapping_multiply(a, b); }
  template <class V>
  static V join_vectors(const V& a, const V& b) {
    return a * b;
  }
};

// TensorFlow's order of comparison: a NaN is replaced by what follows, and replaces what was.
template <class T>
struct LargestOfRows {
  static T join(T a, T b) { return less(b, a) ? a : b; }
  template <class V>
  static V join_vectors(const V& a, const V& b) {
    return b < a ? a : b;
  }

  static bool less(T a, T b) {
    if constexpr (std::is_arithmetic_v<T>) {
      return a < b;
    } else {
      return static_cast<float>(a) < static_cast<float>(b);
    }
  }
};

template <class T>
struct SmallestOfRows {
  static T join(T a, T b) { return LargestOfRows<T>::less(a, b) ? a : b; }
  template <class V>
  static V join_vectors(const V& a, const V& b) {
    return a < b ? a : b;
  }
};

template <class T, class Op>
void join_row(T* acc, const T* x, std::int64_t n) {
  std::int64_t j = 0;
  if constexpr (kHasVectors<T>) {
    using V = Vector<T>;
    for (; j + V::kLanes <= n; j += V::kLanes) {
      V::store(acc + j, Op::join_vectors(V::load(acc + j), V::load(x + j)));
    }
  }
  for (; j < n; ++j) acc[j] = Op::join(acc[j], x[j]);
}

}  // namespace hub
