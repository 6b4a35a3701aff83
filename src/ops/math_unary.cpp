// Signs, roots, roundings and tests of single numbers, and TensorFlow's gradient ops of
// such functions.

#include <bit>
#include <cmath>

#include "graph/shape_rules.h"
#include "ops/wide_lanes.h"

namespace hub {
namespace {

using SignedNumbers = Join<WideFields, Indices>;

struct AbsOp {
  using Types = Join<WideFloats, Indices>;
  static constexpr double kCost = 0.3;
  template <class T>
  static T apply(T x) {
    if constexpr (std::is_integral_v<T>) {
      return x < 0 ? subtract(T{0}, x) : x;  // the lowest number stays
    } else {
      return std::fabs(x);
    }
  }
};

struct NegOp {
  using Types = SignedNumbers;
  static constexpr double kCost = 0.3;
  template <class T>
  static T apply(T x) {
    if constexpr (std::is_integral_v<T>) {
      return subtract(T{0}, x);
    } else {
      return -x;
    }
  }
};

struct SignOp {
  using Types = SignedNumbers;
  static constexpr double kCost = 0.5;
  template <class T>
  static T apply(T x) {
    if constexpr (kIsComplex<T>) {
      const auto length = std::abs(x);
      if (length == 0) return T(0);
      const auto inverse = 1 / length;
      return T(x.real() * inverse, x.imag() * inverse);
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>((x > 0) - (x < 0));
    } else {
      const T one = x > 0 ? T{1} : T{0};
      const T sign = x < 0 ? T{-1} : one;
      return x == x ? sign : x;
    }
  }
};

struct SquareOp {
  using Types = WideNumbers;
  static constexpr double kCost = 0.3;
  template <class T>
  static T apply(T x) {
    return multiply(x, x);
  }
};

struct SqrtOp {
  using Types = WideFields;
  static constexpr double kCost = 0.6;
  static FloatLoop fastest() { return float_loops().sqrt; }
  template <class T>
  static T apply(T x) {
    return std::sqrt(x);
  }
};

struct RsqrtOp {
  using Types = WideFields;
  static constexpr double kCost = 0.8;
  template <class T>
  static T apply(T x) {
    return T(1) / std::sqrt(x);
  }
};

struct ReciprocalOp {
  using Types = WideFields;
  static constexpr double kCost = 0.5;
  template <class T>
  static T apply(T x) {
    return T(1) / x;
  }
};

struct CeilOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.3;
  template <class T>
  static T apply(T x) {
    return std::ceil(x);
  }
};

struct FloorOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.3;
  template <class T>
  static T apply(T x) {
    return std::floor(x);
  }
};

// To the nearest integer, halves to the even one: TensorFlow's Round, too.
struct RoundOp {
  using Types = Join<WideFloats, Indices>;
  static constexpr double kCost = 0.3;
  template <class T>
  static T apply(T x) {
    if constexpr (std::is_integral_v<T>) {
      return x;
    } else {
      return std::rint(x);
    }
  }
};

struct IsNanOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.3;
  template <class T>
  static bool apply(T x) {
    return x != x;
  }
};

struct IsInfOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.3;
  template <class T>
  static bool apply(T x) {
    return std::fabs(x) == std::numeric_limits<T>::infinity();
  }
};

struct IsFiniteOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.3;
  template <class T>
  static bool apply(T x) {
    return std::fabs(x) < std::numeric_limits<T>::infinity();
  }
};

// The gradient ops take the function's output y and the gradient dy. Where dy is 0, so are
// most of their results, even for an infinite y.

struct SqrtGradOp {
  using Types = WideFields;
  static constexpr double kCost = 0.6;
  template <class T>
  static T apply(T y, T dy) {
    const T result = multiply(T(0.5), dy) / conjugate(y);
    return dy == T(0) ? T(0) : result;
  }
};

struct RsqrtGradOp {
  using Types = WideFields;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T y, T dy) {
    const T c = conjugate(y);
    const T result = multiply(multiply(T(-0.5), multiply(dy, c)), multiply(c, c));
    return dy == T(0) ? T(0) : result;
  }
};

struct ReciprocalGradOp {
  using Types = WideFields;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T y, T dy) {
    const T c = conjugate(y);
    const T result = multiply(multiply(c, -dy), c);
    return dy == T(0) ? T(0) : result;
  }
};

