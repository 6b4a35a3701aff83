// Arithmetic of sparse tensors: with dense ones, reductions, softmax.

#include <cmath>
#include <complex>
#include <numeric>
#include <type_traits>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"
#include "ops/wide.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

void check_rank_1_to_5(const KernelContext& context, std::int64_t rank) {
  if (rank < 1 || rank > 5) {
    throw invalid_argument(context.node().op_name, ": the rank must be 1 to 5. Details: got ", rank,
                           ".");
  }
}

void sparse_tensor_dense_add(KernelContext& context) {
  const Tensor& indices = context.input(0);
  const Tensor& b = context.input(3);
  check_rank(context, 0, 2, "a_indices");
  check_rank(context, 1, 1, "a_values");
  check_rank(context, 2, 1, "a_shape");
  check_sizes(context, indices.dim(0), context.input(1).dim(0),
              "the numbers of indices and values");
  check_sizes(context, indices.dim(1), context.input(2).dim(0),
              "the coordinates of an index and the size of a_shape");
  const Shape shape = shape_input(context, 2, "a_shape");
  if (shape != b.shape()) {
    throw invalid_argument("SparseTensorDenseAdd: both operands must have one shape. Details: ",
                           shape, " and ", b.shape(), ".");
  }
  check_rank_1_to_5(context, shape.rank());
  std::vector<std::int64_t> places(static_cast<std::size_t>(indices.dim(0)), 0);
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (int k = 0; k < shape.rank(); ++k) {
      const std::int64_t index =
          integer_at(indices, static_cast<std::int64_t>(i) * shape.rank() + k);
      if (index < 0 || index >= shape.dim(k)) {
        throw invalid_argument(
            "SparseTensorDenseAdd: an index is out of bounds. Details: a_indices[", i, ",", k,
            "] = ", index, " is not in [0, ", shape.dim(k), ").");
      }
      places[i] = places[i] * shape.dim(k) + index;
    }
  }
  Tensor& result = context.output_in_place(3, 0, shape);
  if (result.raw_data() != b.raw_data()) copy_tensor(context, b, result);
  dispatch(WrappingNumbers{}, wrapping_dtype(result.dtype()), [&]<class T>() {
    const T* values = elements_as<T>(context.input(1));
    T* to = mutable_elements_as<T>(result);
    for (std::size_t i = 0; i < places.size(); ++i)
      to[places[i]] = wrapping_add(to[places[i]], values[i]);
  });
}

enum class Cwise : std::uint8_t { kAdd, kMul, kDiv };

template <Cwise kOp, class T>
T combined(T a, T b) {
  using W = Wide<T>;
  if constexpr (kOp == Cwise::kAdd) {
    return T(static_cast<W>(a) + static_cast<W>(b));
  } else if constexpr (kOp == Cwise::kMul) {
    return T(static_cast<W>(a) * static_cast<W>(b));
  } else {
    return T(static_cast<W>(a) / static_cast<W>(b));
  }
}

template <class T>
T wrapping_quotient(T a, T b) {
  if (b == 0) throw invalid_argument("SparseDenseCwiseDiv: an integer was divided by zero.");
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a));
  }
  return static_cast<T>(a / b);
}

// Where each entry lies in the dense operand, which broadcasts to the sparse one's shape.
std::vector<std::int64_t> dense_places(const KernelContext& context, const SparseInput& sparse,
                                       const Shape& dense) {
  bool fits = dense.rank() <= sparse.rank;
  const std::int64_t skipped = sparse.rank - dense.rank();
  for (int k = 0; fits && k < dense.rank(); ++k) {
    const std::int64_t size = sparse.shape[static_cast<std::size_t>(skipped + k)];
    fits = dense.dim(k) == size || (dense.dim(k) == 1 && size >= 1);
  }
  if (!fits) {
    throw invalid_argument(context.node().op_name,
                           ": the dense operand must broadcast to the sparse one. Details: ", dense,
                           " to [", join(sparse.shape, ","), "].");
  }
  std::vector<std::int64_t> places(static_cast<std::size_t>(sparse.count), 0);
  for (std::int64_t i = 0; i < sparse.count; ++i) {
    check_index(context, sparse, i);
    std::int64_t place = 0;
    for (int k = 0; k < dense.rank(); ++k) {
      place = place * dense.dim(k) +
              (dense.dim(k) == 1 ? 0 : sparse.index[i * sparse.rank + skipped + k]);
    }
    places[static_cast<std::size_t>(i)] = place;
  }
  return places;
}

