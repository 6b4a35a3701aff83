#pragma once

// CRC-32C (Castagnoli), as tables and bundles use it: stored masked, so that the checksum of
// bytes which hold checksums is not degenerate.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hub {

// The checksum of A + B from that of A. 0 is the checksum of nothing.
std::uint32_t extend_crc32c(std::uint32_t crc, std::string_view bytes);
inline std::uint32_t crc32c(std::string_view bytes) { return extend_crc32c(0, bytes); }

constexpr std::uint32_t kCrcMaskDelta = 0xa282ead8;
constexpr std::uint32_t mask_crc(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + kCrcMaskDelta;
}
constexpr std::uint32_t unmask_crc(std::uint32_t masked) {
  const std::uint32_t rotated = masked - kCrcMaskDelta;
  return (rotated >> 17) | (rotated << 15);
}

}  // namespace hub
