// MirrorPad and its gradient.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/paddings.h"
#include "ops/update_functions.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// REFLECT leaves the edge out of the mirror image (1), SYMMETRIC repeats it (0).
std::int64_t left_out(const std::string& mode) { return mode == "REFLECT" ? 1 : 0; }

std::vector<BorderSize> read_mirror_borders(const KernelContext& ctx, std::string_view op) {
  constexpr int kMaxRank = 5;  // TensorFlow's
  const int rank = ctx.input(0).rank();
  if (rank > kMaxRank) {
    throw unimplemented(op, ": the input's rank must be at most ", kMaxRank, ". Details: it is ",
                        rank, ".");
  }
  return read_borders(ctx.input(1), rank, op);
}

// Both sides of an axis must fit into the axis that is mirrored.
void check_mirror(std::string_view op, const BorderSize& border, std::int64_t dim,
                  std::int64_t edge) {
  if (dim >= 0 && (border.before > dim - edge || border.after > dim - edge)) {
    throw invalid_argument(
        op,
        ": the paddings must not be larger than the dimension (REFLECT: less than it). Details: ",
        border.before, " and ", border.after, " for a dimension of ", dim, ".");
  }
}

// Whether the paddings fit the mirror is the kernels' business, as in TensorFlow.
Shapes mirror_pad_shape(ShapeContext& c) {
  return padding_rule(c, [](std::int64_t dim, const BorderSize& border) {
    return add_dims(dim, add_dims(border.before, border.after));
  });
}

Shapes mirror_pad_grad_shape(ShapeContext& c) {
  return padding_rule(c, [](std::int64_t dim, const BorderSize& border) {
    const std::int64_t both = add_dims(border.before, border.after);
    if (dim < 0) return dim;
    if (both > dim) {
      throw invalid_argument("MirrorPadGrad: the paddings must not exceed the dimension. Details: ",
                             border.before, " and ", border.after, " of ", dim, ".");
    }
    return dim - both;
  });
}

// One axis at a time, outermost first: its middle is the input, its ends are copied from
// what is there already, backwards.
class MirrorPadKernel final : public Kernel {
 public:
  explicit MirrorPadKernel(const KernelInit& init)
      : edge_(left_out(init.attr<std::string>("mode"))) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& input = ctx.input(0);
    const int rank = input.rank();
    const std::vector<BorderSize> borders = read_mirror_borders(ctx, "MirrorPad");
    for (int i = 0; i < rank; ++i)
      check_mirror("MirrorPad", borders[static_cast<std::size_t>(i)], input.dim(i), edge_);
    const Shape shape = bordered_shape(input.shape(), borders);
    if (shape == input.shape()) return ctx.set_output(0, input);
    Tensor& result = ctx.output(0, shape);
    if (result.num_elements() == 0) return;
    BorderedBox box(input.shape(), shape, borders);
    copy_box(ctx, input.dtype(), box.axes, input.raw_data(), element_at(result, box.first));
    // From here on a box within the result grows, axis by axis.
    for (CopyAxis& axis : box.axes) axis.from = axis.to;
    for (std::size_t i = box.axes.size(); i-- > 0;) mirror_axis(ctx, result, box, i, borders[i]);
  }

 private:
  void mirror_axis(KernelContext& ctx, Tensor& result, BorderedBox& box, std::size_t i,
                   const BorderSize& border) const {
    const CopyAxis whole = box.axes[i];
    const auto mirror = [&](std::int64_t from, std::int64_t to, std::int64_t count) {
      if (count == 0) return;
      box.axes[i] = {count, -whole.from, whole.to};
      copy_box(ctx, result.dtype(), box.axes, element_at(result, box.first + from * whole.to),
               element_at(result, box.first + to * whole.to));
    };
    mirror(border.before - 1 + edge_, -border.before, border.before);
    mirror(whole.size - 1 - edge_, whole.size, border.after);
    box.axes[i] = {whole.size + border.before + border.after, whole.from, whole.to};
    box.first -= border.before * whole.to;
  }

  std::int64_t edge_;
};

