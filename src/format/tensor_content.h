#pragma once

// TensorProtos as TensorFlow's serializing ops write them.

#include <string>

#include "hub/tensor.h"

namespace hub {

// All elements as bytes, however few or alike they are; texts as their lengths (varints) and
// then their bytes. Errors: UNIMPLEMENTED for resources and variants.
std::string serialize_tensor_content(const Tensor& tensor);

// The same, but texts one by one.
std::string serialize_tensor_values(const Tensor& tensor);

}  // namespace hub
