#pragma once

// Upper and lower case, as StringLower and StringUpper change it.

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <string>
#include <string_view>

#include "ops/unicode_script.h"

namespace hub {

inline bool is_ascii(std::string_view text) {
  unsigned char all = 0;
  for (const char c : text) all |= static_cast<unsigned char>(c);
  return all < 0x80;
}

inline char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
inline char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

// ASCII letters; other bytes stay.
template <bool kLower>
void change_case_ascii(std::string_view text, std::string& result) {
  result.assign(text);
  for (char& c : result) c = kLower ? ascii_lower(c) : ascii_upper(c);
}

template <bool kLower>
void change_case(icu::UnicodeString& text) {
  if constexpr (kLower) {
    text.toLower(icu::Locale::getRoot());
  } else {
    text.toUpper(icu::Locale::getRoot());
  }
}

// All letters of UTF-8 text, but for those that TensorFlow's ICU does not know. ICU gets the
// text up to its first NUL, as TensorFlow's kernel hands it over.
template <bool kLower>
void change_case_utf8(std::string_view text, std::string& result) {
  text = text.substr(0, text.find('\0'));
  if (is_ascii(text)) return change_case_ascii<kLower>(text, result);
  const icu::UnicodeString unicode = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
  result.clear();
  std::int32_t begin = 0;  // of what has not been written
  const auto write = [&](std::int32_t end) {
    icu::UnicodeString known(unicode, begin, end - begin);
    change_case<kLower>(known);
    known.toUTF8String(result);
    begin = end;
  };
  for (std::int32_t i = 0; i < unicode.length(); i = unicode.moveIndex32(i, 1)) {
    if (!is_newer(unicode.char32At(i), kTensorFlowUnicode)) continue;
    write(i);
    const std::int32_t end = unicode.moveIndex32(i, 1);
    unicode.tempSubStringBetween(i, end).toUTF8String(result);
    begin = end;
  }
  write(unicode.length());
}

}  // namespace hub
