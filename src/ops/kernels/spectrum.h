#pragma once

// Eigen's iterations for singular values, eigenvalues and Schur forms, compiled once, for
// double and complex<double>.

#include <Eigen/Core>

#include <complex>

namespace hub::spectrum {

using RealMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ComplexMatrix =
    Eigen::Matrix<std::complex<double>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

enum class Vectors { kNone, kThin, kFull };

template <class Matrix>
struct Svd {
  Eigen::VectorXd values;  // descending
  Matrix left, right;
};

// Of a finite matrix that is not empty.
Svd<RealMatrix> svd(const RealMatrix& matrix, Vectors vectors);
Svd<ComplexMatrix> svd(const ComplexMatrix& matrix, Vectors vectors);

template <class Matrix>
struct SelfAdjoint {
  Eigen::VectorXd values;  // ascending
  Matrix vectors;
  bool converged = false;
};

// Reads the lower triangle only.
SelfAdjoint<RealMatrix> self_adjoint(const RealMatrix& matrix, bool with_vectors);
SelfAdjoint<ComplexMatrix> self_adjoint(const ComplexMatrix& matrix, bool with_vectors);

// matrix = u t u' with an upper triangular t.
struct Schur {
  ComplexMatrix u, t;
};
Schur schur(const ComplexMatrix& matrix);

}  // namespace hub::spectrum
