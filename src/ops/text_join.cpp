// Strings joined: ReduceJoin, UnsortedSegmentJoin, StringNGrams.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/ragged.h"
#include "ops/reduce_driver.h"
#include "ops/segments.h"

namespace hub {
namespace {

// An axis of the input: how many elements, and how far apart they lie.
struct Axis {
  std::int64_t size;
  std::int64_t stride;
};

// Calls body(offset) for every place of the axes, the last one fastest.
template <class Body>
void for_each_place(const std::vector<Axis>& axes, Body&& body) {
  std::int64_t count = 1;
  for (const Axis& axis : axes) count *= axis.size;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t rest = i;
    std::int64_t offset = 0;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      offset += rest % axis->size * axis->stride;
      rest /= axis->size;
    }
    body(offset);
  }
}

class ReduceJoinKernel final : public Kernel {
 public:
  explicit ReduceJoinKernel(const KernelInit& init)
      : keep_dims_(init.attr<bool>("keep_dims")), separator_(init.attr<std::string>("separator")) {}

  // The first axis that is listed is joined first.
  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    const int rank = input.rank();
    std::vector<Axis> axes(static_cast<std::size_t>(rank));
    for (std::int64_t axis = rank - 1, stride = 1; axis >= 0; --axis) {
      axes[static_cast<std::size_t>(axis)] = {input.dim(static_cast<int>(axis)), stride};
      stride *= input.dim(static_cast<int>(axis));
    }
    std::vector<bool> is_reduced(static_cast<std::size_t>(rank), false);
    std::vector<Axis> reduced;
    for (const std::int32_t given : context.input(1).values<std::int32_t>()) {
      if (given < -rank || given >= rank) {
        throw out_of_range("ReduceJoin: an axis must lie in [-", rank, ", ", rank,
                           "). Details: it is ", given, ".");
      }
      const auto axis = static_cast<std::size_t>(given < 0 ? given + rank : given);
      if (is_reduced[axis]) {
        throw invalid_argument("ReduceJoin: an axis must be given once. Details: ", given, ".");
      }
      is_reduced[axis] = true;
      reduced.insert(reduced.begin(), axes[axis]);
    }
    std::vector<Axis> kept;
    std::vector<std::int64_t> dims;
    for (std::size_t axis = 0; axis < axes.size(); ++axis) {
      if (!is_reduced[axis]) kept.push_back(axes[axis]);
      if (!is_reduced[axis] || keep_dims_) dims.push_back(is_reduced[axis] ? 1 : axes[axis].size);
    }
    std::string* result = context.output(0, Shape(dims)).mutable_data<std::string>();
    const std::string* text = input.data<std::string>();
    for_each_place(kept, [&](std::int64_t base) {
      bool first = true;
      for_each_place(reduced, [&](std::int64_t offset) {
        if (!first) *result += separator_;
        first = false;
        *result += text[base + offset];
      });
      ++result;
    });
  }

 private:
  bool keep_dims_;
  std::string separator_;
};

class SegmentJoinKernel final : public Kernel {
 public:
  // TensorFlow hands the separator over as a C string.
  explicit SegmentJoinKernel(const KernelInit& init)
      : separator_(init.attr<std::string>("separator").c_str()) {}

  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    const Tensor& ids = context.input(1);
    const std::int64_t count =
        segment_count("UnsortedSegmentJoin", context.input(2), "the number of segments");
    if (ids.rank() == 0) {
      throw invalid_argument("UnsortedSegmentJoin: the segment ids must not be a scalar.");
    }
    if (ids.rank() > input.rank()) {
      throw out_of_range(
          "UnsortedSegmentJoin: the segment ids must have at most the input's rank. Details: ",
          ids.rank(), " and ", input.rank(), ".");
    }
    if (!(input.shape().slice(0, ids.rank()) == ids.shape())) {
      throw invalid_argument(
          "UnsortedSegmentJoin: the input's shape must begin with the ids'. Details: ",
          input.shape(), " and ", ids.shape(), ".");
    }
    const std::vector<std::int64_t> segments = integer_elements(ids);
    for (const std::int64_t id : segments) {
      if (id < 0 || id >= count) {
        throw invalid_argument("UnsortedSegmentJoin: a segment id must lie in [0, ", count,
                               "). Details: ", id, ".");
      }
    }
    const Shape row = input.shape().slice(ids.rank(), input.rank());
    const std::int64_t width = row.num_elements();
    std::string* result =
        context.output(0, row.with_inserted(0, count)).mutable_data<std::string>();
    const std::string* text = input.data<std::string>();
    for (const std::int64_t id : segments) {
      for (std::int64_t k = 0; k < width; ++k) {
        std::string& joined = result[id * width + k];
        if (!joined.empty()) joined += separator_;
        joined += *text++;
      }
    }
  }

 private:
  std::string separator_;
};

