#pragma once

// Comparing tensors as the recorded cases say.

#include <optional>
#include <string>

#include "hub/tensor.h"

namespace hub::replay {

// |got - want| <= atol + rtol * |want| for floats and complex numbers.
struct Tolerance {
  double rtol = 0;
  double atol = 0;
};

// Nothing where `got` has the dtype, the shape and, within the tolerance, the values of
// `want`: NaN equals NaN, infinities match by sign, all other dtypes must be equal.
// Else a text that says what differs.
std::optional<std::string> difference(const Tensor& got, const Tensor& want, Tolerance tolerance);
// The same of dtype and shape only.
std::optional<std::string> type_difference(const Tensor& got, DType dtype, const Shape& shape);

// Nothing where the static dtype and shape of an output allow what it gave.
std::optional<std::string> fact_difference(const Tensor& got, DType dtype,
                                           const PartialShape& shape);

}  // namespace hub::replay
