#pragma once

// SentencePiece: text to the pieces of a model, and back. The results are those of the
// library of that name, version 0.1.96, which TensorFlow Text 2.15 holds.

#include <array>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "format/sentencepiece_model.h"
#include "ops/sentencepiece_normalizer.h"

namespace hub {

// A piece of normalised text.
struct Segment {
  std::string_view text;
  std::int32_t id;
};
using Segmentation = std::vector<Segment>;

// What an encoded text consists of; `begin` and `end` are bytes of the input.
struct EncodedPiece {
  std::string text;
  std::int32_t id;
  std::int64_t begin;
  std::int64_t end;
};
using EncodedText = std::vector<EncodedPiece>;

// What is put around the pieces, and their order.
struct SentencepieceOptions {
  bool add_begin = false;
  bool add_end = false;
  bool reverse = false;
};

// The vocabulary, as the algorithms need it.
class PieceVocabulary {
 public:
  // Errors: INTERNAL for a piece that is empty, or there twice, or for no unknown piece...
  explicit PieceVocabulary(const SentencepieceModel& model);

  std::int32_t size() const { return static_cast<std::int32_t>(model_.pieces.size()); }
  const std::string& text(std::int32_t id) const { return piece(id).text; }
  float score(std::int32_t id) const { return piece(id).score; }
  bool is(PieceType type, std::int32_t id) const { return piece(id).type == type; }
  std::int32_t unknown_id() const { return unknown_id_; }
  // The id of a piece; the unknown piece's where there is none.
  std::int32_t id(std::string_view text) const;
  // The id of a piece that text can hold; -1 where there is none.
  std::int32_t normal_id(std::string_view text) const;
  const std::unordered_map<std::string_view, std::int32_t>& normal_pieces() const {
    return normal_;
  }

 private:
  const SentencepieceModel::Piece& piece(std::int32_t id) const {
    return model_.pieces[static_cast<std::size_t>(id)];
  }
  void add(std::int32_t id, std::array<bool, 256>& bytes);

  const SentencepieceModel& model_;
  std::unordered_map<std::string_view, std::int32_t> normal_;
  std::unordered_map<std::string_view, std::int32_t> reserved_;
  std::int32_t unknown_id_ = -1;
};

// How text is cut. Immutable: any thread may use it.
class SegmentationAlgorithm {
 public:
  virtual ~SegmentationAlgorithm() = default;
  virtual Segmentation encode(std::string_view text) const = 0;
  // The best ones, at most `count`, best first, with their scores; nothing where the algorithm
  // has no such thing.
  virtual std::vector<std::pair<Segmentation, float>> best(std::string_view text, int count) const;
  virtual bool has_best() const { return false; }
  // At random, sharper with a larger alpha (unigram), coarser with a smaller one (BPE).
  virtual Segmentation sample(std::string_view text, float alpha, std::mt19937& random) const;
  virtual bool has_sample() const { return false; }
  // Whether two segmentations, pieces with spaces between, are as good as each other.
  virtual bool are_equivalent(std::string_view expected, std::string_view actual) const {
    return expected == actual;
  }
};
// `kept` are the pieces that are never cut. Errors: INTERNAL.
std::unique_ptr<SegmentationAlgorithm> make_unigram(const PieceVocabulary& vocabulary);
std::unique_ptr<SegmentationAlgorithm> make_bpe(const PieceVocabulary& vocabulary,
                                                const PieceTrie& kept);
std::unique_ptr<SegmentationAlgorithm> make_words(const PieceVocabulary& vocabulary);
std::unique_ptr<SegmentationAlgorithm> make_characters(const PieceVocabulary& vocabulary,
                                                       const PieceTrie& kept);

// Immutable: any thread may use it.
class Sentencepiece {
 public:
  // Errors: INTERNAL for bytes that are no model, or a model that contradicts itself.
  explicit Sentencepiece(std::string_view model);
  Sentencepiece(const Sentencepiece&) = delete;
  Sentencepiece& operator=(const Sentencepiece&) = delete;

  const PieceVocabulary& vocabulary() const { return vocabulary_; }
  const std::string& begin_piece() const { return model_.begin_piece; }
  const std::string& end_piece() const { return model_.end_piece; }
  std::int32_t size() const { return vocabulary_.size(); }
  // Errors: OUT_OF_RANGE.
  const std::string& piece(std::int32_t id) const;
  std::int32_t id(std::string_view piece) const { return vocabulary_.id(piece); }

  // Errors: INTERNAL where the model cannot do it.
  EncodedText encode(std::string_view input, const SentencepieceOptions& options) const;
  std::vector<EncodedText> encode_best(std::string_view input, int count,
                                       const SentencepieceOptions& options) const;
  // One of the `count` best (all: negative), at random.
  EncodedText encode_sample(std::string_view input, int count, float alpha,
                            const SentencepieceOptions& options, std::mt19937& random) const;
  std::string decode(std::vector<std::string> pieces, const SentencepieceOptions& options) const;

 private:
  EncodedText finish(std::string_view input, const NormalizedText& normalized,
                     const Segmentation& segmentation, const SentencepieceOptions& options) const;
  void append(EncodedText& result, const Segment& segment, bool joins, std::size_t begin,
              std::size_t end) const;
  // Errors: INTERNAL where the model lacks the piece.
  std::int32_t mark_id(const std::string& piece) const;
  std::string surface(const std::string& piece, std::int32_t id, bool at_begin) const;
  void run_self_test() const;

  const SentencepieceModel model_;
  const PieceVocabulary vocabulary_;
  const Normalizer normalizer_;
  const std::unique_ptr<Normalizer> denormalizer_;
  const std::unique_ptr<SegmentationAlgorithm> algorithm_;
};

}  // namespace hub
