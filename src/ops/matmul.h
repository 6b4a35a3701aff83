#pragma once

// Batches of matrix products of any number type. float, half and bfloat16 go through oneDNN
// (the latter two are multiplied as float and rounded at the end), every other type and
// small matrices through kernels/gemm.h. An element's bits do not depend on the number of
// rows, nor on the batch.

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "ops/kernel.h"
#include "ops/onednn_matmul.h"

namespace hub {

// How the matrices of one side are stored.
struct MatrixSide {
  bool transposed = false;
  bool conjugated = false;
};

// Products of [m,k] by [k,n] matrices: which matrix of each tensor goes where.
struct MatrixProducts {
  dnn::MatmulShape shape;
  std::vector<std::int64_t> a_index;  // for each product; the result's is its own
  std::vector<std::int64_t> b_index;
};

// Fills in the indices for batches of these shapes, which broadcast against each other; the
// result is the batch's shape. Errors: INVALID_ARGUMENT where they do not fit.
Shape broadcast_batch(const Shape& a, const Shape& b, MatrixProducts& products);

// All products, into `result`; the inputs are converted to its dtype (or to float).
void multiply_matrices(KernelContext& context, const dnn::Matmul& matmul, const Tensor& a,
                       MatrixSide a_side, const Tensor& b, MatrixSide b_side,
                       MatrixProducts products, Tensor& result);

// The matrices [..., rows, columns] of `x`, each transposed.
Tensor transposed_matrices(KernelContext& context, const Tensor& x, bool conjugated);

// The right-hand matrix of a kernel, packed once for each value of a stable input, and for the
// numbers of rows that come. Thread-safe.
class PackedRight {
 public:
  std::shared_ptr<const dnn::PackedMatrix> get(KernelContext& context, const dnn::Matmul& matmul,
                                               const Tensor& b,
                                               const dnn::MatmulShape& shape) const;

 private:
  mutable std::mutex mutex_;
  mutable Tensor source_;  // held, so that its memory cannot become another tensor's
  mutable std::array<std::shared_ptr<const dnn::PackedMatrix>, dnn::Matmul::kLayouts> packed_;
};

// Whether [m,k] by [k,n] float products are worth a call of oneDNN.
bool is_worth_onednn(std::int64_t k, std::int64_t n);

}  // namespace hub
