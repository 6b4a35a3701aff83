#include "module/text_feed.h"

#include <algorithm>
#include <array>

#include "base/errors.h"
#include "base/file.h"

namespace hub {
namespace {

constexpr const char* kTokenizationInfo = "tokenization_info";
constexpr const char* kSentencePiecePath = "spm_path";

// The names of the three inputs, as modules of TensorFlow 1 and 2 call them.
using TokenNames = std::array<const char*, 3>;
constexpr std::array<TokenNames, 2> kTokenNames = {
    TokenNames{"input_ids", "input_mask", "segment_ids"},
    TokenNames{"input_word_ids", "input_mask", "input_type_ids"}};

bool is_dense(const BoundValue& value, std::initializer_list<DType> dtypes) {
  return value.unsupported_type.empty() && value.info.kind == ValueKind::kDense &&
         std::ranges::find(dtypes, value.info.dtype) != dtypes.end();
}

bool takes_text(const BoundSignature& signature) {
  if (signature.inputs.size() != 1) return false;
  const BoundValue& input = signature.inputs.begin()->second;
  return is_dense(input, {kString}) && input.info.shape.is_compatible_with(PartialShape{-1});
}

const TokenNames* token_names(const BoundSignature& signature) {
  for (const TokenNames& names : kTokenNames) {
    const bool fits =
        signature.inputs.size() == names.size() &&
        std::ranges::all_of(names, [&](const char* name) {
          const auto input = signature.inputs.find(name);
          return input != signature.inputs.end() && is_dense(input->second, {kInt32, kInt64});
        });
    if (fits) return &names;
  }
  return nullptr;
}

bool takes_sparse_ids(const BoundSignature& signature) {
  const std::array<const char*, 3> names = {"values", "indices", "dense_shape"};
  return signature.inputs.size() == names.size() &&
         std::ranges::all_of(names, [&](const char* name) {
           const auto input = signature.inputs.find(name);
           return input != signature.inputs.end() && is_dense(input->second, {kInt64});
         });
}

bool fits(const BoundSignature& signature) {
  return takes_text(signature) || token_names(signature) != nullptr || takes_sparse_ids(signature);
}

std::string inputs_text(const BoundSignature& signature) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : signature.inputs)
    parts.push_back(cat("'", name, "' ", to_string(value.info)));
  return parts.empty() ? "nothing" : join(parts);
}

std::optional<std::int64_t> known_dim(const PartialShape& shape, int axis) {
  if (!shape.has_rank() || shape.rank() <= axis || shape.dims()[static_cast<std::size_t>(axis)] < 0)
    return std::nullopt;
  return shape.dims()[static_cast<std::size_t>(axis)];
}

Tensor as_dtype(const Tensor& ids, DType dtype) {
  if (dtype == kInt32) return ids;
  Tensor result(kInt64, ids.shape());
  std::ranges::copy(ids.values<std::int32_t>(), result.mutable_values<std::int64_t>().begin());
  return result;
}

struct VocabularyInfo {
  std::string path;
  bool lower_case = true;
};

// What the model says of its vocabulary; nothing where it says nothing.
std::optional<VocabularyInfo> vocabulary_of(const ModelRunner& runner) {
  VocabularyInfo info;
  if (runner.signatures().contains(kSentencePiecePath)) {
    const TensorMap outputs = runner.call(kSentencePiecePath, {});
    if (outputs.empty() || outputs.begin()->second.dtype() != kString) return std::nullopt;
    info.path = outputs.begin()->second.values<std::string>()[0];
    return info;
  }
  if (!runner.signatures().contains(kTokenizationInfo)) return std::nullopt;
  const TensorMap outputs = runner.call(kTokenizationInfo, {});
  const auto path = outputs.find("vocab_file");
  if (path == outputs.end() || path->second.dtype() != kString) return std::nullopt;
  info.path = path->second.values<std::string>()[0];
  const auto lower = outputs.find("do_lower_case");
  if (lower != outputs.end() && lower->second.dtype() == kBool)
    info.lower_case = lower->second.values<bool>()[0];
  return info;
}

}  // namespace

