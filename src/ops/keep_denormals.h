#pragma once

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

namespace hub {

// While it lives, this thread computes with denormal numbers, which a step flushes: some
// iterations of Eigen's do not end well without them (TensorFlow does the same there).
class KeepDenormals {
 public:
#ifdef __SSE2__
  KeepDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ & ~kFlushBits); }
  ~KeepDenormals() { _mm_setcsr(saved_); }
#else
  KeepDenormals() = default;
#endif
  KeepDenormals(const KeepDenormals&) = delete;
  KeepDenormals& operator=(const KeepDenormals&) = delete;

#ifdef __SSE2__
 private:
  static constexpr unsigned kFlushBits = 0x8040;  // results to zero, operands as zero
  unsigned saved_;
#endif
};

}  // namespace hub
