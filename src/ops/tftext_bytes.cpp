// TensorFlow Text: texts as bytes and bits, and texts joined to n-grams.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/icu_character.h"
#include "ops/kernel.h"
#include "ops/token_rows.h"

namespace hub {
namespace {

void check_vector(const KernelContext& context, int input) {
  if (context.input(input).rank() == 1) return;
  throw failed_precondition(context.node().op_name, ": the input must be a vector. Details: input ",
                            input, " has shape ", context.input(input).shape(), ".");
}

// --- bytes ---

void split_bytes(KernelContext& context) {
  check_vector(context, 0);
  std::string bytes;
  std::vector<std::int64_t> begins;
  Splits splits = {0};
  for (const std::string& text : context.input(0).values<std::string>()) {
    bytes += text;
    for (std::size_t i = 0; i < text.size(); ++i) begins.push_back(static_cast<std::int64_t>(i));
    splits.push_back(static_cast<std::int64_t>(bytes.size()));
  }
  Tensor& values = context.output(0, Shape{static_cast<std::int64_t>(bytes.size())});
  std::ranges::copy(bytes, values.mutable_data<std::uint8_t>());
  output_splits(context, 1, splits);
  output_integers(context, 2, begins);
  for (std::int64_t& begin : begins) ++begin;
  output_integers(context, 3, begins);
}

void split_at_offsets(KernelContext& context) {
  for (int i = 0; i < 4; ++i) check_vector(context, i);
  const auto texts = context.input(0).values<std::string>();
  const auto begins = context.input(1).values<std::int32_t>();
  const auto ends = context.input(2).values<std::int32_t>();
  const Splits splits = splits_input(context, 3);
  if (begins.size() != ends.size() || splits.size() != texts.size() + 1 ||
      splits.back() != static_cast<std::int64_t>(begins.size())) {
    throw invalid_argument(context.node().op_name,
                           ": there must be row splits for each text, and an end for each begin. "
                           "Details: ",
                           texts.size(), " texts, ", splits.size(), " splits, ", begins.size(),
                           " begins, ", ends.size(), " ends.");
  }
  std::vector<std::string> pieces;
  for (std::size_t row = 0; row < texts.size(); ++row) {
    for (auto k = static_cast<std::size_t>(splits[row]);
         k < static_cast<std::size_t>(splits[row + 1]); ++k) {
      if (begins[k] < 0 || begins[k] > ends[k] ||
          static_cast<std::size_t>(ends[k]) > texts[row].size()) {
        throw invalid_argument(context.node().op_name,
                               ": offsets must lie in the text, the begin not behind the end. "
                               "Details: [",
                               begins[k], ", ", ends[k], ") of ", texts[row].size(), " bytes.");
      }
      pieces.push_back(texts[row].substr(static_cast<std::size_t>(begins[k]),
                                         static_cast<std::size_t>(ends[k] - begins[k])));
    }
  }
  output_texts(context, 0, std::move(pieces));
  output_splits(context, 1, splits);
}

// --- bits ---

// The lowest bits of each character's code, the lowest first; a row is `word_length` characters.
class BinarizeKernel final : public Kernel {
 public:
  explicit BinarizeKernel(const KernelInit& init)
      : word_length_(init.attr<std::int64_t>("word_length")),
        bits_(init.attr<std::int64_t>("bits_per_char")),
        replacement_(static_cast<std::uint32_t>(init.attr<std::int64_t>("replacement_char"))) {
    if (word_length_ < 0 || bits_ < 0) {
      throw invalid_argument("Utf8Binarize: lengths must not be negative. Details: ", word_length_,
                             " characters of ", bits_, " bits.");
    }
  }

  void compute(KernelContext& context) const override {
    check_vector(context, 0);
    const auto texts = context.input(0).values<std::string>();
    const std::int64_t width = mul_or_throw(word_length_, bits_, "Utf8Binarize: the width");
    Tensor& result = context.output(0, Shape{context.input(0).dim(0), width});
    float* row = result.mutable_data<float>();
    std::fill_n(row, result.num_elements(), 0.0f);
    for (const std::string& text : texts) {
      write_bits(text, row);
      row += width;
    }
  }

 private:
  void write_bits(std::string_view text, float* row) const {
    for (std::int64_t i = 0; i < word_length_ && !text.empty(); ++i) {
      const IcuCharacter character = first_character(text);
      text.remove_prefix(character.size);
      const std::uint32_t code =
          character.code < 0 ? replacement_ : static_cast<std::uint32_t>(character.code);
      constexpr std::int64_t kMostBits = 32;
      for (std::int64_t bit = 0; bit < std::min(bits_, kMostBits); ++bit)
        row[i * bits_ + bit] = static_cast<float>(code >> bit & 1);
    }
  }

