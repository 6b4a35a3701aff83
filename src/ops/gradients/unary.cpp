// Gradients of elementwise ops of one operand.

#include <cmath>
#include <numbers>

#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

// The derivative from x and y = f(x), both conjugated where complex.
template <auto kDerivative>
Gradients times(GradientContext& c) {
  return {c.dy() * kDerivative(conj(c.input(0)), conj(c.output()))};
}

// An op of TensorFlow's that takes y and dy.
template <const char* kOp>
Gradients by_output(GradientContext& c) {
  return {op(kOp, {c.output(), c.dy()})};
}
constexpr char kReciprocalGrad[] = "ReciprocalGrad";
constexpr char kSqrtGrad[] = "SqrtGrad";
constexpr char kRsqrtGrad[] = "RsqrtGrad";
constexpr char kInvGrad[] = "InvGrad";

template <const char* kOp>
Gradients by_conjugate_output(GradientContext& c) {
  return {op(kOp, {conj(c.output()), c.dy()})};
}
constexpr char kSigmoidGrad[] = "SigmoidGrad";
constexpr char kTanhGrad[] = "TanhGrad";

using X = const Output&;
Output inverse(X x) { return op("Reciprocal", {x}); }
Output call(std::string_view name, X x) { return op(name, {x}); }

Output abs(X x, X) { return call("Sign", x); }
Output square_of(X x, X) { return x * 2.0; }
Output exponential(X, X y) { return y; }
Output expm1(X x, X) { return exp(x); }
Output log(X x, X) { return inverse(x); }
Output log1p(X x, X) { return inverse(1.0 + x); }
Output sinh(X x, X) { return call("Cosh", x); }
Output cosh(X x, X) { return call("Sinh", x); }
Output asinh(X, X y) { return inverse(call("Cosh", y)); }
Output acosh(X, X y) { return inverse(call("Sinh", y)); }
Output atanh(X x, X) { return inverse(1.0 - square(x)); }
Output sin(X x, X) { return call("Cos", x); }
Output cos(X x, X) { return -call("Sin", x); }
Output tan(X x, X) { return square(inverse(call("Cos", x))); }
Output asin(X x, X) { return inverse(call("Sqrt", 1.0 - square(x))); }
Output acos(X x, X) { return -inverse(call("Sqrt", 1.0 - square(x))); }
Output atan(X x, X) { return inverse(1.0 + square(x)); }
constexpr double kTwoOverRootPi = 2 * std::numbers::inv_sqrtpi;
Output erf(X x, X) { return kTwoOverRootPi * exp(-square(x)); }
Output erfc(X x, X) { return -kTwoOverRootPi * exp(-square(x)); }
Output erfinv(X, X y) { return 1 / kTwoOverRootPi * exp(square(y)); }
Output ndtri(X, X y) { return std::sqrt(2 * std::numbers::pi) * exp(square(y) / 2.0); }
Output lgamma(X x, X) { return call("Digamma", x); }
Output digamma(X x, X) { return op("Polygamma", {ones_like(x), x}); }
Output dawsn(X x, X y) { return 1.0 - 2.0 * x * y; }
Output expint(X x, X) { return exp(x) / x; }
Output fresnel_cos(X x, X) { return call("Cos", std::numbers::pi / 2 * square(x)); }
Output fresnel_sin(X x, X) { return call("Sin", std::numbers::pi / 2 * square(x)); }
Output spence(X x, X) {
  return where(op("Equal", {x, 1.0}), -ones_like(x), call("Log", x) / (1.0 - x));
}
Output bessel_i0(X x, X) { return call("BesselI1", x); }
Output bessel_i0e(X x, X y) { return call("BesselI1e", x) - call("Sign", x) * y; }
Output bessel_i1(X x, X y) {
  return where(op("Equal", {x, 0.0}), ones_like(x), call("BesselI0", x) - op("Div", {y, x}));
}
Output bessel_i1e(X x, X y) {
  return where(op("Equal", {x, 0.0}), 0.5 * ones_like(x),
               call("BesselI0e", x) - y * (call("Sign", x) + inverse(x)));
}
Output bessel_k0(X x, X) { return -call("BesselK1", x); }
Output bessel_k0e(X x, X y) { return y - call("BesselK1e", x); }
Output bessel_k1(X x, X y) { return -call("BesselK0", x) - op("Div", {y, x}); }
Output bessel_k1e(X x, X y) { return y * (1.0 - inverse(x)) - call("BesselK0e", x); }
Output bessel_j0(X x, X) { return -call("BesselJ1", x); }
Output bessel_j1(X x, X y) {
  return where(op("Equal", {x, 0.0}), 0.5 * ones_like(x), call("BesselJ0", x) - op("Div", {y, x}));
}
Output bessel_y0(X x, X) { return -call("BesselY1", x); }
Output bessel_y1(X x, X y) { return call("BesselY0", x) - op("Div", {y, x}); }
Output softplus(X x, X) { return call("Sigmoid", x); }

Gradients negative(GradientContext& c) { return {-c.dy()}; }
Gradients sign(GradientContext& c) { return {zeros_like(c.input(0))}; }
Gradients l2_loss(GradientContext& c) { return {c.input(0) * c.dy()}; }

template <const char* kOp>
Gradients inverse_grad(GradientContext& c) {
  const Output a = conj(c.input(0));
  const Output dy = conj(c.dy());
  return {dy * -2.0 * c.input(1) * a, op(kOp, {a, c.dy()})};
}

Gradients sqrt_grad(GradientContext& c) {
  const Output scaled = c.dy() / c.input(0);
  return {-conj(scaled) * c.output(), 0.5 * scaled};
}

