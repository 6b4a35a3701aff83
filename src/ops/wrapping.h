#pragma once

// Integer sums and products wrap: they are computed on unsigned integers of the same size,
// which halves the number of instantiations too.

#include "tensor/dispatch.h"

namespace hub {

// The dtype that is computed on in place of `dtype`.
inline DType wrapping_dtype(DType dtype) {
  switch (storage_dtype(dtype)) {
    case DType::kInt8: return DType::kUint8;
    case DType::kInt16: return DType::kUint16;
    case DType::kInt32: return DType::kUint32;
    case DType::kInt64: return DType::kUint64;
    default: return storage_dtype(dtype);
  }
}

using WrappingNumbers = Join<Join<Floats, UnsignedIntegers>, Complexes>;

// The elements as T, which is as large as the dtype's own type.
template <class T>
const T* elements_as(const Tensor& tensor) {
  return static_cast<const T*>(tensor.raw_data());
}
template <class T>
T* mutable_elements_as(Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_raw_data());
}

// a + b and a * b in T: half precision is rounded after each operation.
template <class T>
T wrapping_add(T a, T b) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(a) + static_cast<float>(b));
  } else {
    return static_cast<T>(a + b);
  }
}
template <class T>
T wrapping_multiply(T a, T b) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(a) * static_cast<float>(b));
  } else if constexpr (std::is_same_v<T, std::uint16_t>) {
    return static_cast<T>(std::uint32_t{a} * b);  // int would overflow
  } else {
    return static_cast<T>(a * b);
  }
}

}  // namespace hub
