// Products and systems of equations of tridiagonal matrices. An element beside the matrix (the
// last of the upper diagonal, the first of the lower one) is ignored.

#include "ops/matrices.h"

namespace hub {
namespace {

using TridiagonalTypes = TypeList<float, double, std::complex<float>, std::complex<double>>;

Shapes right_side_shape(ShapeContext& c) {
  for (int i = 0; i + 1 < c.num_inputs(); ++i) c.at_least_rank(i, 2);
  return {c.at_least_rank(c.num_inputs() - 1, 2)};
}

void tridiagonal_mat_mul(KernelContext& ctx) {
  constexpr std::string_view kOp = "TridiagonalMatMul";
  const Tensor& x = ctx.input(3);
  const MatrixBatch rhs(kOp, x);
  for (int i = 0; i < 3; ++i) {
    const MatrixBatch diagonal(kOp, ctx.input(i));
    rhs.check_same_batch(kOp, diagonal);
    if (diagonal.rows != 1 || diagonal.columns != rhs.rows) {
      throw invalid_argument(kOp, ": diagonals must be of shape [..., 1, rows]. Details: input ", i,
                             " is ", ctx.input(i).shape(), ", the right side has ", rhs.rows,
                             " rows.");
    }
  }
  Tensor& y = ctx.output(0, x.shape());
  dispatch(TridiagonalTypes{}, x.dtype(), [&]<class T>() {
    for_each_matrix(ctx, rhs, [&](std::int64_t batch) {
      const std::int64_t n = rhs.rows;
      const std::int64_t width = rhs.columns;
      const T* upper = ctx.input(0).data<T>() + batch * n;
      const T* middle = ctx.input(1).data<T>() + batch * n;
      const T* lower = ctx.input(2).data<T>() + batch * n;
      const T* in = x.data<T>() + batch * n * width;
      T* out = y.mutable_data<T>() + batch * n * width;
      for (std::int64_t row = 0; row < n; ++row) {
        for (std::int64_t j = row * width; j < (row + 1) * width; ++j) {
          out[j] = middle[row] * in[j];
          if (row + 1 < n) out[j] += upper[row] * in[j + width];
          if (row > 0) out[j] += lower[row] * in[j - width];
        }
      }
    });
  });
}

template <class T>
struct Diagonals {
  const T* upper;
  const T* middle;
  const T* lower;
  std::int64_t size;
};

// False where a pivot is zero.
template <class T>
bool solve_thomas(const Diagonals<T>& d, EigenMatrix<T>& x) {
  std::vector<T> u(static_cast<std::size_t>(d.size));
  for (std::int64_t i = 0; i < d.size; ++i) {
    const auto at = static_cast<std::size_t>(i);
    T pivot = d.middle[i];
    if (i > 0) {
      pivot -= d.lower[i] * u[at - 1];
      x.row(i) -= d.lower[i] * x.row(i - 1);
    }
    if (pivot == T(0)) return false;
    if (i + 1 < d.size) u[at] = d.upper[i] / pivot;
    x.row(i) /= pivot;
  }
  for (std::int64_t i = d.size - 2; i >= 0; --i)
    x.row(i) -= u[static_cast<std::size_t>(i)] * x.row(i + 1);
  return true;
}

// A row of U after elimination: the diagonal and the two elements to its right.
template <class T>
struct PivotedRow {
  T diagonal = T(0);
  T next = T(0);
  T second = T(0);
};

// Gaussian elimination with exchange of neighbouring rows. False where it meets a column of
// zeros, unless `goes_on`: then the pivot is left zero.
template <class T>
bool eliminate(const Diagonals<T>& d, bool goes_on, std::vector<PivotedRow<T>>& u,
               EigenMatrix<T>& x) {
  u[0] = {d.middle[0], d.size > 1 ? d.upper[0] : T(0)};
  for (std::int64_t i = 0; i + 1 < d.size; ++i) {
    PivotedRow<T>& row = u[static_cast<std::size_t>(i)];
    PivotedRow<T>& below = u[static_cast<std::size_t>(i) + 1];
    const T lower = d.lower[i + 1];
    const T upper = i + 2 < d.size ? d.upper[i + 1] : T(0);
    if (std::abs(row.diagonal) >= std::abs(lower)) {
      if (row.diagonal == T(0) && !goes_on) return false;
      const T factor = row.diagonal == T(0) ? T(0) : lower / row.diagonal;
      below = {d.middle[i + 1] - factor * row.next, upper};
      x.row(i + 1) -= factor * x.row(i);
    } else {
      const T factor = row.diagonal / lower;
      below = {row.next - factor * d.middle[i + 1], -factor * upper};
      row = {lower, d.middle[i + 1], upper};
      x.row(i).swap(x.row(i + 1));
      x.row(i + 1) -= factor * x.row(i);
    }
  }
  return goes_on || u.back().diagonal != T(0);
}

// Pivots that are zero, or nearly, become as large as the rounding of the largest element.
template <class T>
void perturb(std::vector<PivotedRow<T>>& u) {
  using Real = typename Eigen::NumTraits<T>::Real;
  Real largest = 0;
  for (const PivotedRow<T>& row : u) {
    for (const T& value : {row.diagonal, row.next, row.second})
      largest = std::max<Real>(largest, std::abs(value));
  }
  const Real smallest =
      std::max(largest * std::numeric_limits<Real>::epsilon(), std::numeric_limits<Real>::min());
  for (PivotedRow<T>& row : u) {
    if (std::abs(row.diagonal) < smallest)
      row.diagonal = std::real(row.diagonal) < 0 ? T(-smallest) : T(smallest);
  }
}

template <class T>
bool solve_pivoted(const Diagonals<T>& d, bool perturbs, EigenMatrix<T>& x) {
  std::vector<PivotedRow<T>> u(static_cast<std::size_t>(d.size));
  if (!eliminate(d, perturbs, u, x)) return false;
  if (perturbs) perturb(u);
  for (std::int64_t i = d.size - 1; i >= 0; --i) {
    const PivotedRow<T>& row = u[static_cast<std::size_t>(i)];
    if (i + 1 < d.size) x.row(i) -= row.next * x.row(i + 1);
    if (i + 2 < d.size) x.row(i) -= row.second * x.row(i + 2);
    x.row(i) /= row.diagonal;
  }
  return true;
}

// A matrix that cannot be solved gives NaN.
class TridiagonalSolveKernel final : public Kernel {
 public:
  explicit TridiagonalSolveKernel(const KernelInit& init)
      : pivots_(init.attr<bool>("partial_pivoting")),
        perturbs_(init.attr<bool>("perturb_singular")) {
    if (perturbs_ && !pivots_) {
      throw invalid_argument("TridiagonalSolve: perturb_singular asks for partial_pivoting too.");
    }
  }

