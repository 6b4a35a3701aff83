#include "format/crc32c.h"

#include <isa-l.h>

#include <algorithm>

namespace hub {

std::uint32_t extend_crc32c(std::uint32_t crc, std::string_view bytes) {
  constexpr std::size_t kMaxCall = std::size_t{1} << 30;  // the length is an int
  std::uint32_t state = ~crc;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kMaxCall);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(piece.data()));
    state = crc32_iscsi(data, static_cast<int>(piece.size()), state);
    bytes.remove_prefix(piece.size());
  }
  return ~state;
}

}  // namespace hub
