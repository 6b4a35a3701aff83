#pragma once

#include <string_view>

#include "hub/tensor.h"

namespace hub::cli {

// The tensor as `dtype`; see read_inputs. `name` names it in errors.
// Errors: of kind type where values would be lost.
Tensor convert_tensor(const Tensor& tensor, DType dtype, std::string_view name);

}  // namespace hub::cli
