// MatrixSquareRoot: the principal root, through the Schur form.

#include "ops/kernels/spectrum.h"
#include "ops/matrices.h"

namespace hub {
namespace {

using spectrum::ComplexMatrix;

// The root of an upper triangular matrix.
ComplexMatrix triangular_root(const ComplexMatrix& t) {
  const Eigen::Index n = t.rows();
  ComplexMatrix root = ComplexMatrix::Zero(n, n);
  for (Eigen::Index j = 0; j < n; ++j) {
    root(j, j) = std::sqrt(t(j, j));
    for (Eigen::Index i = j; i-- > 0;) {
      std::complex<double> rest = t(i, j);
      for (Eigen::Index k = i + 1; k < j; ++k) rest -= root(i, k) * root(k, j);
      if (rest != 0.0) root(i, j) = rest / (root(i, i) + root(j, j));
    }
  }
  return root;
}

// A real matrix with a negative eigenvalue has no real root.
bool has_negative_eigenvalue(const ComplexMatrix& t) {
  const double rounding = 1e-12 * t.cwiseAbs().maxCoeff();
  for (Eigen::Index i = 0; i < t.rows(); ++i) {
    if (t(i, i).real() < -rounding && std::abs(t(i, i).imag()) <= rounding) return true;
  }
  return false;
}

ComplexMatrix square_root(const ComplexMatrix& matrix, bool is_real) {
  const ComplexMatrix nothing = ComplexMatrix::Constant(matrix.rows(), matrix.cols(), std::nan(""));
  if (!matrix.allFinite()) return nothing;
  const spectrum::Schur schur = spectrum::schur(matrix);
  if (is_real && has_negative_eigenvalue(schur.t)) return nothing;
  return schur.u * triangular_root(schur.t) * schur.u.adjoint();
}

void matrix_square_root(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  const MatrixBatch batch("MatrixSquareRoot", x);
  batch.check_square("MatrixSquareRoot");
  Tensor& y = ctx.output(0, x.shape());
  if (batch.size() == 0) return;
  dispatch(MatrixTypes{}, x.dtype(), [&]<class T>() {
    constexpr bool kIsReal = !Eigen::NumTraits<Wide<T>>::IsComplex;
    for_each_matrix(ctx, batch, [&](std::int64_t i) {
      const ComplexMatrix root = square_root(load_matrix<T, ComplexMatrix>(x, batch, i), kIsReal);
      if constexpr (kIsReal) {
        store_matrix<T>(root.real(), y, i);
      } else {
        store_matrix<T>(root, y, i);
      }
    });
  });
}

constexpr OpDef kOps[] = {
    {.name = "MatrixSquareRoot",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: {double, float, half, complex64, complex128}",
     .shape = square_matrices_shape,
     .kernel = kernel_function<matrix_square_root>},
};

}  // namespace

OpFamily linalg_square_root_ops() { return kOps; }

}  // namespace hub
