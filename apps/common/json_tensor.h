#pragma once

// Tensors as JSON: nested lists of numbers, booleans or strings; a scalar is the bare value.
// Bytes that are no UTF-8 are {"b64": "..."}, numbers that are not finite "nan", "inf" and
// "-inf", complex numbers {"real": a, "imag": b}.

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "hub/tensor.h"

namespace hub {

// Without `dtype` the values decide: bool, int64, float32 or string (an empty list: float32).
// `place` names the source in errors.
// Errors: of kind type for lists of unequal lengths and for values that are not of the dtype
// (3.5 is no int32, 300 no uint8).
Tensor tensor_from_json(const nlohmann::json& json, std::optional<DType> dtype,
                        std::string_view place);

// Numbers are written with as many digits as tell them apart from their neighbours.
// Errors: UNIMPLEMENTED for resources and variants.
nlohmann::json tensor_to_json(const Tensor& tensor);

}  // namespace hub
