// MatMul and BatchMatMul.

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/matmul.h"

namespace hub {
namespace {

Shapes matmul_shape(ShapeContext& c) {
  const PartialShape a = c.with_rank(0, 2);
  const PartialShape b = c.with_rank(1, 2);
  const int outer_a = c.attr<bool>("transpose_a") ? 1 : 0;
  const int outer_b = c.attr<bool>("transpose_b") ? 0 : 1;
  merge_dims(a.dim(1 - outer_a), b.dim(1 - outer_b), "MatMul: the inner dimensions");
  return {PartialShape{a.dim(outer_a), b.dim(outer_b)}};
}

template <bool kBroadcast>
Shapes batch_matmul_shape(ShapeContext& c) {
  const PartialShape a = c.at_least_rank(0, 2);
  const PartialShape b = c.at_least_rank(1, 2);
  PartialShape batch;
  if constexpr (kBroadcast) {
    batch = broadcast(sub_shape(a, 0, -2), sub_shape(b, 0, -2));
  } else {
    batch = sub_shape(a, 0, -2).merge_with(sub_shape(b, 0, -2));
  }
  const auto dim = [](const PartialShape& shape, bool last) {
    return shape.has_rank() ? shape.dim(shape.rank() - (last ? 1 : 2)) : -1;
  };
  const bool adj_x = c.attr<bool>("adj_x");
  const bool adj_y = c.attr<bool>("adj_y");
  merge_dims(dim(a, !adj_x), dim(b, adj_y), "BatchMatMul: the inner dimensions");
  return {concatenate(batch, PartialShape{dim(a, adj_x), dim(b, !adj_y)})};
}

class MatMulKernel final : public Kernel {
 public:
  explicit MatMulKernel(const KernelInit& init)
      : a_side_{init.attr<bool>("transpose_a")},
        b_side_{init.attr<bool>("transpose_b")},
        keeps_packed_(init.input_is_stable(1)) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& a = ctx.input(0);
    const Tensor& b = ctx.input(1);
    if (a.rank() != 2 || b.rank() != 2) {
      throw invalid_argument("MatMul: both inputs must be matrices. Details: ", a.shape(), " and ",
                             b.shape(), ".");
    }
    const std::int64_t m = a.dim(a_side_.transposed ? 1 : 0);
    const std::int64_t k = a.dim(a_side_.transposed ? 0 : 1);
    const std::int64_t n = b.dim(b_side_.transposed ? 0 : 1);
    if (b.dim(b_side_.transposed ? 1 : 0) != k) {
      throw invalid_argument("MatMul: the inner dimensions must agree. Details: ", a.shape(),
                             a_side_.transposed ? " (transposed)" : "", " and ", b.shape(),
                             b_side_.transposed ? " (transposed)." : ".");
    }
    const MatrixProducts products = {{m, k, n, b_side_.transposed}, {0}, {0}};
    if (keeps_packed_ && a.dtype() == kFloat && m > 0 && is_worth_onednn(k, n)) {
      Tensor& c = ctx.output(0, Shape{m, n});
      const Tensor left = a_side_.transposed ? transposed_matrices(ctx, a, false) : a;
      matmul_.multiply(ctx, m, left.data<float>(), *packed_.get(ctx, matmul_, b, products.shape),
                       c.mutable_data<float>());
    } else {
      multiply_matrices(ctx, matmul_, a, a_side_, b, b_side_, products, ctx.output(0, Shape{m, n}));
    }
  }

