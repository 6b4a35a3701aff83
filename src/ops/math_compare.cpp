// Comparisons, logic and bits of two operands, with broadcasting.

#include <algorithm>
#include <cmath>

#include "graph/shape_rules.h"
#include "ops/elementwise.h"

namespace hub {
namespace {

struct LessOp {
  using Types = WideReals;
  static constexpr double kCost = 0.4;
  template <class T>
  static bool apply(T x, T y) {
    return x < y;
  }
};

struct LessEqualOp {
  using Types = WideReals;
  static constexpr double kCost = 0.4;
  template <class T>
  static bool apply(T x, T y) {
    return x <= y;
  }
};

struct GreaterOp {
  using Types = WideReals;
  static constexpr double kCost = 0.4;
  template <class T>
  static bool apply(T x, T y) {
    return x > y;
  }
};

struct GreaterEqualOp {
  using Types = WideReals;
  static constexpr double kCost = 0.4;
  template <class T>
  static bool apply(T x, T y) {
    return x >= y;
  }
};

template <bool kEqual>
struct EqualOp {
  using Types = WideNumbers;
  static constexpr double kCost = 0.4;
  template <class T>
  static bool apply(T x, T y) {
    return (x == y) == kEqual;
  }
};

// With incompatible_shape_error = false, operands that do not fit each other are unequal: the
// result is one scalar.
template <bool kEqual>
class EqualKernel final : public Kernel {
 public:
  explicit EqualKernel(const KernelInit& init)
      : shapes_must_fit_(init.attr<bool>("incompatible_shape_error")) {}

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const Tensor& y = c.input(1);
    if (!shapes_must_fit_ && !fits(x.shape(), y.shape())) {
      *c.output(0, Shape{}).mutable_data<bool>() = !kEqual;
    } else if (x.dtype() == DType::kString) {
      compare_strings(c);
    } else if (x.dtype() == DType::kBool) {
      run_native(c, binary_loop<EqualOp<kEqual>, bool>, EqualOp<kEqual>::kCost);
    } else {
      run_binary(c, binary_loops<EqualOp<kEqual>>, EqualOp<kEqual>::kCost);
    }
  }

 private:
  static bool fits(const Shape& x, const Shape& y) {
    const int common = std::min(x.rank(), y.rank());
    for (int back = 1; back <= common; ++back) {
      const std::int64_t a = x.dim(x.rank() - back);
      const std::int64_t b = y.dim(y.rank() - back);
      if (a != b && a != 1 && b != 1) return false;
    }
    return true;
  }

  static void compare_strings(KernelContext& c) {
    const Tensor& x = c.input(0);
    const Tensor& y = c.input(1);
    const Broadcast broadcast(c.node().op_name, {&x.shape(), &y.shape()});
    const auto* xs = x.data<std::string>();
    const auto* ys = y.data<std::string>();
    std::int64_t i = 0;
    for (bool& result : c.output(0, broadcast.shape()).mutable_values<bool>()) {
      result = (xs[broadcast.source(0, i)] == ys[broadcast.source(1, i)]) == kEqual;
      ++i;
    }
  }

  bool shapes_must_fit_;
};

Shapes equal_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const PartialShape& y = c.input(1);
  if (c.attr<bool>("incompatible_shape_error")) return broadcast_shape(c);
  // An unknown dimension may turn out not to fit: then the result is a scalar.
  if (!x.is_fully_defined() || !y.is_fully_defined()) return {PartialShape{}};
  try {
    return {broadcast(x, y)};
  } catch (const Error&) {
    return {PartialShape::scalar()};
  }
}

class ApproximateEqualKernel final : public Kernel {
 public:
  explicit ApproximateEqualKernel(const KernelInit& init)
      : tolerance_(init.attr<float>("tolerance")) {}

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const Tensor& y = c.input(1);
    if (x.shape() != y.shape()) {
      throw invalid_argument("ApproximateEqual: x and y must have the same shape. Details: ",
                             x.shape(), " and ", y.shape(), ".");
    }
    Tensor& z = c.output(0, x.shape());
    dispatch(WideFloats{}, x.dtype(), [&]<class T>() {
      const T* xs = x.data<T>();
      const T* ys = y.data<T>();
      bool* out = z.mutable_data<bool>();
      const T tolerance = tolerance_;
      c.parallel_for(x.num_elements(), 0.5, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          out[i] = std::fabs(xs[i] - ys[i]) <= tolerance;
        }
      });
    });
  }

 private:
  float tolerance_;
};

struct AndOp {
  using Types = WideIntegers;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    return x & y;
  }
};

struct OrOp {
  using Types = WideIntegers;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    return x | y;
  }
};

