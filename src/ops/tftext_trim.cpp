// TensorFlow Text: sequences of several segments cut to a length, one element of each segment
// in turn.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/ragged.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// The segments: as many flat values as row splits, and how much of each row is kept.
struct Segments {
  std::vector<Splits> splits;
  std::vector<std::vector<std::int64_t>> kept;  // of each row
  int first_values = 1;
  int count() const { return static_cast<int>(splits.size()); }
};

// Gives each segment one element in turn, until `budget` is used or no segment has more.
void share_row(Segments& segments, std::size_t row, std::int64_t budget) {
  std::vector<std::int64_t> rest;
  for (const Splits& splits : segments.splits) rest.push_back(splits[row + 1] - splits[row]);
  while (budget > 0) {
    const auto hungry = std::ranges::count_if(rest, [](std::int64_t r) { return r > 0; });
    if (hungry == 0) return;
    std::int64_t smallest = budget;
    for (const std::int64_t r : rest) {
      if (r > 0) smallest = std::min(smallest, r);
    }
    // Whole rounds at once, then single elements.
    const std::int64_t each = std::max<std::int64_t>(std::min(smallest, budget / hungry), 1);
    for (std::size_t s = 0; s < rest.size() && budget > 0; ++s) {
      if (rest[s] == 0) continue;
      segments.kept[s][row] += each;
      rest[s] -= each;
      budget -= each;
    }
  }
}

Segments read_segments(const KernelContext& context) {
  const std::int64_t length = integer_scalar(context, 0, "max_sequence_length");
  const ArgRange values = input_range(context.node(), "input_values");
  const ArgRange splits = input_range(context.node(), "input_row_splits");
  Segments segments;
  segments.first_values = values.begin;
  for (int i = 0; i < values.count; ++i) {
    const Tensor& flat = context.input(values.begin + i);
    if (flat.rank() != 1) {
      throw failed_precondition(context.node().op_name,
                                ": values must be vectors. Details: the shape is ", flat.shape(),
                                ".");
    }
    segments.splits.push_back(
        nested_splits_input(context, splits.begin + i, 1, flat.dim(0)).front());
    if (segments.splits.back().size() != segments.splits.front().size()) {
      throw invalid_argument(
          context.node().op_name,
          ": all segments must have as many rows. Details: ", segments.splits.front().size() - 1,
          " and ", segments.splits.back().size() - 1, ".");
    }
    segments.kept.emplace_back(segments.splits.back().size() - 1, 0);
  }
  for (std::size_t row = 0; row + 1 < segments.splits.front().size(); ++row)
    share_row(segments, row, length);
  return segments;
}

void round_robin_trim(KernelContext& context) {
  const Segments segments = read_segments(context);
  for (int s = 0; s < segments.count(); ++s) {
    const auto& kept = segments.kept[static_cast<std::size_t>(s)];
    const auto& splits = segments.splits[static_cast<std::size_t>(s)];
    Splits result = {0};
    for (const std::int64_t count : kept) result.push_back(result.back() + count);
    const Tensor& flat = context.input(segments.first_values + s);
    Tensor& values = context.output(s, Shape{result.back()});
    dispatch(AllTypes{}, flat.dtype(), [&]<class T>() {
      T* to = values.mutable_data<T>();
      for (std::size_t row = 0; row < kept.size(); ++row)
        to = std::copy_n(flat.data<T>() + splits[row], kept[row], to);
    });
    output_splits(context, segments.count() + s, result);
  }
}

void round_robin_masks(KernelContext& context) {
  const Segments segments = read_segments(context);
  for (int s = 0; s < segments.count(); ++s) {
    const auto& kept = segments.kept[static_cast<std::size_t>(s)];
    const auto& splits = segments.splits[static_cast<std::size_t>(s)];
    bool* mask = context.output(s, Shape{splits.back()}).mutable_data<bool>();
    for (std::size_t row = 0; row < kept.size(); ++row) {
      mask = std::fill_n(mask, kept[row], true);
      mask = std::fill_n(mask, splits[row + 1] - splits[row] - kept[row], false);
    }
  }
}

Shapes trim_shape(ShapeContext& c) {
  const int count = c.num_outputs() / 2;
  Shapes shapes(static_cast<std::size_t>(count), PartialShape{-1});
  for (int s = 0; s < count; ++s) shapes.push_back(c.with_rank(1 + count + s, 1));
  return shapes;
}

Shapes masks_shape(ShapeContext& c) {
  Shapes shapes;
  for (int s = 0; s < c.num_outputs(); ++s) shapes.push_back(c.with_rank(1 + s, 1));
  return shapes;
}

constexpr OpDef kOps[] = {
    {.name = "TFText>RoundRobinTrim",
     .inputs = "max_sequence_length: int32, input_values: N * T, input_row_splits: N * Tsplits",
     .outputs = "values: N * T, row_splits: N * Tsplits",
     .attrs = "N: int >= 1; T: type; Tsplits: {int32, int64}",
     .shape = trim_shape,
     .kernel = kernel_function<round_robin_trim>,
     .differentiable = Differentiable::kRefused},
    {.name = "TFText>RoundRobinGenerateMasks",
     .inputs = "max_sequence_length: int32, input_values: N * T, input_row_splits: N * Tsplits",
     .outputs = "masks: N * bool",
     .attrs = "N: int >= 1; T: type; Tsplits: {int32, int64}",
     .shape = masks_shape,
     .kernel = kernel_function<round_robin_masks>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily tftext_trim_ops() { return kOps; }

}  // namespace hub
