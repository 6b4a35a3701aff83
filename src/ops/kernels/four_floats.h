#pragma once

// Four neighbouring elements as a vector of floats.

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

namespace hub {

typedef float FourFloats __attribute__((vector_size(16)));

template <class T>
inline FourFloats load_four(const T* from) {
  if constexpr (std::is_same_v<T, float>) {
    FourFloats values;
    std::memcpy(&values, from, sizeof values);
    return values;
#if defined(__SSE4_1__)
  } else if constexpr (std::is_same_v<T, std::uint8_t>) {
    std::int32_t bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return reinterpret_cast<FourFloats>(
        _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes))));
#endif
  } else {
    return FourFloats{static_cast<float>(from[0]), static_cast<float>(from[1]),
                      static_cast<float>(from[2]), static_cast<float>(from[3])};
  }
}

inline void store_four(float* to, FourFloats values) { std::memcpy(to, &values, sizeof values); }

}  // namespace hub
