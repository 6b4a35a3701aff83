#include "common/convert.h"

#include <type_traits>
#include <utility>

#include "tensor/dispatch.h"

namespace hub {
namespace {

template <class T>
inline constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

template <class T>
inline constexpr bool kIsFloat = !kIsInteger<T> && !std::is_same_v<T, bool>;

[[noreturn]] void throw_lossy(const Tensor& tensor, DType dtype, std::string_view name) {
  throw type_error("Can't convert '", name, "': ", tensor.dtype(), " values do not all fit ", dtype,
                   ".");
}

// Short floats convert through float only.
template <class From>
double to_double(From value) {
  if constexpr (std::is_arithmetic_v<From>) {
    return static_cast<double>(value);
  } else {
    return static_cast<double>(static_cast<float>(value));
  }
}

// False where an integer does not fit.
template <class From, class To>
bool convert_value(From from, To& to) {
  if constexpr (kIsInteger<To>) {
    to = static_cast<To>(from);
    return std::in_range<To>(from);
  } else if constexpr (std::is_same_v<To, double>) {
    to = to_double(from);
  } else {
    to = static_cast<To>(static_cast<float>(to_double(from)));
  }
  return true;
}

template <class From, class To>
Tensor converted(const Tensor& tensor, DType dtype, std::string_view name) {
  Tensor result(dtype, tensor.shape());
  To* out = result.mutable_data<To>();
  for (const From value : tensor.values<From>()) {
    if (!convert_value(value, *out++)) throw_lossy(tensor, dtype, name);
  }
  return result;
}

bool is_real_number(DType dtype) {
  return dtype == storage_dtype(dtype) && dtype_size(dtype) > 0 && dtype != DType::kBool &&
         dtype != DType::kComplex64 && dtype != DType::kComplex128;
}

bool is_float(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 ||
         dtype == DType::kBfloat16;
}

}  // namespace

Tensor convert_tensor(const Tensor& tensor, DType dtype, std::string_view name) {
  if (tensor.dtype() == dtype) return tensor;
  if (dtype == DType::kBfloat16 && tensor.dtype() == DType::kUint16) return tensor.bit_cast(dtype);
  if (dtype != storage_dtype(dtype) && tensor.dtype() == storage_dtype(dtype)) {
    return tensor.bit_cast(dtype);
  }
  if (tensor.num_elements() == 0 && dtype_size(dtype) > 0) return Tensor(dtype, tensor.shape());
  const bool possible = is_real_number(tensor.dtype()) && is_real_number(dtype) &&
                        (!is_float(tensor.dtype()) || is_float(dtype));
  if (!possible) {
    throw type_error("Can't convert '", name, "': ", tensor.dtype(), " to ", dtype, ".");
  }
  Tensor result;
  dispatch(RealNumbers{}, tensor.dtype(), [&]<class From>() {
    dispatch(RealNumbers{}, dtype, [&]<class To>() {
      if constexpr (kIsInteger<From> || kIsFloat<To>) {
        result = converted<From, To>(tensor, dtype, name);
      }
    });
  });
  return result;
}

}  // namespace hub
