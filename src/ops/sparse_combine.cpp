// Sparse tensors cut and put together: concatenation, slices, splits.

#include <limits>
#include <numeric>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"

namespace hub {
namespace {

class SparseConcatKernel final : public Kernel {
 public:
  explicit SparseConcatKernel(const KernelInit& init)
      : concat_dim_(init.attr<std::int64_t>("concat_dim")), count_(init.num_inputs() / 3) {}

  void compute(KernelContext& context) const override {
    std::vector<SparseInput> parts;
    std::int64_t total = 0;
    for (int i = 0; i < count_; ++i) {
      parts.push_back(sparse_input(context, i, count_ + i, 2 * count_ + i, ""));
      total += parts.back().count;
    }
    const auto rank = static_cast<int>(parts[0].rank);
    const int axis = checked_axis(concat_dim_, rank, "SparseConcat");
    const std::vector<std::int64_t> shape = joined_shape(parts, axis);

    Tensor indices = context.temporary(DType::kInt64, Shape{total, rank});
    Tensor values = context.temporary(context.output_dtype(1), Shape{total});
    shift_entries(parts, axis, indices, values);
    std::vector<std::int64_t> axes(static_cast<std::size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
    const std::int64_t* index = indices.data<std::int64_t>();
    const std::vector<std::int64_t> order = sorted_entries(index, total, rank, axes);
    std::int64_t* to = context.output(0, Shape{total, rank}).mutable_data<std::int64_t>();
    for (const std::int64_t entry : order) to = std::copy_n(index + entry * rank, rank, to);
    gather_values(values, order, context.output(1, Shape{total}));
    output_vector(context, 2, shape);
  }

 private:
  static std::vector<std::int64_t> joined_shape(const std::vector<SparseInput>& parts, int axis) {
    std::vector<std::int64_t> shape(parts[0].shape.begin(), parts[0].shape.end());
    for (std::size_t i = 1; i < parts.size(); ++i) {
      if (parts[i].rank != parts[0].rank) {
        throw invalid_argument("SparseConcat: all shapes must have one rank. Details: ",
                               parts[0].rank, " and ", parts[i].rank, ".");
      }
      for (std::size_t k = 0; k < shape.size(); ++k) {
        if (static_cast<int>(k) == axis) {
          shape[k] = add_or_throw(shape[k], parts[i].shape[k], "SparseConcat: the result's shape");
        } else if (shape[k] != parts[i].shape[k]) {
          throw invalid_argument(
              "SparseConcat: shapes must agree along other axes than concat_dim. Details: axis ", k,
              ", ", shape[k], " and ", parts[i].shape[k], ".");
        }
      }
    }
    return shape;
  }

  // All entries, each part's moved to its place along `axis`.
  static void shift_entries(const std::vector<SparseInput>& parts, int axis, Tensor& indices,
                            Tensor& values) {
    std::int64_t first = 0;
    std::int64_t offset = 0;
    for (const SparseInput& part : parts) {
      std::int64_t* to = indices.mutable_data<std::int64_t>() + first * part.rank;
      std::copy_n(part.index, part.count * part.rank, to);
      for (std::int64_t i = 0; i < part.count; ++i) {
        std::int64_t& index = to[i * part.rank + axis];
        index = add_or_throw(index, offset, "SparseConcat: an index");
      }
      std::vector<std::int64_t> all(static_cast<std::size_t>(part.count));
      std::iota(all.begin(), all.end(), 0);
      gather_values(*part.values, all, values, first);
      first += part.count;
      offset += part.shape[static_cast<std::size_t>(axis)];
    }
  }

  std::int64_t concat_dim_;
  int count_;
};

Shapes sparse_concat_shape(ShapeContext& c) {
  const int count = c.num_inputs() / 3;
  std::int64_t entries = 0;
  PartialShape shape;
  for (int i = 0; i < count; ++i) {
    const PartialShape indices = c.with_rank(i, 2);
    const PartialShape values = c.with_rank(count + i, 1);
    shape = shape.merge_with(c.with_rank(2 * count + i, 1));
    const std::int64_t rows = merge_dims(indices.dim(0), values.dim(0),
                                         "SparseConcat: the numbers of indices and values");
    shape = shape.merge_with(PartialShape{indices.dim(1)});
    entries = rows < 0 || entries < 0 ? -1 : entries + rows;
  }
  return {PartialShape{entries, shape.dim(0)}, PartialShape{entries}, shape};
}

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

void sparse_slice(KernelContext& context) {
  const SparseInput sparse = sparse_input(context, 0, 1, 2, "");
  check_rank(context, 3, 1, "start");
  check_rank(context, 4, 1, "size");
  check_sizes(context, context.input(3).dim(0), sparse.rank, "the sizes of start and shape");
  check_sizes(context, context.input(4).dim(0), sparse.rank, "the sizes of size and shape");
  const std::int64_t* start = context.input(3).data<std::int64_t>();
  const std::int64_t* size = context.input(4).data<std::int64_t>();
  std::vector<std::int64_t> shape(static_cast<std::size_t>(sparse.rank), 0);
  std::vector<std::int64_t> end(shape.size());
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (size[k] < 0) {
      throw invalid_argument("SparseSlice: a size must not be negative. Details: size[", k,
                             "] = ", size[k], ".");
    }
    // TensorFlow takes a negative start as it is: the slice then begins before the tensor.
    std::int64_t left = 0;
    if (__builtin_sub_overflow(sparse.shape[k], start[k], &left)) left = kMax;
    shape[k] = std::max<std::int64_t>(std::min(size[k], left), 0);
    end[k] = checked_add(start[k], size[k]).value_or(kMax);
  }
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < sparse.count; ++i) {
    const auto index = sparse.coordinates(i);
    bool inside = true;
    for (std::size_t k = 0; k < shape.size(); ++k) {
      inside = inside && index[k] >= start[k] && index[k] < end[k];
    }
    if (inside) kept.push_back(i);
  }
  const auto count = static_cast<std::int64_t>(kept.size());
  std::int64_t* to = context.output(0, Shape{count, sparse.rank}).mutable_data<std::int64_t>();
  for (const std::int64_t entry : kept) {
    const auto index = sparse.coordinates(entry);
    for (std::size_t k = 0; k < shape.size(); ++k) *to++ = index[k] - start[k];
  }
  gather_values(*sparse.values, kept, context.output(1, Shape{count}));
  output_vector(context, 2, shape);
}

Shapes sparse_slice_shape(ShapeContext& c) {
  const PartialShape indices = c.with_rank(0, 2);
  c.with_rank(1, 1);
  PartialShape shape = c.with_rank(2, 1);
  shape = shape.merge_with(c.with_rank(3, 1)).merge_with(c.with_rank(4, 1));
  shape = shape.merge_with(PartialShape{indices.dim(1)});
  return {PartialShape{-1, shape.dim(0)}, PartialShape{-1}, shape};
}

// The first `residue` parts have one row more.
struct SplitPlan {
  std::int64_t size;
  std::int64_t residue;
  std::int64_t part_of(std::int64_t row) const {
    const std::int64_t larger = residue * (size + 1);
    return row < larger ? row / (size + 1) : residue + (row - larger) / size;
  }
  std::int64_t begin_of(std::int64_t part) const { return part * size + std::min(part, residue); }
};

class SparseSplitKernel final : public Kernel {
 public:
  explicit SparseSplitKernel(const KernelInit& init)
      : num_split_(init.attr<std::int64_t>("num_split")) {}

