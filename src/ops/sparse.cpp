// Sparse tensors in coordinate form: indices [n, rank], values [n], dense shape [rank].
// Here: dense and back, rows that are empty, reshaping, reordering.

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// Elements of any dtype, by their size or object type: they are only moved about.
template <class T>
const T* elements(const Tensor& tensor) {
  return static_cast<const T*>(tensor.raw_data());
}
template <class T>
T* elements(Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_raw_data());
}

std::int64_t index_at(const Tensor& indices, std::int64_t i) {
  return indices.dtype() == DType::kInt32 ? indices.data<std::int32_t>()[i]
                                          : indices.data<std::int64_t>()[i];
}

struct ToDense {
  std::int64_t count = 0;  // of indices
  std::int64_t depth = 0;  // coordinates of each
  Shape shape;
};

ToDense checked_to_dense(const KernelContext& context) {
  const Tensor& indices = context.input(0);
  if (indices.rank() > 2) {
    throw invalid_argument(
        "SparseToDense: sparse_indices must be a scalar, vector or matrix. Details: its shape is ",
        indices.shape(), ".");
  }
  check_rank(context, 1, 1, "output_shape");
  ToDense dense;
  dense.count = indices.rank() > 0 ? indices.dim(0) : 1;
  dense.depth = indices.rank() > 1 ? indices.dim(1) : 1;
  dense.shape = shape_input(context, 1, "output_shape");
  check_sizes(context, dense.depth, dense.shape.rank(),
              "the coordinates of an index and the rank of output_shape");
  const Tensor& values = context.input(2);
  const bool splat = values.rank() == 0;
  if (!splat && !(values.rank() == 1 && values.dim(0) == dense.count)) {
    throw invalid_argument(
        "SparseToDense: sparse_values must be a scalar, or one for each index. Details: its shape "
        "is ",
        values.shape(), " for ", dense.count, " indices.");
  }
  if (context.input(3).rank() != 0) {
    throw invalid_argument("SparseToDense: default_value must be a scalar. Details: its shape is ",
                           context.input(3).shape(), ".");
  }
  return dense;
}

class SparseToDenseKernel final : public Kernel {
 public:
  explicit SparseToDenseKernel(const KernelInit& init)
      : validate_(init.attr<bool>("validate_indices")) {}

  void compute(KernelContext& context) const override {
    const ToDense dense = checked_to_dense(context);
    const std::vector<std::int64_t> places = find_places(context, dense);
    Tensor& result = context.output(0, dense.shape);
    const Tensor& values = context.input(2);
    const bool splat = values.rank() == 0;
    dispatch_by_size(result.dtype(), [&]<class T>() {
      T* out = elements<T>(result);
      std::fill_n(out, result.num_elements(), *elements<T>(context.input(3)));
      for (std::size_t i = 0; i < places.size(); ++i)
        out[places[i]] = elements<T>(values)[splat ? 0 : i];
    });
  }

 private:
  // Where each index lies in the dense tensor.
  std::vector<std::int64_t> find_places(const KernelContext& context, const ToDense& dense) const {
    const Tensor& indices = context.input(0);
    std::vector<std::int64_t> places(static_cast<std::size_t>(dense.count));
    for (std::int64_t i = 0; i < dense.count; ++i) {
      std::int64_t place = 0;
      for (std::int64_t k = 0; k < dense.depth; ++k) {
        const std::int64_t index = index_at(indices, i * dense.depth + k);
        const std::int64_t size = dense.shape.dim(static_cast<int>(k));
        if (index < 0 || index >= size) {
          throw invalid_argument("SparseToDense: an index is out of bounds. Details: indices[", i,
                                 ",", k, "] = ", index, " is not in [0, ", size, ").");
        }
        place = place * size + index;
      }
      if (validate_ && i > 0 && place <= places[static_cast<std::size_t>(i - 1)]) {
        const bool repeated = place == places[static_cast<std::size_t>(i - 1)];
        throw invalid_argument(
            "SparseToDense: indices must be sorted and not repeated. Details: indices[", i, "] is ",
            repeated ? "repeated." : "out of order.");
      }
      places[static_cast<std::size_t>(i)] = place;
    }
    return places;
  }

  bool validate_;
};

Shapes sparse_to_dense_shape(ShapeContext& c) {
  c.at_most_rank(0, 2);
  c.with_rank(3, 0);
  return {c.input_as_shape(1)};
}

