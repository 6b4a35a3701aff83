#pragma once

// Kernels compute with the channels last, and with float in place of the 16-bit floats:
// what comes otherwise is copied before and after.

#include "ops/kernel.h"

namespace hub {

// [batch, channels, spatial...] as [batch, spatial..., channels], and back.
Tensor channels_last(KernelContext& c, const Tensor& x);
Tensor channels_first(KernelContext& c, const Tensor& x);
Shape channels_last(const Shape& shape);
Shape channels_first(const Shape& shape);

// Each of `count` matrices [rows, columns] becomes [columns, rows].
void transpose_matrices(KernelContext& c, std::int64_t count, std::int64_t rows,
                        std::int64_t columns, const float* x, float* y);

// A copy in another floating dtype; the tensor itself where it has that.
Tensor converted(KernelContext& c, const Tensor& x, DType dtype);
inline bool is_short_float(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBfloat16;
}

}  // namespace hub
