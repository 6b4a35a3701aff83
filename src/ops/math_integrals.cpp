// Integrals without a closed form: Dawson's, the exponential one, Fresnel's and Spence's.
// All are computed in double precision.

#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"

namespace hub {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// exp(-x^2) times the integral of exp(t^2) up to x, by Rybicki's sum over a grid: its error
// falls as exp(-(pi / 2h)^2) with the grid's step h.
double dawson(double x) {
  constexpr double kStep = 0.2;
  constexpr int kTerms = 16;
  const double a = std::fabs(x);
  if (a < 0.2) {  // the power series
    const double z = x * x;
    double sum = 0, term = x;
    for (int k = 1; k < 16; ++k) {
      sum += term;
      term *= -2 * z / (2 * k + 1);
    }
    return sum;
  }
  if (a > 1e4) return 0.5 / x;
  if (std::isnan(x)) return x;
  const double middle = 2 * std::round(0.5 * a / kStep);
  const double rest = a - middle * kStep;
  double sum = 0;
  for (int i = 0; i < kTerms; ++i) {
    const double n = 2 * i + 1;
    const double near = rest - n * kStep, far = rest + n * kStep;
    sum += std::exp(-near * near) / (n + middle) - std::exp(-far * far) / (n - middle);
  }
  return std::copysign(sum / std::sqrt(kPi), x);
}

// The principal value of the integral of exp(t) / t up to x > 0; NaN below 0.
double exponential_integral(double x) {
  constexpr double kEuler = 0.57721566490153286061;
  if (!(x >= 0)) return kNan;
  if (x == 0) return -kInfinity;
  if (x == kInfinity) return x;
  double sum = 0, term = 1;
  if (x < 40) {
    for (int k = 1; k < 200; ++k) {
      term *= x / k;
      sum += term / k;
      if (term < 1e-17 * sum) break;
    }
    return kEuler + std::log(x) + sum;
  }
  for (int k = 1; k < 40; ++k) {  // asymptotic: its terms fall until k reaches x
    sum += term;
    term *= k / x;
  }
  return std::exp(x) / x * sum;
}

// The integrals of cos and sin of pi t^2 / 2 up to x, as real and imaginary part.
std::complex<double> fresnel(double x) {
  const double a = std::fabs(x);
  if (std::isnan(x)) return {x, x};
  std::complex<double> result(0.5, 0.5);  // far out
  if (a < 1.5) {
    const double z = 0.5 * kPi * a * a;
    double term = a;
    result = 0;
    for (int k = 0; k < 60; k += 2) {
      result += std::complex<double>(term / (2 * k + 1), term * z / ((k + 1) * (2 * k + 3)));
      term *= -z * z / ((k + 1) * (k + 2));
    }
  } else if (a < 36974) {  // the complementary error function's continued fraction
    const double z = kPi * a * a;
    std::complex<double> b(1, -z), c = 1e300, d = 1.0 / b, fraction = d;
    for (int n = 1; n < 400; n += 2) {
      const double numerator = -n * (n + 1.0);
      b += 4;
      d = 1.0 / (numerator * d + b);
      c = b + numerator / c;
      const std::complex<double> change = c * d;
      fraction *= change;
      if (std::fabs(change.real() - 1) + std::fabs(change.imag()) < 1e-15) break;
    }
    fraction *= std::complex<double>(a, -a);
    const std::complex<double> wave(std::cos(0.5 * z), std::sin(0.5 * z));
    result = std::complex<double>(0.5, 0.5) * (1.0 - wave * fraction);
  }
  return x < 0 ? -result : result;
}

// The sum of x^k / k^2 for |x| <= 1/2.
double dilogarithm_series(double x) {
  double sum = 0, power = 1;
  for (int k = 1; k < 60; ++k) {
    power *= x;
    sum += power / (k * static_cast<double>(k));
  }
  return sum;
}

// Minus the integral of log(t) / (t - 1) from 1 to x: the dilogarithm of 1 - x.
double spence(double x) {
  if (!(x >= 0) || x == kInfinity) return kNan;
  if (x == 0) return kPi * kPi / 6;
  if (x < 0.5) {
    return kPi * kPi / 6 - std::log(x) * std::log1p(-x) - dilogarithm_series(x);
  }
  if (x <= 1.5) return dilogarithm_series(1 - x);
  return -0.5 * std::log(x) * std::log(x) - spence(1 / x);
}

template <double (*kFunction)(double)>
struct IntegralOp {
  using Types = WideFloats;
  static constexpr double kCost = 100;
  template <class T>
  static T apply(T x) {
    return static_cast<T>(kFunction(x));
  }
};

double fresnel_cosine(double x) { return fresnel(x).real(); }
double fresnel_sine(double x) { return fresnel(x).imag(); }

constexpr OpDef kOps[] = {
    {.name = "Dawsn",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<IntegralOp<dawson>>},
    {.name = "Expint",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<IntegralOp<exponential_integral>>},
    {.name = "FresnelCos",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<IntegralOp<fresnel_cosine>>},
    {.name = "FresnelSin",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<IntegralOp<fresnel_sine>>},
    {.name = "Spence",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<IntegralOp<spence>>},
};

}  // namespace

OpFamily math_integrals_ops() { return kOps; }

}  // namespace hub
