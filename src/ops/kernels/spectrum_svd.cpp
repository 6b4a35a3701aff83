#include <Eigen/SVD>

#include "ops/keep_denormals.h"
#include "ops/kernels/spectrum.h"

namespace hub::spectrum {

namespace {

unsigned options(Vectors vectors) {
  switch (vectors) {
    case Vectors::kThin: return Eigen::ComputeThinU | Eigen::ComputeThinV;
    case Vectors::kFull: return Eigen::ComputeFullU | Eigen::ComputeFullV;
    default: return 0;
  }
}

template <class Decomposition, class Matrix>
Svd<Matrix> decompose(const Matrix& matrix, Vectors vectors) {
  const KeepDenormals keep;
  const Decomposition decomposition(matrix, options(vectors));
  Svd<Matrix> result;
  result.values = decomposition.singularValues();
  if (vectors != Vectors::kNone) {
    result.left = decomposition.matrixU();
    result.right = decomposition.matrixV();
  }
  return result;
}

}  // namespace

Svd<RealMatrix> svd(const RealMatrix& matrix, Vectors vectors) {
  return decompose<Eigen::BDCSVD<RealMatrix>>(matrix, vectors);
}

// Complex matrices are rare: the slower iteration is the smaller program.
Svd<ComplexMatrix> svd(const ComplexMatrix& matrix, Vectors vectors) {
  return decompose<Eigen::JacobiSVD<ComplexMatrix, Eigen::HouseholderQRPreconditioner>>(matrix,
                                                                                        vectors);
}

}  // namespace hub::spectrum
