#include "format/sentencepiece_model.h"

#include <limits>

#include "format/proto/sentencepiece.pb.h"

namespace hub {
namespace {

namespace proto = tf1hub::format;

PieceType type_of(proto::ModelProto::SentencePiece::Type type) {
  using Piece = proto::ModelProto::SentencePiece;
  switch (type) {
    case Piece::UNKNOWN: return PieceType::kUnknown;
    case Piece::CONTROL: return PieceType::kControl;
    case Piece::USER_DEFINED: return PieceType::kUserDefined;
    case Piece::UNUSED: return PieceType::kUnused;
    case Piece::BYTE: return PieceType::kByte;
    default: return PieceType::kNormal;
  }
}

SentencepieceAlgorithm algorithm_of(proto::TrainerSpec::ModelType type) {
  switch (type) {
    case proto::TrainerSpec::BPE: return SentencepieceAlgorithm::kBpe;
    case proto::TrainerSpec::WORD: return SentencepieceAlgorithm::kWord;
    case proto::TrainerSpec::CHAR: return SentencepieceAlgorithm::kChar;
    default: return SentencepieceAlgorithm::kUnigram;
  }
}

SentencepieceNormalizer read_normalizer(const proto::NormalizerSpec& spec) {
  return {.charsmap = spec.precompiled_charsmap(),
          .add_dummy_prefix = spec.add_dummy_prefix(),
          .remove_extra_whitespaces = spec.remove_extra_whitespaces(),
          .escape_whitespaces = spec.escape_whitespaces()};
}

// The library reads these names as C strings.
std::string name_or(const std::string& name, std::string_view fallback) {
  return name.empty() ? std::string(fallback) : std::string(name.c_str());
}

}  // namespace

std::optional<SentencepieceModel> parse_sentencepiece_model(std::string_view bytes) {
  proto::ModelProto message;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::nullopt;
  }
  SentencepieceModel model;
  model.pieces.reserve(static_cast<std::size_t>(message.pieces_size()));
  for (const auto& piece : message.pieces()) {
    model.pieces.push_back({piece.piece(), piece.score(), type_of(piece.type())});
  }
  const proto::TrainerSpec& trainer = message.trainer_spec();
  model.algorithm = algorithm_of(trainer.model_type());
  model.whitespace_as_suffix = trainer.treat_whitespace_as_suffix();
  model.byte_fallback = trainer.byte_fallback();
  model.unknown_surface =
      trainer.has_unk_surface() ? std::string(trainer.unk_surface().c_str()) : " \u2047 ";
  model.begin_piece = name_or(trainer.bos_piece(), "<s>");
  model.end_piece = name_or(trainer.eos_piece(), "</s>");
  model.normalizer = read_normalizer(message.normalizer_spec());
  if (!message.denormalizer_spec().precompiled_charsmap().empty()) {
    model.denormalizer = read_normalizer(message.denormalizer_spec());
  }
  for (const auto& sample : message.self_test_data().samples()) {
    model.self_test.push_back({sample.input(), sample.expected()});
  }
  return model;
}

}  // namespace hub
