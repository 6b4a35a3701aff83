#pragma once

// Code points as the ICU that TensorFlow holds knows them: their scripts, and which there are.

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <array>
#include <cstdint>

namespace hub {

using UnicodeVersion = std::array<std::uint8_t, 2>;
inline constexpr UnicodeVersion kTensorFlowUnicode = {13, 0};      // 2.15
inline constexpr UnicodeVersion kTensorFlowTextUnicode = {12, 1};  // 2.15

// What came after `newest` is unassigned.
inline bool is_newer(UChar32 code, const UnicodeVersion& newest) {
  UVersionInfo age;
  u_charAge(code, age);
  return UnicodeVersion{age[0], age[1]} > newest;
}

// USCRIPT_INVALID_CODE for what is no code point.
inline UScriptCode script_of(UChar32 code, const UnicodeVersion& newest) {
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(code, &status);
  if (U_FAILURE(status)) return USCRIPT_INVALID_CODE;
  // Two marks of Old Chinese were of the common script before Unicode 14.
  if ((code == 0x16FE2 || code == 0x16FE3) && newest < UnicodeVersion{14, 0}) return USCRIPT_COMMON;
  return is_newer(code, newest) ? USCRIPT_UNKNOWN : script;
}

}  // namespace hub
