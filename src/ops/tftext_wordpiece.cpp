// TensorFlow Text: word pieces, by a lookup table or by a trie.

#include <unicode/utf8.h>

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/table.h"
#include "ops/token_rows.h"
#include "ops/wordpiece_trie.h"

namespace hub {
namespace {

// The pieces that a table has as keys.
class Vocabulary {
 public:
  Vocabulary(KernelContext& context, std::shared_ptr<LookupTable> table)
      : context_(context),
        table_(std::move(table)),
        key_(kString, Shape{1}),
        value_(kInt64, Shape{1}),
        missing_(kInt64, Shape{1}) {
    if (table_->key_dtype() != kString || table_->value_dtype() != kInt64) {
      throw invalid_argument(kOp, ": the table must be from string to int64. Details: it is from ",
                             table_->key_dtype(), " to ", table_->value_dtype(), ".");
    }
    *missing_.mutable_data<std::int64_t>() = -1;
  }

  // Errors: INVALID_ARGUMENT, whatever the table's is.
  bool contains(std::string piece) {
    *key_.mutable_data<std::string>() = std::move(piece);
    try {
      table_->find(context_, key_, missing_, value_);
    } catch (const Error& error) {
      throw invalid_argument(kOp, ": the table cannot be asked. Details: ", error.message());
    }
    return value_.scalar<std::int64_t>() != -1;
  }

 private:
  static constexpr std::string_view kOp = "WordpieceTokenizeWithOffsets";

  KernelContext& context_;
  std::shared_ptr<LookupTable> table_;
  Tensor key_;
  Tensor value_;
  Tensor missing_;
};

std::shared_ptr<LookupTable> table_input(KernelContext& context, int input) {
  return context.resource<LookupTable>(input);
}

class TablePiecesKernel final : public Kernel {
 public:
  explicit TablePiecesKernel(const KernelInit& init)
      : suffix_(init.attr<std::string>("suffix_indicator")),
        max_bytes_(init.attr<std::int64_t>("max_bytes_per_word")),
        max_characters_(init.attr<std::int64_t>("max_chars_per_token")),
        use_unknown_(init.attr<bool>("use_unknown_token")),
        unknown_(init.attr<std::string>("unknown_token")),
        split_unknown_(init.attr<bool>("split_unknown_characters")),
        lengths_(init.attr<std::string>("output_row_partition_type") == "row_lengths") {}

  void compute(KernelContext& context) const override {
    Vocabulary vocabulary(context, table_input(context, 1));
    TokenRows rows;
    std::vector<std::int64_t> lengths;
    for (const std::string& word : context.input(0).values<std::string>()) {
      tokenize(word, vocabulary, rows);
      rows.end_row();
      lengths.push_back(rows.splits.back() - rows.splits[rows.splits.size() - 2]);
    }
    output_texts(context, 0, std::move(rows.tokens));
    output_integers(context, 1, lengths_ ? lengths : rows.splits);
    output_integers(context, 2, rows.begins);
    output_integers(context, 3, rows.ends);
  }

 private:
  std::string with_suffix(std::string_view piece, std::size_t begin) const {
    return cat(begin > 0 ? std::string_view(suffix_) : std::string_view(), piece);
  }

  void tokenize(const std::string& word, Vocabulary& vocabulary, TokenRows& rows) const {
    const auto size = static_cast<std::int64_t>(word.size());
    if (size > max_bytes_) {
      // TensorFlow gives the unknown token its own length here.
      const std::string& token = use_unknown_ ? unknown_ : word;
      rows.add(token, 0, static_cast<std::int64_t>(token.size()));
      return;
    }
    const std::size_t before = rows.tokens.size();
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t end = next_piece(word, at, vocabulary, rows);
      if (end == at) {  // no piece fits: the whole word is unknown
        rows.tokens.resize(before);
        rows.begins.resize(before);
        rows.ends.resize(before);
        rows.add(use_unknown_ ? unknown_ : word, 0, size);
        return;
      }
      at = end;
    }
  }

  // Adds the longest piece that begins at `at`, and gives its end; `at` where there is none.
  std::size_t next_piece(const std::string& word, std::size_t at, Vocabulary& vocabulary,
                         TokenRows& rows) const {
    std::vector<std::size_t> ends;
    const auto size = static_cast<std::int32_t>(word.size());
    for (auto i = static_cast<std::int32_t>(at); i < size;) {
      UChar32 code = 0;
      U8_NEXT(word.data(), i, size, code);
      ends.push_back(static_cast<std::size_t>(i));
      if (max_characters_ > 0 && static_cast<std::int64_t>(ends.size()) == max_characters_) break;
    }
    for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
      const std::string piece = with_suffix(std::string_view(word).substr(at, *end - at), at);
      if (!vocabulary.contains(piece)) continue;
      rows.add(piece, static_cast<std::int64_t>(at), static_cast<std::int64_t>(*end));
      return *end;
    }
    if (!split_unknown_ || ends.empty()) return at;
    const std::string_view character = std::string_view(word).substr(at, ends[0] - at);
    rows.add(with_suffix(use_unknown_ ? std::string_view(unknown_) : character, at),
             static_cast<std::int64_t>(at), static_cast<std::int64_t>(ends[0]));
    return ends[0];
  }

