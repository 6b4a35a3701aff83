#pragma once

#include <unicode/utf8.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hub {

// The character that begins a text which is not empty, as ICU reads UTF-8: its code point (-1
// where it is malformed) and its bytes.
struct IcuCharacter {
  UChar32 code;
  std::size_t size;
};
inline IcuCharacter first_character(std::string_view text) {
  constexpr std::size_t kLongest = 4;
  std::int32_t size = 0;
  UChar32 code = 0;
  U8_NEXT(text.data(), size, static_cast<std::int32_t>(std::min(text.size(), kLongest)), code);
  return {code, static_cast<std::size_t>(size)};
}

}  // namespace hub
