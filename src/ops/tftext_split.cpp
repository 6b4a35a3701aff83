// TensorFlow Text: texts cut at white space, at changes of script, at a regular expression,
// and as labels or logits say.

#include <unicode/uchar.h>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/icu_character.h"
#include "ops/kernel.h"
#include "ops/regex.h"
#include "ops/token_rows.h"
#include "ops/unicode_script.h"
#include "ops/utf8.h"

namespace hub {
namespace {

void check_vector(const KernelContext& context, int input) {
  if (context.input(input).rank() == 1) return;
  throw invalid_argument(context.node().op_name, ": the input must be a vector. Details: input ",
                         input, " has shape ", context.input(input).shape(), ".");
}

// --- white space, in texts ---

// The configuration is a set of code points, as bits.
class Whitespace {
 public:
  explicit Whitespace(std::string_view bits) : bits_(bits) {}
  bool contains(UChar32 code) const {
    const auto byte = static_cast<std::size_t>(code) >> 3;
    return code >= 0 && byte < bits_.size() && (bits_[byte] >> (code & 7) & 1) != 0;
  }

 private:
  std::string_view bits_;
};

void whitespace_tokenize(KernelContext& context) {
  check_vector(context, 0);
  const Whitespace whitespace(context.input(1).scalar<std::string>());
  TokenRows rows;
  for (const std::string& text : context.input(0).values<std::string>()) {
    const std::string_view view = text;
    std::size_t begin = 0;
    bool inside = false;
    const auto end_token = [&](std::size_t end) {
      if (!inside) return;
      rows.add(view.substr(begin, end - begin), static_cast<std::int64_t>(begin),
               static_cast<std::int64_t>(end));
      inside = false;
    };
    for (std::size_t at = 0; at < text.size();) {
      const IcuCharacter character = first_character(view.substr(at));
      const std::size_t next = at + character.size;
      if (whitespace.contains(character.code)) {
        // TensorFlow takes all but the last byte of the space to the token.
        end_token(next - 1);
      } else if (!inside) {
        begin = at;
        inside = true;
      }
      at = next;
    }
    end_token(text.size());
    rows.end_row();
  }
  output_texts(context, 0, std::move(rows.tokens));
  output_splits(context, 1, rows.splits);
  output_integers(context, 2, rows.begins);
  output_integers(context, 3, rows.ends);
}

Shapes whitespace_shape(ShapeContext& c) {
  const PartialShape texts = c.with_rank(0, 1);
  c.with_rank(1, 0);
  return {PartialShape{-1}, PartialShape{split_count(texts)}, PartialShape{-1}, PartialShape{-1}};
}

// --- code points: white space, changes of script ---

// Tokens of code points, which the five outputs of the old tokenizers hold.
class CodeTokens {
 public:
  void begin_row() { outer_.push_back(static_cast<std::int64_t>(starts_.size())); }
  void begin_token(std::int64_t at) {
    starts_.push_back(at);
    inner_.push_back(static_cast<std::int64_t>(codes_.size()));
  }
  void add(std::int32_t code) { codes_.push_back(code); }
  void end_token(std::int64_t at) { limits_.push_back(at); }

  void write(KernelContext& context) {
    begin_row();
    inner_.push_back(static_cast<std::int64_t>(codes_.size()));
    Tensor& codes = context.output(0, Shape{static_cast<std::int64_t>(codes_.size())});
    std::ranges::copy(codes_, codes.mutable_data<std::int32_t>());
    output_splits(context, 1, inner_);
    output_integers(context, 2, starts_);
    output_integers(context, 3, limits_);
    output_splits(context, 4, outer_);
  }

