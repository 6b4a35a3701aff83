// Ops that turn axes around: Reverse, ReverseV2, ReverseSequence, Roll.

#include <algorithm>

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// The whole tensor as a box: both sides row-major.
std::vector<CopyAxis> whole_box(const Shape& shape) {
  std::vector<CopyAxis> axes(static_cast<std::size_t>(shape.rank()));
  std::int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    axes[static_cast<std::size_t>(i)] = {shape.dim(i), stride, stride};
    stride *= shape.dim(i);
  }
  return axes;
}

constexpr int kMaxReverseRank = 8;

void check_reverse_rank(int rank) {
  if (rank > kMaxReverseRank) {
    throw unimplemented("Reverse: the rank must be at most ", kMaxReverseRank, ". Details: it is ",
                        rank, ".");
  }
}

void reverse_axes(KernelContext& ctx, const Tensor& input, const std::vector<bool>& reversed) {
  std::vector<CopyAxis> axes = whole_box(input.shape());
  std::int64_t first = 0;
  bool changes = false;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (!reversed[i] || axes[i].size < 2) continue;
    first += (axes[i].size - 1) * axes[i].from;
    axes[i].from = -axes[i].from;
    changes = true;
  }
  if (!changes || input.num_elements() == 0) return ctx.set_output(0, input);
  Tensor& result = ctx.output(0, input.shape());
  copy_box(ctx, input.dtype(), axes, element_at(input, first), result.mutable_raw_data());
}

Shapes reversed_shape(ShapeContext& c) {
  const PartialShape dims = c.with_rank(1, 1);
  const PartialShape& input = c.input(0);
  if (input.has_rank()) {
    (void)merge_dims(dims.dim(0), input.rank(), "Reverse: the length of dims and the rank");
    c.at_most_rank(0, kMaxReverseRank);
  }
  return {input};
}

void compute_reverse(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  const Tensor& dims = ctx.input(1);
  if (input.rank() == 0) return ctx.set_output(0, input);
  check_reverse_rank(input.rank());
  if (dims.shape() != Shape{input.rank()}) {
    throw invalid_argument(
        "Reverse: dims must have one element for each axis. Details: its shape is ", dims.shape(),
        ", the input's rank is ", input.rank(), ".");
  }
  if (input.dim(0) == 0) {  // TensorFlow's rule, in this older form only
    throw invalid_argument(
        "Reverse: the first dimension must not be zero. Details: ", input.shape(), ".");
  }
  const auto values = dims.values<bool>();
  reverse_axes(ctx, input, std::vector<bool>(values.begin(), values.end()));
}

std::vector<bool> listed_once(const std::vector<std::int64_t>& axes, int rank) {
  std::vector<bool> listed(static_cast<std::size_t>(rank), false);
  for (const std::int64_t axis : axes) {
    const auto i = static_cast<std::size_t>(checked_axis(axis, rank, "ReverseV2"));
    if (listed[i])
      throw invalid_argument("ReverseV2: an axis may be there once. Details: got [",
                             join(axes, ","), "].");
    listed[i] = true;
  }
  return listed;
}

Shapes reversed_v2_shape(ShapeContext& c) {
  const PartialShape& input = c.input(0);
  c.with_rank(1, 1);
  const auto axes = constant_integers(c, 1);
  if (input.has_rank()) {
    c.at_most_rank(0, kMaxReverseRank);
    if (axes) (void)listed_once(*axes, input.rank());
  }
  return {input};
}

void compute_reverse_v2(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  if (input.rank() == 0 || input.num_elements() == 0) return ctx.set_output(0, input);
  if (ctx.input(1).rank() != 1) {
    throw invalid_argument("ReverseV2: the axes must be a vector. Details: its shape is ",
                           ctx.input(1).shape(), ".");
  }
  const std::vector<bool> reversed = listed_once(integer_vector(ctx, 1, "axis"), input.rank());
  check_reverse_rank(input.rank());
  reverse_axes(ctx, input, reversed);
}