struct XorOp {
  using Types = WideIntegers;
  static constexpr double kCost = 0.4;
  template <class T>
  static T apply(T x, T y) {
    return x ^ y;
  }
};

template <class Op>
void compute_logic(KernelContext& c) {
  run_native(c, binary_loop<Op, bool>, Op::kCost);
}

// How far an integer of type T can be shifted at most.
template <class T>
T shift_amount(T y) {
  return std::clamp<T>(y, 0, sizeof(T) * 8 - 1);
}

struct LeftShiftOp {
  static constexpr double kCost = 0.6;
  template <class T>
  static T apply(T x, T y) {
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(x) << shift_amount(y));
  }
};

struct RightShiftOp {
  static constexpr double kCost = 0.6;
  template <class T>
  static T apply(T x, T y) {
    return static_cast<T>(x >> shift_amount(y));
  }
};

template <class Op>
void compute_shift(KernelContext& c) {
  dispatch(Integers{}, c.input(0).dtype(),
           [&]<class T>() { run_native(c, binary_loop<Op, T>, Op::kCost); });
}

constexpr OpDef kOps[] = {
    {.name = "Less",
     .inputs = "x: T, y: T",
     .outputs = "z: bool",
     .attrs = "T: realnumbertype",
     .shape = broadcast_shape,
     .kernel = binary_kernel<LessOp>,
     .differentiable = Differentiable::kNone},
    {.name = "LessEqual",
     .inputs = "x: T, y: T",
     .outputs = "z: bool",
     .attrs = "T: realnumbertype",
     .shape = broadcast_shape,
     .kernel = binary_kernel<LessEqualOp>,
     .differentiable = Differentiable::kNone},
    {.name = "Greater",
     .inputs = "x: T, y: T",
     .outputs = "z: bool",
     .attrs = "T: realnumbertype",
     .shape = broadcast_shape,
     .kernel = binary_kernel<GreaterOp>,
     .differentiable = Differentiable::kNone},
    {.name = "GreaterEqual",
     .inputs = "x: T, y: T",
     .outputs = "z: bool",
     .attrs = "T: realnumbertype",
     .shape = broadcast_shape,
     .kernel = binary_kernel<GreaterEqualOp>,
     .differentiable = Differentiable::kNone},
    {.name = "Equal",
     .inputs = "x: T, y: T",
     .outputs = "z: bool",
     .attrs = "T: type; incompatible_shape_error: bool = true",
     .shape = equal_shape,
     .kernel = make_kernel<EqualKernel<true>>,
     .differentiable = Differentiable::kNone,
     .commutative = true},
    {.name = "NotEqual",
     .inputs = "x: T, y: T",
     .outputs = "z: bool",
     .attrs = "T: type; incompatible_shape_error: bool = true",
     .shape = equal_shape,
     .kernel = make_kernel<EqualKernel<false>>,
     .differentiable = Differentiable::kNone,
     .commutative = true},
    {.name = "ApproximateEqual",
     .inputs = "x: T, y: T",
     .outputs = "z: bool",
     .attrs = "T: numbertype; tolerance: float = 9.9999997e-06",
     .shape = merged_shape,
     .kernel = make_kernel<ApproximateEqualKernel>,
     .differentiable = Differentiable::kNone,
     .commutative = true},
    {.name = "LogicalAnd",
     .inputs = "x: bool, y: bool",
     .outputs = "z: bool",
     .shape = broadcast_shape,
     .kernel = kernel_function<compute_logic<AndOp>>,
     .differentiable = Differentiable::kNone,
     .commutative = true},
    {.name = "LogicalOr",
     .inputs = "x: bool, y: bool",
     .outputs = "z: bool",
     .shape = broadcast_shape,
     .kernel = kernel_function<compute_logic<OrOp>>,
     .differentiable = Differentiable::kNone,
     .commutative = true},
    {.name = "BitwiseAnd",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<AndOp>,
     .differentiable = Differentiable::kNone,
     .commutative = true},
    {.name = "BitwiseOr",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<OrOp>,
     .differentiable = Differentiable::kNone,
     .commutative = true},
    {.name = "BitwiseXor",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64}",
     .shape = broadcast_shape,
     .kernel = binary_kernel<XorOp>,
     .differentiable = Differentiable::kNone,
     .commutative = true},
    {.name = "LeftShift",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64}",
     .shape = broadcast_shape,
     .kernel = kernel_function<compute_shift<LeftShiftOp>>,
     .differentiable = Differentiable::kNone},
    {.name = "RightShift",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: {int8, int16, int32, int64, uint8, uint16, uint32, uint64}",
     .shape = broadcast_shape,
     .kernel = kernel_function<compute_shift<RightShiftOp>>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily math_compare_ops() { return kOps; }

}  // namespace hub
