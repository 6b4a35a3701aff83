// Pad and PadV2: a border of one value.

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/paddings.h"

namespace hub {
namespace {

Shapes padded_shape(ShapeContext& c) {
  return padding_rule(c, [](std::int64_t dim, const BorderSize& border) {
    return add_dims(dim, add_dims(border.before, border.after));
  });
}

// TensorFlow's limit; neighbouring axes without a border count as one.
void check_rank(const std::vector<BorderSize>& borders) {
  constexpr int kMaxRank = 6;
  int rank = 0;
  bool joins = false;
  for (const BorderSize& border : borders) {
    const bool bare = border.before == 0 && border.after == 0;
    if (!bare || !joins) ++rank;
    joins = bare;
  }
  if (rank > kMaxRank) {
    throw unimplemented("Pad: at most ", kMaxRank, " axes may have a border. Details: the rank is ",
                        borders.size(), ".");
  }
}

void pad(KernelContext& ctx, const Tensor* value) {
  const Tensor& input = ctx.input(0);
  const std::vector<BorderSize> borders =
      read_borders(ctx.input(1), input.rank(), ctx.node().op_name);
  check_rank(borders);
  const Shape shape = bordered_shape(input.shape(), borders);
  if (shape == input.shape()) return ctx.set_output(0, input);
  Tensor& result = ctx.output(0, shape);
  if (value != nullptr) {
    fill_tensor(ctx, value->raw_data(), result);
  } else {
    zero_tensor(ctx, result);
  }
  if (input.num_elements() == 0) return;
  const BorderedBox box(input.shape(), shape, borders);
  copy_box(ctx, input.dtype(), box.axes, input.raw_data(), element_at(result, box.first));
}

void compute_pad(KernelContext& ctx) { pad(ctx, nullptr); }

void compute_pad_v2(KernelContext& ctx) {
  if (ctx.input(2).rank() != 0) {
    throw invalid_argument("PadV2: constant_values must be a scalar. Details: its shape is ",
                           ctx.input(2).shape(), ".");
  }
  pad(ctx, &ctx.input(2));
}

constexpr OpDef kOps[] = {
    {.name = "Pad",
     .inputs = "input: T, paddings: Tpaddings",
     .outputs = "output: T",
     .attrs = "T: type; Tpaddings: {int32, int64} = int32",
     .shape = padded_shape,
     .kernel = kernel_function<compute_pad>},
    {.name = "PadV2",
     .inputs = "input: T, paddings: Tpaddings, constant_values: T",
     .outputs = "output: T",
     .attrs = "T: type; Tpaddings: {int32, int64} = int32",
     .shape = padded_shape,
     .kernel = kernel_function<compute_pad_v2>},
};

}  // namespace

OpFamily array_pad_ops() { return kOps; }

}  // namespace hub
