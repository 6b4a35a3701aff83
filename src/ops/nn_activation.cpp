// Activations and their gradients, elementwise. The formulas, also where they meet NaN and
// infinity, are those of TensorFlow's CPU kernels.

#include <cmath>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elementwise.h"
#include "ops/vector_math.h"

namespace hub {
namespace {

using IntegersAndFloats = Join<WideFloats, WideIntegers>;

[[gnu::always_inline]] inline float exp_of(float x) { return vector_math::exp(x); }
[[gnu::always_inline]] inline double exp_of(double x) { return std::exp(x); }
[[gnu::always_inline]] inline float log1p_of(float x) { return vector_math::log1p(x); }
[[gnu::always_inline]] inline double log1p_of(double x) { return std::log1p(x); }

constexpr double kCheap = 0.3;
constexpr double kExp = 0.6;

// NaN stays NaN: every comparison with it is false.
struct ReluOp {
  using Types = IntegersAndFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T x) {
    return x < T(0) ? T(0) : x;
  }
};

struct Relu6Op {
  using Types = IntegersAndFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T x) {
    const T positive = x < T(0) ? T(0) : x;
    return positive > T(6) ? T(6) : positive;
  }
};

// TensorFlow multiplies by a mask: an infinite gradient where x is not positive gives NaN.
struct ReluGradOp {
  using Types = IntegersAndFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T dy, T x) {
    return multiply(dy, x > T(0) ? T(1) : T(0));
  }
};

struct Relu6GradOp {
  using Types = IntegersAndFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T dy, T x) {
    const T above = x > T(0) ? T(1) : T(0);
    return multiply(dy, x < T(6) ? above : T(0));
  }
};

// exp(x) of a negative number, by the polynomial and in the order of TensorFlow's. Its ELU and
// SELU are exp(x) - 1, not expm1(x): near zero nothing but exp's rounding is left.
[[gnu::always_inline]] inline float negative_exp(float x) {
  const float bounded = vector_math::bounded(x, -104.0f, 0.0f);
  const float m = std::floor(std::fma(bounded, 1.44269504f, 0.5f));
  float r = std::fma(m, -0.693359375f, bounded);
  r = std::fma(m, 2.12194440e-4f, r);
  const float r2 = r * r;
  float even = std::fma(r2, 1.37449637986719608306884765625e-3f, 4.166965186595916748046875e-2f);
  const float odd = std::fma(r2, 8.36894474923610687255859375e-3f, 0.16666518151760101318359375f);
  even = std::fma(r2, even, 0.49999988079071044921875f);
  const float y = std::fma(r2, std::fma(r, odd, even), r + 1.0f);
  return vector_math::scale_by_power(y, static_cast<std::int32_t>(m));
}
[[gnu::always_inline]] inline double negative_exp(double x) { return std::exp(x); }

struct EluOp {
  using Types = WideFloats;
  static constexpr double kCost = kExp;
  template <class T>
  static T apply(T x) {
    const T negative = negative_exp(x) - 1;
    return x < 0 ? negative : x;
  }
};

struct EluGradOp {
  using Types = WideFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T dy, T y) {
    const T negative = (y + 1) * dy;
    return y < 0 ? negative : dy;
  }
};

constexpr double kSeluScale = 1.0507009873554804934193349852946;
constexpr double kSeluScaleAlpha = 1.7580993408473768599402175208123;

struct SeluOp {
  using Types = WideFloats;
  static constexpr double kCost = kExp;
  template <class T>
  static T apply(T x) {
    const T negative = T(kSeluScaleAlpha) * (negative_exp(x) - 1);
    return x < 0 ? negative : T(kSeluScale) * x;
  }
};

struct SeluGradOp {
  using Types = WideFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T dy, T y) {
    const T negative = dy * (y + T(kSeluScaleAlpha));
    return y < 0 ? negative : dy * T(kSeluScale);
  }
};

