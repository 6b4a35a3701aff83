// Divisions and remainders. A float divided by zero is infinite or NaN; an integer divided by
// zero is an error (of another code for the truncating ops), and the lowest integer divided by
// -1 wraps around.

#include <cmath>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"

namespace hub {
namespace {

constexpr char kDiv[] = "Div";
constexpr char kFloorDiv[] = "FloorDiv";
constexpr char kFloorMod[] = "FloorMod";
constexpr char kMod[] = "Mod";
constexpr char kTruncateDiv[] = "TruncateDiv";
constexpr char kTruncateMod[] = "TruncateMod";

template <const char* kOp>
[[noreturn]] void division_by_zero() {
  constexpr bool kTruncates = kOp == kTruncateDiv || kOp == kTruncateMod;
  const auto message = cat(kOp, ": an integer cannot be divided by zero.");
  if constexpr (kTruncates) throw internal_error(message);
  throw invalid_argument(message);
}

template <const char* kOp, class T>
T integer_quotient(T x, T y) {
  if (y == 0) division_by_zero<kOp>();
  if constexpr (std::is_signed_v<T>) {
    if (y == -1) return subtract(T{0}, x);
  }
  return static_cast<T>(x / y);
}

template <const char* kOp, class T>
T integer_remainder(T x, T y) {
  if (y == 0) division_by_zero<kOp>();
  if constexpr (std::is_signed_v<T>) {
    if (y == -1) return 0;
  }
  return static_cast<T>(x % y);
}

struct RealDivOp {
  using Types = WideFields;
  static constexpr double kCost = 0.5;
  template <class T>
  static T apply(T x, T y) {
    return x / y;
  }
};

struct DivOp {
  using Types = WideIntegers;
  static constexpr double kCost = 2;
  template <class T>
  static T apply(T x, T y) {
    return integer_quotient<kDiv>(x, y);
  }
};

// Zero where y is 0, whatever x is.
struct DivNoNanOp {
  using Types = WideFields;
  static constexpr double kCost = 0.5;
  template <class T>
  static T apply(T x, T y) {
    const T quotient = x / y;
    return y == T(0) ? T(0) : quotient;
  }
};

struct IntegerFloorDivOp {
  using Types = WideIntegers;
  static constexpr double kCost = 3;
  template <class T>
  static T apply(T x, T y) {
    const T quotient = integer_quotient<kFloorDiv>(x, y);
    if constexpr (std::is_signed_v<T>) {
      const bool down = (x < 0) != (y < 0) && multiply(quotient, y) != x;
      return down ? static_cast<T>(quotient - 1) : quotient;
    } else {
      return quotient;
    }
  }
};

struct IntegerTruncateDivOp {
  using Types = WideIntegers;
  static constexpr double kCost = 2;
  template <class T>
  static T apply(T x, T y) {
    return integer_quotient<kTruncateDiv>(x, y);
  }
};

struct FloorQuotientOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.5;
  template <class T>
  static T apply(T x, T y) {
    return std::floor(x / y);
  }
};

struct TruncatedQuotientOp {
  using Types = WideFloats;
  static constexpr double kCost = 0.5;
  template <class T>
  static T apply(T x, T y) {
    return std::trunc(x / y);
  }
};

struct FloorModOp {
  using Types = WideReals;
  static constexpr double kCost = 6;
  template <class T>
  static T apply(T x, T y) {
    if constexpr (std::is_integral_v<T>) {
      const T rest = integer_remainder<kFloorMod>(x, y);
      return rest != 0 && (rest < 0) != (y < 0) ? static_cast<T>(rest + y) : rest;
    } else {
      const T rest = std::fmod(x, y);
      return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
    }
  }
};

template <const char* kOp>
struct RemainderOp {
  using Types = WideReals;
  static constexpr double kCost = 6;
  template <class T>
  static T apply(T x, T y) {
    if constexpr (std::is_integral_v<T>) {
      return integer_remainder<kOp>(x, y);
    } else {
      return std::fmod(x, y);
    }
  }
};

// Floats by one op, integers by another.
template <class FloatOp, class IntegerOp>
void compute_division(KernelContext& c) {
  static constexpr Loops<BinaryLoop> kLoops = [] {
    Loops<BinaryLoop> loops = binary_loops<FloatOp>;
    loops.i32 = binary_loops<IntegerOp>.i32;
    loops.i64 = binary_loops<IntegerOp>.i64;
    loops.u64 = binary_loops<IntegerOp>.u64;
    return loops;
  }();
  run_binary(c, kLoops, IntegerOp::kCost);
}

template <float (*kRound)(float)>
struct RoundingOp {
  using Types = TypeList<float>;
  static constexpr double kCost = 0.5;
  static float apply(float x) { return kRound(x); }
};

// A quotient of half or bfloat16 is rounded to its dtype before it is made an integer.
template <class FloatOp, class IntegerOp, float (*kRound)(float)>
void compute_integer_division(KernelContext& c) {
  const Tensor& x = c.input(0);
  if (x.dtype() != DType::kFloat16 && x.dtype() != DType::kBfloat16) {
    return compute_division<FloatOp, IntegerOp>(c);
  }
  const Tensor& y = c.input(1);
  const Broadcast broadcast(c.node().op_name, {&x.shape(), &y.shape()});
  Tensor& result = binary_output(c, broadcast);
  run_binary(c, broadcast, x, y, result, binary_loops<RealDivOp>, RealDivOp::kCost);
  run_unary(c, result, result, unary_loops<RoundingOp<kRound>>, RealDivOp::kCost);
}

constexpr OpDef kOps[] = {
    {.name = "RealDiv",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, uint8, int8, uint16, int16, int32, uint32, "
              "uint64, int64, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<RealDivOp>},
    {.name = "Div",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, uint8, int8, uint16, int16, int32, uint32, "
              "uint64, int64, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = kernel_function<compute_division<RealDivOp, DivOp>>},
    {.name = "DivNoNan",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {half, float, bfloat16, double, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<DivNoNanOp>},
    {.name = "FloorDiv",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, uint8, int8, uint16, int16, int32, uint32, "
              "uint64, int64, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel =
         kernel_function<compute_integer_division<FloorQuotientOp, IntegerFloorDivOp, std::floor>>},
    {.name = "TruncateDiv",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {bfloat16, half, float, double, uint8, int8, uint16, int16, int32, uint32, "
              "uint64, int64, complex64, complex128}",
     .shape = broadcast_shape,
     .kernel = kernel_function<
         compute_integer_division<TruncatedQuotientOp, IntegerTruncateDivOp, std::trunc>>},
    {.name = "FloorMod",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: realnumbertype",
     .shape = broadcast_shape,
     .kernel = binary_kernel<FloorModOp>},
    {.name = "Mod",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {int32, int64, half, half, bfloat16, float, double}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<RemainderOp<kMod>>,
     .differentiable = Differentiable::kRefused},
    {.name = "TruncateMod",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {int32, int64, bfloat16, half, float, double}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<RemainderOp<kTruncateMod>>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily math_division_ops() { return kOps; }

}  // namespace hub
