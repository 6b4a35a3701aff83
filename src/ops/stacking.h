#pragma once

#include <cstring>
#include <span>

#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {

// Zeros, false, empty strings.
inline Tensor zeros(KernelContext& context, DType dtype, const Shape& shape) {
  Tensor result = context.temporary(dtype, shape);
  if (dtype_size(dtype) > 0 && result.size_bytes() > 0)
    std::memset(result.mutable_raw_data(), 0, result.size_bytes());
  return result;
}

// Copies all elements of `from` to `to` from element `offset` on; both have one dtype.
inline void copy_elements(const Tensor& from, Tensor& to, std::int64_t offset) {
  if (from.num_elements() == 0) return;
  const std::size_t size = dtype_size(from.dtype());
  if (size > 0) {
    std::memcpy(
        static_cast<std::byte*>(to.mutable_raw_data()) + static_cast<std::size_t>(offset) * size,
        from.raw_data(), from.size_bytes());
    return;
  }
  dispatch_by_size(from.dtype(), [&]<class T>() {
    std::copy_n(static_cast<const T*>(from.raw_data()), from.num_elements(),
                static_cast<T*>(to.mutable_raw_data()) + offset);
  });
}

}  // namespace hub
