#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "hub/tensor.h"

namespace hub {
namespace {

struct DTypeInfo {
  DType dtype;
  std::string_view name;         // as in TensorFlow's Python
  std::string_view schema_name;  // as in op schemas, where it differs
  std::size_t size;
};

constexpr std::array kDTypes = {
    DTypeInfo{DType::kInvalid, "invalid", "", 0},
    DTypeInfo{DType::kFloat32, "float32", "float", 4},
    DTypeInfo{DType::kFloat64, "float64", "double", 8},
    DTypeInfo{DType::kInt32, "int32", "int32", 4},
    DTypeInfo{DType::kUint8, "uint8", "uint8", 1},
    DTypeInfo{DType::kInt16, "int16", "int16", 2},
    DTypeInfo{DType::kInt8, "int8", "int8", 1},
    DTypeInfo{DType::kString, "string", "string", 0},
    DTypeInfo{DType::kComplex64, "complex64", "complex64", 8},
    DTypeInfo{DType::kInt64, "int64", "int64", 8},
    DTypeInfo{DType::kBool, "bool", "bool", 1},
    DTypeInfo{DType::kQint8, "qint8", "qint8", 1},
    DTypeInfo{DType::kQuint8, "quint8", "quint8", 1},
    DTypeInfo{DType::kQint32, "qint32", "qint32", 4},
    DTypeInfo{DType::kBfloat16, "bfloat16", "bfloat16", 2},
    DTypeInfo{DType::kQint16, "qint16", "qint16", 2},
    DTypeInfo{DType::kQuint16, "quint16", "quint16", 2},
    DTypeInfo{DType::kUint16, "uint16", "uint16", 2},
    DTypeInfo{DType::kComplex128, "complex128", "complex128", 16},
    DTypeInfo{DType::kFloat16, "float16", "half", 2},
    DTypeInfo{DType::kResource, "resource", "resource", 0},
    DTypeInfo{DType::kVariant, "variant", "variant", 0},
    DTypeInfo{DType::kUint32, "uint32", "uint32", 4},
    DTypeInfo{DType::kUint64, "uint64", "uint64", 8},
};

}  // namespace

std::string_view dtype_name(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype);
  return index < kDTypes.size() ? kDTypes[index].name : "invalid";
}

DType dtype_from_name(std::string_view name) {
  for (const DTypeInfo& info : kDTypes) {
    if (name == info.name || name == info.schema_name) return info.dtype;
  }
  return DType::kInvalid;
}

std::size_t dtype_size(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype);
  return index < kDTypes.size() ? kDTypes[index].size : 0;
}

bool dtype_is_known(int number) { return number > 0 && number < static_cast<int>(kDTypes.size()); }

Half::Half(float value) {
  const auto word = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (word >> 16) & 0x8000;
  const std::uint32_t magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) {  // NaN stays NaN, made quiet
    bits = static_cast<std::uint16_t>(sign | 0x7e00 | ((magnitude >> 13) & 0x1ff));
  } else if (magnitude >= 0x477ff000) {  // rounds to 2^16 or more: infinity
    bits = static_cast<std::uint16_t>(sign | 0x7c00);
  } else if (magnitude < 0x38800000) {  // below 2^-14: a subnormal half, in units of 2^-24
    // Adding 0.5 puts the unit 2^-24 in the last place of the mantissa, rounding to even.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    bits = static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000));
  } else {
    const std::uint32_t odd = (magnitude >> 13) & 1;
    bits = static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
  }
}

Half::operator float() const {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1f;
  const std::uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | (mantissa << 13));
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

BFloat16::BFloat16(float value) {
  const auto word = std::bit_cast<std::uint32_t>(value);
  if ((word & 0x7fffffff) > 0x7f800000) {
    bits = static_cast<std::uint16_t>((word >> 16) | 0x40);
  } else {
    bits = static_cast<std::uint16_t>((word + 0x7fff + ((word >> 16) & 1)) >> 16);
  }
}

BFloat16::operator float() const {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace hub