[[noreturn]] void bad_sequence_axes(std::int64_t seq_dim, std::int64_t batch_dim,
                                    const PartialShape& input) {
  throw invalid_argument(
      "ReverseSequence: seq_dim and batch_dim must be two axes of the input. Details: ", seq_dim,
      " and ", batch_dim, " of ", input, ".");
}

Shapes reversed_sequence_shape(ShapeContext& c) {
  const PartialShape input = c.input(0);
  const PartialShape lengths = c.with_rank(1, 1);
  const auto seq_dim = c.attr<std::int64_t>("seq_dim");
  const auto batch_dim = c.attr<std::int64_t>("batch_dim");
  if (!input.has_rank()) return {PartialShape()};
  if (batch_dim < 0 || batch_dim >= input.rank() || seq_dim < 0 || seq_dim >= input.rank()) {
    bad_sequence_axes(seq_dim, batch_dim, input);
  }
  const int axis = static_cast<int>(batch_dim);
  return {replace_dim(
      input, axis,
      merge_dims(input.dim(axis), lengths.dim(0), "ReverseSequence: the batch dimensions"))};
}

class ReverseSequenceKernel final : public Kernel {
 public:
  explicit ReverseSequenceKernel(const KernelInit& init)
      : seq_dim_(init.attr<std::int64_t>("seq_dim")),
        batch_dim_(init.attr<std::int64_t>("batch_dim")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& input = ctx.input(0);
    const int rank = input.rank();
    if (seq_dim_ < 0 || seq_dim_ >= rank || batch_dim_ < 0 || batch_dim_ >= rank ||
        seq_dim_ == batch_dim_) {
      bad_sequence_axes(seq_dim_, batch_dim_, input.shape());
    }
    constexpr int kMaxRank = 5;
    if (rank > kMaxRank) {
      throw invalid_argument("ReverseSequence: the rank must be at most ", kMaxRank,
                             ". Details: it is ", rank, ".");
    }
    const auto seq = static_cast<std::size_t>(seq_dim_);
    const auto batch = static_cast<std::size_t>(batch_dim_);
    const std::vector<std::int64_t> lengths = checked_lengths(ctx, input);
    Tensor& result = ctx.output(0, input.shape());
    if (input.num_elements() == 0) return;
    const std::vector<CopyAxis> axes = whole_box(input.shape());
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      const std::int64_t offset = static_cast<std::int64_t>(b) * axes[batch].from;
      std::vector<CopyAxis> part = axes;
      part[batch].size = 1;
      if (lengths[b] > 0) {  // the sequence, backwards
        part[seq] = {lengths[b], -axes[seq].from, axes[seq].to};
        copy_box(ctx, input.dtype(), part,
                 element_at(input, offset + (lengths[b] - 1) * axes[seq].from),
                 element_at(result, offset));
      }
      const std::int64_t rest = offset + lengths[b] * axes[seq].from;
      part[seq] = {axes[seq].size - lengths[b], axes[seq].from, axes[seq].to};
      if (part[seq].size > 0)
        copy_box(ctx, input.dtype(), part, element_at(input, rest), element_at(result, rest));
    }
  }

 private:
  std::vector<std::int64_t> checked_lengths(const KernelContext& ctx, const Tensor& input) const {
    const std::int64_t batch = input.dim(static_cast<int>(batch_dim_));
    const std::int64_t longest = input.dim(static_cast<int>(seq_dim_));
    if (ctx.input(1).shape() != Shape{batch}) {
      throw invalid_argument(
          "ReverseSequence: there must be one length for each batch. Details: their shape is ",
          ctx.input(1).shape(), ", the input is ", input.shape(), ".");
    }
    std::vector<std::int64_t> lengths = integer_vector(ctx, 1, "seq_lengths");
    for (const std::int64_t length : lengths) {
      if (length < 0 || length > longest) {
        throw invalid_argument("ReverseSequence: lengths must be in [0, ", longest,
                               "]. Details: got ", length, ".");
      }
    }
    return lengths;
  }

  std::int64_t seq_dim_;
  std::int64_t batch_dim_;
};

Shapes rolled_shape(ShapeContext& c) {
  c.at_least_rank(0, 1);
  c.at_most_rank(1, 1);
  c.at_most_rank(2, 1);
  return {c.input(0)};
}