 private:
  std::vector<std::int32_t> codes_;
  Splits inner_;
  Splits outer_;
  std::vector<std::int64_t> starts_;
  std::vector<std::int64_t> limits_;
};

// Calls row(code points of a row) for each.
template <class Row>
void for_each_code_row(KernelContext& context, CodeTokens& tokens, Row&& row) {
  check_vector(context, 0);
  const auto codes = context.input(0).values<std::int32_t>();
  const Splits splits = nested_splits_input(context, 1, 1, context.input(0).dim(0))[0];
  for (std::size_t i = 1; i < splits.size(); ++i) {
    tokens.begin_row();
    row(codes.subspan(static_cast<std::size_t>(splits[i - 1]),
                      static_cast<std::size_t>(splits[i] - splits[i - 1])));
  }
}

void whitespace_tokenize_codes(KernelContext& context) {
  CodeTokens tokens;
  for_each_code_row(context, tokens, [&](std::span<const std::int32_t> codes) {
    bool inside = false;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const bool space = u_isUWhiteSpace(codes[i]) != 0;
      if (space && inside) tokens.end_token(static_cast<std::int64_t>(i));
      if (!space && !inside) tokens.begin_token(static_cast<std::int64_t>(i));
      if (!space) tokens.add(codes[i]);
      inside = !space;
    }
    if (inside) tokens.end_token(static_cast<std::int64_t>(codes.size()));
  });
  tokens.write(context);
}

class ScriptTokenizeKernel final : public Kernel {
 public:
  explicit ScriptTokenizeKernel(const KernelInit& init)
      : keep_whitespace_(init.attr<bool>("keep_whitespace")) {}

  void compute(KernelContext& context) const override {
    CodeTokens tokens;
    for_each_code_row(context, tokens,
                      [&](std::span<const std::int32_t> codes) { tokenize(codes, tokens); });
    tokens.write(context);
  }

 private:
  // A space belongs to its own script: it ends a token of another one, and is left out of
  // one of its own.
  void tokenize(std::span<const std::int32_t> codes, CodeTokens& tokens) const {
    UScriptCode last_script = USCRIPT_INVALID_CODE;
    bool inside = false;
    bool after_space = false;
    std::int64_t skipped = 0;  // spaces just before this place
    const auto end_token = [&](std::size_t at) {
      if (inside) tokens.end_token(static_cast<std::int64_t>(at) - skipped);
      inside = false;
    };
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const bool space = u_isUWhiteSpace(codes[i]) != 0;
      const UScriptCode script = script_of(codes[i], kTensorFlowTextUnicode);
      if (script != last_script || (keep_whitespace_ && space != after_space)) end_token(i);
      last_script = script;
      if (!space || keep_whitespace_) {
        if (!inside) tokens.begin_token(static_cast<std::int64_t>(i));
        inside = true;
        tokens.add(codes[i]);
      }
      skipped = space && !keep_whitespace_ ? skipped + 1 : 0;
      after_space = space;
    }
    end_token(codes.size());
  }

  bool keep_whitespace_;
};

Shapes code_tokens_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  return {PartialShape{-1}, PartialShape{-1}, PartialShape{-1}, PartialShape{-1},
          c.with_rank(1, 1)};
}

// --- regular expressions ---

class RegexSplitKernel final : public Kernel {
 public:
  void compute(KernelContext& context) const override {
    const auto delimiter = delimiters_.find(context.input(1).scalar<std::string>(), kOp);
    const auto kept = kept_.find(context.input(2).scalar<std::string>(), kOp);
    TokenRows rows;
    for (const std::string& text : context.input(0).values<std::string>()) {
      split(text.c_str(), *delimiter, *kept, rows);  // up to a NUL, as TensorFlow does
      rows.end_row();
    }
    output_texts(context, 0, std::move(rows.tokens));
    output_integers(context, 1, rows.begins);
    output_integers(context, 2, rows.ends);
    output_splits(context, 3, rows.splits);
  }

 private:
  static constexpr std::string_view kOp = "RegexSplitWithOffsets";

