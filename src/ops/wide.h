#pragma once

#include <type_traits>

#include "hub/tensor.h"

namespace hub {

// The type in which arithmetic on T is done: float for the 16-bit floats, else T itself.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;

}  // namespace hub
