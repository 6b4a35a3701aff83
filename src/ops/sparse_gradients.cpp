// What gradients of sparse sums and slices are made of: values led back to their places.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"

namespace hub {
namespace {

// The indices of a sparse tensor alone, [count, rank].
class Indices {
 public:
  Indices(const KernelContext& context, int input, std::string_view what) {
    check_rank(context, input, 2, what);
    data_ = context.input(input).data<std::int64_t>();
    count_ = context.input(input).dim(0);
    rank_ = context.input(input).dim(1);
  }
  std::int64_t count() const { return count_; }
  std::int64_t rank() const { return rank_; }
  std::span<const std::int64_t> operator[](std::int64_t i) const {
    return {data_ + i * rank_, static_cast<std::size_t>(rank_)};
  }

 private:
  const std::int64_t* data_;
  std::int64_t count_;
  std::int64_t rank_;
};

// Sets output `i`: for each index of an operand, in order, the sum's gradient there; 0 where
// the sum left it out.
void lead_back(KernelContext& context, int i, const Indices& operand, const Indices& sum) {
  const Tensor& gradient = context.input(0);
  Tensor& result = context.output(i, Shape{operand.count()});
  zero_tensor(context, result);
  std::int64_t k = 0;
  for (std::int64_t entry = 0; entry < operand.count(); ++entry) {
    while (k < sum.count() && std::ranges::lexicographical_compare(sum[k], operand[entry])) ++k;
    if (k == sum.count()) return;
    if (!std::ranges::equal(sum[k], operand[entry])) continue;
    copy_elements(gradient.dtype(), element_at(gradient, k), element_at(result, entry), 1);
  }
}

void add_gradient(KernelContext& context) {
  check_rank(context, 0, 1, "backprop_val_grad");
  const Indices a(context, 1, "a_indices");
  const Indices b(context, 2, "b_indices");
  const Indices sum(context, 3, "sum_indices");
  check_sizes(context, a.rank(), b.rank(), "the ranks of the operands");
  check_sizes(context, a.rank(), sum.rank(), "the ranks of the operands and the sum");
  check_sizes(context, context.input(0).dim(0), sum.count(),
              "the numbers of gradients and of the sum's indices");
  lead_back(context, 0, a, sum);
  lead_back(context, 1, b, sum);
}

void slice_gradient(KernelContext& context) {
  check_rank(context, 0, 1, "backprop_val_grad");
  check_rank(context, 2, 1, "input_start");
  const Tensor& gradient = context.input(0);
  const Indices input(context, 1, "input_indices");
  const Indices output(context, 3, "output_indices");
  const auto start = context.input(2).values<std::int64_t>();
  check_sizes(context, input.rank(), output.rank(), "the ranks of input and output");
  check_sizes(context, input.rank(), context.input(2).dim(0), "the rank and the start's size");
  check_sizes(context, gradient.dim(0), output.count(),
              "the numbers of gradients and of output indices");
  Tensor& result = context.output(0, Shape{input.count()});
  zero_tensor(context, result);
  const auto is_moved = [&](std::int64_t from, std::int64_t to) {
    for (std::size_t axis = 0; axis < start.size(); ++axis) {
      std::int64_t place = 0;
      if (__builtin_sub_overflow(input[from][axis], start[axis], &place)) return false;
      if (place != output[to][axis]) return false;
    }
    return true;
  };
  std::int64_t used = 0;
  for (std::int64_t entry = 0; entry < input.count() && used < output.count(); ++entry) {
    if (!is_moved(entry, used)) continue;
    copy_elements(gradient.dtype(), element_at(gradient, used), element_at(result, entry), 1);
    ++used;
  }
  if (used != output.count()) {
    throw internal_error(
        "SparseSliceGrad: every output index must be one of the input's, in order. Details: ", used,
        " of ", output.count(), " are.");
  }
}

Shapes add_gradient_shape(ShapeContext& c) {
  const PartialShape a = c.with_rank(1, 2);
  const PartialShape b = c.with_rank(2, 2);
  return {PartialShape{a.dim(0)}, PartialShape{b.dim(0)}};
}

Shapes slice_gradient_shape(ShapeContext& c) { return {PartialShape{c.with_rank(1, 2).dim(0)}}; }

constexpr OpDef kOps[] = {
    {.name = "SparseAddGrad",
     .inputs = "backprop_val_grad: T, a_indices: int64, b_indices: int64, sum_indices: int64",
     .outputs = "a_val_grad: T, b_val_grad: T",
     .attrs = "T: numbertype",
     .shape = add_gradient_shape,
     .kernel = kernel_function<add_gradient>,
     .differentiable = Differentiable::kNone},
    {.name = "SparseSliceGrad",
     .inputs = "backprop_val_grad: T, input_indices: int64, input_start: int64, "
               "output_indices: int64",
     .outputs = "val_grad: T",
     .attrs = "T: numbertype",
     .shape = slice_gradient_shape,
     .kernel = kernel_function<slice_gradient>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_gradient_ops() { return kOps; }

}  // namespace hub