// One axis at a time, outermost first: the ends are added to the middle where they came from.
class MirrorPadGradKernel final : public Kernel {
 public:
  explicit MirrorPadGradKernel(const KernelInit& init)
      : edge_(left_out(init.attr<std::string>("mode"))) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& input = ctx.input(0);
    const std::vector<BorderSize> borders = read_mirror_borders(ctx, "MirrorPadGrad");
    Tensor present = input;
    for (int axis = 0; axis < input.rank(); ++axis) {
      const BorderSize& border = borders[static_cast<std::size_t>(axis)];
      const std::int64_t both = add_or_throw(border.before, border.after, "A padding");
      if (both >= input.dim(axis)) {
        throw invalid_argument("MirrorPadGrad: the paddings must leave something. Details: ",
                               border.before, " and ", border.after, " of ", input.dim(axis), ".");
      }
      check_mirror("MirrorPadGrad", border, input.dim(axis) - both, edge_);
    }
    for (int axis = 0; axis < input.rank(); ++axis) {
      const BorderSize& border = borders[static_cast<std::size_t>(axis)];
      if (border.before + border.after == 0) continue;
      Tensor next = ctx.temporary(
          input.dtype(),
          present.shape().with_dim(axis, present.dim(axis) - border.before - border.after));
      dispatch(Numbers{}, input.dtype(),
               [&]<class T>() { fold_axis<T>(ctx, present, axis, border, next); });
      present = std::move(next);
    }
    ctx.set_output(0, present);
  }

 private:
  template <class T>
  void fold_axis(KernelContext& ctx, const Tensor& from, int axis, const BorderSize& border,
                 Tensor& to) const {
    const std::int64_t outer = from.shape().slice(0, axis).num_elements();
    const std::int64_t inner = from.shape().slice(axis + 1, from.rank()).num_elements();
    const std::int64_t old_size = from.dim(axis);
    const std::int64_t size = to.dim(axis);
    ctx.parallel_for(
        outer, static_cast<double>(old_size * inner), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t o = begin; o < end; ++o) {
            const T* source = from.data<T>() + o * old_size * inner;
            T* target = to.mutable_data<T>() + o * size * inner;
            std::copy_n(source + border.before * inner, size * inner, target);
            const auto add = [&](std::int64_t row, std::int64_t source_row) {
              const T* x = source + source_row * inner;
              for (std::int64_t i = 0; i < inner; ++i)
                target[row * inner + i] = AddUpdate::apply(target[row * inner + i], x[i]);
            };
            for (std::int64_t k = 0; k < border.before; ++k) add(k + edge_, border.before - 1 - k);
            for (std::int64_t k = 0; k < border.after; ++k)
              add(size - 1 - edge_ - k, border.before + size + k);
          }
        });
  }

  std::int64_t edge_;
};

constexpr OpDef kOps[] = {
    {.name = "MirrorPad",
     .inputs = "input: T, paddings: Tpaddings",
     .outputs = "output: T",
     .attrs = "T: type; Tpaddings: {int32, int64} = int32; mode: {'REFLECT', 'SYMMETRIC'}",
     .shape = mirror_pad_shape,
     .kernel = make_kernel<MirrorPadKernel>},
    {.name = "MirrorPadGrad",
     .inputs = "input: T, paddings: Tpaddings",
     .outputs = "output: T",
     .attrs = "T: type; Tpaddings: {int32, int64} = int32; mode: {'REFLECT', 'SYMMETRIC'}",
     .shape = mirror_pad_grad_shape,
     .kernel = make_kernel<MirrorPadGradKernel>},
};

}  // namespace

OpFamily array_mirror_pad_ops() { return kOps; }

}  // namespace hub
