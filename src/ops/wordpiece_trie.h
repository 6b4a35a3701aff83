#pragma once

// The models of TensorFlow Text's fast word pieces: a trie of all pieces in which each node
// knows what to do where the text leaves it (LinMaxMatch, arXiv:2012.15524).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/flat_table.h"
#include "ops/double_array.h"

namespace hub {

struct WordPiece {
  std::string text;
  std::int32_t id;
  std::int64_t begin;  // bytes of the input
  std::int64_t end;
};

// A view of a model's bytes. Immutable: any thread may use it.
class WordPieceModel {
 public:
  // Errors: INVALID_ARGUMENT where the bytes are no such model. Not all is checked: what is
  // found broken on the way is an INVALID_ARGUMENT of the other functions.
  explicit WordPieceModel(std::string_view bytes);

  // Appends the pieces of a text (of one word, where the model says that words come cut).
  void tokenize(std::string_view text, std::vector<WordPiece>& pieces) const;
  // Errors: FAILED_PRECONDITION where the model cannot; OUT_OF_RANGE for an id.
  std::string detokenize(const std::vector<std::int32_t>& ids) const;

 private:
  class Run;

  FlatTable table_;
  DoubleArray trie_;
  FlatVector failures_;  // two numbers for each node: where to go on, what to put out
  FlatVector outputs_;
  std::uint32_t suffix_root_;
  std::uint32_t punctuation_node_;
  std::int64_t max_bytes_;
  std::string_view suffix_;
  std::string_view unknown_;
  std::int32_t unknown_id_;
  FlatVector suffix_pieces_;  // of the suffix mark itself
  bool cuts_text_;
  bool can_detokenize_;
  FlatVector vocabulary_;
  FlatVector is_suffix_;
};

}  // namespace hub
