#pragma once

// Characters as Python's str methods and unicodedata see them, for the tokenisers.

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf16.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"

namespace hub {

using CodePoints = std::vector<UChar32>;

// Malformed bytes are left out (bytes.decode("utf-8", "ignore")).
inline CodePoints decode_utf8(std::string_view text) {
  CodePoints result;
  result.reserve(text.size());
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < size;) {
    UChar32 code = 0;
    U8_NEXT(text.data(), i, size, code);
    if (code >= 0) result.push_back(code);
  }
  return result;
}

inline void append_utf8(std::string& out, UChar32 code) {
  char bytes[U8_MAX_LENGTH];
  std::int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, code);
  out.append(bytes, static_cast<std::size_t>(size));
}

inline std::string encode_utf8(const CodePoints& text) {
  std::string result;
  for (const UChar32 code : text) append_utf8(result, code);
  return result;
}

// str.isspace: what str.split and str.strip take for white space.
inline bool is_python_space(UChar32 code) {
  return u_isUWhiteSpace(code) != 0 || (code >= 0x1c && code <= 0x1f);
}

inline icu::UnicodeString to_icu(const CodePoints& text) {
  return icu::UnicodeString::fromUTF32(text.data(), static_cast<std::int32_t>(text.size()));
}

inline CodePoints from_icu(const icu::UnicodeString& text) {
  CodePoints result;
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1))
    result.push_back(text.char32At(i));
  return result;
}

// str.lower: a sigma at the end of a word has its own form.
inline CodePoints lower_case(const CodePoints& text) {
  return from_icu(to_icu(text).toLower(icu::Locale::getRoot()));
}

inline CodePoints normalized(const CodePoints& text, const icu::Normalizer2* form,
                             UErrorCode status) {
  icu::UnicodeString result;
  if (U_SUCCESS(status) != 0) result = form->normalize(to_icu(text), status);
  if (U_FAILURE(status) != 0) {
    throw internal_error("Unicode text cannot be normalised. Details: ", u_errorName(status), ".");
  }
  return from_icu(result);
}

}  // namespace hub
