#pragma once

// Raw text for signatures of models: as it is, or as the ids of the vocabulary that the model
// carries.

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "hub/text.h"
#include "module/model_runner.h"

namespace hub {

struct TextFeedOptions {
  std::string vocabulary = {};          // a file; empty: the model's own
  std::optional<bool> lower_case = {};  // none: as the model says
  std::int64_t max_length = 128;        // ids of one text
};

// Immutable; any thread may use it. The runner must outlive it.
class TextFeed {
 public:
  // Errors: UNIMPLEMENTED where the signature takes something else than texts; NOT_FOUND where
  // it takes ids and there is no vocabulary; those of reading that.
  TextFeed(const ModelRunner& runner, const std::string& signature,
           const TextFeedOptions& options = {});

  TensorMap inputs(std::span<const std::string> texts) const;
  // How many texts a call takes; none: any number.
  std::optional<std::int64_t> batch_size() const { return batch_size_; }

 private:
  enum class Form { kText, kMarkedIds, kSparseIds };

  void read_vocabulary(const ModelRunner& runner, const TextFeedOptions& options);

  Form form_ = Form::kText;
  const BoundSignature* signature_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  TokenOptions token_options_;
  std::optional<std::int64_t> batch_size_;
};

// The signature to embed texts with: "default" (of SavedModels "serving_default") where that takes
// texts, else "tokens", else the only one that does.
// Errors: UNIMPLEMENTED, saying what there is.
std::string text_signature_name(const ModelRunner& runner);

// The output that holds a vector for each text: "default", "pooled_output", or the only matrix of
// floats. Errors: of kind value, listing the outputs.
std::string vector_output_name(const BoundSignature& signature);

}  // namespace hub