  void compute(KernelContext& ctx) const override {
    constexpr std::string_view kOp = "TridiagonalSolve";
    const Tensor& a = ctx.input(0);
    const Tensor& b = ctx.input(1);
    const MatrixBatch diagonals(kOp, a);
    const MatrixBatch rhs(kOp, b);
    rhs.check_same_batch(kOp, diagonals);
    if (diagonals.rows != 3 || diagonals.columns != rhs.rows) {
      throw invalid_argument(kOp, ": the diagonals must be of shape [..., 3, rows]. Details: ",
                             a.shape(), " for ", rhs.rows, " rows.");
    }
    Tensor& y = ctx.output(0, b.shape());
    if (rhs.size() == 0) return;
    dispatch(TridiagonalTypes{}, a.dtype(), [&]<class T>() {
      for_each_matrix(ctx, rhs, [&](std::int64_t i) {
        const T* first = a.data<T>() + i * diagonals.size();
        const Diagonals<T> d = {first, first + rhs.rows, first + 2 * rhs.rows, rhs.rows};
        EigenMatrix<T> x = load_matrix<T>(b, rhs, i);
        const bool solved = pivots_ ? solve_pivoted(d, perturbs_, x) : solve_thomas(d, x);
        if (!solved) x.setConstant(T(std::numeric_limits<float>::quiet_NaN()));
        store_matrix<T>(x, y, i);
      });
    });
  }

 private:
  const bool pivots_;
  const bool perturbs_;
};

constexpr OpDef kOps[] = {
    {.name = "TridiagonalMatMul",
     .inputs = "superdiag: T, maindiag: T, subdiag: T, rhs: T",
     .outputs = "output: T",
     .attrs = "T: {double, float, complex64, complex128}",
     .shape = right_side_shape,
     .kernel = kernel_function<tridiagonal_mat_mul>},
    {.name = "TridiagonalSolve",
     .inputs = "diagonals: T, rhs: T",
     .outputs = "output: T",
     .attrs = "partial_pivoting: bool = true; perturb_singular: bool = false; "
              "T: {double, float, complex64, complex128}",
     .shape = right_side_shape,
     .kernel = make_kernel<TridiagonalSolveKernel>},
};

}  // namespace

OpFamily linalg_tridiagonal_ops() { return kOps; }

}  // namespace hub
