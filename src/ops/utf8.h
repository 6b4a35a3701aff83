#pragma once

#include <cstddef>
#include <string_view>

namespace hub {

// Characters of UTF-8 text: every byte that is no continuation byte begins one, valid or not
// (UTF8StrLen in tensorflow/core/kernels/string_util.cc).
inline std::size_t utf8_length(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return count;
}

}  // namespace hub
