#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

#include "base/errors.h"

namespace hub {

// Sums and products that say when they overflow.
template <std::integral T>
std::optional<T> checked_add(T a, T b) {
  T result;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
std::optional<T> checked_mul(T a, T b) {
  T result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// The same, throwing INVALID_ARGUMENT that names what is too large.
template <std::integral T>
T add_or_throw(T a, T b, std::string_view what) {
  if (const auto sum = checked_add(a, b)) return *sum;
  throw invalid_argument(what, " is too large. Details: ", a, " + ", b, " does not fit.");
}

template <std::integral T>
T mul_or_throw(T a, T b, std::string_view what) {
  if (const auto product = checked_mul(a, b)) return *product;
  throw invalid_argument(what, " is too large. Details: ", a, " * ", b, " does not fit.");
}

}  // namespace hub
