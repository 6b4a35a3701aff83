// Cholesky and its gradient. Only the lower triangle is read.

#include "ops/kernels/factorize.h"
#include "ops/matrices.h"

namespace hub {
namespace {

// A matrix that is not positive definite is no error: its lower triangle becomes NaN.
void cholesky(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  const MatrixBatch batch("Cholesky", x);
  batch.check_square("Cholesky");
  Tensor& y = ctx.output(0, x.shape());
  if (batch.size() == 0) return;
  dispatch(MatrixTypes{}, x.dtype(), [&]<class T>() {
    for_each_matrix(ctx, batch, [&](std::int64_t i) {
      EigenMatrix<T> lower = load_matrix<T>(x, batch, i);
      if (!factorize::cholesky(lower)) {
        lower.setZero();
        const auto nan = Wide<T>(std::numeric_limits<float>::quiet_NaN());
        for (Eigen::Index row = 0; row < lower.rows(); ++row)
          lower.row(row).head(row + 1).setConstant(nan);
      }
      store_matrix<T>(lower, y, i);
    });
  });
}

// Keeps the lower triangle.
template <class Matrix>
void cut_to_lower(Matrix& matrix) {
  for (Eigen::Index i = 0; i < matrix.rows(); ++i)
    matrix.row(i).tail(matrix.rows() - i - 1).setZero();
}

// With P = the lower triangle of L'G, its diagonal halved: inv(L)' (P + P') / 2 inv(L).
template <class Matrix>
Matrix cholesky_gradient(Matrix l, Matrix gradient) {
  cut_to_lower(l);
  cut_to_lower(gradient);
  Matrix p = l.transpose().lazyProduct(gradient);
  cut_to_lower(p);
  p.diagonal() *= typename Matrix::Scalar(0.5);
  Matrix middle = (p + p.transpose()) * typename Matrix::Scalar(0.5);
  factorize::solve_lower(l, true, middle);
  // What remains is symmetric: (inv(L)' (inv(L)' M)')' = inv(L)' M inv(L).
  Matrix other = middle.transpose();
  factorize::solve_lower(l, true, other);
  return other;
}

void cholesky_grad(KernelContext& ctx) {
  const Tensor& l = ctx.input(0);
  const Tensor& gradient = ctx.input(1);
  const MatrixBatch batch("CholeskyGrad", l);
  batch.check_square("CholeskyGrad");
  if (l.shape() != gradient.shape()) {
    throw invalid_argument("CholeskyGrad: both inputs must have one shape. Details: ", l.shape(),
                           " and ", gradient.shape(), ".");
  }
  Tensor& y = ctx.output(0, l.shape());
  if (batch.size() == 0) return;
  dispatch(TypeList<float, double, Half>{}, l.dtype(), [&]<class T>() {
    for_each_matrix(ctx, batch, [&](std::int64_t i) {
      store_matrix<T>(
          cholesky_gradient(load_matrix<T>(l, batch, i), load_matrix<T>(gradient, batch, i)), y, i);
    });
  });
}

constexpr OpDef kOps[] = {
    {.name = "Cholesky",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: {double, float, half, complex64, complex128}",
     .shape = square_matrices_shape,
     .kernel = kernel_function<cholesky>},
    {.name = "CholeskyGrad",
     .inputs = "l: T, grad: T",
     .outputs = "output: T",
     .attrs = "T: {half, float, double}",
     .shape = square_matrices_shape,
     .kernel = kernel_function<cholesky_grad>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily linalg_cholesky_ops() { return kOps; }

}  // namespace hub
