#include "ops/sentencepiece.h"

#include <algorithm>
#include <cmath>

#include "base/errors.h"

namespace hub {
namespace {

// "<0xE2>": the pieces of byte fallback.
std::string byte_piece(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

// -1 where the piece is none of them.
int byte_of(std::string_view piece) {
  if (piece.size() != 6) return -1;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte_piece(static_cast<unsigned char>(byte)) == piece) return byte;
  }
  return -1;
}

SentencepieceModel parse_model(std::string_view bytes) {
  auto model = parse_sentencepiece_model(bytes);
  if (!model) {
    throw internal_error("SentencePiece: the model's bytes must be a ModelProto. Details: ",
                         bytes.size(), " bytes that are none.");
  }
  return std::move(*model);
}

std::vector<std::string_view> user_defined_pieces(const SentencepieceModel& model) {
  std::vector<std::string_view> pieces;
  for (const auto& piece : model.pieces) {
    if (piece.type == PieceType::kUserDefined) pieces.push_back(piece.text);
  }
  return pieces;
}

std::unique_ptr<SegmentationAlgorithm> make_algorithm(const SentencepieceModel& model,
                                                      const PieceVocabulary& vocabulary,
                                                      const PieceTrie& kept) {
  switch (model.algorithm) {
    case SentencepieceAlgorithm::kBpe: return make_bpe(vocabulary, kept);
    case SentencepieceAlgorithm::kWord: return make_words(vocabulary);
    case SentencepieceAlgorithm::kChar: return make_characters(vocabulary, kept);
    case SentencepieceAlgorithm::kUnigram: break;
  }
  return make_unigram(vocabulary);
}

}  // namespace

PieceVocabulary::PieceVocabulary(const SentencepieceModel& model) : model_(model) {
  if (model.pieces.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw internal_error("SentencePiece: the model has too many pieces.");
  }
  std::array<bool, 256> bytes{};
  for (std::int32_t id = 0; id < size(); ++id) add(id, bytes);
  if (unknown_id_ < 0) {
    throw internal_error("SentencePiece: the model must have an unknown piece.");
  }
  if (model.byte_fallback && !std::ranges::all_of(bytes, std::identity{})) {
    throw internal_error("SentencePiece: with byte fallback there must be 256 byte pieces.");
  }
}

void PieceVocabulary::add(std::int32_t id, std::array<bool, 256>& bytes) {
  const auto& [text, score, type] = piece(id);
  if (text.empty() || text.find('\0') != text.npos) {
    throw internal_error("SentencePiece: a piece must be text without NUL. Details: piece ", id,
                         ".");
  }
  const bool normal =
      type == PieceType::kNormal || type == PieceType::kUserDefined || type == PieceType::kUnused;
  if (!(normal ? normal_ : reserved_).emplace(text, id).second) {
    throw internal_error("SentencePiece: a piece must be in the model once. Details: \"",
                         printable(text), "\".");
  }
  if (type == PieceType::kUnknown) {
    if (unknown_id_ >= 0) {
      throw internal_error("SentencePiece: the model must have one unknown piece. Details: \"",
                           printable(text), "\" is another.");
    }
    unknown_id_ = id;
  }
  if (type == PieceType::kByte) {
    const int byte = byte_of(text);
    if (!model_.byte_fallback || byte < 0) {
      throw internal_error(
          "SentencePiece: a byte piece needs byte fallback, and a name as <0x41>. Details: \"",
          printable(text), "\".");
    }
    bytes[static_cast<std::size_t>(byte)] = true;
  }
}

std::int32_t PieceVocabulary::id(std::string_view text) const {
  if (const auto found = reserved_.find(text); found != reserved_.end()) return found->second;
  const std::int32_t normal = normal_id(text);
  return normal >= 0 ? normal : unknown_id_;
}

std::int32_t PieceVocabulary::normal_id(std::string_view text) const {
  const auto found = normal_.find(text);
  return found == normal_.end() ? -1 : found->second;
}

std::vector<std::pair<Segmentation, float>> SegmentationAlgorithm::best(std::string_view,
                                                                        int) const {
  return {};
}
Segmentation SegmentationAlgorithm::sample(std::string_view, float, std::mt19937&) const {
  return {};
}

