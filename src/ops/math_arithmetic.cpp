// Sums, products, maxima and the like of two numbers, with broadcasting.

#include <cmath>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"
#include "ops/vector_math.h"

namespace hub {
namespace {

struct AddOp {
  using Types = WideNumbers;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    return add(x, y);
  }
};

struct SubOp {
  using Types = WideNumbers;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    return subtract(x, y);
  }
};

struct MulOp {
  using Types = WideNumbers;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    return multiply(x, y);
  }
};

// Zero where y is 0, whatever x is.
struct MulNoNanOp {
  using Types = WideFields;
  static constexpr double kCost = 0.5;
  template <class T>
  static T apply(T x, T y) {
    const T product = multiply(x, y);
    return y == T(0) ? T(0) : product;
  }
};

struct SquaredDifferenceOp {
  using Types = Join<WideFields, Indices>;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    const T difference = subtract(x, y);
    return multiply(difference, conjugate(difference));
  }
};

// NaN wins.
struct MaximumOp {
  using Types = WideReals;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    const T larger = x > y ? x : y;
    return x != x ? x : larger;
  }
};

struct MinimumOp {
  using Types = WideReals;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    const T smaller = x < y ? x : y;
    return x != x ? x : smaller;
  }
};

struct Atan2Op {
  using Types = WideFloats;
  static constexpr double kCost = 20;
  template <class T>
  static T apply(T y, T x) {
    return std::atan2(y, x);
  }
};

struct NextAfterOp {
  using Types = WideFloats;
  static constexpr double kCost = 5;
  template <class T>
  static T apply(T x, T y) {
    return std::nextafter(x, y);
  }
};

// The three that follow are x where that is 0 (of its sign), even for a NaN in y.

struct XdivyOp {
  using Types = WideFields;
  static constexpr double kCost = 0.6;
  template <class T>
  static T apply(T x, T y) {
    const T quotient = x / y;
    return x == T(0) ? x : quotient;
  }
};

struct XlogyOp {
  using Types = WideFields;
  static constexpr double kCost = 0.8;
  static float apply(float x, float y) {
    return vector_math::select(x == 0, x, x * vector_math::log(y));
  }
  template <class T>
  static T apply(T x, T y) {
    return x == T(0) ? x : multiply(x, std::log(y));
  }
};

struct Xlog1pyOp {
  using Types = WideFields;
  static constexpr double kCost = 1;
  static float apply(float x, float y) {
    return vector_math::select(x == 0, x, x * vector_math::log1p(y));
  }
  static double apply(double x, double y) { return x == 0 ? x : x * std::log1p(y); }
  template <class R>
  static std::complex<R> apply(std::complex<R> x, std::complex<R> y) {
    return x == R(0) ? x : multiply(x, std::log(R(1) + y));
  }
};

// Integers wrap around.
template <class T>
T integer_power(T base, T exponent) {
  if (exponent < 0) {
    throw invalid_argument("Pow: an integer cannot be raised to a negative power. Details: ", base,
                           " to the ", exponent, ".");
  }
  T result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

struct PowOp {
  using Types = Join<WideFields, Indices>;
  static constexpr double kCost = 20;
  template <class T>
  static T apply(T x, T y) {
    if constexpr (std::is_integral_v<T>) {
      return integer_power(x, y);
    } else {
      return std::pow(x, y);
    }
  }
};

// Squares and cubes, which models are full of, need no logarithm.
void float_power_loop(const void* x, const void* y, void* result, std::int64_t count,
                      Repeated repeated) {
  const float exponent = *static_cast<const float*>(y);
  const auto* from = static_cast<const float*>(x);
  auto* to = static_cast<float*>(result);
  if (repeated == Repeated::kSecond && exponent == 2) {
    for_lanes(count, [=](std::int64_t i) { to[i] = from[i] * from[i]; });
  } else if (repeated == Repeated::kSecond && exponent == 3) {
    for_lanes(count, [=](std::int64_t i) {
      const double base = from[i];
      to[i] = static_cast<float>(base * base * base);
    });
  } else {
    binary_loop<PowOp, float>(x, y, result, count, repeated);
  }
}

void compute_pow(KernelContext& c) {
  static constexpr Loops<BinaryLoop> kLoops = [] {
    Loops<BinaryLoop> loops = binary_loops<PowOp>;
    loops.f32 = float_power_loop;
    return loops;
  }();
  run_binary(c, kLoops, PowOp::kCost);
}

void compute_add(KernelContext& c) {
  const Tensor& x = c.input(0);
  if (x.dtype() != DType::kString) return run_binary(c, binary_loops<AddOp>, AddOp::kCost);
  const Tensor& y = c.input(1);
  const Broadcast broadcast("Add", {&x.shape(), &y.shape()});
  const auto* xs = x.data<std::string>();
  const auto* ys = y.data<std::string>();
  std::int64_t i = 0;
  for (std::string& joined : c.output(0, broadcast.shape()).mutable_values<std::string>()) {
    joined = cat(xs[broadcast.source(0, i)], ys[broadcast.source(1, i)]);
    ++i;
  }
}

constexpr OpDef kOps[] = {
    {.name = "Add",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, uint8, int8, int16, int32, int64, complex64, "
              "complex128, string}",
     .shape = broadcast_shape,
     .kernel = kernel_function<compute_add>},
    {.name = "AddV2",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, uint8, uint16, uint32, uint64, int8, int16, "
              "int32, int64, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<AddOp>,
     .commutative = true,
     .aggregate = true},
    {.name = "Sub",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, uint8, int8, uint16, int16, int32, int64, "
              "complex64, complex128, uint32, uint64}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<SubOp>},
    {.name = "Mul",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, uint8, int8, uint16, int16, int32, uint32, "
              "uint64, int64, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<MulOp>,
     .commutative = true},
    {.name = "MulNoNan",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<MulNoNanOp>},
    {.name = "SquaredDifference",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, int32, int64, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<SquaredDifferenceOp>,
     .commutative = true},
    {.name = "Maximum",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: realnumbertype",
     .shape = broadcast_shape,
     .kernel = binary_kernel<MaximumOp>},
    {.name = "Minimum",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: realnumbertype",
     .shape = broadcast_shape,
     .kernel = binary_kernel<MinimumOp>},
    {.name = "Atan2",
     .inputs = "y: T, x: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<Atan2Op>},
    {.name = "NextAfter",
     .inputs = "x1: T, x2: T",
     .outputs = "output: T",
     .attrs = "T: {double, float} = float",
     .shape = broadcast_shape,
     .kernel = binary_kernel<NextAfterOp>},
    {.name = "Xdivy",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {half, bfloat16, float, double, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<XdivyOp>},
    {.name = "Xlogy",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {half, bfloat16, float, double, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<XlogyOp>},
    {.name = "Xlog1py",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {half, bfloat16, float, double, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<Xlog1pyOp>},
    {.name = "Pow",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs =
         "T: {bfloat16, float, half, double, int8, int16, int32, int64, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = kernel_function<compute_pow>},
};

}  // namespace

OpFamily math_arithmetic_ops() { return kOps; }

}  // namespace hub