template <Cwise kOp>
void sparse_dense_cwise(KernelContext& context) {
  const SparseInput sparse = sparse_input(context, 0, 1, 2, "sp_");
  const Tensor& dense = context.input(3);
  const std::vector<std::int64_t> places = dense_places(context, sparse, dense.shape());
  check_rank_1_to_5(context, sparse.rank);
  Tensor& result = context.output(0, Shape{sparse.count});
  const DType dtype = kOp == Cwise::kDiv ? dense.dtype() : wrapping_dtype(dense.dtype());
  using Types = std::conditional_t<kOp == Cwise::kDiv, RealNumbers, Join<Floats, UnsignedIntegers>>;
  dispatch(Types{}, dtype, [&]<class T>() {
    const T* left = elements_as<T>(*sparse.values);
    const T* right = elements_as<T>(dense);
    T* to = mutable_elements_as<T>(result);
    for (std::size_t i = 0; i < places.size(); ++i) {
      if constexpr (kOp == Cwise::kDiv && std::is_integral_v<T>) {
        to[i] = wrapping_quotient(left[i], right[places[i]]);
      } else if constexpr (kOp == Cwise::kMul) {
        to[i] = wrapping_multiply(left[i], right[places[i]]);
      } else {
        to[i] = combined<kOp>(left[i], right[places[i]]);
      }
    }
  });
}

Shapes sparse_dense_cwise_shape(ShapeContext& c) {
  return {PartialShape{c.with_rank(0, 2).dim(0)}};
}

Shapes dense_add_shape(ShapeContext& c) { return {c.input(3)}; }

// Softmax of each row (all coordinates but the last); what is missing counts as -infinity.
void sparse_softmax(KernelContext& context) {
  const SparseInput sparse = sparse_input(context, 0, 1, 2, "sp_");
  if (sparse.rank < 2) {
    throw invalid_argument("SparseSoftmax: the rank must be at least 2. Details: got ", sparse.rank,
                           ".");
  }
  Tensor& result = context.output(0, Shape{sparse.count});
  const auto last = static_cast<std::size_t>(sparse.rank - 1);
  dispatch(TypeList<float, double, Half>{}, result.dtype(), [&]<class T>() {
    using W = Wide<T>;
    const T* x = sparse.values->data<T>();
    T* y = result.mutable_data<T>();
    std::int64_t begin = 0;
    while (begin < sparse.count) {
      std::int64_t end = begin + 1;
      while (end < sparse.count && std::ranges::equal(sparse.coordinates(begin).first(last),
                                                      sparse.coordinates(end).first(last)))
        ++end;
      W largest = static_cast<W>(x[begin]);
      for (std::int64_t i = begin; i < end; ++i) largest = std::max(largest, static_cast<W>(x[i]));
      W sum = 0;
      for (std::int64_t i = begin; i < end; ++i) sum += std::exp(static_cast<W>(x[i]) - largest);
      for (std::int64_t i = begin; i < end; ++i)
        y[i] = T(std::exp(static_cast<W>(x[i]) - largest) / sum);
      begin = end;
    }
  });
}

Shapes sparse_softmax_shape(ShapeContext& c) {
  c.with_rank(0, 2);
  c.with_rank(2, 1);
  return {c.with_rank(1, 1)};
}

constexpr OpDef kOps[] = {
    {.name = "SparseTensorDenseAdd",
     .inputs = "a_indices: Tindices, a_values: T, a_shape: Tindices, b: T",
     .outputs = "output: T",
     .attrs = "T: numbertype; Tindices: {int32, int64}",
     .shape = dense_add_shape,
     .kernel = kernel_function<sparse_tensor_dense_add>},
    {.name = "SparseDenseCwiseAdd",
     .inputs = "sp_indices: int64, sp_values: T, sp_shape: int64, dense: T",
     .outputs = "output: T",
     .attrs = "T: numbertype",
     .shape = sparse_dense_cwise_shape,
     .kernel = kernel_function<sparse_dense_cwise<Cwise::kAdd>>},
    {.name = "SparseDenseCwiseDiv",
     .inputs = "sp_indices: int64, sp_values: T, sp_shape: int64, dense: T",
     .outputs = "output: T",
     .attrs = "T: numbertype",
     .shape = sparse_dense_cwise_shape,
     .kernel = kernel_function<sparse_dense_cwise<Cwise::kDiv>>},
    {.name = "SparseDenseCwiseMul",
     .inputs = "sp_indices: int64, sp_values: T, sp_shape: int64, dense: T",
     .outputs = "output: T",
     .attrs = "T: numbertype",
     .shape = sparse_dense_cwise_shape,
     .kernel = kernel_function<sparse_dense_cwise<Cwise::kMul>>},
    {.name = "SparseSoftmax",
     .inputs = "sp_indices: int64, sp_values: T, sp_shape: int64",
     .outputs = "output: T",
     .attrs = "T: {half, float, double}",
     .shape = sparse_softmax_shape,
     .kernel = kernel_function<sparse_softmax>},
};

}  // namespace

OpFamily sparse_math_ops() { return kOps; }

}  // namespace hub
