#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hub {

inline bool is_utf8_trail(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Bytes that a character takes, as its first byte says.
inline std::size_t utf8_char_size(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

// Bytes of the valid character that begins the text, or 0 where there is none. The text is
// not empty.
inline std::size_t valid_utf8_char(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const std::size_t size = utf8_char_size(text[0]);
  if (first >= 0xf8 || size == 1 || text.size() < size) return 0;
  std::uint32_t code = first & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_utf8_trail(text[i])) return 0;
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool valid =
      code >= kSmallest[size] && code <= 0x10ffff && (code < 0xd800 || code >= 0xe000);
  return valid ? size : 0;
}

// Characters of UTF-8 text: every byte that is no continuation byte begins one, valid or not
// (UTF8StrLen in tensorflow/core/kernels/string_util.cc).
inline std::size_t utf8_length(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += !is_utf8_trail(c);
  return count;
}

}  // namespace hub
