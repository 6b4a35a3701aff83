#pragma once

// Code for x86 CPUs with 512-bit vectors, chosen when the program runs:
//
//   #if HUB_HAS_AVX512
//   HUB_BEGIN_AVX512
//   ... functions that use the intrinsics ...
//   HUB_END_AVX512
//   #endif
//
// Only functions between the two are compiled for such CPUs: what they call from elsewhere is not,
// and no inline function of a shared header may be instantiated between them.

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HUB_HAS_AVX512 1
#else
#define HUB_HAS_AVX512 0
#endif

#define HUB_PRAGMA_TEXT(...) _Pragma(#__VA_ARGS__)
#define HUB_PRAGMA(...) HUB_PRAGMA_TEXT(__VA_ARGS__)
#define HUB_AVX512_FEATURES "avx512f,avx512vl,avx512dq,avx512bw,fma"
#if HUB_HAS_AVX512 && defined(__clang__)
#define HUB_BEGIN_AVX512 \
  HUB_PRAGMA(            \
      clang attribute push(__attribute__((target(HUB_AVX512_FEATURES))), apply_to = function))
#define HUB_END_AVX512 HUB_PRAGMA(clang attribute pop)
#elif HUB_HAS_AVX512
// GCC 12 takes the undefined vectors inside of its own intrinsics for mistakes.
#define HUB_BEGIN_AVX512                                     \
  HUB_PRAGMA(GCC push_options)                               \
  HUB_PRAGMA(GCC target(HUB_AVX512_FEATURES))                \
  HUB_PRAGMA(GCC diagnostic push)                            \
  HUB_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized") \
  HUB_PRAGMA(GCC diagnostic ignored "-Wuninitialized")
#define HUB_END_AVX512 HUB_PRAGMA(GCC diagnostic pop) HUB_PRAGMA(GCC pop_options)
#endif

namespace hub {

inline bool cpu_has_avx512() {
#if HUB_HAS_AVX512
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#else
  return false;
#endif
}

}  // namespace hub
