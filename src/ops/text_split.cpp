// StringSplit and StringSplitV2: a vector of strings to a sparse matrix of pieces.

#include <algorithm>
#include <string_view>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/string_pieces.h"

namespace hub {
namespace {

// Collects pieces, then writes the three outputs.
class Pieces {
 public:
  explicit Pieces(std::size_t rows) { row_sizes_.reserve(rows); }
  void begin_row() { row_sizes_.push_back(0); }
  void add(std::string_view piece) {
    pieces_.push_back(piece);
    ++row_sizes_.back();
  }

  void write(KernelContext& context) const {
    const auto count = static_cast<std::int64_t>(pieces_.size());
    std::int64_t* index = context.output(0, Shape{count, 2}).mutable_data<std::int64_t>();
    std::string* value = context.output(1, Shape{count}).mutable_data<std::string>();
    std::int64_t* shape = context.output(2, Shape{2}).mutable_data<std::int64_t>();
    shape[0] = static_cast<std::int64_t>(row_sizes_.size());
    shape[1] = row_sizes_.empty() ? 0 : std::ranges::max(row_sizes_);
    std::size_t next = 0;
    for (std::size_t row = 0; row < row_sizes_.size(); ++row) {
      for (std::int64_t column = 0; column < row_sizes_[row]; ++column) {
        *index++ = static_cast<std::int64_t>(row);
        *index++ = column;
        *value++ = pieces_[next++];
      }
    }
  }

 private:
  std::vector<std::int64_t> row_sizes_;
  std::vector<std::string_view> pieces_;
};

void check_ranks(KernelContext& context, std::string_view separator_name) {
  const auto& op = context.node().op_name;
  if (context.input(0).rank() != 1) {
    throw invalid_argument(op, ": the input must be a vector. Details: its shape is ",
                           context.input(0).shape(), ".");
  }
  if (context.input(1).rank() != 0) {
    throw invalid_argument(op, ": ", separator_name, " must be a scalar. Details: its shape is ",
                           context.input(1).shape(), ".");
  }
}

class SplitKernel final : public Kernel {
 public:
  explicit SplitKernel(const KernelInit& init) : skip_empty_(init.attr<bool>("skip_empty")) {}
  void compute(KernelContext& context) const override {
    check_ranks(context, "delimiter");
    const auto texts = context.input(0).values<std::string>();
    const std::string& delimiters = context.input(1).scalar<std::string>();
    Pieces pieces(texts.size());
    for (const std::string& text : texts) {
      pieces.begin_row();
      split_at_bytes(text, delimiters, skip_empty_,
                     [&](std::string_view piece) { pieces.add(piece); });
    }
    pieces.write(context);
  }

 private:
  bool skip_empty_;
};

class SplitV2Kernel final : public Kernel {
 public:
  explicit SplitV2Kernel(const KernelInit& init)
      : max_splits_(init.attr<std::int64_t>("maxsplit")) {}
  void compute(KernelContext& context) const override {
    check_ranks(context, "sep");
    const auto texts = context.input(0).values<std::string>();
    const std::string& separator = context.input(1).scalar<std::string>();
    Pieces pieces(texts.size());
    for (const std::string& text : texts) {
      pieces.begin_row();
      split_at_text(text, separator, max_splits_,
                    [&](std::string_view piece) { pieces.add(piece); });
    }
    pieces.write(context);
  }

 private:
  std::int64_t max_splits_;
};

Shapes split_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(1, 0);
  return {PartialShape{-1, 2}, PartialShape{-1}, PartialShape{2}};
}

constexpr OpDef kOps[] = {
    {.name = "StringSplit",
     .inputs = "input: string, delimiter: string",
     .outputs = "indices: int64, values: string, shape: int64",
     .attrs = "skip_empty: bool = true",
     .shape = split_shape,
     .kernel = make_kernel<SplitKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "StringSplitV2",
     .inputs = "input: string, sep: string",
     .outputs = "indices: int64, values: string, shape: int64",
     .attrs = "maxsplit: int = -1",
     .shape = split_shape,
     .kernel = make_kernel<SplitV2Kernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily text_split_ops() { return kOps; }

}  // namespace hub