Sentencepiece::Sentencepiece(std::string_view model)
    : model_(parse_model(model)),
      vocabulary_(model_),
      normalizer_(model_.normalizer, model_.whitespace_as_suffix, user_defined_pieces(model_)),
      denormalizer_(model_.denormalizer
                        ? std::make_unique<Normalizer>(*model_.denormalizer, false,
                                                       std::vector<std::string_view>{})
                        : nullptr),
      algorithm_(make_algorithm(model_, vocabulary_, normalizer_.kept())) {
  run_self_test();
}

void Sentencepiece::run_self_test() const {
  for (const auto& sample : model_.self_test) {
    std::string actual;
    for (const EncodedPiece& piece : encode(sample.input, {})) {
      if (!actual.empty()) actual += ' ';
      actual += piece.text;
    }
    if (!algorithm_->are_equivalent(sample.expected, actual)) {
      throw internal_error("SentencePiece: the model's own test fails. Details: \"",
                           printable(sample.input), "\" gives \"", printable(actual),
                           "\", expected is \"", printable(sample.expected), "\".");
    }
  }
}

const std::string& Sentencepiece::piece(std::int32_t id) const {
  if (id < 0 || id >= size()) {
    throw out_of_range("SentencePiece: an id must lie in [0, ", size(), "). Details: ", id, ".");
  }
  return vocabulary_.text(id);
}

EncodedText Sentencepiece::encode(std::string_view input,
                                  const SentencepieceOptions& options) const {
  const NormalizedText normalized = normalizer_.normalize(input);
  const Segmentation segmentation =
      normalized.text.empty() ? Segmentation{} : algorithm_->encode(normalized.text);
  return finish(input, normalized, segmentation, options);
}

std::vector<EncodedText> Sentencepiece::encode_best(std::string_view input, int count,
                                                    const SentencepieceOptions& options) const {
  if (!algorithm_->has_best()) {
    throw internal_error("SentencePiece: only a unigram model has a list of the best pieces.");
  }
  const NormalizedText normalized = normalizer_.normalize(input);
  std::vector<EncodedText> results;
  if (normalized.text.empty()) return {finish(input, normalized, {}, options)};
  constexpr int kMost = 1024;
  for (const auto& found : algorithm_->best(normalized.text, std::clamp(count, 1, kMost))) {
    results.push_back(finish(input, normalized, found.first, options));
  }
  return results;
}

EncodedText Sentencepiece::encode_sample(std::string_view input, int count, float alpha,
                                         const SentencepieceOptions& options,
                                         std::mt19937& random) const {
  constexpr int kMost = 512;
  if (count > kMost) {
    throw internal_error("SentencePiece: a sample is taken from at most ", kMost,
                         " results. Details: ", count, ".");
  }
  const NormalizedText normalized = normalizer_.normalize(input);
  if (!algorithm_->has_best() || count < 0) {
    if (!algorithm_->has_sample()) {
      throw internal_error("SentencePiece: the model cannot give samples.");
    }
    const Segmentation sampled = normalized.text.empty()
                                     ? Segmentation{}
                                     : algorithm_->sample(normalized.text, alpha, random);
    return finish(input, normalized, sampled, options);
  }
  if (normalized.text.empty()) return finish(input, normalized, {}, options);
  if (count < 2) return finish(input, normalized, algorithm_->encode(normalized.text), options);
  const auto found = algorithm_->best(normalized.text, count);
  std::vector<double> weights;
  for (const auto& candidate : found) {
    weights.push_back(static_cast<double>(std::exp(alpha * candidate.second)));
  }
  std::discrete_distribution<std::size_t> distribution(weights.begin(), weights.end());
  return finish(input, normalized, found[distribution(random)].first, options);
}

void Sentencepiece::append(EncodedText& result, const Segment& segment, bool joins,
                           std::size_t begin, std::size_t end) const {
  const auto from = static_cast<std::int64_t>(begin);
  const auto to = static_cast<std::int64_t>(end);
  const bool unknown = vocabulary_.is(PieceType::kUnknown, segment.id);
  if (unknown && model_.byte_fallback) {
    // The last byte stands for the whole character.
    for (std::size_t i = 0; i < segment.text.size(); ++i) {
      const std::string piece = byte_piece(static_cast<unsigned char>(segment.text[i]));
      const bool last = i + 1 == segment.text.size();
      result.push_back({piece, id(piece), from, last ? to : from});
    }
  } else if (unknown && joins) {
    result.back().text += segment.text;
    result.back().end = to;
  } else {
    result.push_back({std::string(segment.text), segment.id, from, to});
  }
}