// The two that follow do not conjugate: TensorFlow's gradients of complex numbers do it before.

struct SigmoidGradOp {
  using Types = WideFields;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T y, T dy) {
    return multiply(multiply(dy, y), T(1) - y);
  }
};

struct TanhGradOp {
  using Types = WideFields;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T y, T dy) {
    return multiply(dy, T(1) - multiply(y, y));
  }
};

struct NotOp {
  using Types = TypeList<std::int32_t>;
  static constexpr double kCost = 0.3;
  template <class T>
  static T apply(T x) {
    return x ^ 1;
  }
};

struct InvertOp {
  using Types = WideIntegers;
  static constexpr double kCost = 0.3;
  template <class T>
  static T apply(T x) {
    return ~x;
  }
};

void compute_population_count(KernelContext& c) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output(0, x.shape());
  dispatch(Integers{}, x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    auto* to = y.mutable_data<std::uint8_t>();
    c.parallel_for(x.num_elements(), 0.5, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        to[i] =
            static_cast<std::uint8_t>(std::popcount(static_cast<std::make_unsigned_t<T>>(from[i])));
      }
    });
  });
}

constexpr OpDef kOps[] = {
    {.name = "Abs",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, int8, int16, int32, int64}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<AbsOp>},
    {.name = "Neg",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs =
         "T: {bfloat16, half, float, double, int8, int16, int32, int64, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<NegOp>},
    {.name = "Sign",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs =
         "T: {bfloat16, half, float, double, int8, int16, int32, int64, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<SignOp>},
    {.name = "Square",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, int8, int16, int32, int64, uint8, uint16, "
              "uint32, uint64, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<SquareOp>},
    {.name = "Sqrt",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = vectorised_unary_kernel<SqrtOp>},
    {.name = "Rsqrt",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<RsqrtOp>},
    {.name = "Reciprocal",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs =
         "T: {bfloat16, half, float, double, int8, int16, int32, int64, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<ReciprocalOp>},
    {.name = "Inv",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs =
         "T: {bfloat16, half, float, double, int8, int16, int32, int64, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<ReciprocalOp>},
    {.name = "Ceil",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<CeilOp>},
    {.name = "Floor",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<FloorOp>},
    {.name = "Round",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs =
         "T: {bfloat16, half, float, double, int8, int16, int32, int64, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<RoundOp>},
    {.name = "Rint",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<RoundOp>},
    {.name = "IsNan",
     .inputs = "x: T",
     .outputs = "y: bool",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<IsNanOp>,
     .differentiable = Differentiable::kRefused},
    {.name = "IsInf",
     .inputs = "x: T",
     .outputs = "y: bool",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<IsInfOp>,
     .differentiable = Differentiable::kRefused},
    {.name = "IsFinite",
     .inputs = "x: T",
     .outputs = "y: bool",
     .attrs = "T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<IsFiniteOp>,
     .differentiable = Differentiable::kRefused},
    {.name = "LogicalNot",
     .inputs = "x: bool",
     .outputs = "y: bool",
     .shape = unchanged_shape,
     .kernel = unary_kernel<NotOp>,
     .differentiable = Differentiable::kNone},
    {.name = "Invert",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<InvertOp>,
     .differentiable = Differentiable::kNone},
    {.name = "PopulationCount",
     .inputs = "x: T",
     .outputs = "y: uint8",
     .attrs = "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_population_count>,
     .differentiable = Differentiable::kNone},
    {.name = "SqrtGrad",
     .inputs = "y: T, dy: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = same_size_kernel<SqrtGradOp>},
    {.name = "RsqrtGrad",
     .inputs = "y: T, dy: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = same_size_kernel<RsqrtGradOp>},
    {.name = "ReciprocalGrad",
     .inputs = "y: T, dy: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = same_size_kernel<ReciprocalGradOp>},
    {.name = "InvGrad",
     .inputs = "y: T, dy: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = same_size_kernel<ReciprocalGradOp>},
    {.name = "SigmoidGrad",
     .inputs = "y: T, dy: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = same_size_kernel<SigmoidGradOp>},
    {.name = "TanhGrad",
     .inputs = "y: T, dy: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, complex64, complex128}",
     .shape = unchanged_shape,
     .kernel = same_size_kernel<TanhGradOp>},
};

}  // namespace

OpFamily math_unary_ops() { return kOps; }

}  // namespace hub
