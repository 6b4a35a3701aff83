#pragma once

// Sentences to vectors in one pass: clean, split, look the words up, add their rows. What the
// fused op is told, and the pattern that it stands for (text_embedding_fusion.cpp).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/graph_def.h"

namespace hub {

inline constexpr std::string_view kTextEmbeddingOp = "_HubTextEmbedding";

// A step of cleaning: StringLower, StringUpper, or a replacement of all or the first match.
struct CleaningStep {
  enum class Kind : std::uint8_t { kLower, kUpper, kReplaceAll, kReplaceFirst };
  Kind kind = Kind::kLower;
  bool utf8 = false;  // of case
  std::string pattern = {};
  std::string rewrite = {};
  bool operator==(const CleaningStep&) const = default;
};

// What becomes of a sentence without words.
enum class EmptyRow : std::uint8_t {
  kNone,     // zeros; after the last sentence with words there are no rows
  kZeros,    // zeros
  kFillRow,  // the row that the input `fill` names
};

enum class RowCombiner : std::uint8_t { kSum, kMean, kSqrtN };

struct TextEmbedding {
  std::vector<CleaningStep> cleaning;
  bool flatten = false;        // any shape of text is a vector
  bool split_at_bytes = true;  // StringSplit, else StringSplitV2
  std::string separator;
  bool skip_empty = true;
  std::int64_t max_splits = -1;
  std::int64_t default_id = -1;  // of words that the table lacks
  std::int64_t buckets = 0;      // which are then hashed to rows behind the table's
  bool drop_negative = false;
  EmptyRow empty_row = EmptyRow::kNone;
  RowCombiner combiner = RowCombiner::kSum;
  std::int64_t width = 0;  // of a row
  // Rows in several parts: id % parts, or with `blocks` the first `remainder` parts have
  // quotient + 1 rows, the others `quotient`.
  bool blocks = false;
  std::int64_t quotient = 0;
  std::int64_t remainder = 0;

  AttrMap to_attrs() const;
  static TextEmbedding from_attrs(const AttrMap& attrs, std::string_view node);
};

}  // namespace hub