EncodedText Sentencepiece::finish(std::string_view input, const NormalizedText& normalized,
                                  const Segmentation& segmentation,
                                  const SentencepieceOptions& options) const {
  EncodedText result;
  std::size_t consumed = 0;
  bool after_unknown = false;
  for (const Segment& segment : segmentation) {
    std::size_t end = consumed;
    // A control piece stands for no text.
    if (!vocabulary_.is(PieceType::kControl, segment.id)) end += segment.text.size();
    if (end >= normalized.origins.size() || normalized.origins[end] > input.size()) {
      throw internal_error("SentencePiece: the pieces must be the text's.");
    }
    append(result, segment, after_unknown, normalized.origins[consumed], normalized.origins[end]);
    consumed = end;
    after_unknown = vocabulary_.is(PieceType::kUnknown, segment.id);
  }
  if (consumed != normalized.text.size()) {
    throw internal_error("SentencePiece: the pieces must be the text's. Details: they cover ",
                         consumed, " of ", normalized.text.size(), " bytes.");
  }
  if (options.add_begin) {
    result.insert(result.begin(), {model_.begin_piece, mark_id(model_.begin_piece), 0, 0});
  }
  if (options.add_end) result.push_back({model_.end_piece, mark_id(model_.end_piece), 0, 0});
  if (options.reverse) std::ranges::reverse(result);
  return result;
}

std::int32_t Sentencepiece::mark_id(const std::string& piece) const {
  const std::int32_t found = id(piece);
  if (vocabulary_.is(PieceType::kUnknown, found)) {
    throw internal_error("SentencePiece: the model must have the piece that is added. Details: \"",
                         printable(piece), "\".");
  }
  return found;
}

// Text of a piece that is no byte piece. `at_begin`: nothing was written yet.
std::string Sentencepiece::surface(const std::string& piece, std::int32_t id, bool at_begin) const {
  if (vocabulary_.is(PieceType::kControl, id)) return {};
  if (vocabulary_.is(PieceType::kUnknown, id)) {
    return vocabulary_.text(id) == piece ? model_.unknown_surface : piece;
  }
  std::string_view rest = piece;
  const SentencepieceNormalizer& spec = normalizer_.spec();
  if (at_begin && (spec.add_dummy_prefix || spec.remove_extra_whitespaces) &&
      rest.starts_with(kSpaceSymbol)) {
    rest.remove_prefix(kSpaceSymbol.size());
  }
  std::string text;
  while (!rest.empty()) {
    const std::size_t space = rest.find(kSpaceSymbol);
    text += rest.substr(0, space);
    if (space == rest.npos) break;
    text += ' ';
    rest.remove_prefix(space + kSpaceSymbol.size());
  }
  return text;
}

std::string Sentencepiece::decode(std::vector<std::string> pieces,
                                  const SentencepieceOptions& options) const {
  if (options.add_begin) {
    mark_id(model_.begin_piece);
    pieces.insert(pieces.begin(), model_.begin_piece);
  }
  if (options.add_end) {
    mark_id(model_.end_piece);
    pieces.push_back(model_.end_piece);
  }
  if (options.reverse) std::ranges::reverse(pieces);
  std::string text;
  std::string bytes;  // of the byte pieces since the last other one
  const auto flush_bytes = [&] {
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = valid_utf8_char(std::string_view(bytes).substr(at));
      text += size > 0 ? std::string_view(bytes).substr(at, size) : "\xef\xbf\xbd";
      at += std::max<std::size_t>(size, 1);
    }
    bytes.clear();
  };
  for (const std::string& piece : pieces) {
    const std::int32_t piece_id = id(piece);
    if (vocabulary_.is(PieceType::kByte, piece_id)) {
      bytes += static_cast<char>(byte_of(vocabulary_.text(piece_id)));
    } else {
      flush_bytes();
      text += surface(piece, piece_id, text.empty());
    }
  }
  flush_bytes();
  return denormalizer_ ? denormalizer_->normalize(text).text : text;
}

}  // namespace hub
