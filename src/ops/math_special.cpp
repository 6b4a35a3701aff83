// Special functions: gamma, beta, zeta, Bessel and the normal distribution's quantile, by
// Eigen, whose results TensorFlow gives too.

#include <Eigen/Core>
#include <cmath>
#include <unsupported/Eigen/SpecialFunctions>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"

namespace hub {
namespace {

// NaN outside of [0, 1].
template <class T>
T normal_quantile(T x) {
  return x >= 0 && x <= 1 ? Eigen::numext::ndtri(x) : std::numeric_limits<T>::quiet_NaN();
}

struct NdtriOp {
  using Types = WideFloats;
  static constexpr double kCost = 20;
  template <class T>
  static T apply(T x) {
    return normal_quantile(x);
  }
};

struct ErfinvOp {
  using Types = WideFloats;
  static constexpr double kCost = 20;
  template <class T>
  static T apply(T x) {
    return normal_quantile(T(0.5) * x + T(0.5)) * T(0.70710678118654752440);
  }
};

// The operands have one shape, or are scalars.
void compute_betainc(KernelContext& c) {
  const Tensor* operands[3] = {&c.input(0), &c.input(1), &c.input(2)};
  const Shape* shape = nullptr;
  for (const Tensor* operand : operands) {
    if (operand->rank() == 0) continue;
    if (shape != nullptr && operand->shape() != *shape) {
      throw invalid_argument(
          "Betainc: a, b and x must have the same shape, or be scalars. Details: ",
          operands[0]->shape(), ", ", operands[1]->shape(), " and ", operands[2]->shape(), ".");
    }
    shape = &operand->shape();
  }
  Tensor& y = c.output(0, shape == nullptr ? Shape{} : *shape);
  dispatch(WideFloats{}, y.dtype(), [&]<class T>() {
    T* out = y.mutable_data<T>();
    c.parallel_for(y.num_elements(), 200, [&](std::int64_t begin, std::int64_t end) {
      const auto at = [&](int operand, std::int64_t i) {
        return operands[operand]->data<T>()[operands[operand]->rank() == 0 ? 0 : i];
      };
      for (std::int64_t i = begin; i < end; ++i) {
        out[i] = Eigen::numext::betainc(at(0, i), at(1, i), at(2, i));
      }
    });
  });
}

Shapes betainc_shape(ShapeContext& c) {
  PartialShape shape;
  bool all_scalars = true;
  for (int i = 0; i < 3; ++i) {
    const PartialShape& operand = c.input(i);
    if (operand.has_rank() && operand.rank() == 0) continue;
    all_scalars = false;
    if (operand.has_rank()) shape = shape.merge_with(operand);
  }
  if (all_scalars) return {PartialShape::scalar()};
  return {shape};
}

struct LgammaOp {
  using Types = WideFloats;
  static constexpr double kCost = 20;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::lgamma(x);
  }
};

struct DigammaOp {
  using Types = WideFloats;
  static constexpr double kCost = 20;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::digamma(x);
  }
};

struct BesselI0Op {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_i0(x);
  }
};

struct BesselI0eOp {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_i0e(x);
  }
};

struct BesselI1Op {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_i1(x);
  }
};

struct BesselI1eOp {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_i1e(x);
  }
};

struct BesselJ0Op {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_j0(x);
  }
};

struct BesselJ1Op {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_j1(x);
  }
};

struct BesselK0Op {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_k0(x);
  }
};

struct BesselK0eOp {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_k0e(x);
  }
};

struct BesselK1Op {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_k1(x);
  }
};

struct BesselK1eOp {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_k1e(x);
  }
};

struct BesselY0Op {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_y0(x);
  }
};

struct BesselY1Op {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return Eigen::numext::bessel_y1(x);
  }
};

struct IgammaOp {
  using Types = WideFloats;
  static constexpr double kCost = 100;
  template <class T>
  static T apply(T a, T x) {
    return Eigen::numext::igamma(a, x);
  }
};

struct IgammacOp {
  using Types = WideFloats;
  static constexpr double kCost = 100;
  template <class T>
  static T apply(T a, T x) {
    return Eigen::numext::igammac(a, x);
  }
};

struct IgammaGradAOp {
  using Types = WideFloats;
  static constexpr double kCost = 200;
  template <class T>
  static T apply(T a, T x) {
    return Eigen::numext::igamma_der_a(a, x);
  }
};

struct ZetaOp {
  using Types = WideFloats;
  static constexpr double kCost = 50;
  template <class T>
  static T apply(T a, T x) {
    return Eigen::numext::zeta(a, x);
  }
};

struct PolygammaOp {
  using Types = WideFloats;
  static constexpr double kCost = 80;
  template <class T>
  static T apply(T a, T x) {
    return Eigen::numext::polygamma(a, x);
  }
};

constexpr OpDef kOps[] = {
    {.name = "Ndtri",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<NdtriOp>},
    {.name = "Erfinv",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<ErfinvOp>},
    {.name = "Lgamma",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<LgammaOp>},
    {.name = "Digamma",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<DigammaOp>},
    {.name = "BesselI0",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselI0Op>},
    {.name = "BesselI0e",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselI0eOp>},
    {.name = "BesselI1",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselI1Op>},
    {.name = "BesselI1e",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselI1eOp>},
    {.name = "BesselJ0",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselJ0Op>},
    {.name = "BesselJ1",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselJ1Op>},
    {.name = "BesselK0",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselK0Op>},
    {.name = "BesselK0e",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselK0eOp>},
    {.name = "BesselK1",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselK1Op>},
    {.name = "BesselK1e",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselK1eOp>},
    {.name = "BesselY0",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselY0Op>},
    {.name = "BesselY1",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<BesselY1Op>},
    {.name = "Igamma",
     .inputs = "a: T, x: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<IgammaOp>},
    {.name = "Igammac",
     .inputs = "a: T, x: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<IgammacOp>},
    {.name = "IgammaGradA",
     .inputs = "a: T, x: T",
     .outputs = "z: T",
     .attrs = "T: {float, double}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<IgammaGradAOp>,
     .differentiable = Differentiable::kRefused},
    {.name = "Zeta",
     .inputs = "x: T, q: T",
     .outputs = "z: T",
     .attrs = "T: {float, double}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<ZetaOp>},
    {.name = "Polygamma",
     .inputs = "a: T, x: T",
     .outputs = "z: T",
     .attrs = "T: {float, double}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<PolygammaOp>},
    {.name = "Betainc",
     .inputs = "a: T, b: T, x: T",
     .outputs = "z: T",
     .attrs = "T: {float, double}",
     .shape = betainc_shape,
     .kernel = kernel_function<compute_betainc>},
};

}  // namespace

OpFamily math_special_ops() { return kOps; }

}  // namespace hub
