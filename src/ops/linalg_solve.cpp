// Inverses, determinants and systems of equations through LU, and least squares.

#include "ops/kernels/factorize.h"
#include "ops/kernels/spectrum.h"
#include "ops/matrices.h"

namespace hub {
namespace {

Shapes determinant_shapes(ShapeContext& c) {
  const PartialShape input = square_matrices(c, 0);
  return Shapes(static_cast<std::size_t>(c.num_outputs()), with_matrix_dims(input, {}));
}

// [batch..., columns of the matrix, columns of the right side].
PartialShape solution_shape(ShapeContext& c, const PartialShape& matrix) {
  const PartialShape rhs = c.at_least_rank(1, 2);
  merge_dims(dim_from_end(matrix, 2), dim_from_end(rhs, 2), "The rows of both sides");
  const PartialShape& known = matrix.has_rank() ? matrix : rhs;
  if (matrix.has_rank() && rhs.has_rank())
    sub_shape(matrix, 0, -2).merge_with(sub_shape(rhs, 0, -2));
  return with_matrix_dims(known, {dim_from_end(matrix, 1), dim_from_end(rhs, 1)});
}

Shapes matrix_solve_shape(ShapeContext& c) { return {solution_shape(c, square_matrices(c, 0))}; }

Shapes matrix_solve_ls_shape(ShapeContext& c) {
  c.with_rank(2, 0);
  return {solution_shape(c, c.at_least_rank(0, 2))};
}

template <class Matrix>
factorize::Lu<Matrix> invertible_lu(std::string_view op, const Matrix& matrix, bool adjoint) {
  factorize::Lu<Matrix> lu(adjoint ? Matrix(matrix.adjoint()) : matrix);
  if (!lu.is_invertible()) throw invalid_argument(op, ": the matrix must be invertible.");
  return lu;
}

class MatrixInverseKernel final : public Kernel {
 public:
  explicit MatrixInverseKernel(const KernelInit& init) : adjoint_(init.attr<bool>("adjoint")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const MatrixBatch batch("MatrixInverse", x);
    batch.check_square("MatrixInverse");
    Tensor& y = ctx.output(0, x.shape());
    if (batch.size() == 0) return;
    dispatch(MatrixTypes{}, x.dtype(), [&]<class T>() {
      for_each_matrix(ctx, batch, [&](std::int64_t i) {
        const auto lu = invertible_lu("MatrixInverse", load_matrix<T>(x, batch, i), adjoint_);
        store_matrix<T>(lu.solve(EigenMatrix<T>::Identity(batch.rows, batch.rows)), y, i);
      });
    });
  }

