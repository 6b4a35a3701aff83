#pragma once

// SentencePiece's model files, as ops hold them in an attribute.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hub {

enum class SentencepieceAlgorithm : std::uint8_t { kUnigram, kBpe, kWord, kChar };

enum class PieceType : std::uint8_t { kNormal, kUnknown, kControl, kUserDefined, kUnused, kByte };

// How text is cleaned before it is cut, or after it is put together.
struct SentencepieceNormalizer {
  // A double-array trie of rules and what they write; empty: none.
  std::string charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

struct SentencepieceModel {
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::kNormal;
  };
  struct Sample {
    std::string input;
    std::string expected;  // pieces, with spaces between
  };

  std::vector<Piece> pieces;  // the index is the id
  SentencepieceAlgorithm algorithm = SentencepieceAlgorithm::kUnigram;
  bool whitespace_as_suffix = false;
  bool byte_fallback = false;
  std::string unknown_surface;
  std::string begin_piece;
  std::string end_piece;
  SentencepieceNormalizer normalizer;
  std::optional<SentencepieceNormalizer> denormalizer;
  std::vector<Sample> self_test;
};

// Nothing where the bytes are no such message. The contents are not checked.
std::optional<SentencepieceModel> parse_sentencepiece_model(std::string_view bytes);

}  // namespace hub
