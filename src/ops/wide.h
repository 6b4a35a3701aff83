#pragma once

#include <limits>
#include <type_traits>

#include "hub/tensor.h"

namespace hub {

// The type in which arithmetic on T is done: float for the 16-bit floats, else T itself.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;

template <class T>
T lowest_finite() {
  if constexpr (std::is_same_v<T, Half>) return Half::from_bits(0xFBFF);
  if constexpr (std::is_same_v<T, BFloat16>) return BFloat16::from_bits(0xFF7F);
  return static_cast<T>(std::numeric_limits<Wide<T>>::lowest());
}

}  // namespace hub
