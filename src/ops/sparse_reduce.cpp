// Reductions of sparse tensors. A row without entries gives 0, also as a maximum.

#include <complex>
#include <type_traits>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"
#include "ops/wide.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

// Which axes stay, and the entries sorted by their coordinates along them.
struct Groups {
  std::vector<std::int64_t> kept_axes;
  std::vector<std::int64_t> shape;  // of the result
  std::vector<std::int64_t> order;
  std::vector<std::size_t> begins;  // in `order`; one more at the end
};

std::vector<bool> reduced_axes(const KernelContext& context, std::int64_t rank) {
  const Tensor& axes = context.input(3);
  std::vector<bool> reduced(static_cast<std::size_t>(rank), false);
  for (const std::int32_t axis : axes.values<std::int32_t>()) {
    const int place = checked_axis(axis, static_cast<int>(rank), context.node().op_name);
    reduced[static_cast<std::size_t>(place)] = true;
  }
  return reduced;
}

Groups grouped(const KernelContext& context, const SparseInput& sparse, bool keep_dims) {
  const std::vector<bool> reduced = reduced_axes(context, sparse.rank);
  Groups groups;
  std::vector<std::int64_t> sort_axes;
  std::vector<std::int64_t> others;
  for (std::size_t k = 0; k < reduced.size(); ++k) {
    (reduced[k] ? others : groups.kept_axes).push_back(static_cast<std::int64_t>(k));
    if (!reduced[k] || keep_dims) groups.shape.push_back(reduced[k] ? 1 : sparse.shape[k]);
  }
  sort_axes = groups.kept_axes;
  sort_axes.insert(sort_axes.end(), others.begin(), others.end());
  groups.order = sorted_entries(sparse.index, sparse.count, sparse.rank, sort_axes);
  for (std::size_t i = 0; i < groups.order.size(); ++i) {
    const auto differs = [&](std::int64_t axis) {
      const auto k = static_cast<std::size_t>(axis);
      return sparse.coordinates(groups.order[i])[k] != sparse.coordinates(groups.order[i - 1])[k];
    };
    if (i == 0 || std::ranges::any_of(groups.kept_axes, differs)) groups.begins.push_back(i);
  }
  groups.begins.push_back(groups.order.size());
  return groups;
}

template <bool kMaximum, class T>
T reduced_value(const T* values, std::span<const std::int64_t> entries) {
  using W = Wide<T>;
  auto result = static_cast<W>(values[entries[0]]);
  for (const std::int64_t entry : entries.subspan(1)) {
    const auto value = static_cast<W>(values[entry]);
    if constexpr (kMaximum) {
      result = result < value ? value : result;
    } else {
      result = wrapping_add(result, value);
    }
  }
  return T(result);
}

template <bool kMaximum>
void reduce_groups(const SparseInput& sparse, const Groups& groups, Tensor& result,
                   const std::vector<std::int64_t>& places) {
  using Types = std::conditional_t<kMaximum, RealNumbers, WrappingNumbers>;
  const DType dtype = kMaximum ? result.dtype() : wrapping_dtype(result.dtype());
  dispatch(Types{}, dtype, [&]<class T>() {
    const T* values = elements_as<T>(*sparse.values);
    T* to = mutable_elements_as<T>(result);
    std::fill_n(to, result.num_elements(), T{});
    for (std::size_t g = 0; g + 1 < groups.begins.size(); ++g) {
      const std::size_t begin = groups.begins[g];
      const auto entries = std::span(groups.order).subspan(begin, groups.begins[g + 1] - begin);
      to[places[g]] = reduced_value<kMaximum>(values, entries);
    }
  });
}

template <bool kMaximum>
class SparseReduceKernel final : public Kernel {
 public:
  explicit SparseReduceKernel(const KernelInit& init) : keep_dims_(init.attr<bool>("keep_dims")) {}

