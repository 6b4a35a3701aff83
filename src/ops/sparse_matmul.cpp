// Products of matrices of which one is sparse, or a dense one with many zeros.

#include <complex>
#include <type_traits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"
#include "ops/wide.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

template <class T>
T conjugate(T value) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    return std::conj(value);
  } else {
    return value;
  }
}

struct Entry {
  std::int64_t row;    // of the product
  std::int64_t inner;  // row of b
};

class SparseTensorDenseMatMulKernel final : public Kernel {
 public:
  explicit SparseTensorDenseMatMulKernel(const KernelInit& init)
      : adjoint_a_(init.attr<bool>("adjoint_a")), adjoint_b_(init.attr<bool>("adjoint_b")) {}

  void compute(KernelContext& context) const override {
    check_rank(context, 0, 2, "a_indices");
    check_rank(context, 1, 1, "a_values");
    check_rank(context, 2, 1, "a_shape");
    check_rank(context, 3, 2, "b");
    check_sizes(context, context.input(2).dim(0), 2,
                "the size of a_shape and the rank of a matrix");
    check_sizes(context, context.input(0).dim(1), 2,
                "the coordinates of an index and the rank of a matrix");
    check_sizes(context, context.input(0).dim(0), context.input(1).dim(0),
                "the numbers of indices and values");
    const Shape a_shape = shape_input(context, 2, "a_shape");
    const Tensor& b = context.input(3);
    const std::int64_t rows = a_shape.dim(adjoint_a_ ? 1 : 0);
    const std::int64_t inner = a_shape.dim(adjoint_a_ ? 0 : 1);
    const std::int64_t columns = b.dim(adjoint_b_ ? 0 : 1);
    check_sizes(context, inner, b.dim(adjoint_b_ ? 1 : 0), "the inner dimensions of a and b");
    Tensor& product = context.output(0, Shape{rows, columns});
    const std::vector<Entry> entries = checked_entries(context.input(0), rows, inner);
    using Types = TypeList<float, double, Half, BFloat16, std::uint32_t, std::complex<float>,
                           std::complex<double>>;
    dispatch(Types{}, wrapping_dtype(b.dtype()), [&]<class T>() {
      multiply(entries, elements_as<T>(context.input(1)), b, columns,
               {mutable_elements_as<T>(product), static_cast<std::size_t>(product.num_elements())});
    });
  }

 private:
  std::vector<Entry> checked_entries(const Tensor& indices, std::int64_t rows,
                                     std::int64_t inner) const {
    std::vector<Entry> entries;
    entries.reserve(static_cast<std::size_t>(indices.dim(0)));
    dispatch(Indices{}, indices.dtype(), [&]<class I>() {
      const I* index = indices.data<I>();
      for (std::int64_t i = 0; i < indices.dim(0); ++i) {
        const Entry entry{index[2 * i + (adjoint_a_ ? 1 : 0)], index[2 * i + (adjoint_a_ ? 0 : 1)]};
        if (entry.row < 0 || entry.row >= rows || entry.inner < 0 || entry.inner >= inner) {
          throw invalid_argument(
              "SparseTensorDenseMatMul: an index is out of bounds. Details: a_indices[", i, "] = [",
              index[2 * i], ",", index[2 * i + 1], "].");
        }
        entries.push_back(entry);
      }
    });
    return entries;
  }

  template <class T>
  void multiply(const std::vector<Entry>& entries, const T* a, const Tensor& b,
                std::int64_t columns, std::span<T> product) const {
    using Sum = Wide<T>;
    std::vector<Sum> wide;
    std::span<Sum> sums;
    if constexpr (std::is_same_v<T, Sum>) {
      sums = product;
      std::ranges::fill(sums, Sum{});
    } else {
      wide.assign(product.size(), Sum{});
      sums = wide;
    }
    const std::int64_t to_row = adjoint_b_ ? 1 : b.dim(1);
    const std::int64_t to_column = adjoint_b_ ? b.dim(1) : 1;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const Sum factor = static_cast<Sum>(adjoint_a_ ? conjugate(a[i]) : a[i]);
      const T* from = elements_as<T>(b) + entries[i].inner * to_row;
      Sum* to = sums.data() + entries[i].row * columns;
      for (std::int64_t k = 0; k < columns; ++k) {
        const T value = from[k * to_column];
        to[k] = wrapping_add(
            to[k],
            wrapping_multiply(factor, static_cast<Sum>(adjoint_b_ ? conjugate(value) : value)));
      }
    }
    if constexpr (!std::is_same_v<T, Sum>) {
      std::ranges::transform(wide, product.begin(), [](Sum sum) { return T(sum); });
    }
  }

  bool adjoint_a_;
  bool adjoint_b_;
};

Shapes sparse_tensor_dense_matmul_shape(ShapeContext& c) {
  const bool adjoint_a = c.attr<bool>("adjoint_a");
  const bool adjoint_b = c.attr<bool>("adjoint_b");
  c.with_rank(0, 2);
  c.with_rank(1, 1);
  const PartialShape a = c.input_as_shape(2).merge_with(PartialShape::unknown_dims(2));
  const PartialShape b = c.with_rank(3, 2);
  merge_dims(a.dim(adjoint_a ? 0 : 1), b.dim(adjoint_b ? 1 : 0),
             "SparseTensorDenseMatMul: the inner dimensions of a and b");
  return {PartialShape{a.dim(adjoint_a ? 1 : 0), b.dim(adjoint_b ? 0 : 1)}};
}