  // The delimiter is the pattern's first group: without one, nothing is split.
  static void split(std::string_view text, const re2::RE2& delimiter, const re2::RE2& kept,
                    TokenRows& rows) {
    const auto add = [&](const char* begin, const char* end) {
      rows.add({begin, static_cast<std::size_t>(end - begin)}, begin - text.data(),
               end - text.data());
    };
    re2::StringPiece rest(text.data(), text.size());
    re2::StringPiece found;
    const char* token = rest.data();
    while (re2::RE2::FindAndConsume(&rest, delimiter, &found)) {
      const bool moved = rest.data() > token;
      if (found.data() == nullptr || found.data() < token || !moved) {
        throw invalid_argument(kOp,
                               ": the delimiter must match text, and so must its first group. "
                               "Details: \"",
                               printable(delimiter.pattern()), "\" in \"", printable(text), "\".");
      }
      if (found.data() > token) add(token, found.data());
      if (re2::RE2::FullMatch(found, kept)) add(found.data(), found.data() + found.size());
      token = rest.data();
    }
    if (!rest.empty()) add(rest.data(), rest.data() + rest.size());
  }

  PatternCache delimiters_;
  PatternCache kept_;
};

Shapes regex_split_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.with_rank(2, 0);
  return {PartialShape{-1}, PartialShape{-1}, PartialShape{-1},
          PartialShape{split_count(c.input(0))}};
}

// --- labels and logits ---

// Joins characters to tokens: each begins one where begins(index) says so, where there is none
// yet, or (forced) after a break.
template <class Begins>
void merge_characters(const std::string& text, std::int64_t limit, bool forced, Begins&& begins,
                      TokenRows& rows) {
  const std::string_view view = text;
  const std::string_view op_what = "the labels must be as many as the characters. Details: ";
  std::int64_t count = 0;
  for (std::size_t at = 0; at < view.size(); ++count) at += utf8_char_size(view[at]);
  if (count > limit) {
    throw invalid_argument("Tokenizer: ", op_what, limit, " for ", count, " in \"", printable(text),
                           "\".");
  }
  bool after_break = false;
  bool has_token = false;
  std::int64_t index = 0;
  for (std::size_t at = 0; at < view.size(); ++index) {
    const std::string_view character = view.substr(at, utf8_char_size(view[at]));
    const bool is_break = u_isUWhiteSpace(first_character(character).code) != 0;
    if (!is_break) {
      if (begins(index) || !has_token || (after_break && forced)) {
        rows.add({}, static_cast<std::int64_t>(at), static_cast<std::int64_t>(at));
        has_token = true;
      }
      rows.tokens.back() += character;
      rows.ends.back() = static_cast<std::int64_t>(at + character.size());
    }
    at += character.size();
    after_break = is_break;
  }
}

void write_merged(KernelContext& context, TokenRows& rows) {
  output_texts(context, 0, std::move(rows.tokens));
  output_splits(context, 1, rows.splits);
  output_integers(context, 2, rows.begins);
  output_integers(context, 3, rows.ends);
}

class SplitMergeKernel final : public Kernel {
 public:
  explicit SplitMergeKernel(const KernelInit& init)
      : forced_(init.attr<bool>("force_split_at_break_character")) {}

  void compute(KernelContext& context) const override {
    check_vector(context, 0);
    check_vector(context, 1);
    const auto texts = context.input(0).values<std::string>();
    const auto labels = context.input(1).values<std::int32_t>();
    const Splits splits = splits_input(context, 2);
    if (splits.size() != texts.size() + 1 ||
        splits.back() > static_cast<std::int64_t>(labels.size())) {
      throw invalid_argument(
          "SplitMergeTokenizeWithOffsets: the splits must give labels to each text. Details: ",
          splits.size(), " splits up to ", splits.back(), ", ", texts.size(), " texts, ",
          labels.size(), " labels.");
    }
    TokenRows rows;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::int32_t* label = labels.data() + splits[i];
      merge_characters(
          texts[i], splits[i + 1] - splits[i], forced_,
          [&](std::int64_t index) { return label[index] == 0; }, rows);
      rows.end_row();
    }
    write_merged(context, rows);
  }

 private:
  bool forced_;
};