class NGramsKernel final : public Kernel {
 public:
  explicit NGramsKernel(const KernelInit& init)
      : separator_(init.attr<std::string>("separator")),
        left_pad_(init.attr<std::string>("left_pad")),
        right_pad_(init.attr<std::string>("right_pad")),
        pad_width_(init.attr<std::int64_t>("pad_width")),
        preserve_short_(init.attr<bool>("preserve_short_sequences")),
        widths_(init.attr<AttrList>("ngram_widths").ints) {
    for (const std::int64_t width : widths_) {
      if (width < 1 || width > std::numeric_limits<std::int32_t>::max()) {
        throw invalid_argument("StringNGrams: a width must be positive. Details: ", width, ".");
      }
    }
    if (pad_width_ > std::numeric_limits<std::int32_t>::max()) {
      throw invalid_argument("StringNGrams: the pad width is too large. Details: ", pad_width_,
                             ".");
    }
  }

  void compute(KernelContext& context) const override {
    const Tensor& data = context.input(0);
    const Tensor& row_splits = context.input(1);
    if (data.num_elements() == 0 || row_splits.num_elements() == 0) {
      if (row_splits.num_elements() > 0) checked_splits(context);
      context.output(0, data.shape());
      Tensor& splits = context.output(1, row_splits.shape());
      for (std::int64_t i = 0; i < splits.num_elements(); ++i) set_integer(splits, i, 0);
      return;
    }
    const Splits splits = checked_splits(context);
    Splits counts{0};
    std::int64_t bytes = 0;
    for (std::size_t row = 1; row < splits.size(); ++row) {
      const std::int64_t count = plan_row(data, splits[row - 1], splits[row], bytes);
      counts.push_back(add_or_throw(counts.back(), count, "StringNGrams: the number of results"));
    }
    // Padding makes much out of little.
    if (bytes > kMaxBytes) {
      throw resource_exhausted("StringNGrams: the results are too long. Details: ", bytes,
                               " bytes.");
    }
    std::string* result = context.output(0, Shape{counts.back()}).mutable_data<std::string>();
    output_splits(context, 1, counts);
    for (std::size_t row = 1; row < splits.size(); ++row) {
      const std::int64_t length = splits[row] - splits[row - 1];
      const std::string* tokens = data.data<std::string>() + splits[row - 1];
      const std::string* begin = result;
      for (const std::int64_t width : widths_) {
        const std::int64_t count = num_ngrams(length, width);
        for (std::int64_t i = 0; i < count; ++i) write(*result++, tokens, i, count, width);
      }
      if (result == begin && counts[row] > counts[row - 1]) {
        write(*result++, tokens, 0, 1, length + 2 * pad_width_);
      }
    }
  }

 private:
  static constexpr std::int64_t kMaxBytes = std::int64_t{1} << 32;

  static Splits checked_splits(const KernelContext& context) {
    Splits splits = splits_input(context, 1);
    if (splits.back() != context.input(0).num_elements()) {
      throw invalid_argument(
          "StringNGrams: the last of the splits must be the number of strings. Details: ",
          splits.back(), " and ", context.input(0).num_elements(), ".");
    }
    return splits;
  }

