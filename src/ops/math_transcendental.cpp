// Exponentials, logarithms, trigonometric and hyperbolic functions. The common ones are
// vectorised for float; the rest are the C library's.

#include <cmath>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"
#include "ops/kernels/float_functions.h"
#include "ops/vector_math.h"
#include "ops/wide_lanes.h"

namespace hub {
namespace {

template <class R>
using ComplexOf = std::complex<R>;

struct ExpOp {
  using Types = WideFields;
  static constexpr double kCost = 0.5;
  static FloatLoop fastest() { return float_loops().exp; }
  static float apply(float x) { return vector_math::exp(x); }
  template <class T>
  static T apply(T x) {
    return std::exp(x);
  }
};

struct Expm1Op {
  using Types = WideFields;
  static constexpr double kCost = 0.6;
  static float apply(float x) { return vector_math::expm1(x); }
  static double apply(double x) { return std::expm1(x); }
  template <class R>
  static ComplexOf<R> apply(ComplexOf<R> x) {
    const R half_sine = std::sin(x.imag() / 2);
    const R real = std::expm1(x.real()) * std::cos(x.imag()) - 2 * half_sine * half_sine;
    return {real, std::exp(x.real()) * std::sin(x.imag())};
  }
};

struct LogOp {
  using Types = WideFields;
  static constexpr double kCost = 0.6;
  static FloatLoop fastest() { return float_loops().log; }
  static float apply(float x) { return vector_math::log(x); }
  template <class T>
  static T apply(T x) {
    return std::log(x);
  }
};

struct Log1pOp {
  using Types = WideFields;
  static constexpr double kCost = 0.8;
  static float apply(float x) { return vector_math::log1p(x); }
  static double apply(double x) { return std::log1p(x); }
  template <class R>
  static ComplexOf<R> apply(ComplexOf<R> x) {
    // The squared length of 1 + x, less one.
    const R excess = x.real() * (2 + x.real()) + x.imag() * x.imag();
    return {std::log1p(excess) / 2, std::atan2(x.imag(), 1 + x.real())};
  }
};

struct TanhOp {
  using Types = WideFields;
  static constexpr double kCost = 0.8;
  static FloatLoop fastest() { return float_loops().tanh; }
  static float apply(float x) { return vector_math::tanh(x); }
  template <class T>
  static T apply(T x) {
    return std::tanh(x);
  }
};

struct SigmoidOp {
  using Types = WideFields;
  static constexpr double kCost = 0.6;
  static FloatLoop fastest() { return float_loops().sigmoid; }
  static float apply(float x) { return vector_math::sigmoid(x); }
  template <class T>
  static T apply(T x) {
    return T(1) / (T(1) + std::exp(-x));
  }
};

struct ErfOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.5;
  static FloatLoop fastest() { return float_loops().erf; }
  static float apply(float x) { return vector_math::erf(x); }
  static double apply(double x) { return std::erf(x); }
};

struct ErfcOp {
  using Types = WideFloats;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return std::erfc(x);
  }
};

struct SinOp {
  using Types = WideFields;
  static constexpr double kCost = 6;
  template <class T>
  static T apply(T x) {
    return std::sin(x);
  }
};

struct CosOp {
  using Types = WideFields;
  static constexpr double kCost = 6;
  template <class T>
  static T apply(T x) {
    return std::cos(x);
  }
};

struct TanOp {
  using Types = WideFields;
  static constexpr double kCost = 10;
  template <class T>
  static T apply(T x) {
    return std::tan(x);
  }
};

struct AsinOp {
  using Types = WideFields;
  static constexpr double kCost = 8;
  template <class T>
  static T apply(T x) {
    return std::asin(x);
  }
};

struct AtanOp {
  using Types = WideFields;
  static constexpr double kCost = 8;
  template <class T>
  static T apply(T x) {
    return std::atan(x);
  }
};

struct SinhOp {
  using Types = WideFields;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return std::sinh(x);
  }
};

struct CoshOp {
  using Types = WideFields;
  static constexpr double kCost = 12;
  template <class T>
  static T apply(T x) {
    return std::cosh(x);
  }
};

struct AsinhOp {
  using Types = WideFields;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return std::asinh(x);
  }
};

struct AcoshOp {
  using Types = WideFields;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return std::acosh(x);
  }
};

struct AtanhOp {
  using Types = WideFields;
  static constexpr double kCost = 15;
  template <class T>
  static T apply(T x) {
    return std::atanh(x);
  }
};

struct AcosOp {
  using Types = WideFields;
  static constexpr double kCost = 8;
  template <class T>
  static T apply(T x) {
    return std::acos(x);
  }
};

constexpr OpDef kOps[] = {
    {.name = "Exp",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = vectorised_unary_kernel<ExpOp>},
    {.name = "Expm1",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = vectorised_unary_kernel<Expm1Op>},
    {.name = "Log",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = vectorised_unary_kernel<LogOp>},
    {.name = "Log1p",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = vectorised_unary_kernel<Log1pOp>},
    {.name = "Tanh",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = vectorised_unary_kernel<TanhOp>},
    {.name = "Sigmoid",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = vectorised_unary_kernel<SigmoidOp>},
    {.name = "Erf",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = vectorised_unary_kernel<ErfOp>},
    {.name = "Erfc",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<ErfcOp>},
    {.name = "Sin",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<SinOp>},
    {.name = "Cos",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<CosOp>},
    {.name = "Tan",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<TanOp>},
    {.name = "Asin",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<AsinOp>},
    {.name = "Acos",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<AcosOp>},
    {.name = "Atan",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<AtanOp>},
    {.name = "Sinh",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<SinhOp>},
    {.name = "Cosh",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<CoshOp>},
    {.name = "Asinh",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<AsinhOp>},
    {.name = "Acosh",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<AcoshOp>},
    {.name = "Atanh",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<AtanhOp>},
};

}  // namespace

OpFamily math_transcendental_ops() { return kOps; }

}  // namespace hub
