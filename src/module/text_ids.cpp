// The ids of texts as tensors.

#include <algorithm>

#include "base/errors.h"
#include "hub/text.h"

namespace hub {
namespace {

constexpr const char* kBegin = "[CLS]";
constexpr const char* kEnd = "[SEP]";
constexpr std::int64_t kMarks = 2;

std::vector<std::int32_t> marked_ids(const Tokenizer& tokenizer, std::string_view text,
                                     std::int64_t max_length) {
  std::vector<std::int32_t> ids = tokenizer.ids(text);
  ids.resize(std::min(ids.size(), static_cast<std::size_t>(max_length - kMarks)));
  ids.insert(ids.begin(), tokenizer.id(kBegin));
  ids.push_back(tokenizer.id(kEnd));
  return ids;
}

}  // namespace

Tokenizer::~Tokenizer() = default;

std::vector<std::int32_t> Tokenizer::ids(std::string_view text) const {
  std::vector<std::int32_t> result;
  for (const std::string& piece : pieces(text)) result.push_back(id(piece));
  return result;
}

TokenIds token_ids(const Tokenizer& tokenizer, std::span<const std::string> texts,
                   const TokenOptions& options) {
  const std::int64_t most =
      options.length > 0 ? std::min(options.length, options.max_length) : options.max_length;
  if (most < kMarks) {
    throw invalid_argument("A text takes at least two ids, [CLS] and [SEP]. Details: max_length ",
                           options.max_length, ", length ", options.length, ".");
  }
  for (const char* mark : {kBegin, kEnd}) {
    if (!tokenizer.has(mark)) {
      throw invalid_argument("A vocabulary of texts has [CLS] and [SEP]. Details: there is no ",
                             mark, ".");
    }
  }
  std::vector<std::vector<std::int32_t>> rows;
  std::size_t length = static_cast<std::size_t>(options.length);
  for (const std::string& text : texts) {
    rows.push_back(marked_ids(tokenizer, text, most));
    if (options.length == 0) length = std::max(length, rows.back().size());
  }
  const Shape shape{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(length)};
  TokenIds result{Tensor(kInt32, shape), Tensor(kInt32, shape), Tensor(kInt32, shape)};
  const auto ids = result.input_ids.mutable_values<std::int32_t>();
  const auto mask = result.input_mask.mutable_values<std::int32_t>();
  std::ranges::fill(ids, 0);
  std::ranges::fill(mask, 0);
  std::ranges::fill(result.segment_ids.mutable_values<std::int32_t>(), 0);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    std::ranges::copy(rows[row], ids.begin() + static_cast<std::ptrdiff_t>(row * length));
    std::ranges::fill(mask.subspan(row * length, rows[row].size()), 1);
  }
  return result;
}

SparseTokenIds sparse_token_ids(const Tokenizer& tokenizer, std::span<const std::string> texts) {
  std::vector<std::int64_t> indices;
  std::vector<std::int64_t> values;
  std::int64_t longest = 0;
  for (std::size_t row = 0; row < texts.size(); ++row) {
    std::int64_t column = 0;
    for (const std::int32_t id : tokenizer.ids(texts[row])) {
      indices.insert(indices.end(), {static_cast<std::int64_t>(row), column++});
      values.push_back(id);
    }
    longest = std::max(longest, column);
  }
  const auto count = static_cast<std::int64_t>(values.size());
  return {make_tensor<std::int64_t>({count, 2}, indices),
          make_tensor<std::int64_t>({count}, values),
          make_vector<std::int64_t>({static_cast<std::int64_t>(texts.size()), longest})};
}

}  // namespace hub