  std::int64_t padding(std::int64_t width) const {
    return pad_width_ < 0 ? width - 1 : std::min(pad_width_, width - 1);
  }
  std::int64_t num_ngrams(std::int64_t length, std::int64_t width) const {
    return std::max<std::int64_t>(0, length + 2 * padding(width) - width + 1);
  }

  // How many results a row has; adds what they take to `bytes`, at most.
  std::int64_t plan_row(const Tensor& data, std::int64_t begin, std::int64_t end,
                        std::int64_t& bytes) const {
    const std::int64_t length = end - begin;
    std::int64_t longest = static_cast<std::int64_t>(std::max(left_pad_.size(), right_pad_.size()));
    for (std::int64_t i = begin; i < end; ++i) {
      longest = std::max(longest, static_cast<std::int64_t>(data.data<std::string>()[i].size()));
    }
    longest += static_cast<std::int64_t>(separator_.size());
    const auto add_bytes = [&](std::int64_t count, std::int64_t width) {
      const auto all = checked_mul(count, width);
      const auto product = all ? checked_mul(*all, longest) : std::nullopt;
      bytes =
          std::min(bytes + std::min(product.value_or(kMaxBytes), kMaxBytes) + count, kMaxBytes + 1);
    };
    std::int64_t total = 0;
    for (const std::int64_t width : widths_) {
      const std::int64_t count = num_ngrams(length, width);
      add_bytes(count, width);
      total += count;
    }
    if (total > 0 || !preserve_short_ || length == 0) return total;
    if (pad_width_ < 0) {
      throw invalid_argument(
          "StringNGrams: without widths, short sequences are kept with a pad width of at least 0. "
          "Details: ",
          pad_width_, ".");
    }
    add_bytes(1, length + 2 * pad_width_);
    return 1;
  }

  // Result `index` of `count`: pads, tokens and pads, `width` in all.
  void write(std::string& to, const std::string* tokens, std::int64_t index, std::int64_t count,
             std::int64_t width) const {
    const std::int64_t pad = padding(width);
    const std::int64_t left = std::max<std::int64_t>(0, pad - index);
    const std::int64_t right = std::max<std::int64_t>(0, pad - (count - (index + 1)));
    const std::int64_t middle = width - left - right;
    const std::int64_t first = left > 0 ? 0 : index - pad;
    std::int64_t pieces = 0;
    const auto add = [&](const std::string& piece) {
      if (pieces++ > 0) to += separator_;
      to += piece;
    };
    for (std::int64_t i = 0; i < left; ++i) add(left_pad_);
    for (std::int64_t i = 0; i < middle; ++i) add(tokens[first + i]);
    for (std::int64_t i = 0; i < right; ++i) add(right_pad_);
  }

  std::string separator_;
  std::string left_pad_;
  std::string right_pad_;
  std::int64_t pad_width_;
  bool preserve_short_;
  std::vector<std::int64_t> widths_;
};

Shapes ngrams_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  return {PartialShape{-1}, c.with_rank(1, 1)};
}

constexpr OpDef kOps[] = {
    {.name = "ReduceJoin",
     .inputs = "inputs: string, reduction_indices: int32",
     .outputs = "output: string",
     .attrs = "keep_dims: bool = false; separator: string = ''",
     .shape = reduction_shape,
     .kernel = make_kernel<ReduceJoinKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "UnsortedSegmentJoin",
     .inputs = "inputs: string, segment_ids: Tindices, num_segments: Tnumsegments",
     .outputs = "output: string",
     .attrs = "separator: string = ''; Tindices: {int32, int64}; "
              "Tnumsegments: {int32, int64} = int32",
     .shape = unsorted_segment_shape,
     .kernel = make_kernel<SegmentJoinKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "StringNGrams",
     .inputs = "data: string, data_splits: Tsplits",
     .outputs = "ngrams: string, ngrams_splits: Tsplits",
     .attrs = "separator: string; ngram_widths: list(int) >= 0; left_pad: string; "
              "right_pad: string; pad_width: int; preserve_short_sequences: bool; "
              "Tsplits: {int32, int64} = int64",
     .shape = ngrams_shape,
     .kernel = make_kernel<NGramsKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily text_join_ops() { return kOps; }

}  // namespace hub