// ELU and SELU of the 16-bit floats: TensorFlow rounds the exponential, and the rest step by
// step, to them.
template <class Op>
void compute_elu_like(KernelContext& c) {
  const Tensor& x = c.input(0);
  if (wide_dtype(x.dtype()) == x.dtype()) return compute_unary<Op>(c);
  Tensor& y = c.output_in_place(0, 0, x.shape());
  dispatch(TypeList<Half, BFloat16>{}, x.dtype(), [&]<class T>() {
    const auto rounded = [](float value) { return static_cast<float>(static_cast<T>(value)); };
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    c.parallel_for(x.num_elements(), 8, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto value = static_cast<float>(from[i]);
        const float negative = rounded(rounded(std::exp(value)) - 1);
        if constexpr (std::is_same_v<Op, EluOp>) {
          to[i] = value < 0 ? static_cast<T>(negative) : from[i];
        } else {
          const float factor =
              rounded(static_cast<float>(value < 0 ? kSeluScaleAlpha : kSeluScale));
          to[i] = static_cast<T>(factor * (value < 0 ? negative : value));
        }
      }
    });
  });
}

struct SoftplusOp {
  using Types = WideFloats;
  static constexpr double kCost = 2 * kExp;
  template <class T>
  static T apply(T x) {
    // log(epsilon) + 2: above its negative, softplus(x) is x; below it, exp(x).
    constexpr T kThreshold = std::is_same_v<T, float> ? T(-13.942385) : T(-34.04365338911715);
    const T e = exp_of(x);
    const T between = log1p_of(e);
    const T lower = x < kThreshold ? e : between;
    return x > -kThreshold ? x : lower;
  }
};

struct SoftplusGradOp {
  using Types = WideFloats;
  static constexpr double kCost = kExp;
  template <class T>
  static T apply(T dy, T x) {
    return dy / (exp_of(-x) + 1);
  }
};

struct SoftsignOp {
  using Types = WideFloats;
  static constexpr double kCost = 2 * kCheap;
  template <class T>
  static T apply(T x) {
    return x / (std::abs(x) + 1);
  }
};

struct SoftsignGradOp {
  using Types = WideFloats;
  static constexpr double kCost = 2 * kCheap;
  template <class T>
  static T apply(T dy, T x) {
    const T root = std::abs(x) + 1;
    return dy / (root * root);
  }
};

struct LeakyReluOp {
  using Types = WideFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T x, T alpha) {
    const T leak = x * alpha;
    return x > 0 ? x : leak;
  }
};

// What the gradient is multiplied by.
struct LeakyReluSlopeOp {
  using Types = WideFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T x, T alpha) {
    return x > 0 ? T(1) : alpha;
  }
};

struct ProductOp {
  using Types = WideFloats;
  static constexpr double kCost = kCheap;
  template <class T>
  static T apply(T x, T y) {
    return x * y;
  }
};

void check_one_shape(const KernelContext& c) {
  if (c.input(0).shape() == c.input(1).shape()) return;
  throw invalid_argument(c.node().op_name,
                         ": both inputs must have one shape. Details: ", c.input(0).shape(),
                         " and ", c.input(1).shape(), ".");
}

template <class Op>
void compute_gradient(KernelContext& c) {
  check_one_shape(c);
  run_same_size(c, binary_loops<Op>, Op::kCost);
}
template <class Op>
constexpr KernelFactory gradient_kernel = kernel_function<compute_gradient<Op>>;

// The 16-bit floats are rounded step by step: far below zero the result is 0.
void compute_selu_gradient(KernelContext& c) {
  const Tensor& dy = c.input(0);
  if (wide_dtype(dy.dtype()) == dy.dtype()) return compute_gradient<SeluGradOp>(c);
  check_one_shape(c);
  const Tensor& y = c.input(1);
  Tensor& result = c.output_in_place(0, 0, dy.shape());
  dispatch(TypeList<Half, BFloat16>{}, dy.dtype(), [&]<class T>() {
    const auto rounded = [](double value) {
      return static_cast<float>(static_cast<T>(static_cast<float>(value)));
    };
    const float scale = rounded(kSeluScale), scale_alpha = rounded(kSeluScaleAlpha);
    const T* gradient = dy.data<T>();
    const T* from = y.data<T>();
    T* to = result.mutable_data<T>();
    c.parallel_for(dy.num_elements(), 2, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto value = static_cast<float>(from[i]);
        const float factor = value < 0 ? rounded(value + scale_alpha) : scale;
        to[i] = static_cast<T>(static_cast<float>(gradient[i]) * factor);
      }
    });
  });
}

