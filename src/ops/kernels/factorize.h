#pragma once

// Factorisations of small dense matrices, row after row, in place. `Matrix` is a row-major
// matrix of Eigen's.

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace hub::factorize {

template <class Scalar>
using RealOf = typename Eigen::NumTraits<Scalar>::Real;

// A triangular system of equations.
struct Triangle {
  bool lower = true;
  std::int64_t size = 0;
  std::int64_t width = 0;  // diagonals beside the main one that are not zero
  bool unit = false;       // ones on the diagonal, which is not read
};

// Substitutes row after row: x = (x - sum of element * x) / diagonal. `element(row, column)`
// is the system's matrix.
template <class Matrix, class Element>
void substitute(const Triangle& triangle, const Element& element, Matrix& x) {
  for (std::int64_t step = 0; step < triangle.size; ++step) {
    const std::int64_t row = triangle.lower ? step : triangle.size - 1 - step;
    const std::int64_t known = std::min(step, triangle.width);
    const std::int64_t first = triangle.lower ? row - known : row + 1;
    for (std::int64_t column = first; column < first + known; ++column) {
      x.row(row) -= element(row, column) * x.row(column);
    }
    if (!triangle.unit) x.row(row) /= element(row, row);
  }
}

// x with l x = b (or l' x = b, conjugated, where `adjoint`), in place of b.
template <class Matrix>
void solve_lower(const Matrix& l, bool adjoint, Matrix& x) {
  const std::int64_t n = l.rows();
  const auto element = [&](std::int64_t row, std::int64_t column) {
    return adjoint ? Eigen::numext::conj(l(column, row)) : l(row, column);
  };
  substitute(Triangle{.lower = !adjoint, .size = n, .width = n}, element, x);
}

// L with A = L L', from the lower triangle of A; false where A is not positive definite.
template <class Matrix>
bool cholesky(Matrix& a) {
  using Scalar = typename Matrix::Scalar;
  const Eigen::Index n = a.rows();
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < i; ++j) {
      const Scalar sum = a.row(i).head(j).dot(a.row(j).head(j));  // conjugates the first
      a(i, j) = (a(i, j) - Eigen::numext::conj(sum)) / a(j, j);
    }
    const RealOf<Scalar> pivot = Eigen::numext::real(a(i, i)) - a.row(i).head(i).squaredNorm();
    if (pivot <= 0) return false;  // a NaN goes on
    a(i, i) = std::sqrt(pivot);
    a.row(i).tail(n - i - 1).setZero();
  }
  return true;
}

// P A = L U, with ones on L's diagonal: both in one matrix.
template <class Matrix>
struct Lu {
  Matrix lu;
  std::vector<Eigen::Index> order;  // row i of P A is row order[i] of A
  int sign = 1;                     // of P's determinant

  explicit Lu(Matrix a) : lu(std::move(a)), order(static_cast<std::size_t>(lu.rows())) {
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Eigen::Index>(i);
    const Eigen::Index n = lu.rows();
    for (Eigen::Index k = 0; k < n; ++k) {
      Eigen::Index pivot = 0;
      const auto largest = lu.col(k).tail(n - k).cwiseAbs().maxCoeff(&pivot);
      pivot += k;
      if (pivot != k) {
        lu.row(k).swap(lu.row(pivot));
        std::swap(order[static_cast<std::size_t>(k)], order[static_cast<std::size_t>(pivot)]);
        sign = -sign;
      }
      if (largest == 0) continue;
      for (Eigen::Index i = k + 1; i < n; ++i) {
        lu(i, k) /= lu(k, k);
        lu.row(i).tail(n - k - 1) -= lu(i, k) * lu.row(k).tail(n - k - 1);
      }
    }
  }

  // False for NaN on the diagonal too.
  bool is_invertible() const { return lu.diagonal().cwiseAbs().minCoeff() > 0; }

  Matrix solve(const Matrix& b) const {
    Matrix x(b.rows(), b.cols());
    for (std::size_t i = 0; i < order.size(); ++i)
      x.row(static_cast<Eigen::Index>(i)) = b.row(order[i]);
    const auto element = [this](std::int64_t row, std::int64_t column) { return lu(row, column); };
    const std::int64_t n = lu.rows();
    substitute(Triangle{.lower = true, .size = n, .width = n, .unit = true}, element, x);
    substitute(Triangle{.lower = false, .size = n, .width = n}, element, x);
    return x;
  }
};

// The reflection I - tau v v' that turns column k of `a` (from row k on) into (beta, 0...).
// v is 1, then what is below the diagonal of `a` afterwards.
template <class Matrix>
typename Matrix::Scalar make_reflection(Matrix& a, Eigen::Index k) {
  using Scalar = typename Matrix::Scalar;
  using Real = RealOf<Scalar>;
  const Eigen::Index below = a.rows() - k - 1;
  const Real tail = a.col(k).tail(below).squaredNorm();
  const Scalar head = a(k, k);
  const Real imaginary = Eigen::numext::imag(head);
  constexpr Real kSmallest = std::numeric_limits<Real>::min();
  if (tail <= kSmallest && imaginary * imaginary <= kSmallest) {
    a.col(k).tail(below).setZero();
    a(k, k) = Eigen::numext::real(head);
    return Scalar(0);
  }
  Real beta = std::sqrt(Eigen::numext::abs2(head) + tail);
  if (Eigen::numext::real(head) >= 0) beta = -beta;
  a.col(k).tail(below) /= head - beta;
  a(k, k) = beta;
  return Eigen::numext::conj((beta - head) / beta);
}

// x = (I - factor v v') x for the rows from k on; v as make_reflection leaves it in `a`.
template <class Matrix, class Block>
void reflect(const Matrix& a, Eigen::Index k, typename Matrix::Scalar factor, Block&& x) {
  using Row = Eigen::Matrix<typename Matrix::Scalar, 1, Eigen::Dynamic>;
  Row sum = x.row(k);
  for (Eigen::Index i = k + 1; i < a.rows(); ++i) sum += Eigen::numext::conj(a(i, k)) * x.row(i);
  sum *= factor;
  x.row(k) -= sum;
  for (Eigen::Index i = k + 1; i < a.rows(); ++i) x.row(i) -= a(i, k) * sum;
}

// Turns `a` into R (in its upper triangle) and gives the first `columns` columns of Q.
template <class Matrix>
Matrix qr(Matrix& a, Eigen::Index columns) {
  using Scalar = typename Matrix::Scalar;
  const Eigen::Index size = std::min(a.rows(), a.cols());
  std::vector<Scalar> factors(static_cast<std::size_t>(size));
  for (Eigen::Index k = 0; k < size; ++k) {
    const Scalar tau = make_reflection(a, k);
    factors[static_cast<std::size_t>(k)] = tau;
    const Eigen::Index right = a.cols() - k - 1;
    if (right > 0) reflect(a, k, tau, a.rightCols(right));
  }
  Matrix q = Matrix::Identity(a.rows(), columns);
  for (Eigen::Index k = size; k-- > 0;) {
    reflect(a, k, Eigen::numext::conj(factors[static_cast<std::size_t>(k)]), q);
  }
  return q;
}

}  // namespace hub::factorize
