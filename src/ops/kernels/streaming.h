#pragma once

// Writing results that are larger than the caches past them: what is written need not be read from
// memory before, and what the caches hold stays.

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace hub {

// From this size on, the start of a result has left the caches before its end is written; what is
// read meanwhile counts, too.
inline constexpr std::size_t kStreamedBytes = std::size_t{64} << 20;

inline bool is_streamed(std::size_t read_bytes, std::size_t written_bytes) {
#if defined(__AVX__)
  return read_bytes + written_bytes >= kStreamedBytes;
#else
  (void)read_bytes;
  (void)written_bytes;
  return false;
#endif
}

// Copies to where no cache is filled; ends with finish_streaming() before another thread reads.
inline void stream_bytes(const void* from, void* to, std::size_t size) {
#if defined(__AVX__)
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  constexpr std::size_t kLine = 64;
  const std::size_t head = (kLine - reinterpret_cast<std::uintptr_t>(target) % kLine) % kLine;
  if (size < head + kLine) {
    std::memcpy(target, source, size);
    return;
  }
  std::memcpy(target, source, head);
  std::size_t i = head;
  for (; i + kLine <= size; i += kLine) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + i));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + i + 32));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(target + i), low);
    _mm256_stream_si256(reinterpret_cast<__m256i*>(target + i + 32), high);
  }
  std::memcpy(target + i, source + i, size - i);
#else
  std::memcpy(to, from, size);
#endif
}

inline void finish_streaming() {
#if defined(__AVX__)
  _mm_sfence();
#endif
}

}  // namespace hub