Tensor alpha_of(const KernelInit& init) {
  const float alpha = init.attr<float>("alpha");
  Tensor result(init.output_dtype(0), Shape{});
  dispatch(Floats{}, result.dtype(),
           [&]<class T>() { *result.mutable_data<T>() = static_cast<T>(alpha); });
  return result;
}

class LeakyReluKernel final : public Kernel {
 public:
  explicit LeakyReluKernel(const KernelInit& init) : alpha_(alpha_of(init)) {}
  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const Broadcast broadcast(c.node().op_name, {&x.shape(), &alpha_.shape()});
    Tensor& y = c.output_in_place(0, 0, x.shape());
    run_binary(c, broadcast, x, alpha_, y, binary_loops<LeakyReluOp>, kCheap);
  }

 private:
  Tensor alpha_;
};

class LeakyReluGradKernel final : public Kernel {
 public:
  explicit LeakyReluGradKernel(const KernelInit& init) : alpha_(alpha_of(init)) {}
  void compute(KernelContext& c) const override {
    check_one_shape(c);
    const Tensor& dy = c.input(0);
    const Tensor& x = c.input(1);
    Tensor slopes = c.temporary(x.dtype(), x.shape());
    run_binary(c, Broadcast(c.node().op_name, {&x.shape(), &alpha_.shape()}), x, alpha_, slopes,
               binary_loops<LeakyReluSlopeOp>, kCheap);
    Tensor& dx = c.output_in_place(0, 0, x.shape());
    run_binary(c, Broadcast(c.node().op_name, {&x.shape(), &x.shape()}), dy, slopes, dx,
               binary_loops<ProductOp>, kCheap);
  }

 private:
  Tensor alpha_;
};

constexpr OpDef kOps[] = {
    {.name = "Elu",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_elu_like<EluOp>>},
    {.name = "EluGrad",
     .inputs = "gradients: T, outputs: T",
     .outputs = "backprops: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = merged_shape,
     .kernel = gradient_kernel<EluGradOp>},
    {.name = "LeakyRelu",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "alpha: float = 0.2; T: {half, bfloat16, float, double} = float",
     .shape = unchanged_shape,
     .kernel = make_kernel<LeakyReluKernel>},
    {.name = "LeakyReluGrad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "alpha: float = 0.2; T: {half, bfloat16, float, double} = float",
     .shape = merged_shape,
     .kernel = make_kernel<LeakyReluGradKernel>},
    {.name = "Relu",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, "
              "uint32, uint64, qint8}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<ReluOp>},
    {.name = "Relu6",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: realnumbertype",
     .shape = unchanged_shape,
     .kernel = unary_kernel<Relu6Op>},
    {.name = "Relu6Grad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "T: realnumbertype",
     .shape = merged_shape,
     .kernel = gradient_kernel<Relu6GradOp>},
    {.name = "ReluGrad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "T: realnumbertype",
     .shape = merged_shape,
     .kernel = gradient_kernel<ReluGradOp>},
    {.name = "Selu",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_elu_like<SeluOp>>},
    {.name = "SeluGrad",
     .inputs = "gradients: T, outputs: T",
     .outputs = "backprops: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = merged_shape,
     .kernel = kernel_function<compute_selu_gradient>},
    {.name = "Softplus",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<SoftplusOp>},
    {.name = "SoftplusGrad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = merged_shape,
     .kernel = gradient_kernel<SoftplusGradOp>},
    {.name = "Softsign",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = unchanged_shape,
     .kernel = unary_kernel<SoftsignOp>},
    {.name = "SoftsignGrad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = merged_shape,
     .kernel = gradient_kernel<SoftsignGradOp>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily nn_activation_ops() { return kOps; }

}  // namespace hub
