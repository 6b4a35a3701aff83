#pragma once

// Raw text as the ids that a module's vocabulary has for it, for modules that take ids.
//
//   auto words = hub::make_word_pieces(vocabulary_bytes, {.lower_case = true});
//   hub::TokenIds ids = hub::token_ids(*words, {"A sentence.", "Another one."});

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/tensor.h"

namespace hub {

// Cuts text into the pieces of a vocabulary. Immutable: any thread may call it.
class HUB_EXPORT Tokenizer {
 public:
  virtual ~Tokenizer();
  // Bytes that are no UTF-8 are left out.
  virtual std::vector<std::string> pieces(std::string_view text) const = 0;
  // Of a piece that the vocabulary does not have: the unknown piece's.
  virtual std::int32_t id(std::string_view piece) const = 0;
  virtual bool has(std::string_view piece) const = 0;
  std::vector<std::int32_t> ids(std::string_view text) const;
};

struct WordPieceOptions {
  // Lower case, without accents: for vocabularies that are "uncased".
  bool lower_case = true;
  // Longer words (in characters) are unknown.
  std::size_t max_word_length = 200;
};

// Word pieces as BERT's own program cuts them: control characters are dropped, words are split at
// white space, around punctuation and around Chinese characters, and each word is taken apart into
// the longest pieces that the vocabulary has, or is "[UNK]". `vocabulary` is the content of the
// file: a piece a line, the number of the line is its id.
// Errors: INVALID_ARGUMENT where the vocabulary does not have "[UNK]".
HUB_EXPORT std::unique_ptr<const Tokenizer> make_word_pieces(std::string_view vocabulary,
                                                             const WordPieceOptions& options = {});

struct SentencePieceOptions {
  // Cleans text as ALBERT's own program does: one space between words, plain quotation marks, no
  // accents; numbers with commas are cut before the comma. False: nothing is done to the text.
  bool clean = false;
  bool lower_case = false;  // with `clean`
};

// The pieces of a SentencePiece model; `model` is the content of its file.
// Errors: INTERNAL for bytes that are no model.
HUB_EXPORT std::unique_ptr<const Tokenizer> make_sentence_pieces(
    std::string_view model, const SentencePieceOptions& options = {});

// What BERT-like modules take: int32 [texts, length] each.
struct TokenIds {
  Tensor input_ids;    // "[CLS]", the text's pieces, "[SEP]", and 0 up to the length
  Tensor input_mask;   // 1 for each of these, 0 up to the length
  Tensor segment_ids;  // 0
};

struct TokenOptions {
  // What is longer is cut at its end, the two marks counted in.
  std::int64_t max_length = 128;
  // Every row is so long; 0: as long as the longest one.
  std::int64_t length = 0;
};

// Errors: INVALID_ARGUMENT for a length under 2, for a vocabulary without "[CLS]" and "[SEP]".
HUB_EXPORT TokenIds token_ids(const Tokenizer& tokenizer, std::span<const std::string> texts,
                              const TokenOptions& options = {});

// The ids as a sparse matrix, one row for each text, without marks: what
// universal-sentence-encoder-lite takes. All int64.
struct SparseTokenIds {
  Tensor indices;      // [n,2]
  Tensor values;       // [n]
  Tensor dense_shape;  // [2]: texts, length of the longest one
};
HUB_EXPORT SparseTokenIds sparse_token_ids(const Tokenizer& tokenizer,
                                           std::span<const std::string> texts);

}  // namespace hub