  void compute(KernelContext& context) const override {
    const SparseInput sparse = sparse_input(context, 0, 1, 2, "input_");
    const Groups groups = grouped(context, sparse, keep_dims_);
    Tensor& result = context.output(0, Shape(groups.shape));
    std::vector<std::int64_t> places;
    for (std::size_t g = 0; g + 1 < groups.begins.size(); ++g) {
      const auto index = sparse.coordinates(groups.order[groups.begins[g]]);
      std::int64_t place = 0;
      for (const std::int64_t axis : groups.kept_axes) {
        const auto k = static_cast<std::size_t>(axis);
        if (index[k] < 0 || index[k] >= sparse.shape[k]) {
          throw internal_error(context.node().op_name,
                               ": an index is out of bounds. Details: ", index[k], " along axis ",
                               k, " is not in [0, ", sparse.shape[k], ").");
        }
        place = place * sparse.shape[k] + index[k];
      }
      places.push_back(place);
    }
    reduce_groups<kMaximum>(sparse, groups, result, places);
  }

 private:
  bool keep_dims_;
};

template <bool kMaximum>
class SparseReduceSparseKernel final : public Kernel {
 public:
  explicit SparseReduceSparseKernel(const KernelInit& init)
      : keep_dims_(init.attr<bool>("keep_dims")) {}

  void compute(KernelContext& context) const override {
    const SparseInput sparse = sparse_input(context, 0, 1, 2, "input_");
    const Groups groups = grouped(context, sparse, keep_dims_);
    const auto count = static_cast<std::int64_t>(groups.begins.size()) - 1;
    const auto rank = static_cast<std::int64_t>(groups.shape.size());
    std::int64_t* to = context.output(0, Shape{count, rank}).mutable_data<std::int64_t>();
    std::fill_n(to, count * rank, 0);
    std::vector<std::int64_t> places(static_cast<std::size_t>(count));
    for (std::size_t g = 0; g < places.size(); ++g) {
      places[g] = static_cast<std::int64_t>(g);
      const auto index = sparse.coordinates(groups.order[groups.begins[g]]);
      std::int64_t column = 0;
      for (const std::int64_t axis : groups.kept_axes) {
        to[keep_dims_ ? axis : column++] = index[static_cast<std::size_t>(axis)];
      }
      to += rank;
    }
    reduce_groups<kMaximum>(sparse, groups, context.output(1, Shape{count}), places);
    output_vector(context, 2, groups.shape);
  }

 private:
  bool keep_dims_;
};

Shapes sparse_reduce_shape(ShapeContext& c) {
  const PartialShape shape = c.input_as_shape(2);
  const Tensor* axes = c.input_value(3);
  if (!shape.has_rank()) return {PartialShape()};
  const bool keep_dims = c.attr<bool>("keep_dims");
  if (axes == nullptr)
    return {keep_dims ? PartialShape::unknown_dims(shape.rank()) : PartialShape()};
  std::vector<bool> reduced(static_cast<std::size_t>(shape.rank()), false);
  for (const std::int32_t axis : axes->values<std::int32_t>()) {
    reduced[static_cast<std::size_t>(normalized_axis(axis, shape.rank()))] = true;
  }
  std::vector<std::int64_t> dims;
  for (int k = 0; k < shape.rank(); ++k) {
    const bool gone = reduced[static_cast<std::size_t>(k)];
    if (!gone || keep_dims) dims.push_back(gone ? 1 : shape.dim(k));
  }
  return {PartialShape(dims)};
}

constexpr OpDef kOps[] = {
    {.name = "SparseReduceSum",
     .inputs = "input_indices: int64, input_values: T, input_shape: int64, reduction_axes: int32",
     .outputs = "output: T",
     .attrs = "keep_dims: bool = false; T: numbertype",
     .shape = sparse_reduce_shape,
     .kernel = make_kernel<SparseReduceKernel<false>>},
    {.name = "SparseReduceMax",
     .inputs = "input_indices: int64, input_values: T, input_shape: int64, reduction_axes: int32",
     .outputs = "output: T",
     .attrs = "keep_dims: bool = false; T: realnumbertype",
     .shape = sparse_reduce_shape,
     .kernel = make_kernel<SparseReduceKernel<true>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseReduceSumSparse",
     .inputs = "input_indices: int64, input_values: T, input_shape: int64, reduction_axes: int32",
     .outputs = "output_indices: int64, output_values: T, output_shape: int64",
     .attrs = "keep_dims: bool = false; T: numbertype",
     .shape = unknown_shape,
     .kernel = make_kernel<SparseReduceSparseKernel<false>>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_reduce_ops() { return kOps; }

}  // namespace hub
