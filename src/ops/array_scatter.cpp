// Ops that write elements or slices to given places of a new tensor.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/update_functions.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using ScatterIndices = TypeList<std::int32_t, std::int64_t, std::int16_t, std::uint16_t>;

[[noreturn]] void bad_updates(std::string_view op, const PartialShape& target,
                              const PartialShape& indices, const PartialShape& updates) {
  throw invalid_argument(
      op,
      ": updates must have the shape indices.shape[:-1] + target.shape[indices.shape[-1]:]."
      " Details: target ",
      target, ", indices ", indices, ", updates ", updates, ".");
}

// Refuses shapes that cannot fit, as far as they are known.
void check_scatter(std::string_view op, const PartialShape& target, const PartialShape& indices,
                   const PartialShape& updates) {
  if (!target.has_rank() || !indices.has_rank() || !updates.has_rank() || indices.rank() == 0 ||
      updates.rank() == 0)
    return;
  const int outer = indices.rank() - 1;
  const std::int64_t depth = indices.dim(outer);
  if (depth < 0) return;
  if (depth > target.rank() || updates.rank() != outer + target.rank() - depth) {
    bad_updates(op, target, indices, updates);
  }
  const PartialShape expected = concatenate(
      sub_shape(indices, 0, outer), sub_shape(target, static_cast<int>(depth), target.rank()));
  if (!expected.is_compatible_with(updates)) bad_updates(op, target, indices, updates);
}

Shapes scatter_nd_shape(ShapeContext& c) {
  const PartialShape indices = c.at_least_rank(0, 1);
  const PartialShape updates = c.at_least_rank(1, 1);
  PartialShape target = c.input_as_shape(2);
  check_scatter("ScatterNd", target, indices, updates);
  return {std::move(target)};
}

Shapes tensor_scatter_shape(ShapeContext& c) {
  const PartialShape target = c.input(0);
  check_scatter(c.node().op_name, target, c.at_least_rank(1, 1), c.input(2));
  return {target};
}

struct ScatterPlan {
  std::int64_t count = 0;  // of slices
  std::int64_t slice = 0;  // elements of one
  int depth = 0;
};

ScatterPlan plan_scatter(std::string_view op, const Shape& target, const Shape& indices,
                         const Shape& updates) {
  if (indices.rank() == 0 || updates.rank() == 0) {
    throw invalid_argument(op, ": indices and updates must have rank >= 1. Details: indices ",
                           indices, ", updates ", updates, ".");
  }
  const bool nothing = indices.num_elements() == 0 && updates.num_elements() == 0;
  const bool everything =
      indices.num_elements() > 0 && updates.num_elements() > 0 && target.num_elements() > 0;
  if (!nothing && !everything) {
    throw invalid_argument(
        op,
        ": there are indices or updates for an empty result, or only one of them. Details: target ",
        target, ", indices ", indices, ", updates ", updates, ".");
  }
  check_scatter(op, target, indices, updates);
  const int outer = indices.rank() - 1;
  const auto depth = static_cast<int>(indices.dim(outer));
  if (depth == 0 && target.num_elements() > 0) {
    throw invalid_argument(op, ": an index must have at least one coordinate. Details: indices ",
                           indices, ".");
  }
  ScatterPlan plan;
  plan.count = indices.slice(0, outer).num_elements();
  plan.depth = depth;
  plan.slice = target.slice(depth, target.rank()).num_elements();
  return plan;
}

// Which slice of the target each update goes to.
std::vector<std::int64_t> target_slices(std::string_view op, const ScatterPlan& plan,
                                        const Shape& target, const Tensor& indices) {
  std::vector<std::int64_t> slices(static_cast<std::size_t>(plan.count));
  dispatch(ScatterIndices{}, indices.dtype(), [&]<class Index>() {
    const Index* index = indices.data<Index>();
    for (std::int64_t i = 0; i < plan.count; ++i) {
      std::int64_t slice = 0;
      for (int axis = 0; axis < plan.depth; ++axis, ++index) {
        const auto position = static_cast<std::int64_t>(*index);
        if (position < 0 || position >= target.dim(axis)) {
          throw invalid_argument(op, ": indices must lie in the target. Details: index ", i, " is ",
                                 position, " for axis ", axis, " of ", target, ".");
        }
        slice = slice * target.dim(axis) + position;
      }
      slices[static_cast<std::size_t>(i)] = slice;
    }
  });
  return slices;
}

// One after the other, in order: a place may be there twice.
template <class Update, class T>
void update_slices(const std::vector<std::int64_t>& slices, std::int64_t size, const T* updates,
                   T* target) {
  for (const std::int64_t slice : slices) {
    T* to = target + slice * size;
    for (std::int64_t i = 0; i < size; ++i) to[i] = Update::apply(to[i], updates[i]);
    updates += size;
  }
}

enum class ScatterKind { kReplace, kAdd, kSub, kMin, kMax };

