#pragma once

// Vectors of 32 bytes with element-wise operators, through the compiler's vector extension.

#include <cstdint>
#include <cstring>
#include <utility>

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

// Lane i joined with lane i + kBy, for all lanes in a circle.
template <class T, int kBy, class Join, int... kLanes>
typename Vector<T>::type join_rotated(const typename Vector<T>::type& v, const Join& join,
                                      std::integer_sequence<int, kLanes...>) {
  constexpr int kCount = sizeof...(kLanes);
  const typename Vector<T>::type rotated =
      __builtin_shufflevector(v, v, ((kLanes + kBy) % kCount)...);
  return join(v, rotated);
}

// All lanes joined: halves with halves, until one is left.
template <class T, int kBy = static_cast<int>(Vector<T>::kLanes) / 2, class Join>
T join_lanes(const typename Vector<T>::type& v, const Join& join) {
  using Lanes = std::make_integer_sequence<int, static_cast<int>(Vector<T>::kLanes)>;
  if constexpr (kBy == 0) {
    return v[0];
  } else {
    return join_lanes<T, kBy / 2>(join_rotated<T, kBy>(v, join, Lanes{}), join);
  }
}

}  // namespace hub