Gradients rsqrt_grad(GradientContext& c) {
  const Output a = conj(c.input(0));
  return {-1.5 * conj(c.dy()) * c.input(1) * square(a), op("RsqrtGrad", {a, c.dy()})};
}

Gradients sigmoid_grad(GradientContext& c) {
  const Output a = conj(c.input(0));
  const Output scaled = c.dy() * conj(c.input(1));
  return {scaled - 2.0 * scaled * a, op("SigmoidGrad", {a, c.dy()})};
}

Gradients tanh_grad(GradientContext& c) {
  const Output a = conj(c.input(0));
  return {c.dy() * -2.0 * conj(c.input(1)) * a, op("TanhGrad", {a, c.dy()})};
}

Output as_complex(const Output& real) {
  const DType dtype = real.dtype() == DType::kFloat64 ? DType::kComplex128 : DType::kComplex64;
  return op("Complex", {real, zeros_like(real)}, {{"Tout", dtype}});
}

Gradients real_part(GradientContext& c) { return {as_complex(c.dy())}; }

Gradients imaginary_part(GradientContext& c) {
  return {op("Complex", {zeros_like(c.dy()), c.dy()}, {{"Tout", c.dtype(0)}})};
}

Gradients angle(GradientContext& c) {
  const Output x = c.input(0);
  const Attrs real = {{"Tout", real_dtype(x.dtype())}};
  const Output swapped =
      op("Complex", {op("Imag", {x}, real), op("Real", {x}, real)}, {{"Tout", x.dtype()}});
  return {-as_complex(c.dy()) * inverse(swapped)};
}

Gradients conjugate(GradientContext& c) { return {conj(c.dy())}; }

Gradients complex_abs(GradientContext& c) {
  return {op("DivNoNan", {as_complex(c.dy()) * c.input(0), as_complex(c.output())})};
}

Gradients cast_back(GradientContext& c) {
  const auto fits = [](DType dtype) {
    return is_differentiable(dtype) && dtype != DType::kVariant && dtype != DType::kResource;
  };
  if (!fits(c.dtype(0)) || !fits(c.dy().dtype())) return {{}};
  return {cast(c.dy(), c.dtype(0))};
}

// TensorFlow registers a rule that gives None: the values are steps.
Gradients none(GradientContext& c) { return c.pad({}); }

constexpr GradientRule kRules[] = {
    {"Floor", none},
    {"Ceil", none},
    {"Round", none},
    {"Rint", none},
    {"FloorDiv", none},
    {"TruncateDiv", none},
    {"ArgMax", none},
    {"ArgMin", none},
    {"Abs", times<abs>},
    {"Neg", negative},
    {"Sign", sign},
    {"Inv", by_output<kReciprocalGrad>},
    {"Reciprocal", by_output<kReciprocalGrad>},
    {"InvGrad", inverse_grad<kInvGrad>},
    {"ReciprocalGrad", inverse_grad<kReciprocalGrad>},
    {"Square", times<square_of>},
    {"Sqrt", by_output<kSqrtGrad>},
    {"SqrtGrad", sqrt_grad},
    {"Rsqrt", by_output<kRsqrtGrad>},
    {"RsqrtGrad", rsqrt_grad},
    {"Exp", times<exponential>},
    {"Expm1", times<expm1>},
    {"Log", times<log>},
    {"Log1p", times<log1p>},
    {"Sinh", times<sinh>},
    {"Cosh", times<cosh>},
    {"Tanh", by_conjugate_output<kTanhGrad>},
    {"TanhGrad", tanh_grad},
    {"Sigmoid", by_conjugate_output<kSigmoidGrad>},
    {"SigmoidGrad", sigmoid_grad},
    {"Asinh", times<asinh>},
    {"Acosh", times<acosh>},
    {"Atanh", times<atanh>},
    {"Sin", times<sin>},
    {"Cos", times<cos>},
    {"Tan", times<tan>},
    {"Asin", times<asin>},
    {"Acos", times<acos>},
    {"Atan", times<atan>},
    {"Erf", times<erf>},
    {"Erfc", times<erfc>},
    {"Erfinv", times<erfinv>},
    {"Ndtri", times<ndtri>},
    {"Lgamma", times<lgamma>},
    {"Digamma", times<digamma>},
    {"Dawsn", times<dawsn>},
    {"Expint", times<expint>},
    {"FresnelCos", times<fresnel_cos>},
    {"FresnelSin", times<fresnel_sin>},
    {"Spence", times<spence>},
    {"BesselI0", times<bessel_i0>},
    {"BesselI0e", times<bessel_i0e>},
    {"BesselI1", times<bessel_i1>},
    {"BesselI1e", times<bessel_i1e>},
    {"BesselK0", times<bessel_k0>},
    {"BesselK0e", times<bessel_k0e>},
    {"BesselK1", times<bessel_k1>},
    {"BesselK1e", times<bessel_k1e>},
    {"BesselJ0", times<bessel_j0>},
    {"BesselJ1", times<bessel_j1>},
    {"BesselY0", times<bessel_y0>},
    {"BesselY1", times<bessel_y1>},
    {"Softplus", times<softplus>},
    {"L2Loss", l2_loss},
    {"Real", real_part},
    {"Imag", imaginary_part},
    {"Angle", angle},
    {"Conj", conjugate},
    {"ComplexAbs", complex_abs},
    {"Cast", cast_back},
};

}  // namespace

GradientRules unary_gradients() { return kRules; }

}  // namespace hub