void scatter_into(KernelContext& ctx, ScatterKind kind, const Tensor& indices,
                  const Tensor& updates, Tensor& target) {
  const std::string& op = ctx.node().op_name;
  const ScatterPlan plan = plan_scatter(op, target.shape(), indices.shape(), updates.shape());
  if (updates.num_elements() == 0) return;
  const std::vector<std::int64_t> slices = target_slices(op, plan, target.shape(), indices);
  if (kind == ScatterKind::kReplace) {
    for (std::size_t i = 0; i < slices.size(); ++i) {
      copy_elements(target.dtype(), element_at(updates, static_cast<std::int64_t>(i) * plan.slice),
                    element_at(target, slices[i] * plan.slice), plan.slice);
    }
    return;
  }
  const auto run = [&]<class Update, class T>(Update) {
    update_slices<Update>(slices, plan.slice, updates.data<T>(), target.mutable_data<T>());
  };
  if (kind == ScatterKind::kAdd) {
    using Addable = Join<PlainTypes, TypeList<std::string>>;
    dispatch(Addable{}, target.dtype(),
             [&]<class T>() { run.template operator()<AddUpdate, T>({}); });
  } else if (kind == ScatterKind::kSub) {
    dispatch(Numbers{}, target.dtype(),
             [&]<class T>() { run.template operator()<SubUpdate, T>({}); });
  } else if (kind == ScatterKind::kMin) {
    dispatch(RealNumbers{}, target.dtype(),
             [&]<class T>() { run.template operator()<MinUpdate, T>({}); });
  } else {
    dispatch(RealNumbers{}, target.dtype(),
             [&]<class T>() { run.template operator()<MaxUpdate, T>({}); });
  }
}

void compute_scatter_nd(KernelContext& ctx) {
  if (ctx.input(2).rank() != 1) {
    throw invalid_argument("ScatterNd: the shape must be a vector. Details: its shape is ",
                           ctx.input(2).shape(), ".");
  }
  std::vector<std::int64_t> dims(static_cast<std::size_t>(ctx.input(2).num_elements()));
  for (std::size_t i = 0; i < dims.size(); ++i)
    dims[i] = integer_at(ctx.input(2), static_cast<std::int64_t>(i));
  const Shape shape(dims);
  plan_scatter("ScatterNd", shape, ctx.input(0).shape(),
               ctx.input(1).shape());  // before memory is taken
  Tensor& result = ctx.output(0, shape);
  zero_tensor(ctx, result);
  scatter_into(ctx, ScatterKind::kAdd, ctx.input(0), ctx.input(1), result);
}

// The first input's elements, in its memory where nobody else needs it.
template <ScatterKind kKind>
void compute_tensor_scatter(KernelContext& ctx) {
  const Tensor indices = ctx.input(1);
  const Tensor updates = ctx.input(2);
  const Shape shape = ctx.input(0).shape();
  plan_scatter(ctx.node().op_name, shape, indices.shape(), updates.shape());
  Tensor& result = ctx.output_in_place(0, 0, shape);
  if (!result.shares_buffer_with(ctx.input(0))) copy_tensor(ctx, ctx.input(0), result);
  scatter_into(ctx, kKind, indices, updates, result);
}

constexpr OpDef kOps[] = {
    {.name = "ScatterNd",
     .inputs = "indices: Tindices, updates: T, shape: Tindices",
     .outputs = "output: T",
     .attrs = "T: type; Tindices: {int16, int32, int64}",
     .shape = scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd>},
    {.name = "TensorScatterUpdate",
     .inputs = "tensor: T, indices: Tindices, updates: T",
     .outputs = "output: T",
     .attrs = "T: type; Tindices: {int16, int32, int64, uint16}",
     .shape = tensor_scatter_shape,
     .kernel = kernel_function<compute_tensor_scatter<ScatterKind::kReplace>>},
    {.name = "TensorScatterAdd",
     .inputs = "tensor: T, indices: Tindices, updates: T",
     .outputs = "output: T",
     .attrs = "T: type; Tindices: {int32, int64}",
     .shape = tensor_scatter_shape,
     .kernel = kernel_function<compute_tensor_scatter<ScatterKind::kAdd>>},
    {.name = "TensorScatterSub",
     .inputs = "tensor: T, indices: Tindices, updates: T",
     .outputs = "output: T",
     .attrs = "T: type; Tindices: {int32, int64}",
     .shape = tensor_scatter_shape,
     .kernel = kernel_function<compute_tensor_scatter<ScatterKind::kSub>>},
    {.name = "TensorScatterMin",
     .inputs = "tensor: T, indices: Tindices, updates: T",
     .outputs = "output: T",
     .attrs = "T: type; Tindices: {int32, int64}",
     .shape = tensor_scatter_shape,
     .kernel = kernel_function<compute_tensor_scatter<ScatterKind::kMin>>},
    {.name = "TensorScatterMax",
     .inputs = "tensor: T, indices: Tindices, updates: T",
     .outputs = "output: T",
     .attrs = "T: type; Tindices: {int32, int64}",
     .shape = tensor_scatter_shape,
     .kernel = kernel_function<compute_tensor_scatter<ScatterKind::kMax>>},
    {.name = "ScatterNdNonAliasingAdd",
     .inputs = "input: T, indices: Tindices, updates: T",
     .outputs = "output: T",
     .attrs = "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, "
              "qint32, bfloat16, qint16, quint16, uint16, complex128, half, uint32, uint64, "
              "bool}; Tindices: {int32, int64}",
     .shape = tensor_scatter_shape,
     .kernel = kernel_function<compute_tensor_scatter<ScatterKind::kAdd>>},
};

}  // namespace

OpFamily array_scatter_ops() { return kOps; }

}  // namespace hub
