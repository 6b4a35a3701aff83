#pragma once

#include <string_view>

#include "hub/tensor.h"

namespace hub {

// The tensor as `dtype`, where that loses nothing but float precision: NumPy makes float64 and
// int64 of what Python calls numbers. Integers stand for the bits of bfloat16 (uint16) and of
// quantized numbers, which NumPy does not have. `name` names the tensor in errors.
// Errors: of kind type where values would be lost.
Tensor convert_tensor(const Tensor& tensor, DType dtype, std::string_view name);

}  // namespace hub