 private:
  const bool adjoint_;
};

// The determinant is sign * exp(log_abs). That of an empty matrix is 1; where the logarithm
// is not finite, the sign is 0.
template <class Scalar>
struct LogDeterminant {
  Scalar sign = Scalar(1);
  Scalar log_abs = Scalar(0);
};

template <class Matrix>
LogDeterminant<typename Matrix::Scalar> log_determinant(const Matrix& matrix) {
  using Scalar = typename Matrix::Scalar;
  using Real = typename Eigen::NumTraits<Scalar>::Real;
  LogDeterminant<Scalar> result;
  if (matrix.rows() == 0) return result;
  const factorize::Lu<Matrix> lu(matrix);
  result.sign = Scalar(static_cast<Real>(lu.sign));
  Real log_abs = 0;
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) {
    const Scalar pivot = lu.lu(i, i);
    const Real magnitude = std::abs(pivot);
    log_abs += std::log(magnitude);
    result.sign *= pivot / magnitude;
  }
  if (!std::isfinite(log_abs)) {
    result.sign = Scalar(0);
    const Real infinity = std::numeric_limits<Real>::infinity();
    log_abs = log_abs > 0 ? infinity : -infinity;
  }
  result.log_abs = Scalar(log_abs);
  return result;
}

// Calls body(index, log determinant) for each matrix of input 0.
template <class T, class Body>
void for_each_determinant(KernelContext& ctx, const MatrixBatch& batch, Body&& body) {
  for_each_matrix(ctx, batch, [&](std::int64_t i) {
    body(i, log_determinant(load_matrix<T>(ctx.input(0), batch, i)));
  });
}

void matrix_determinant(KernelContext& ctx) {
  const MatrixBatch batch("MatrixDeterminant", ctx.input(0));
  batch.check_square("MatrixDeterminant");
  Tensor& y = ctx.output(0, batch.batch);
  dispatch(MatrixTypes{}, y.dtype(), [&]<class T>() {
    T* out = y.mutable_data<T>();
    for_each_determinant<T>(ctx, batch, [&](std::int64_t i, const auto& d) {
      out[i] = static_cast<T>(d.sign * std::exp(d.log_abs));
    });
  });
}

void log_matrix_determinant(KernelContext& ctx) {
  const MatrixBatch batch("LogMatrixDeterminant", ctx.input(0));
  batch.check_square("LogMatrixDeterminant");
  Tensor& sign = ctx.output(0, batch.batch);
  Tensor& log_abs = ctx.output(1, batch.batch);
  dispatch(MatrixTypes{}, sign.dtype(), [&]<class T>() {
    T* signs = sign.mutable_data<T>();
    T* logs = log_abs.mutable_data<T>();
    for_each_determinant<T>(ctx, batch, [&](std::int64_t i, const auto& d) {
      signs[i] = static_cast<T>(d.sign);
      logs[i] = static_cast<T>(d.log_abs);
    });
  });
}

void check_right_side(std::string_view op, const MatrixBatch& matrix, const MatrixBatch& rhs) {
  matrix.check_same_batch(op, rhs);
  if (matrix.rows != rhs.rows) {
    throw invalid_argument(op,
                           ": both sides must have the same number of rows. Details: ", matrix.rows,
                           " and ", rhs.rows, ".");
  }
}

class MatrixSolveKernel final : public Kernel {
 public:
  explicit MatrixSolveKernel(const KernelInit& init) : adjoint_(init.attr<bool>("adjoint")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& a = ctx.input(0);
    const Tensor& b = ctx.input(1);
    const MatrixBatch batch("MatrixSolve", a);
    const MatrixBatch rhs("MatrixSolve", b);
    check_right_side("MatrixSolve", batch, rhs);
    batch.check_square("MatrixSolve");
    Tensor& x = ctx.output(0, b.shape());
    if (rhs.size() == 0) return;
    dispatch(MatrixTypes{}, a.dtype(), [&]<class T>() {
      for_each_matrix(ctx, batch, [&](std::int64_t i) {
        const auto lu = invertible_lu("MatrixSolve", load_matrix<T>(a, batch, i), adjoint_);
        store_matrix<T>(lu.solve(load_matrix<T>(b, rhs, i)), x, i);
      });
    });
  }

 private:
  const bool adjoint_;
};

// min |a x - b|^2 + regularizer |x|^2 through the normal equations (of the second kind, for
// the x of the smallest norm, where there are fewer equations than unknowns).
template <class Matrix>
Matrix solve_normal_equations(const Matrix& a, const Matrix& b, double regularizer) {
  using Scalar = typename Matrix::Scalar;
  const bool is_overdetermined = a.rows() >= a.cols();
  const Matrix adjoint = a.adjoint();
  Matrix gramian =
      is_overdetermined ? Matrix(adjoint.lazyProduct(a)) : Matrix(a.lazyProduct(adjoint));
  if (regularizer > 0) {
    gramian.diagonal().array() += Scalar(static_cast<factorize::RealOf<Scalar>>(regularizer));
  }
  if (!factorize::cholesky(gramian)) {
    throw invalid_argument(
        "MatrixSolveLs: the matrix must have full rank: set fast=False, or a larger regularizer.");
  }
  Matrix x = is_overdetermined ? Matrix(adjoint.lazyProduct(b)) : b;
  factorize::solve_lower(gramian, false, x);
  factorize::solve_lower(gramian, true, x);
  return is_overdetermined ? x : Matrix(adjoint.lazyProduct(x));
}

// The solution of the smallest norm, whatever the rank.
template <class Matrix>
Matrix solve_by_svd(const Matrix& a, const Matrix& b) {
  if (!a.allFinite()) return Matrix::Constant(a.cols(), b.cols(), std::nan(""));
  const spectrum::Svd<Matrix> svd = spectrum::svd(a, spectrum::Vectors::kThin);
  const double least = svd.values(0) * std::numeric_limits<double>::epsilon() *
                       static_cast<double>(svd.values.size());
  const Matrix adjoint = svd.left.adjoint();
  Matrix x = adjoint.lazyProduct(b);
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    x.row(i) *= svd.values(i) > least ? 1 / svd.values(i) : 0.0;
  }
  return svd.right.lazyProduct(x);
}

