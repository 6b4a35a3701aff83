#pragma once

// Numbers in text, as TensorFlow reads them.

#include <charconv>
#include <concepts>
#include <limits>
#include <optional>
#include <string_view>

namespace hub {

namespace internal {

inline bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

inline std::string_view without_spaces(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

inline bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

}  // namespace internal

// Decimal digits with an optional '-', spaces around them allowed; no '+', no other base.
template <std::integral T>
std::optional<T> parse_integer(std::string_view text) {
  text = internal::without_spaces(text);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Also hexadecimal integers ("0x10"), "inf" and "nan" in any case, and a sign; what is too
// large is infinite. Text of 32 bytes or more is refused, text of spaces only is 0.
template <std::floating_point T>
std::optional<T> parse_float(std::string_view text) {
  if (text.empty() || text.size() >= 32) return std::nullopt;
  text = internal::without_spaces(text);
  if (text.empty()) return T{0};
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  const auto with_sign = [negative](T value) { return negative ? -value : value; };
  if (internal::equals_ignoring_case(text, "inf"))
    return with_sign(std::numeric_limits<T>::infinity());
  if (internal::equals_ignoring_case(text, "nan"))
    return with_sign(std::numeric_limits<T>::quiet_NaN());
  const bool hexadecimal = text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
  if (hexadecimal) {
    text.remove_prefix(2);
    if (text.find_first_not_of("0123456789abcdefABCDEF") != text.npos) return std::nullopt;
  } else if (text.empty() || text.find_first_not_of("0123456789.eE+-") != text.npos) {
    return std::nullopt;  // from_chars knows more words
  }
  if (text.front() == '-' || text.front() == '+') return std::nullopt;
  T value{};
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value,
                      hexadecimal ? std::chars_format::hex : std::chars_format::general);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    value = text.find('-') != text.npos ? T{0} : std::numeric_limits<T>::infinity();
  }
  return with_sign(value);
}

}  // namespace hub