TextFeed::TextFeed(const ModelRunner& runner, const std::string& signature,
                   const TextFeedOptions& options)
    : signature_(&runner.signature(signature)) {
  if (takes_text(*signature_)) {
    batch_size_ = known_dim(signature_->inputs.begin()->second.info.shape, 0);
    return;
  }
  token_options_.max_length = options.max_length;
  if (const TokenNames* names = token_names(*signature_)) {
    form_ = Form::kMarkedIds;
    const PartialShape& shape = signature_->inputs.at(names->front()).info.shape;
    batch_size_ = known_dim(shape, 0);
    token_options_.length = known_dim(shape, 1).value_or(0);
  } else if (takes_sparse_ids(*signature_)) {
    form_ = Form::kSparseIds;
  } else {
    throw unimplemented(
        "Texts are given as strings or as the ids of a vocabulary. Details: signature '", signature,
        "' takes ", inputs_text(*signature_), ".");
  }
  read_vocabulary(runner, options);
}

void TextFeed::read_vocabulary(const ModelRunner& runner, const TextFeedOptions& options) {
  std::optional<VocabularyInfo> info;
  if (options.vocabulary.empty()) {
    info = vocabulary_of(runner);
  } else {
    info = VocabularyInfo{.path = options.vocabulary};
  }
  if (!info) {
    throw not_found(
        "The signature takes ids, and the model does not say which vocabulary they are of. "
        "Details: it has no signature '",
        kTokenizationInfo, "' or '", kSentencePiecePath, "'.");
  }
  const bool lower_case = options.lower_case.value_or(info->lower_case);
  const std::string bytes = read_file(info->path);
  with_context(
      [&] {
        if (form_ == Form::kSparseIds) {
          tokenizer_ = make_sentence_pieces(bytes);
        } else if (info->path.ends_with(".model")) {
          tokenizer_ = make_sentence_pieces(bytes, {.clean = true, .lower_case = lower_case});
        } else {
          tokenizer_ = make_word_pieces(bytes, {.lower_case = lower_case});
        }
      },
      [&] { return cat("in the vocabulary ", info->path); });
}

TensorMap TextFeed::inputs(std::span<const std::string> texts) const {
  if (form_ == Form::kText) {
    Tensor batch(kString, Shape{static_cast<std::int64_t>(texts.size())});
    std::ranges::copy(texts, batch.mutable_values<std::string>().begin());
    return {{signature_->inputs.begin()->first, batch}};
  }
  if (form_ == Form::kSparseIds) {
    SparseTokenIds ids = sparse_token_ids(*tokenizer_, texts);
    return {{"indices", ids.indices}, {"values", ids.values}, {"dense_shape", ids.dense_shape}};
  }
  const TokenIds ids = token_ids(*tokenizer_, texts, token_options_);
  const TokenNames& names = *token_names(*signature_);
  const std::array tensors = {&ids.input_ids, &ids.input_mask, &ids.segment_ids};
  TensorMap result;
  for (std::size_t i = 0; i < names.size(); ++i) {
    result[names[i]] = as_dtype(*tensors[i], signature_->inputs.at(names[i]).info.dtype);
  }
  return result;
}

std::string text_signature_name(const ModelRunner& runner) {
  const auto& signatures = runner.signatures();
  const auto can = [&](const std::string& name) {
    const auto found = signatures.find(name);
    return found != signatures.end() && fits(found->second);
  };
  for (const std::string& name : {default_signature_name(signatures), std::string("tokens")}) {
    if (can(name)) return name;
  }
  std::vector<std::string> fitting;
  std::vector<std::string> all;
  for (const auto& [name, signature] : signatures) {
    if (fits(signature)) fitting.push_back(name);
    all.push_back(cat("'", name, "' takes ", inputs_text(signature)));
  }
  if (fitting.size() == 1) return fitting[0];
  throw unimplemented(fitting.empty() ? "No signature takes texts, or the ids of a vocabulary."
                                      : "Several signatures take texts: say which.",
                      " Details: ", join(all, "; "), ".");
}

std::string vector_output_name(const BoundSignature& signature) {
  const auto is_matrix = [](const BoundValue& output) {
    return is_dense(output, {kFloat, kDouble, DType::kFloat16, DType::kBfloat16}) &&
           output.info.shape.is_compatible_with(PartialShape{-1, -1});
  };
  std::vector<std::string> matrices;
  std::vector<std::string> all;
  for (const auto& [name, output] : signature.outputs) {
    if (is_matrix(output)) matrices.push_back(name);
    all.push_back(cat("'", name, "' ", to_string(output.info)));
  }
  for (const char* name : {"default", "pooled_output"}) {
    if (std::ranges::find(matrices, name) != matrices.end()) return name;
  }
  if (matrices.size() == 1) return matrices[0];
  throw value_error("Say which output is wanted: ", matrices.empty() ? "none" : "more than one",
                    " is a matrix of floats. Details: signature '", signature.name, "' gives ",
                    join(all), ".");
}

}  // namespace hub