// Groups entries by row and says where each goes; a row without entries gets one.
void fill_empty_rows(KernelContext& context) {
  const Tensor& indices = context.input(0);
  const Tensor& values = context.input(1);
  const Tensor& dense_shape = context.input(2);
  const Tensor& default_value = context.input(3);
  check_rank(context, 0, 2, "indices");
  check_rank(context, 1, 1, "values");
  check_rank(context, 2, 1, "dense_shape");
  check_rank(context, 3, 0, "default_value");
  const std::int64_t count = indices.dim(0);
  const std::int64_t rank = indices.dim(1);
  check_sizes(context, count, values.dim(0), "the numbers of indices and values");
  check_sizes(context, rank, dense_shape.dim(0),
              "the coordinates of an index and the size of dense_shape");
  if (rank == 0)
    throw invalid_argument("SparseFillEmptyRows: dense_shape must have at least one element.");
  const std::int64_t rows = dense_shape.data<std::int64_t>()[0];
  if (rows < 0)
    throw invalid_argument("SparseFillEmptyRows: dense_shape must not be negative. Details: ", rows,
                           " rows.");
  const std::int64_t* index = indices.data<std::int64_t>();

  if (rows == 0) {
    if (count != 0) {
      throw invalid_argument(
          "SparseFillEmptyRows: without rows there can be no entries. Details: dense_shape[0] = 0, "
          "but there are ",
          count, ".");
    }
    context.output(0, Shape{0, rank});
    context.output(1, Shape{0});
    context.output(2, Shape{0});
    context.output(3, Shape{0});
    return;
  }
  Tensor& empty = context.output(2, Shape{rows});
  std::vector<std::int64_t> next(static_cast<std::size_t>(rows),
                                 0);  // entries of each row, then places
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = index[i * rank];
    if (row < 0 || row >= rows) {
      throw invalid_argument("SparseFillEmptyRows: an index is out of bounds. Details: indices[", i,
                             ",0] = ", row, " is not in [0, ", rows, ").");
    }
    ++next[static_cast<std::size_t>(row)];
  }
  std::int64_t total = 0;
  bool* is_empty = empty.mutable_data<bool>();
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t& entries = next[static_cast<std::size_t>(row)];
    is_empty[row] = entries == 0;
    const std::int64_t begin = total;
    total += std::max<std::int64_t>(entries, 1);
    entries = begin;
  }
  Tensor& result_indices = context.output(0, Shape{total, rank});
  Tensor& result_values = context.output(1, Shape{total});
  std::int64_t* out_index = result_indices.mutable_data<std::int64_t>();
  std::int64_t* reverse = context.output(3, Shape{count}).mutable_data<std::int64_t>();
  dispatch_by_size(values.dtype(), [&]<class T>() {
    T* out = elements<T>(result_values);
    for (std::int64_t row = 0; row < rows; ++row) {
      if (!is_empty[row]) continue;
      const std::int64_t place = next[static_cast<std::size_t>(row)];
      std::fill_n(out_index + place * rank, rank, 0);
      out_index[place * rank] = row;
      out[place] = *elements<T>(default_value);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t place = next[static_cast<std::size_t>(index[i * rank])]++;
      std::copy_n(index + i * rank, rank, out_index + place * rank);
      out[place] = elements<T>(values)[i];
      reverse[i] = place;
    }
  });
}

Shapes fill_empty_rows_shape(ShapeContext& c) {
  const PartialShape indices = c.with_rank(0, 2);
  const PartialShape values = c.with_rank(1, 1);
  const PartialShape dense = c.with_rank(2, 1);
  c.with_rank(3, 0);
  const std::int64_t count = merge_dims(indices.dim(0), values.dim(0),
                                        "SparseFillEmptyRows: the numbers of indices and values");
  const std::int64_t rank = merge_dims(indices.dim(1), dense.dim(0),
                                       "SparseFillEmptyRows: the ranks of indices and dense_shape");
  const PartialShape dense_shape = c.input_as_shape(2);
  const std::int64_t rows =
      dense_shape.has_rank() && dense_shape.rank() > 0 ? dense_shape.dim(0) : -1;
  return {PartialShape{-1, rank}, PartialShape{-1}, PartialShape{rows}, PartialShape{count}};
}

