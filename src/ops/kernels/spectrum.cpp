#include "ops/kernels/spectrum.h"

#include <Eigen/Eigenvalues>

#include "ops/keep_denormals.h"

namespace hub::spectrum {

namespace {

template <class Matrix>
SelfAdjoint<Matrix> decompose(const Matrix& matrix, bool with_vectors) {
  const KeepDenormals keep;
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(
      matrix, with_vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  SelfAdjoint<Matrix> result;
  result.converged = solver.info() == Eigen::Success;
  if (!result.converged) return result;
  result.values = solver.eigenvalues();
  if (with_vectors) result.vectors = solver.eigenvectors();
  return result;
}

}  // namespace

SelfAdjoint<RealMatrix> self_adjoint(const RealMatrix& matrix, bool with_vectors) {
  return decompose(matrix, with_vectors);
}

SelfAdjoint<ComplexMatrix> self_adjoint(const ComplexMatrix& matrix, bool with_vectors) {
  return decompose(matrix, with_vectors);
}

Schur schur(const ComplexMatrix& matrix) {
  const Eigen::ComplexSchur<ComplexMatrix> decomposition(matrix);
  return {decomposition.matrixU(), decomposition.matrixT()};
}

}  // namespace hub::spectrum
