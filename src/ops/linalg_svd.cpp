// Svd: singular values, descending, and both sides' vectors. All types are computed in double.

#include "ops/kernels/spectrum.h"
#include "ops/matrices.h"

namespace hub {
namespace {

Shapes svd_shapes(ShapeContext& c) {
  const PartialShape input = c.at_least_rank(0, 2);
  const std::int64_t m = dim_from_end(input, 2);
  const std::int64_t n = dim_from_end(input, 1);
  std::int64_t p = m < 0 || n < 0 ? -1 : std::min(m, n);
  if (m == 0 || n == 0) p = 0;
  const PartialShape values = with_matrix_dims(input, {p});
  // TensorFlow infers [0] and makes scalars.
  if (!c.attr<bool>("compute_uv")) return {values, PartialShape{}, PartialShape{}};
  const bool full = c.attr<bool>("full_matrices");
  return {values, with_matrix_dims(input, {m, full ? m : p}),
          with_matrix_dims(input, {n, full ? n : p})};
}

class SvdKernel final : public Kernel {
 public:
  explicit SvdKernel(const KernelInit& init)
      : with_vectors_(init.attr<bool>("compute_uv")), full_(init.attr<bool>("full_matrices")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const MatrixBatch batch("Svd", x);
    const std::int64_t size = std::min(batch.rows, batch.columns);
    const auto vectors = [&](int output, std::int64_t n) -> Tensor& {
      if (with_vectors_) return ctx.output(output, batch.shape({n, full_ ? n : size}));
      Tensor& nothing = ctx.output(output, Shape{});
      std::ranges::fill(nothing.mutable_bytes(), std::byte{0});
      return nothing;
    };
    Tensor& values = ctx.output(0, batch.shape({size}));
    Tensor& left = vectors(1, batch.rows);
    Tensor& right = vectors(2, batch.columns);
    dispatch(MatrixTypes{}, x.dtype(), [&]<class T>() {
      for_each_matrix(ctx, batch, [&](std::int64_t i) {
        const auto svd = decompose(load_matrix<T, DoubleMatrix<T>>(x, batch, i));
        store_matrix<T>(svd.values, values, i);
        if (!with_vectors_) return;
        store_matrix<T>(svd.left, left, i);
        store_matrix<T>(svd.right, right, i);
      });
    });
  }

 private:
  template <class Matrix>
  spectrum::Svd<Matrix> decompose(const Matrix& matrix) const {
    using spectrum::Vectors;
    const Eigen::Index size = std::min(matrix.rows(), matrix.cols());
    if (size > 0 && matrix.allFinite()) {
      const Vectors wanted = full_ ? Vectors::kFull : Vectors::kThin;
      return spectrum::svd(matrix, with_vectors_ ? wanted : Vectors::kNone);
    }
    spectrum::Svd<Matrix> result = {Eigen::VectorXd::Zero(size),
                                    Matrix::Identity(matrix.rows(), full_ ? matrix.rows() : size),
                                    Matrix::Identity(matrix.cols(), full_ ? matrix.cols() : size)};
    if (size > 0) {
      result.values.setConstant(std::nan(""));
      result.left.setConstant(std::nan(""));
      result.right.setConstant(std::nan(""));
    }
    return result;
  }

  const bool with_vectors_;
  const bool full_;
};

constexpr OpDef kOps[] = {
    {.name = "Svd",
     .inputs = "input: T",
     .outputs = "s: T, u: T, v: T",
     .attrs = "compute_uv: bool = true; full_matrices: bool = false; "
              "T: {double, float, half, complex64, complex128}",
     .shape = svd_shapes,
     .kernel = make_kernel<SvdKernel>},
};

}  // namespace

OpFamily linalg_svd_ops() { return kOps; }

}  // namespace hub
