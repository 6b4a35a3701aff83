#pragma once

// Where StringSplit and its relatives cut a text.

#include <cstdint>
#include <string_view>

namespace hub {

inline constexpr std::string_view kAsciiSpaces = " \t\n\v\f\r";

// Calls `emit` for the pieces between single bytes of `delimiters`; without delimiters every
// byte is a piece. An empty text has no pieces, not even an empty one.
template <class Emit>
void split_at_bytes(std::string_view text, std::string_view delimiters, bool skip_empty,
                    Emit&& emit) {
  if (text.empty()) return;
  if (delimiters.empty()) {
    for (std::size_t i = 0; i < text.size(); ++i) emit(text.substr(i, 1));
    return;
  }
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = delimiters.size() == 1 ? text.find(delimiters[0], begin)
                                                   : text.find_first_of(delimiters, begin);
    const std::string_view piece = text.substr(begin, end - begin);
    if (!piece.empty() || !skip_empty) emit(piece);
    if (end == std::string_view::npos) return;
    begin = end + 1;
  }
}

// At most `max_splits` cuts (all where that is negative) at the whole separator; without a
// separator at runs of white space, and then no piece is empty, but for a last one after
// `max_splits` cuts.
template <class Emit>
void split_at_text(std::string_view text, std::string_view separator, std::int64_t max_splits,
                   Emit&& emit) {
  if (max_splits == 0) return emit(text);
  const bool at_spaces = separator.empty();
  const auto skip_spaces = [&] {
    const std::size_t begin = text.find_first_not_of(kAsciiSpaces);
    text.remove_prefix(begin == std::string_view::npos ? text.size() : begin);
  };
  if (at_spaces) skip_spaces();
  std::int64_t splits = 0;
  while (true) {
    const std::size_t found = at_spaces ? text.find_first_of(kAsciiSpaces) : text.find(separator);
    const bool last = found == std::string_view::npos;
    if (last && !at_spaces) break;
    if (at_spaces && text.empty()) return;
    emit(text.substr(0, found));
    text.remove_prefix(last ? text.size() : found + (at_spaces ? 1 : separator.size()));
    if (at_spaces) skip_spaces();
    if (++splits == max_splits) break;
  }
  emit(text);
}

}  // namespace hub