void tokenize_by_logits(KernelContext& context) {
  check_vector(context, 0);
  const Tensor& logits = context.input(1);
  const auto texts = context.input(0).values<std::string>();
  if (logits.rank() != 3 || logits.dim(0) != static_cast<std::int64_t>(texts.size())) {
    throw invalid_argument(
        "TokenizerFromLogits: there must be a row of logits for each text. Details: the shape is ",
        logits.shape(), ", for ", texts.size(), " texts.");
  }
  if (logits.dim(2) != 2) {
    throw internal_error(
        "TokenizerFromLogits: each character has 2 logits. Details: ", logits.dim(2), ".");
  }
  const bool forced = context.input(2).scalar<bool>();
  const float* row = logits.data<float>();
  TokenRows rows;
  for (const std::string& text : texts) {
    merge_characters(
        text, logits.dim(1), forced,
        [&](std::int64_t index) { return row[2 * index] > row[2 * index + 1]; }, rows);
    rows.end_row();
    row += 2 * logits.dim(1);
  }
  write_merged(context, rows);
}

Shapes split_merge_shape(ShapeContext& c) {
  const PartialShape texts = c.with_rank(0, 1);
  return {PartialShape{-1}, PartialShape{split_count(texts)}, PartialShape{-1}, PartialShape{-1}};
}

constexpr OpDef kOps[] = {
    {.name = "TFText>WhitespaceTokenizeWithOffsetsV2",
     .inputs = "input_values: string, input_config: string",
     .outputs = "output_tokens: string, output_row_splits: int64, output_start_offsets: int32, "
                "output_end_offsets: int32",
     .shape = whitespace_shape,
     .kernel = kernel_function<whitespace_tokenize>,
     .differentiable = Differentiable::kRefused},
    {.name = "WhitespaceTokenizeWithOffsets",
     .inputs = "input_values: int32, input_splits: Tsplits",
     .outputs = "output_values: int32, output_values_inner_splits: Tsplits, "
                "output_offset_starts: int64, output_offset_limits: int64, "
                "output_outer_splits: Tsplits",
     .attrs = "Tsplits: {int32, int64} = int64",
     .shape = code_tokens_shape,
     .kernel = kernel_function<whitespace_tokenize_codes>,
     .differentiable = Differentiable::kRefused},
    {.name = "UnicodeScriptTokenizeWithOffsets",
     .inputs = "input_values: int32, input_splits: Tsplits",
     .outputs = "output_values: int32, output_values_inner_splits: Tsplits, "
                "output_offset_starts: int64, output_offset_limits: int64, "
                "output_outer_splits: Tsplits",
     .attrs = "Tsplits: {int32, int64} = int64; keep_whitespace: bool = false",
     .shape = code_tokens_shape,
     .kernel = make_kernel<ScriptTokenizeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "RegexSplitWithOffsets",
     .inputs = "input: string, delim_regex_pattern: string, keep_delim_regex_pattern: string",
     .outputs = "tokens: string, begin_offsets: int64, end_offsets: int64, row_splits: int64",
     .shape = regex_split_shape,
     .kernel = make_kernel<RegexSplitKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "SplitMergeTokenizeWithOffsets",
     .inputs = "input_values: string, labels: int32, row_splits: int32",
     .outputs = "output_values: string, output_row_splits: int64, start_values: int64, "
                "limit_values: int64",
     .attrs = "force_split_at_break_character: bool = true",
     .shape = split_merge_shape,
     .kernel = make_kernel<SplitMergeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "TokenizerFromLogits",
     .inputs = "strings: string, logits: float, force_split_at_break_character: bool",
     .outputs = "output_values: string, row_splits: int64, start_values: int64, "
                "limit_values: int64",
     .shape = split_merge_shape,
     .kernel = kernel_function<tokenize_by_logits>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily tftext_split_ops() { return kOps; }

}  // namespace hub
