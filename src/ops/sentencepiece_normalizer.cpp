#include "ops/sentencepiece_normalizer.h"

#include <algorithm>
#include <cstring>

#include "base/errors.h"

namespace hub {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

PieceTrie trie_of(const std::vector<std::string_view>& pieces) {
  std::vector<std::pair<std::string_view, std::int32_t>> entries;
  for (const std::string_view piece : pieces) entries.emplace_back(piece, 0);
  return PieceTrie(std::move(entries));
}

}  // namespace

Normalizer::Normalizer(SentencepieceNormalizer spec, bool whitespace_as_suffix,
                       std::vector<std::string_view> kept)
    : spec_(std::move(spec)), whitespace_as_suffix_(whitespace_as_suffix), kept_(trie_of(kept)) {
  // Four bytes of size, the trie, the outputs.
  const std::string_view map = spec_.charsmap;
  if (map.empty()) return;
  std::uint32_t size = 0;
  if (map.size() > sizeof size) std::memcpy(&size, map.data(), sizeof size);
  if (map.size() <= sizeof size || size > map.size() - sizeof size) {
    throw internal_error("SentencePiece: the model's charsmap must hold its trie. Details: ",
                         map.size(), " bytes, the trie has ", size, ".");
  }
  rules_ = DoubleArray(map.substr(sizeof size, size));
  outputs_ = map.substr(sizeof size + size);
}

Normalizer::Step Normalizer::next(std::string_view input) const {
  if (const std::size_t length = kept_.longest_prefix(input)) {
    return {input.substr(0, length), length};
  }
  std::size_t length = 0;
  std::int64_t place = 0;
  rules_.find_prefixes(input, [&](std::size_t found, std::int64_t value) {
    length = found;
    place = value;
  });
  if (length == 0) {
    const std::size_t size = valid_utf8_char(input);
    return size > 0 ? Step{input.substr(0, size), size} : Step{kReplacement, 1};
  }
  if (place < 0 || place >= static_cast<std::int64_t>(outputs_.size())) {
    throw internal_error(
        "SentencePiece: a rule of the model's charsmap points outside of it. Details: ", place,
        " of ", outputs_.size(), ".");
  }
  const std::string_view output = outputs_.substr(static_cast<std::size_t>(place));
  return {output.substr(0, output.find('\0')), length};
}

void Normalizer::append_space(NormalizedText& result, std::size_t origin) const {
  const std::string_view space = spec_.escape_whitespaces ? kSpaceSymbol : " ";
  result.text += space;
  result.origins.insert(result.origins.end(), space.size(), origin);
}

NormalizedText Normalizer::normalize(std::string_view input) const {
  NormalizedText result;
  std::size_t consumed = 0;
  if (spec_.remove_extra_whitespaces) {
    while (consumed < input.size()) {
      const Step step = next(input.substr(consumed));
      if (step.output != " ") break;
      consumed += step.consumed;
    }
  }
  if (consumed == input.size()) return result;
  result.text.reserve(input.size() * 3);
  result.origins.reserve(input.size() * 3);
  if (!whitespace_as_suffix_ && spec_.add_dummy_prefix) append_space(result, consumed);

  bool after_space = spec_.remove_extra_whitespaces;
  while (consumed < input.size()) {
    const Step step = next(input.substr(consumed));
    std::string_view output = step.output;
    while (after_space && output.starts_with(' ')) output.remove_prefix(1);
    for (const char c : output) {
      if (c == ' ') {
        append_space(result, consumed);
      } else {
        result.text += c;
        result.origins.push_back(consumed);
      }
    }
    if (!output.empty()) after_space = output.ends_with(' ');
    if (!spec_.remove_extra_whitespaces) after_space = false;
    consumed += step.consumed;
  }

  if (spec_.remove_extra_whitespaces) {
    const std::string_view space = spec_.escape_whitespaces ? kSpaceSymbol : " ";
    while (result.text.ends_with(space)) {
      const std::size_t length = result.text.size() - space.size();
      consumed = result.origins[length];
      result.text.resize(length);
      result.origins.resize(length);
    }
  }
  if (whitespace_as_suffix_ && spec_.add_dummy_prefix) append_space(result, consumed);
  result.origins.push_back(consumed);
  return result;
}

}  // namespace hub
