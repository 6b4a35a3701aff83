#pragma once

// SentencePiece's clean-up of text: rules of a charsmap, white space, a dummy prefix.

#include <string>
#include <string_view>
#include <vector>

#include "format/sentencepiece_model.h"
#include "ops/double_array.h"
#include "ops/piece_trie.h"
#include "ops/utf8.h"

namespace hub {

inline constexpr std::string_view kSpaceSymbol = "\xe2\x96\x81";  // U+2581

struct NormalizedText {
  std::string text;
  // For each byte, and the end: where in the input it is from.
  std::vector<std::size_t> origins;
};

class Normalizer {
 public:
  // `kept` are pieces that no rule may change. Errors: INTERNAL for a broken charsmap.
  Normalizer(SentencepieceNormalizer spec, bool whitespace_as_suffix,
             std::vector<std::string_view> kept);
  Normalizer(const Normalizer&) = delete;
  Normalizer& operator=(const Normalizer&) = delete;

  // Errors: INTERNAL where a rule points outside of the charsmap.
  NormalizedText normalize(std::string_view input) const;

  const SentencepieceNormalizer& spec() const { return spec_; }
  const PieceTrie& kept() const { return kept_; }

 private:
  struct Step {
    std::string_view output;
    std::size_t consumed;
  };
  Step next(std::string_view input) const;
  void append_space(NormalizedText& result, std::size_t origin) const;

  const SentencepieceNormalizer spec_;
  const bool whitespace_as_suffix_;
  PieceTrie kept_;
  DoubleArray rules_;
  std::string_view outputs_;  // what rules write, each up to a NUL
};

}  // namespace hub