  std::string suffix_;
  std::int64_t max_bytes_;
  std::int64_t max_characters_;
  bool use_unknown_;
  std::string unknown_;
  bool split_unknown_;
  bool lengths_;
};

std::string_view model_input(const KernelContext& context, int input) {
  const std::span<const std::byte> bytes = context.input(input).bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void fast_tokenize(KernelContext& context) {
  const WordPieceModel model(model_input(context, 1));
  std::vector<WordPiece> pieces;
  Splits splits{0};
  for (const std::string& text : context.input(0).values<std::string>()) {
    model.tokenize(text, pieces);
    splits.push_back(static_cast<std::int64_t>(pieces.size()));
  }
  TokenRows rows;
  std::vector<std::int64_t> ids;
  for (WordPiece& piece : pieces) {
    ids.push_back(piece.id);
    rows.tokens.push_back(std::move(piece.text));
    rows.begins.push_back(piece.begin);
    rows.ends.push_back(piece.end);
  }
  output_texts(context, 0, std::move(rows.tokens));
  output_integers(context, 1, ids);
  output_splits(context, 2, splits);
  output_integers(context, 3, rows.begins);
  output_integers(context, 4, rows.ends);
}

void fast_detokenize(KernelContext& context) {
  const WordPieceModel model(model_input(context, 2));
  const auto ids = context.input(0).values<std::int32_t>();
  const Splits splits = splits_input(context, 1);
  if (splits.back() > static_cast<std::int64_t>(ids.size())) {
    throw invalid_argument("FastWordpieceDetokenize: the splits must lie in the ids. Details: ",
                           splits.back(), " of ", ids.size(), ".");
  }
  const auto rows = static_cast<std::int64_t>(splits.size()) - 1;
  std::string* result = context.output(0, Shape{rows}).mutable_data<std::string>();
  for (std::size_t row = 1; row < splits.size(); ++row) {
    *result++ = model.detokenize({ids.begin() + splits[row - 1], ids.begin() + splits[row]});
  }
}

Shapes table_pieces_shape(ShapeContext& c) {
  const PartialShape words = c.with_rank(0, 1);
  c.with_rank(1, 0);
  const bool lengths = c.attr<std::string>("output_row_partition_type") == "row_lengths";
  const std::int64_t rows = words.dim(0);
  return {PartialShape{-1}, PartialShape{rows < 0 || lengths ? rows : rows + 1}, PartialShape{-1},
          PartialShape{-1}};
}

Shapes fast_tokenize_shape(ShapeContext& c) {
  const PartialShape texts = c.with_rank(0, 1);
  c.with_rank(1, 1);
  return {PartialShape{-1}, PartialShape{-1}, PartialShape{split_count(texts)}, PartialShape{-1},
          PartialShape{-1}};
}

Shapes fast_detokenize_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(2, 1);
  const std::int64_t splits = c.with_rank(1, 1).dim(0);
  return {PartialShape{splits < 1 ? -1 : splits - 1}};
}

constexpr OpDef kOps[] = {
    {.name = "WordpieceTokenizeWithOffsets",
     .inputs = "input_values: string, vocab_lookup_table: resource",
     .outputs = "output_values: string, output_row_lengths: int64, start_values: int64, "
                "limit_values: int64",
     .attrs = "suffix_indicator: string; max_bytes_per_word: int; max_chars_per_token: int = 0; "
              "use_unknown_token: bool; unknown_token: string; "
              "split_unknown_characters: bool = false; "
              "output_row_partition_type: {'row_lengths', 'row_splits'} = 'row_lengths'",
     .shape = table_pieces_shape,
     .kernel = make_kernel<TablePiecesKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "FastWordpieceTokenizeWithOffsets",
     .inputs = "input_values: string, wp_model: uint8",
     .outputs = "output_subwords: string, output_ids: int64, output_row_splits: int64, "
                "start_values: int64, end_values: int64",
     .shape = fast_tokenize_shape,
     .kernel = kernel_function<fast_tokenize>,
     .differentiable = Differentiable::kRefused},
    {.name = "TFText>FastWordpieceDetokenize",
     .inputs = "input_values: int32, input_row_splits: int64, wp_model: uint8",
     .outputs = "output_words: string",
     .shape = fast_detokenize_shape,
     .kernel = kernel_function<fast_detokenize>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily tftext_wordpiece_ops() { return kOps; }

}  // namespace hub
