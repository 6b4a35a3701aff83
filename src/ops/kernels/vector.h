#pragma once

// Vectors of 32 bytes with element-wise operators, through the compiler's vector extension.

#include <cstdint>
#include <cstring>

// Vectors are only passed between functions that are inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace hub {

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(32)));
  static constexpr std::int64_t kLanes = 32 / sizeof(T);
  static type load(const T* from) {
    type v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static void store(T* to, const type& v) { std::memcpy(to, &v, sizeof v); }
};

}  // namespace hub