  std::int64_t word_length_;
  std::int64_t bits_;
  std::uint32_t replacement_;
};

// --- n-grams ---

class NgramsKernel final : public Kernel {
 public:
  explicit NgramsKernel(const KernelInit& init)
      : width_(init.attr<std::int64_t>("width")),
        axis_(init.attr<std::int64_t>("axis")),
        separator_(init.attr<std::string>("string_separator")) {}

  // Of the innermost rows.
  void compute(KernelContext& context) const override {
    check_vector(context, 0);
    if (axis_ != -1) {
      throw internal_error("NgramsStringJoin: the axis must be -1. Details: it is ", axis_, ".");
    }
    const auto texts = context.input(0).values<std::string>();
    const int levels = context.num_inputs() - 1;
    auto nested = nested_splits_input(context, 1, levels, context.input(0).dim(0));
    const Splits rows = nested.empty() ? Splits{0, context.input(0).dim(0)} : nested.back();
    std::vector<std::string> joined;
    Splits splits = {0};
    for (std::size_t row = 0; row + 1 < rows.size(); ++row) {
      const std::int64_t end = rows[row + 1];
      // With a width of 0, TensorFlow gives a vector one text more than a ragged row.
      const std::int64_t last = std::min(end - width_, nested.empty() ? end : end - 1);
      for (std::int64_t at = rows[row]; width_ >= 0 && at <= last; ++at)
        joined.push_back(join_at(texts, static_cast<std::size_t>(at)));
      splits.push_back(static_cast<std::int64_t>(joined.size()));
    }
    output_texts(context, 0, std::move(joined));
    if (!nested.empty()) nested.back() = std::move(splits);
    for (int level = 0; level < levels; ++level)
      output_splits(context, 1 + level, nested[static_cast<std::size_t>(level)]);
  }

 private:
  std::string join_at(std::span<const std::string> texts, std::size_t begin) const {
    std::string joined;
    for (std::size_t i = 0; i < static_cast<std::size_t>(width_); ++i) {
      if (i > 0) joined += separator_;
      joined += texts[begin + i];
    }
    return joined;
  }

  std::int64_t width_;
  std::int64_t axis_;
  std::string separator_;
};

Shapes split_bytes_shape(ShapeContext& c) {
  return {PartialShape{-1}, PartialShape{split_count(c.with_rank(0, 1))}, PartialShape{-1},
          PartialShape{-1}};
}

Shapes split_at_offsets_shape(ShapeContext& c) {
  for (int i = 0; i < 4; ++i) c.with_rank(i, 1);
  return {PartialShape{-1}, c.with_rank(3, 1)};
}

Shapes binarize_shape(ShapeContext& c) {
  const std::int64_t width =
      c.attr<std::int64_t>("word_length") * c.attr<std::int64_t>("bits_per_char");
  return {PartialShape{c.with_rank(0, 1).dim(0), std::max<std::int64_t>(width, -1)}};
}

Shapes ngrams_shape(ShapeContext& c) {
  Shapes shapes = {PartialShape{-1}};
  for (int i = 1; i < c.num_inputs(); ++i) shapes.push_back(c.with_rank(i, 1));
  return shapes;
}

constexpr OpDef kOps[] = {
    {.name = "TFText>ByteSplitWithOffsets",
     .inputs = "input_values: string",
     .outputs = "output_bytes: uint8, output_row_splits: int64, output_start_offsets: int32, "
                "output_end_offsets: int32",
     .shape = split_bytes_shape,
     .kernel = kernel_function<split_bytes>,
     .differentiable = Differentiable::kRefused},
    {.name = "TFText>ByteSplitByOffsets",
     .inputs = "input_values: string, input_start_offsets: int32, input_end_offsets: int32, "
               "input_row_splits: int64",
     .outputs = "output_values: string, output_row_splits: int64",
     .shape = split_at_offsets_shape,
     .kernel = kernel_function<split_at_offsets>,
     .differentiable = Differentiable::kRefused},
    {.name = "TFText>Utf8Binarize",
     .inputs = "input_tokens: string",
     .outputs = "output_binarizations: float",
     .attrs = "word_length: int; bits_per_char: int; replacement_char: int",
     .shape = binarize_shape,
     .kernel = make_kernel<BinarizeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "TFText>NgramsStringJoin",
     .inputs = "input_values: string, input_row_splits: RAGGED_RANK * Tsplits",
     .outputs = "output_values: string, output_row_splits: RAGGED_RANK * Tsplits",
     .attrs = "width: int; axis: int; string_separator: string; RAGGED_RANK: int >= 0; "
              "Tsplits: {int64} = int64",
     .shape = ngrams_shape,
     .kernel = make_kernel<NgramsKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily tftext_bytes_ops() { return kOps; }

}  // namespace hub
