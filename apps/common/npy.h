#pragma once

// NumPy's .npy format. No pickles: object arrays are refused.
//
// Strings: `S` arrays give their bytes, `U` arrays UTF-8, both without the NULs that fill up
// an element; a string tensor is written as `S`. NumPy has no bfloat16 and no quantized
// numbers: they are written as the integers that store them.

#include <string>
#include <string_view>

#include "hub/tensor.h"

namespace hub {

// `place` names the source in errors.
// Errors: DATA_LOSS for bytes that are no .npy file or do not hold what their header says,
// UNIMPLEMENTED for element types that no dtype stands for (objects, records, dates).
Tensor parse_npy(std::string_view bytes, std::string_view place);

// Errors: UNIMPLEMENTED for resources and variants, INVALID_ARGUMENT for a string that ends
// in NUL (NumPy would cut it off).
std::string serialize_npy(const Tensor& tensor);

}  // namespace hub