// How far each axis rolls, in [0, size).
std::vector<std::int64_t> roll_shifts(const KernelContext& ctx, const Tensor& input) {
  const Tensor& shift = ctx.input(1);
  const Tensor& axis = ctx.input(2);
  if (input.rank() == 0)
    throw invalid_argument("Roll: the input must have at least one dimension.");
  if (shift.rank() > 1 || axis.rank() > 1 || shift.shape() != axis.shape()) {
    throw invalid_argument(
        "Roll: shift and axis must be scalars or vectors of one length. Details: ", shift.shape(),
        " and ", axis.shape(), ".");
  }
  std::vector<std::int64_t> shifts(static_cast<std::size_t>(input.rank()), 0);
  for (std::int64_t i = 0; i < axis.num_elements(); ++i) {
    const int a = checked_axis(integer_at(axis, i), input.rank(), "Roll");
    const std::int64_t size = std::max<std::int64_t>(input.dim(a), 1);
    std::int64_t& total = shifts[static_cast<std::size_t>(a)];
    total = ((total + integer_at(shift, i) % size) % size + size) % size;
  }
  return shifts;
}

void compute_roll(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  const std::vector<std::int64_t> shifts = roll_shifts(ctx, input);
  std::vector<std::size_t> rolled;
  for (std::size_t i = 0; i < shifts.size(); ++i) {
    if (shifts[i] != 0) rolled.push_back(i);
  }
  if (rolled.empty() || input.num_elements() == 0) return ctx.set_output(0, input);
  Tensor& result = ctx.output(0, input.shape());
  const std::vector<CopyAxis> axes = whole_box(input.shape());
  // Each rolled axis falls into two parts that keep their order: 2^n boxes.
  HUB_ASSERT(rolled.size() < 63);
  for (std::uint64_t parts = 0; parts < std::uint64_t{1} << rolled.size(); ++parts) {
    std::vector<CopyAxis> box = axes;
    std::int64_t from = 0;
    std::int64_t to = 0;
    for (std::size_t i = 0; i < rolled.size(); ++i) {
      CopyAxis& axis = box[rolled[i]];
      const std::int64_t shift = shifts[rolled[i]];
      if ((parts >> i & 1) == 0) {  // the beginning moves back by `shift`
        to += shift * axis.to;
        axis.size -= shift;
      } else {  // the last `shift` come first
        from += (axis.size - shift) * axis.from;
        axis.size = shift;
      }
    }
    copy_box(ctx, input.dtype(), box, element_at(input, from), element_at(result, to));
  }
}

constexpr OpDef kOps[] = {
    {.name = "Reverse",
     .inputs = "tensor: T, dims: bool",
     .outputs = "output: T",
     .attrs = "T: {uint8, int8, uint16, int16, uint32, int32, uint64, int64, bool, bfloat16, "
              "half, float, double, complex64, complex128, string}",
     .shape = reversed_shape,
     .kernel = kernel_function<compute_reverse>},
    {.name = "ReverseV2",
     .inputs = "tensor: T, axis: Tidx",
     .outputs = "output: T",
     .attrs = "Tidx: {int32, int64} = int32; T: {uint8, int8, uint16, int16, int32, uint32, "
              "int64, uint64, bool, bfloat16, half, float, double, complex64, complex128, "
              "string}",
     .shape = reversed_v2_shape,
     .kernel = kernel_function<compute_reverse_v2>},
    {.name = "ReverseSequence",
     .inputs = "input: T, seq_lengths: Tlen",
     .outputs = "output: T",
     .attrs = "seq_dim: int; batch_dim: int = 0; T: type; Tlen: {int32, int64} = int64",
     .shape = reversed_sequence_shape,
     .kernel = make_kernel<ReverseSequenceKernel>},
    {.name = "Roll",
     .inputs = "input: T, shift: Tshift, axis: Taxis",
     .outputs = "output: T",
     .attrs = "T: type; Tshift: {int32, int64}; Taxis: {int32, int64}",
     .shape = rolled_shape,
     .kernel = kernel_function<compute_roll>},
};

}  // namespace

OpFamily array_reverse_ops() { return kOps; }

}  // namespace hub
