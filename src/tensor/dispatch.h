#pragma once

// Turns a dtype into a type, once per kernel:
//   dispatch(Floats{}, x.dtype(), [&]<class T>() { loop<T>(...); });

#include <complex>
#include <cstdint>

#include "base/errors.h"
#include "hub/tensor.h"

namespace hub {

template <class... Ts>
struct TypeList {};

template <class A, class B>
struct JoinedTypes;
template <class... A, class... B>
struct JoinedTypes<TypeList<A...>, TypeList<B...>> {
  using type = TypeList<A..., B...>;
};
template <class A, class B>
using Join = typename JoinedTypes<A, B>::type;

using Floats = TypeList<float, double, Half, BFloat16>;
using SignedIntegers = TypeList<std::int8_t, std::int16_t, std::int32_t, std::int64_t>;
using UnsignedIntegers = TypeList<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
using Integers = Join<SignedIntegers, UnsignedIntegers>;
using Indices = TypeList<std::int32_t, std::int64_t>;
using Complexes = TypeList<std::complex<float>, std::complex<double>>;
using RealNumbers = Join<Floats, Integers>;
using Numbers = Join<RealNumbers, Complexes>;
using PlainTypes = Join<Numbers, TypeList<bool>>;  // copied as bytes
using AllTypes = Join<PlainTypes, TypeList<std::string, ResourceHandle, Variant>>;

namespace internal {

template <class T, class Body>
bool dispatch_one(DType dtype, Body& body) {
  if (dtype_of<T> != dtype) return false;
  body.template operator()<T>();
  return true;
}

}  // namespace internal

// Calls `body.operator()<T>()` for the type T of `dtype` (quantized dtypes: of their
// integer). Errors: UNIMPLEMENTED where the list does not have it.
template <class... Ts, class Body>
void dispatch(TypeList<Ts...>, DType dtype, Body&& body) {
  const DType storage = storage_dtype(dtype);
  if (!(internal::dispatch_one<Ts>(storage, body) || ...)) {
    throw unimplemented("There is no kernel for dtype ", dtype, ".");
  }
}

// Copying and moving elements needs only their size: calls `body.operator()<T>()` with an
// unsigned integer (or complex<double>) of the dtype's size, or with the object type.
template <class Body>
void dispatch_by_size(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::kString: return body.template operator()<std::string>();
    case DType::kResource: return body.template operator()<ResourceHandle>();
    case DType::kVariant: return body.template operator()<Variant>();
    default: break;
  }
  switch (dtype_size(dtype)) {
    case 1: return body.template operator()<std::uint8_t>();
    case 2: return body.template operator()<std::uint16_t>();
    case 4: return body.template operator()<std::uint32_t>();
    case 8: return body.template operator()<std::uint64_t>();
    case 16: return body.template operator()<std::complex<double>>();
    default: throw unimplemented("There is no kernel for dtype ", dtype, ".");
  }
}

}  // namespace hub