// A matrix as floats: element (i, k) is at data[i * row + k * column].
struct FloatMatrix {
  Tensor copy;  // where the matrix is of another type
  const float* data;
  std::int64_t row;
  std::int64_t column;
};

class SparseMatMulKernel final : public Kernel {
 public:
  explicit SparseMatMulKernel(const KernelInit& init)
      : transpose_a_(init.attr<bool>("transpose_a")),
        transpose_b_(init.attr<bool>("transpose_b")),
        a_is_sparse_(init.attr<bool>("a_is_sparse")),
        b_is_sparse_(init.attr<bool>("b_is_sparse")) {}

  void compute(KernelContext& context) const override {
    const Tensor& a = context.input(0);
    const Tensor& b = context.input(1);
    check_rank(context, 0, 2, "a");
    check_rank(context, 1, 2, "b");
    const std::int64_t rows = a.dim(transpose_a_ ? 1 : 0);
    const std::int64_t inner = a.dim(transpose_a_ ? 0 : 1);
    const std::int64_t columns = b.dim(transpose_b_ ? 0 : 1);
    check_sizes(context, inner, b.dim(transpose_b_ ? 1 : 0), "the inner dimensions of a and b");
    // A zero of the operand that is called sparse takes no part, not even times infinity.
    const bool all_float = a.dtype() == kFloat && b.dtype() == kFloat;
    const bool plain = !a_is_sparse_ && !b_is_sparse_ && all_float;
    const bool skip_a = !plain && a_is_sparse_;
    const bool skip_b = !plain && !a_is_sparse_;
    const FloatMatrix left = as_floats(context, a, transpose_a_);
    const FloatMatrix right = as_floats(context, b, transpose_b_);
    float* product = context.output(0, Shape{rows, columns}).mutable_data<float>();
    context.parallel_for(rows, static_cast<double>(inner) * static_cast<double>(columns),
                         [&](std::int64_t begin, std::int64_t end) {
                           std::fill(product + begin * columns, product + end * columns, 0.0f);
                           for (std::int64_t i = begin; i < end; ++i) {
                             for (std::int64_t k = 0; k < inner; ++k) {
                               const float factor = left.data[i * left.row + k * left.column];
                               if (skip_a && factor == 0) continue;
                               const float* from = right.data + k * right.row;
                               float* to = product + i * columns;
                               for (std::int64_t j = 0; j < columns; ++j) {
                                 const float value = from[j * right.column];
                                 if (!skip_b || value != 0) to[j] += factor * value;
                               }
                             }
                           }
                         });
  }

 private:
  static FloatMatrix as_floats(KernelContext& context, const Tensor& matrix, bool transposed) {
    FloatMatrix floats{Tensor(), nullptr, transposed ? 1 : matrix.dim(1),
                       transposed ? matrix.dim(1) : 1};
    if (matrix.dtype() == kFloat) {
      floats.data = matrix.data<float>();
      return floats;
    }
    floats.copy = context.temporary(kFloat, matrix.shape());
    std::ranges::transform(matrix.values<BFloat16>(), floats.copy.mutable_data<float>(),
                           [](BFloat16 value) { return static_cast<float>(value); });
    floats.data = floats.copy.data<float>();
    return floats;
  }

  bool transpose_a_;
  bool transpose_b_;
  bool a_is_sparse_;
  bool b_is_sparse_;
};

Shapes sparse_matmul_shape(ShapeContext& c) {
  const PartialShape a = c.with_rank(0, 2);
  const PartialShape b = c.with_rank(1, 2);
  const bool transpose_a = c.attr<bool>("transpose_a");
  const bool transpose_b = c.attr<bool>("transpose_b");
  merge_dims(a.dim(transpose_a ? 0 : 1), b.dim(transpose_b ? 1 : 0),
             "SparseMatMul: the inner dimensions of a and b");
  return {PartialShape{a.dim(transpose_a ? 1 : 0), b.dim(transpose_b ? 0 : 1)}};
}

constexpr OpDef kOps[] = {
    {.name = "SparseTensorDenseMatMul",
     .inputs = "a_indices: Tindices, a_values: T, a_shape: int64, b: T",
     .outputs = "product: T",
     .attrs = "T: type; Tindices: {int32, int64} = int64; adjoint_a: bool = false; "
              "adjoint_b: bool = false",
     .shape = sparse_tensor_dense_matmul_shape,
     .kernel = make_kernel<SparseTensorDenseMatMulKernel>},
    {.name = "SparseMatMul",
     .inputs = "a: Ta, b: Tb",
     .outputs = "product: float",
     .attrs = "transpose_a: bool = false; transpose_b: bool = false; a_is_sparse: bool = false; "
              "b_is_sparse: bool = false; Ta: {float, bfloat16} = float; "
              "Tb: {float, bfloat16} = float",
     .shape = sparse_matmul_shape,
     .kernel = make_kernel<SparseMatMulKernel>},
};

}  // namespace

OpFamily sparse_matmul_ops() { return kOps; }

}  // namespace hub