 private:
  const MatrixSide a_side_;
  const MatrixSide b_side_;
  const bool keeps_packed_;
  dnn::Matmul matmul_;
  PackedRight packed_;
};

template <bool kBroadcast>
class BatchMatMulKernel final : public Kernel {
 public:
  explicit BatchMatMulKernel(const KernelInit& init)
      : adj_x_(init.attr<bool>("adj_x")), adj_y_(init.attr<bool>("adj_y")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const Tensor& y = ctx.input(1);
    check(x, y);
    const auto dim = [](const Tensor& t, bool last) { return t.dim(t.rank() - (last ? 1 : 2)); };
    MatrixProducts products = {{dim(x, adj_x_), dim(x, !adj_x_), dim(y, !adj_y_)}, {}, {}};
    if (dim(y, adj_y_) != products.shape.k) {
      throw invalid_argument("BatchMatMul: the inner dimensions must agree. Details: ", x.shape(),
                             adj_x_ ? " (adjoint)" : "", " and ", y.shape(),
                             adj_y_ ? " (adjoint)." : ".");
    }
    const Shape batch = broadcast_batch(x.shape().slice(0, x.rank() - 2),
                                        y.shape().slice(0, y.rank() - 2), products);
    const Shape shape = batch.with_inserted(batch.rank(), products.shape.m)
                            .with_inserted(batch.rank() + 1, products.shape.n);
    multiply_matrices(ctx, matmul_, x, {adj_x_, true}, y, {adj_y_, true}, std::move(products),
                      ctx.output(0, shape));
  }

 private:
  void check(const Tensor& x, const Tensor& y) const {
    if (x.rank() < 2 || y.rank() < 2) {
      throw invalid_argument("BatchMatMul: both inputs must have rank 2 or more. Details: ",
                             x.shape(), " and ", y.shape(), ".");
    }
    if (kBroadcast) return;
    if (x.rank() != y.rank() ||
        x.shape().slice(0, x.rank() - 2) != y.shape().slice(0, y.rank() - 2)) {
      throw invalid_argument("BatchMatMul: the batch dimensions must be the same. Details: ",
                             x.shape(), " and ", y.shape(), ".");
    }
  }

  const bool adj_x_;
  const bool adj_y_;
  dnn::Matmul matmul_;
};

constexpr OpDef kOps[] = {
    {.name = "MatMul",
     .inputs = "a: T, b: T",
     .outputs = "product: T",
     .attrs = "transpose_a: bool = false; transpose_b: bool = false; "
              "T: {bfloat16, half, float, double, int32, int64, uint8, uint16, uint32, uint64, "
              "complex64, complex128}",
     .shape = matmul_shape,
     .kernel = make_kernel<MatMulKernel>},
    {.name = "BatchMatMul",
     .inputs = "x: T, y: T",
     .outputs = "output: T",
     .attrs = "T: {bfloat16, half, float, double, int32, int64, complex64, complex128}; "
              "adj_x: bool = false; adj_y: bool = false",
     .shape = batch_matmul_shape<false>,
     .kernel = make_kernel<BatchMatMulKernel<false>>},
    {.name = "BatchMatMulV2",
     .inputs = "x: T, y: T",
     .outputs = "output: T",
     .attrs =
         "T: {bfloat16, half, float, double, int16, int32, int64, uint8, uint16, uint32, uint64, "
         "complex64, complex128}; adj_x: bool = false; adj_y: bool = false",
     .shape = batch_matmul_shape<true>,
     .kernel = make_kernel<BatchMatMulKernel<true>>},
    {.name = "BatchMatMulV3",
     .inputs = "x: Ta, y: Tb",
     .outputs = "output: Tout",
     .attrs = "Ta: {bfloat16, half, float, double, uint8, int8, int16, int32, int64, complex64, "
              "complex128}; "
              "Tb: {bfloat16, half, float, double, uint8, int8, int16, int32, int64, complex64, "
              "complex128}; "
              "Tout: {bfloat16, half, float, double, int16, int32, int64, complex64, complex128}; "
              "adj_x: bool = false; adj_y: bool = false",
     .shape = batch_matmul_shape<true>,
     .kernel = make_kernel<BatchMatMulKernel<true>>},
};

}  // namespace

OpFamily linalg_matmul_ops() { return kOps; }

}  // namespace hub
