#pragma once

// Batches of matrices as Eigen's: what the ops of linear algebra share.

#include <Eigen/Core>

#include <cmath>
#include <cstdint>

#include "graph/shape_context.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {

// Half precision is computed as float.
using MatrixTypes = TypeList<float, double, Half, std::complex<float>, std::complex<double>>;

template <class T>
using EigenMatrix = Eigen::Matrix<Wide<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Tensors of shape [batch..., rows, columns].
struct MatrixBatch {
  Shape batch;
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  // Errors: INVALID_ARGUMENT for a rank below 2.
  MatrixBatch(std::string_view op, const Tensor& tensor);
  std::int64_t count() const { return batch.num_elements(); }
  std::int64_t size() const { return rows * columns; }
  // [batch..., dims...].
  Shape shape(std::initializer_list<std::int64_t> dims) const;
  // Errors: INVALID_ARGUMENT for matrices that are not square.
  void check_square(std::string_view op) const;
  // Errors: INVALID_ARGUMENT where the batch dimensions differ.
  void check_same_batch(std::string_view op, const MatrixBatch& other) const;
};

// The same in double: for algorithms so large that one instantiation has to do.
template <class T>
using DoubleMatrix = EigenMatrix<
    std::conditional_t<Eigen::NumTraits<Wide<T>>::IsComplex, std::complex<double>, double>>;

// Matrix `index` of a batch, as a copy to compute with.
template <class T, class Matrix = EigenMatrix<T>>
Matrix load_matrix(const Tensor& tensor, const MatrixBatch& batch, std::int64_t index) {
  Matrix matrix(batch.rows, batch.columns);
  const T* from = tensor.data<T>() + index * batch.size();
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    matrix.data()[i] = typename Matrix::Scalar(static_cast<Wide<T>>(from[i]));
  }
  return matrix;
}

// Stores an expression at matrix `index` of equally large ones.
template <class T, class Derived>
void store_matrix(const Eigen::MatrixBase<Derived>& matrix, Tensor& tensor, std::int64_t index) {
  T* to = tensor.mutable_data<T>() + index * matrix.size();
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) {
    for (Eigen::Index j = 0; j < matrix.cols(); ++j) {
      *to++ = static_cast<T>(static_cast<Wide<T>>(matrix(i, j)));
    }
  }
}

// Calls body(index) for each matrix, on several threads where that is worth it; a matrix
// costs about as much as rows * columns * min(rows, columns) multiplications.
template <class Body>
void for_each_matrix(KernelContext& ctx, const MatrixBatch& batch, Body&& body) {
  const double cost =
      static_cast<double>(batch.size()) * static_cast<double>(std::min(batch.rows, batch.columns));
  ctx.parallel_for(batch.count(), cost + 100, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

// Shape rules. The input as square matrices (its last dimensions are merged).
PartialShape square_matrices(ShapeContext& c, int input);
// One output of the shape of input 0, which holds square matrices.
Shapes square_matrices_shape(ShapeContext& c);
// Dimension `from_end` (1: the last) of a shape, -1 where the rank is not known.
std::int64_t dim_from_end(const PartialShape& shape, int from_end);
// [all but the last two dimensions, dims...].
PartialShape with_matrix_dims(const PartialShape& shape, std::vector<std::int64_t> dims);

}  // namespace hub
