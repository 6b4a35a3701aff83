// Triangular and banded systems of equations.

#include "ops/kernels/factorize.h"
#include "ops/matmul.h"
#include "ops/matrices.h"

namespace hub {
namespace {

// Batches of both inputs, which broadcast against each other.
PartialShape broadcast_solution(ShapeContext& c, int matrix_dim) {
  const PartialShape matrix = c.at_least_rank(0, 2);
  const PartialShape rhs = c.at_least_rank(1, 2);
  const std::int64_t rows =
      merge_dims(dim_from_end(matrix, matrix_dim), dim_from_end(rhs, 2), "The rows of both sides");
  return concatenate(broadcast(sub_shape(matrix, 0, -2), sub_shape(rhs, 0, -2)),
                     PartialShape{rows, dim_from_end(rhs, 1)});
}

Shapes triangular_solve_shape(ShapeContext& c) {
  square_matrices(c, 0);
  return {broadcast_solution(c, 1)};
}

Shapes banded_solve_shape(ShapeContext& c) { return {broadcast_solution(c, 1)}; }

template <class T>
T conjugated(const T& value, bool conjugate) {
  if constexpr (Eigen::NumTraits<T>::IsComplex) {
    return conjugate ? std::conj(value) : value;
  } else {
    return value;
  }
}

class TriangularKernel : public Kernel {
 public:
  explicit TriangularKernel(const KernelInit& init)
      : lower_(init.attr<bool>("lower")), adjoint_(init.attr<bool>("adjoint")) {}

 protected:
  // Calls solve(matrix's index, right side's index, result's index) for the broadcast batch.
  template <class Solve>
  void solve_batch(KernelContext& ctx, const MatrixBatch& matrix, const MatrixBatch& rhs,
                   Solve&& solve) const {
    MatrixProducts pairs;
    const Shape batch = broadcast_batch(matrix.batch, rhs.batch, pairs);
    Tensor& y = ctx.output(
        0,
        batch.with_inserted(batch.rank(), rhs.rows).with_inserted(batch.rank() + 1, rhs.columns));
    if (y.num_elements() == 0) return;
    const double cost = static_cast<double>(matrix.size()) * static_cast<double>(rhs.columns);
    ctx.parallel_for(batch.num_elements(), cost + 100, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        solve(pairs.a_index[static_cast<std::size_t>(i)],
              pairs.b_index[static_cast<std::size_t>(i)], i, y);
      }
    });
  }

  // The triangle that is solved: an adjoint lower one is an upper one.
  bool solves_lower() const { return lower_ != adjoint_; }

  const bool lower_;
  const bool adjoint_;
};

// A zero on the diagonal is no error.
class MatrixTriangularSolveKernel final : public TriangularKernel {
 public:
  using TriangularKernel::TriangularKernel;

  void compute(KernelContext& ctx) const override {
    const Tensor& a = ctx.input(0);
    const Tensor& b = ctx.input(1);
    const MatrixBatch matrix("MatrixTriangularSolve", a);
    const MatrixBatch rhs("MatrixTriangularSolve", b);
    matrix.check_square("MatrixTriangularSolve");
    if (matrix.rows != rhs.rows) {
      throw invalid_argument(
          "MatrixTriangularSolve: both sides must have the same number of rows. Details: ",
          matrix.rows, " and ", rhs.rows, ".");
    }
    const factorize::Triangle triangle = {solves_lower(), matrix.rows, matrix.rows};
    dispatch(Join<MatrixTypes, TypeList<BFloat16>>{}, a.dtype(), [&]<class T>() {
      solve_batch(ctx, matrix, rhs,
                  [&](std::int64_t left, std::int64_t right, std::int64_t result, Tensor& y) {
                    const EigenMatrix<T> elements = load_matrix<T>(a, matrix, left);
                    EigenMatrix<T> x = load_matrix<T>(b, rhs, right);
                    factorize::substitute(
                        triangle,
                        [&](std::int64_t row, std::int64_t column) {
                          return adjoint_ ? conjugated(elements(column, row), true)
                                          : elements(row, column);
                        },
                        x);
                    store_matrix<T>(x, y, result);
                  });
    });
  }
};

// The matrix is stored as [bands, size], where column j holds what is in row j: the main
// diagonal comes first in a lower triangle, and last in an upper one.
class BandedTriangularSolveKernel final : public TriangularKernel {
 public:
  using TriangularKernel::TriangularKernel;

  void compute(KernelContext& ctx) const override {
    const Tensor& a = ctx.input(0);
    const Tensor& b = ctx.input(1);
    const MatrixBatch bands("BandedTriangularSolve", a);
    const MatrixBatch rhs("BandedTriangularSolve", b);
    if (bands.columns != rhs.rows || bands.size() == 0) {
      throw invalid_argument(
          "BandedTriangularSolve: the bands must be as long as the right side, and not empty. "
          "Details: ",
          a.shape(), " and ", b.shape(), ".");
    }
    const factorize::Triangle triangle = {solves_lower(), rhs.rows, bands.rows - 1};
    dispatch(MatrixTypes{}, a.dtype(), [&]<class T>() {
      solve_batch(
          ctx, bands, rhs,
          [&](std::int64_t left, std::int64_t right, std::int64_t result, Tensor& y) {
            const EigenMatrix<T> band = load_matrix<T>(a, bands, left);
            const Eigen::Index main_diagonal = lower_ ? 0 : bands.rows - 1;
            if ((band.row(main_diagonal).array() == Wide<T>(0)).any()) {
              throw invalid_argument("BandedTriangularSolve: the matrix must be invertible.");
            }
            EigenMatrix<T> x = load_matrix<T>(b, rhs, right);
            factorize::substitute(
                triangle,
                [&](std::int64_t row, std::int64_t column) {
                  const std::int64_t distance = std::abs(row - column);
                  const std::int64_t stored_row = adjoint_ ? column : row;
                  return conjugated(band(lower_ ? distance : main_diagonal - distance, stored_row),
                                    adjoint_);
                },
                x);
            store_matrix<T>(x, y, result);
          });
    });
  }
};

constexpr std::string_view kSolveAttrs =
    "lower: bool = true; adjoint: bool = false; T: {double, float, half, complex64, complex128}";

constexpr OpDef kOps[] = {
    {.name = "MatrixTriangularSolve",
     .inputs = "matrix: T, rhs: T",
     .outputs = "output: T",
     .attrs = "lower: bool = true; adjoint: bool = false; "
              "T: {bfloat16, double, float, half, complex64, complex128}",
     .shape = triangular_solve_shape,
     .kernel = make_kernel<MatrixTriangularSolveKernel>},
    {.name = "BandedTriangularSolve",
     .inputs = "matrix: T, rhs: T",
     .outputs = "output: T",
     .attrs = kSolveAttrs,
     .shape = banded_solve_shape,
     .kernel = make_kernel<BandedTriangularSolveKernel>},
};

}  // namespace

OpFamily linalg_triangular_ops() { return kOps; }

}  // namespace hub
