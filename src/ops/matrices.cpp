#include "ops/matrices.h"

namespace hub {

MatrixBatch::MatrixBatch(std::string_view op, const Tensor& tensor) {
  if (tensor.rank() < 2) {
    throw invalid_argument(op, ": matrices must have rank 2 or more. Details: a shape is ",
                           tensor.shape(), ".");
  }
  batch = tensor.shape().slice(0, tensor.rank() - 2);
  rows = tensor.dim(tensor.rank() - 2);
  columns = tensor.dim(tensor.rank() - 1);
}

Shape MatrixBatch::shape(std::initializer_list<std::int64_t> dims) const {
  std::vector<std::int64_t> all(batch.dims().begin(), batch.dims().end());
  all.insert(all.end(), dims);
  return Shape(all);
}

void MatrixBatch::check_square(std::string_view op) const {
  if (rows != columns) {
    throw invalid_argument(op, ": the matrix must be square. Details: it is ", rows, " x ", columns,
                           ".");
  }
}

void MatrixBatch::check_same_batch(std::string_view op, const MatrixBatch& other) const {
  if (batch != other.batch) {
    throw invalid_argument(op, ": the batch dimensions must be the same. Details: ", batch, " and ",
                           other.batch, ".");
  }
}

PartialShape square_matrices(ShapeContext& c, int input) {
  const PartialShape shape = c.at_least_rank(input, 2);
  if (!shape.has_rank()) return {};
  const std::int64_t n = merge_dims(shape.dim(shape.rank() - 2), shape.dim(shape.rank() - 1),
                                    "The dimensions of a square matrix");
  return with_matrix_dims(shape, {n, n});
}

Shapes square_matrices_shape(ShapeContext& c) { return {square_matrices(c, 0)}; }

std::int64_t dim_from_end(const PartialShape& shape, int from_end) {
  return shape.has_rank() ? shape.dim(shape.rank() - from_end) : -1;
}

PartialShape with_matrix_dims(const PartialShape& shape, std::vector<std::int64_t> dims) {
  if (!shape.has_rank()) return {};
  return concatenate(sub_shape(shape, 0, -2), PartialShape(std::move(dims)));
}

}  // namespace hub