  void compute(KernelContext& context) const override {
    const std::int64_t split_dim = integer_scalar(context, 0, "split_dim");
    const SparseInput sparse = sparse_input(context, 1, 2, 3, "");
    const auto axis = static_cast<std::size_t>(
        checked_axis(split_dim, static_cast<int>(sparse.rank), "SparseSplit"));
    const std::int64_t rows = sparse.shape[axis];
    if (num_split_ > rows) {
      throw invalid_argument(
          "SparseSplit: num_split may not be above the size of the axis. Details: ", num_split_,
          " parts of ", rows, " rows.");
    }
    const SplitPlan plan{rows / num_split_, rows % num_split_};
    std::vector<std::vector<std::int64_t>> entries(static_cast<std::size_t>(num_split_));
    for (std::int64_t i = 0; i < sparse.count; ++i) {
      check_index(context, sparse, i);
      entries[static_cast<std::size_t>(plan.part_of(sparse.coordinates(i)[axis]))].push_back(i);
    }
    for (std::int64_t part = 0; part < num_split_; ++part) {
      const auto& kept = entries[static_cast<std::size_t>(part)];
      const auto count = static_cast<std::int64_t>(kept.size());
      const auto output = static_cast<int>(part);
      const auto splits = static_cast<int>(num_split_);
      std::int64_t* to =
          context.output(output, Shape{count, sparse.rank}).mutable_data<std::int64_t>();
      for (const std::int64_t entry : kept) {
        std::ranges::copy(sparse.coordinates(entry), to);
        to[axis] -= plan.begin_of(part);
        to += sparse.rank;
      }
      gather_values(*sparse.values, kept, context.output(splits + output, Shape{count}));
      std::vector<std::int64_t> shape(sparse.shape.begin(), sparse.shape.end());
      shape[axis] = plan.begin_of(part + 1) - plan.begin_of(part);
      output_vector(context, 2 * splits + output, shape);
    }
  }

 private:
  std::int64_t num_split_;
};

Shapes sparse_split_shape(ShapeContext& c) {
  const PartialShape shape = c.input(3);
  const std::int64_t rank = shape.has_rank() && shape.rank() == 1 ? shape.dim(0) : -1;
  const auto count = static_cast<std::size_t>(c.num_outputs() / 3);
  Shapes shapes(count, PartialShape{-1, rank});
  shapes.insert(shapes.end(), count, PartialShape{-1});
  shapes.insert(shapes.end(), count, PartialShape{rank});
  return shapes;
}

constexpr OpDef kOps[] = {
    {.name = "SparseConcat",
     .inputs = "indices: N * int64, values: N * T, shapes: N * int64",
     .outputs = "output_indices: int64, output_values: T, output_shape: int64",
     .attrs = "concat_dim: int; N: int >= 2; T: type",
     .shape = sparse_concat_shape,
     .kernel = make_kernel<SparseConcatKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "SparseSlice",
     .inputs = "indices: int64, values: T, shape: int64, start: int64, size: int64",
     .outputs = "output_indices: int64, output_values: T, output_shape: int64",
     .attrs = "T: type",
     .shape = sparse_slice_shape,
     .kernel = kernel_function<sparse_slice>},
    {.name = "SparseSplit",
     .inputs = "split_dim: int64, indices: int64, values: T, shape: int64",
     .outputs = "output_indices: num_split * int64, output_values: num_split * T, "
                "output_shape: num_split * int64",
     .attrs = "num_split: int >= 1; T: type",
     .shape = sparse_split_shape,
     .kernel = make_kernel<SparseSplitKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_combine_ops() { return kOps; }

}  // namespace hub
