#pragma once

// Upper and lower case, as StringLower and StringUpper change it.

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <string>
#include <string_view>

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

// All letters of UTF-8 text. ICU gets the text up to its first NUL, as TensorFlow's kernel
// hands it over.
template <bool kLower>
void change_case_utf8(std::string_view text, std::string& result) {
  text = text.substr(0, text.find('\0'));
  if (is_ascii(text)) return change_case_ascii<kLower>(text, result);
  icu::UnicodeString unicode = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
  if constexpr (kLower) {
    unicode.toLower(icu::Locale::getRoot());
  } else {
    unicode.toUpper(icu::Locale::getRoot());
  }
  result.clear();
  unicode.toUTF8String(result);
}

}  // namespace hub