void fill_empty_rows_grad(KernelContext& context) {
  const Tensor& reverse = context.input(0);
  const Tensor& grad = context.input(1);
  check_rank(context, 0, 1, "reverse_index_map");
  check_rank(context, 1, 1, "grad_values");
  const std::int64_t count = reverse.dim(0);
  Tensor& d_values = context.output(0, Shape{count});
  Tensor& d_default = context.output(1, Shape{});
  const std::int64_t* place = reverse.data<std::int64_t>();
  dispatch(Join<Numbers, TypeList<bool>>{}, grad.dtype(), [&]<class T>() {
    std::vector<bool> visited(static_cast<std::size_t>(grad.dim(0)), false);
    const T* from = grad.data<T>();
    for (std::int64_t i = 0; i < count; ++i) {
      if (place[i] < 0 || place[i] >= grad.dim(0)) {
        throw invalid_argument(
            "SparseFillEmptyRowsGrad: reverse_index_map is out of bounds. Details: element ", i,
            " = ", place[i], " is not in [0, ", grad.dim(0), ").");
      }
      visited[static_cast<std::size_t>(place[i])] = true;
      d_values.mutable_data<T>()[i] = from[place[i]];
    }
    if constexpr (std::is_same_v<T, bool>) {
      bool sum = false;
      for (std::size_t j = 0; j < visited.size(); ++j) sum |= !visited[j] && from[j];
      *d_default.mutable_data<bool>() = sum;
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      T sum{};
      for (std::size_t j = 0; j < visited.size(); ++j) {
        if (!visited[j]) sum = T(static_cast<float>(sum) + static_cast<float>(from[j]));
      }
      *d_default.mutable_data<T>() = sum;
    } else {
      T sum{};
      for (std::size_t j = 0; j < visited.size(); ++j) {
        if (!visited[j]) sum = static_cast<T>(sum + from[j]);
      }
      *d_default.mutable_data<T>() = sum;
    }
  });
}

Shapes fill_empty_rows_grad_shape(ShapeContext& c) {
  return {c.with_rank(0, 1), PartialShape(Shape())};
}

// The new shape with its -1 replaced by what the size leaves.
Shape resolved_shape(const Shape& old_shape, std::vector<std::int64_t> dims) {
  std::int64_t known = 1;
  int unknown = -1;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == -1) {
      if (unknown >= 0)
        throw invalid_argument("SparseReshape: only one dimension may be -1. Details: [",
                               join(dims, ","), "].");
      unknown = static_cast<int>(i);
    } else if (dims[i] < 0) {
      throw invalid_argument("SparseReshape: a dimension must be >= -1. Details: [",
                             join(dims, ","), "].");
    } else {
      known = mul_or_throw(known, dims[i], "SparseReshape: the new shape");
    }
  }
  if (unknown >= 0) {
    if (known == 0) {
      throw invalid_argument(
          "SparseReshape: a dimension of -1 cannot be found beside one of 0. Details: [",
          join(dims, ","), "].");
    }
    if (old_shape.num_elements() % known != 0) {
      throw invalid_argument("SparseReshape: the size must stay the same. Details: ", old_shape,
                             " to [", join(dims, ","), "].");
    }
    dims[static_cast<std::size_t>(unknown)] = old_shape.num_elements() / known;
  }
  Shape shape(dims);
  if (shape.num_elements() != old_shape.num_elements()) {
    throw invalid_argument("SparseReshape: the size must stay the same. Details: ", old_shape,
                           " to ", shape, ".");
  }
  return shape;
}

