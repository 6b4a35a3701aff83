#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace hub {

namespace internal {

void append_double(std::string& out, double value);

template <class T>
void append_piece(std::string& out, const T& piece) {
  if constexpr (std::is_same_v<T, bool>) {
    out += piece ? "true" : "false";
  } else if constexpr (std::is_same_v<T, char>) {
    out += piece;
  } else if constexpr (std::integral<T>) {
    char buffer[24];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, piece).ptr;
    out.append(buffer, end);
  } else if constexpr (std::floating_point<T>) {
    append_double(out, static_cast<double>(piece));
  } else if constexpr (requires { std::string_view(piece); }) {
    out += std::string_view(piece);
  } else {
    out += to_string(piece);  // found beside the type
  }
}

}  // namespace internal

// Joins its arguments into one string: strings, numbers, and whatever has a `to_string`
// in its own namespace.
template <class... Pieces>
std::string cat(const Pieces&... pieces) {
  std::string out;
  (internal::append_piece(out, pieces), ...);
  return out;
}

// "a, b, c" from a range; each element goes through `cat`.
template <class Range>
std::string join(const Range& range, std::string_view separator = ", ") {
  std::string out;
  bool first = true;
  for (const auto& element : range) {
    if (!first) out += separator;
    first = false;
    internal::append_piece(out, element);
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

// The text with control bytes and invalid UTF-8 made visible, cut to `limit` bytes: for
// messages that quote bytes from outside.
std::string printable(std::string_view bytes, std::size_t limit = 120);

}  // namespace hub