class MatrixSolveLsKernel final : public Kernel {
 public:
  explicit MatrixSolveLsKernel(const KernelInit& init) : fast_(init.attr<bool>("fast")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& a = ctx.input(0);
    const Tensor& b = ctx.input(1);
    const MatrixBatch batch("MatrixSolveLs", a);
    const MatrixBatch rhs("MatrixSolveLs", b);
    check_right_side("MatrixSolveLs", batch, rhs);
    const double regularizer = checked_regularizer(ctx.input(2));
    Tensor& x = ctx.output(0, batch.shape({batch.columns, rhs.columns}));
    if (batch.size() == 0 || rhs.columns == 0) {
      std::ranges::fill(x.mutable_bytes(), std::byte{0});
      return;
    }
    dispatch(MatrixTypes{}, a.dtype(), [&]<class T>() {
      for_each_matrix(ctx, batch, [&](std::int64_t i) {
        if (fast_) {
          store_matrix<T>(solve_normal_equations(load_matrix<T>(a, batch, i),
                                                 load_matrix<T>(b, rhs, i), regularizer),
                          x, i);
        } else {
          using Matrix = DoubleMatrix<T>;  // it takes no regularizer
          store_matrix<T>(
              solve_by_svd(load_matrix<T, Matrix>(a, batch, i), load_matrix<T, Matrix>(b, rhs, i)),
              x, i);
        }
      });
    });
  }

 private:
  static double checked_regularizer(const Tensor& tensor) {
    if (tensor.rank() != 0) {
      throw invalid_argument(
          "MatrixSolveLs: the regularizer must be a scalar. Details: its shape is ", tensor.shape(),
          ".");
    }
    const double value = tensor.scalar<double>();
    if (!(value >= 0))
      throw invalid_argument("MatrixSolveLs: the regularizer must not be negative. Details: got ",
                             value, ".");
    return value;
  }

  const bool fast_;
};

constexpr std::string_view kAdjointAttrs =
    "adjoint: bool = false; T: {double, float, half, complex64, complex128}";

constexpr OpDef kOps[] = {
    {.name = "MatrixInverse",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = kAdjointAttrs,
     .shape = square_matrices_shape,
     .kernel = make_kernel<MatrixInverseKernel>},
    {.name = "MatrixDeterminant",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: {half, float, double, complex64, complex128}",
     .shape = determinant_shapes,
     .kernel = kernel_function<matrix_determinant>},
    {.name = "LogMatrixDeterminant",
     .inputs = "input: T",
     .outputs = "sign: T, log_abs_determinant: T",
     .attrs = "T: {half, float, double, complex64, complex128}",
     .shape = determinant_shapes,
     .kernel = kernel_function<log_matrix_determinant>},
    {.name = "MatrixSolve",
     .inputs = "matrix: T, rhs: T",
     .outputs = "output: T",
     .attrs = kAdjointAttrs,
     .shape = matrix_solve_shape,
     .kernel = make_kernel<MatrixSolveKernel>},
    {.name = "MatrixSolveLs",
     .inputs = "matrix: T, rhs: T, l2_regularizer: double",
     .outputs = "output: T",
     .attrs = "T: {double, float, half, complex64, complex128}; fast: bool = true",
     .shape = matrix_solve_ls_shape,
     .kernel = make_kernel<MatrixSolveLsKernel>},
};

}  // namespace

OpFamily linalg_solve_ops() { return kOps; }

}  // namespace hub
