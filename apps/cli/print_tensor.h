#pragma once

#include <string>
#include <string_view>

#include "hub/tensor.h"

namespace hub::cli {

// Name, dtype and shape, then the first rows and columns, in lines.
std::string tensor_table(std::string_view name, const Tensor& tensor);

}  // namespace hub::cli