void sparse_reshape(KernelContext& context) {
  const Tensor& indices = context.input(0);
  check_rank(context, 0, 2, "input_indices");
  check_rank(context, 1, 1, "input_shape");
  check_rank(context, 2, 1, "new_shape");
  const Shape old_shape = shape_input(context, 1, "input_shape");
  const Shape new_shape = resolved_shape(old_shape, integer_vector(context, 2, "new_shape"));
  check_sizes(context, indices.dim(1), old_shape.rank(),
              "the coordinates of an index and the rank of input_shape");
  const std::int64_t count = indices.dim(0);
  Tensor& result = context.output(0, Shape{count, new_shape.rank()});
  std::ranges::copy(new_shape.dims(),
                    context.output(1, Shape{new_shape.rank()}).mutable_data<std::int64_t>());
  const std::int64_t* from = indices.data<std::int64_t>();
  std::int64_t* to = result.mutable_data<std::int64_t>();
  if (new_shape.num_elements() == 0 && count > 0) {
    throw invalid_argument("SparseReshape: an empty shape can have no entries. Details: ",
                           new_shape, " with ", count, ".");
  }
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t place = 0;
    for (int k = 0; k < old_shape.rank(); ++k) {
      const std::int64_t index = from[i * old_shape.rank() + k];
      if (index < 0 || index >= old_shape.dim(k)) {
        throw invalid_argument("SparseReshape: an index is out of bounds. Details: indices[", i,
                               ",", k, "] = ", index, " is not in [0, ", old_shape.dim(k), ").");
      }
      place = place * old_shape.dim(k) + index;
    }
    for (int k = new_shape.rank() - 1; k >= 0; --k) {
      to[i * new_shape.rank() + k] = place % new_shape.dim(k);
      place /= new_shape.dim(k);
    }
  }
}

Shapes sparse_reshape_shape(ShapeContext& c) {
  const PartialShape indices = c.with_rank(0, 2);
  c.with_rank(1, 1);
  const PartialShape new_shape = c.with_rank(2, 1);
  return {PartialShape{indices.dim(0), new_shape.dim(0)}, new_shape};
}

// Entries in the order of their indices, equal ones as they came. Indices may lie outside of
// the shape.
void sparse_reorder(KernelContext& context) {
  const Tensor& indices = context.input(0);
  const Tensor& values = context.input(1);
  check_rank(context, 0, 2, "input_indices");
  check_rank(context, 1, 1, "input_values");
  check_rank(context, 2, 1, "input_shape");
  check_sizes(context, indices.dim(0), values.dim(0), "the numbers of indices and values");
  const std::int64_t rank = indices.dim(1);
  check_sizes(context, rank, context.input(2).dim(0),
              "the coordinates of an index and the size of input_shape");
  const std::int64_t* index = indices.data<std::int64_t>();
  std::vector<std::int64_t> axes(static_cast<std::size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  const std::vector<std::int64_t> order = sorted_entries(index, values.dim(0), rank, axes);
  std::int64_t* out_index = context.output(0, indices.shape()).mutable_data<std::int64_t>();
  for (const std::int64_t entry : order) {
    out_index = std::copy_n(index + entry * rank, rank, out_index);
  }
  gather_values(values, order, context.output(1, values.shape()));
}

Shapes sparse_reorder_shape(ShapeContext& c) { return {c.with_rank(0, 2), c.with_rank(1, 1)}; }

constexpr OpDef kOps[] = {
    {.name = "SparseToDense",
     .inputs =
         "sparse_indices: Tindices, output_shape: Tindices, sparse_values: T, default_value: T",
     .outputs = "dense: T",
     .attrs = "validate_indices: bool = true; T: type; Tindices: {int32, int64}",
     .shape = sparse_to_dense_shape,
     .kernel = make_kernel<SparseToDenseKernel>},
    {.name = "SparseFillEmptyRows",
     .inputs = "indices: int64, values: T, dense_shape: int64, default_value: T",
     .outputs = "output_indices: int64, output_values: T, empty_row_indicator: bool, "
                "reverse_index_map: int64",
     .attrs = "T: type",
     .shape = fill_empty_rows_shape,
     .kernel = kernel_function<fill_empty_rows>},
    {.name = "SparseFillEmptyRowsGrad",
     .inputs = "reverse_index_map: int64, grad_values: T",
     .outputs = "d_values: T, d_default_value: T",
     .attrs = "T: type",
     .shape = fill_empty_rows_grad_shape,
     .kernel = kernel_function<fill_empty_rows_grad>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseReshape",
     .inputs = "input_indices: int64, input_shape: int64, new_shape: int64",
     .outputs = "output_indices: int64, output_shape: int64",
     .shape = sparse_reshape_shape,
     .kernel = kernel_function<sparse_reshape>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseReorder",
     .inputs = "input_indices: int64, input_values: T, input_shape: int64",
     .outputs = "output_indices: int64, output_values: T",
     .attrs = "T: type",
     .shape = sparse_reorder_shape,
     .kernel = kernel_function<sparse_reorder>},
};

}  // namespace

OpFamily sparse_ops() { return kOps; }

}  // namespace hub
