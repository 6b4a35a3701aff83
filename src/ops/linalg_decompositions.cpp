// QR, LU, and the eigenvalues of self-adjoint matrices (of all types in double).

#include "ops/kernels/factorize.h"
#include "ops/kernels/spectrum.h"
#include "ops/matrices.h"

namespace hub {
namespace {

std::int64_t smaller(std::int64_t rows, std::int64_t columns) {
  if (rows == 0 || columns == 0) return 0;
  return rows < 0 || columns < 0 ? -1 : std::min(rows, columns);
}

Shapes qr_shapes(ShapeContext& c) {
  const PartialShape input = c.at_least_rank(0, 2);
  const std::int64_t m = dim_from_end(input, 2);
  const std::int64_t n = dim_from_end(input, 1);
  const std::int64_t p = c.attr<bool>("full_matrices") ? m : smaller(m, n);
  return {with_matrix_dims(input, {m, p}), with_matrix_dims(input, {p, n})};
}

class QrKernel final : public Kernel {
 public:
  explicit QrKernel(const KernelInit& init) : full_(init.attr<bool>("full_matrices")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const MatrixBatch batch("Qr", x);
    const std::int64_t size = full_ ? batch.rows : std::min(batch.rows, batch.columns);
    Tensor& q = ctx.output(0, batch.shape({batch.rows, size}));
    Tensor& r = ctx.output(1, batch.shape({size, batch.columns}));
    if (q.num_elements() == 0) return;
    dispatch(MatrixTypes{}, x.dtype(), [&]<class T>() {
      for_each_matrix(ctx, batch, [&](std::int64_t i) {
        EigenMatrix<T> upper = load_matrix<T>(x, batch, i);
        store_matrix<T>(factorize::qr(upper, size), q, i);
        for (Eigen::Index row = 1; row < size; ++row) {
          upper.row(row).head(std::min<Eigen::Index>(row, batch.columns)).setZero();
        }
        store_matrix<T>(upper.topRows(size), r, i);
      });
    });
  }

 private:
  const bool full_;
};

Shapes lu_shapes(ShapeContext& c) {
  const PartialShape input = square_matrices(c, 0);
  return {input, with_matrix_dims(input, {dim_from_end(input, 1)})};
}

void lu(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  const MatrixBatch batch("Lu", x);
  batch.check_square("Lu");
  Tensor& y = ctx.output(0, x.shape());
  Tensor& p = ctx.output(1, batch.shape({batch.rows}));
  if (batch.size() == 0) return;
  dispatch(MatrixTypes{}, x.dtype(), [&]<class T>() {
    dispatch(Indices{}, p.dtype(), [&]<class Index>() {
      for_each_matrix(ctx, batch, [&](std::int64_t i) {
        const factorize::Lu<EigenMatrix<T>> decomposition(load_matrix<T>(x, batch, i));
        if (!decomposition.is_invertible())
          throw invalid_argument("Lu: the matrix must be invertible.");
        store_matrix<T>(decomposition.lu, y, i);
        std::ranges::transform(decomposition.order, p.mutable_data<Index>() + i * batch.rows,
                               [](Eigen::Index row) { return static_cast<Index>(row); });
      });
    });
  });
}

// Only the lower triangle is read; values ascend.
template <class Matrix>
spectrum::SelfAdjoint<Matrix> self_adjoint(const Matrix& matrix, bool with_vectors) {
  auto result = spectrum::self_adjoint(matrix, with_vectors);
  if (!result.converged)
    throw invalid_argument("SelfAdjointEig: the iteration for eigenvalues did not converge.");
  return result;
}

Shapes self_adjoint_eig_v2_shapes(ShapeContext& c) {
  const PartialShape input = square_matrices(c, 0);
  const PartialShape values = with_matrix_dims(input, {dim_from_end(input, 1)});
  return {values, c.attr<bool>("compute_v") ? input : PartialShape::scalar()};
}

class SelfAdjointEigKernel final : public Kernel {
 public:
  explicit SelfAdjointEigKernel(const KernelInit& init)
      : with_vectors_(init.attr<bool>("compute_v")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const MatrixBatch batch("SelfAdjointEigV2", x);
    batch.check_square("SelfAdjointEigV2");
    Tensor& values = ctx.output(0, batch.shape({batch.rows}));
    Tensor& vectors = ctx.output(1, with_vectors_ ? x.shape() : Shape{});
    if (!with_vectors_) std::ranges::fill(vectors.mutable_bytes(), std::byte{0});
    if (batch.size() == 0) return;
    dispatch(MatrixTypes{}, x.dtype(), [&]<class T>() {
      for_each_matrix(ctx, batch, [&](std::int64_t i) {
        const auto eigen =
            self_adjoint(load_matrix<T, DoubleMatrix<T>>(x, batch, i), with_vectors_);
        store_matrix<T>(eigen.values, values, i);
        if (with_vectors_) store_matrix<T>(eigen.vectors, vectors, i);
      });
    });
  }

 private:
  const bool with_vectors_;
};

Shapes self_adjoint_eig_shape(ShapeContext& c) {
  const PartialShape input = square_matrices(c, 0);
  const std::int64_t n = dim_from_end(input, 1);
  return {with_matrix_dims(input, {n < 0 ? -1 : n + 1, n})};
}

// The old op: a row of values above the vectors.
void self_adjoint_eig(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  const MatrixBatch batch("SelfAdjointEig", x);
  batch.check_square("SelfAdjointEig");
  Tensor& y = ctx.output(0, batch.shape({batch.rows + 1, batch.rows}));
  if (batch.size() == 0) return;
  dispatch(TypeList<float, double, Half>{}, x.dtype(), [&]<class T>() {
    for_each_matrix(ctx, batch, [&](std::int64_t i) {
      const auto eigen = self_adjoint(load_matrix<T, DoubleMatrix<T>>(x, batch, i), true);
      DoubleMatrix<T> both(batch.rows + 1, batch.rows);
      both.row(0) = eigen.values.transpose();
      both.bottomRows(batch.rows) = eigen.vectors;
      store_matrix<T>(both, y, i);
    });
  });
}

constexpr OpDef kOps[] = {
    {.name = "Qr",
     .inputs = "input: T",
     .outputs = "q: T, r: T",
     .attrs = "full_matrices: bool = false; T: {double, float, half, complex64, complex128}",
     .shape = qr_shapes,
     .kernel = make_kernel<QrKernel>},
    {.name = "Lu",
     .inputs = "input: T",
     .outputs = "lu: T, p: output_idx_type",
     .attrs =
         "T: {double, float, half, complex64, complex128}; output_idx_type: {int32, int64} = int32",
     .shape = lu_shapes,
     .kernel = kernel_function<lu>,
     .differentiable = Differentiable::kRefused},
    {.name = "SelfAdjointEig",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: {double, float, half}",
     .shape = self_adjoint_eig_shape,
     .kernel = kernel_function<self_adjoint_eig>,
     .differentiable = Differentiable::kRefused},
    {.name = "SelfAdjointEigV2",
     .inputs = "input: T",
     .outputs = "e: T, v: T",
     .attrs = "compute_v: bool = true; T: {double, float, half, complex64, complex128}",
     .shape = self_adjoint_eig_v2_shapes,
     .kernel = make_kernel<SelfAdjointEigKernel>},
};

}  // namespace

OpFamily linalg_decompositions_ops() { return kOps; }

}  // namespace hub
