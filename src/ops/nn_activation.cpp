// Activations and their gradients, elementwise. The formulas, also where they meet NaN and
// infinity, are those of TensorFlow's CPU kernels.

#include <cmath>
#include <limits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

constexpr double kSeluScale = 1.0507009873554804934193349852946;
constexpr double kSeluScaleAlpha = 1.7580993408473768599402175208123;

// Writes f(x) for each element of input 0. F has `template <class W> W operator()(W) const`.
template <class T, class F>
void map_elements(KernelContext& c, double cost_ns, F f) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output_in_place(0, 0, x.shape());
  const T* from = x.data<T>();
  T* to = y.mutable_data<T>();
  c.parallel_for(x.num_elements(), cost_ns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      to[i] = static_cast<T>(f(static_cast<Wide<T>>(from[i])));
    }
  });
}

// Writes f(gradient, x) for each pair of elements of inputs 0 and 1.
template <class T, class F>
void map_gradients(KernelContext& c, double cost_ns, F f) {
  const Tensor& dy = c.input(0);
  const Tensor& x = c.input(1);
  if (!(dy.shape() == x.shape())) {
    throw invalid_argument(c.node().op_name,
                           ": both inputs must have one shape. Details: ", dy.shape(), " and ",
                           x.shape(), ".");
  }
  Tensor& dx = c.output_in_place(0, 0, x.shape());
  const T* gradient = dy.data<T>();
  const T* from = x.data<T>();
  T* to = dx.mutable_data<T>();
  c.parallel_for(x.num_elements(), cost_ns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      to[i] = static_cast<T>(f(static_cast<Wide<T>>(gradient[i]), static_cast<Wide<T>>(from[i])));
    }
  });
}

constexpr double kCheapNs = 0.3;
constexpr double kExpNs = 4;

// NaN stays NaN: every comparison with it is false.
template <class W>
W relu(W x) {
  return x < W(0) ? W(0) : x;
}

template <class W>
W relu6(W x) {
  const W positive = x < W(0) ? W(0) : x;
  return positive > W(6) ? W(6) : positive;
}

void compute_relu(KernelContext& c) {
  dispatch(RealNumbers{}, c.input(0).dtype(),
           [&]<class T>() { map_elements<T>(c, kCheapNs, [](auto x) { return relu(x); }); });
}

void compute_relu6(KernelContext& c) {
  dispatch(RealNumbers{}, c.input(0).dtype(),
           [&]<class T>() { map_elements<T>(c, kCheapNs, [](auto x) { return relu6(x); }); });
}

// TensorFlow multiplies by a mask: an infinite gradient where x is not positive gives NaN.
void compute_relu_grad(KernelContext& c) {
  dispatch(RealNumbers{}, c.input(0).dtype(), [&]<class T>() {
    map_gradients<T>(c, kCheapNs, [](auto dy, auto x) {
      using W = decltype(x);
      return static_cast<W>(dy * (x > W(0) ? W(1) : W(0)));
    });
  });
}

void compute_relu6_grad(KernelContext& c) {
  dispatch(RealNumbers{}, c.input(0).dtype(), [&]<class T>() {
    map_gradients<T>(c, kCheapNs, [](auto dy, auto x) {
      using W = decltype(x);
      return static_cast<W>(dy * (x > W(0) && x < W(6) ? W(1) : W(0)));
    });
  });
}

// TensorFlow's are exp(x) - 1, not expm1(x): near zero nothing is left.
void compute_elu(KernelContext& c) {
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    map_elements<T>(c, kExpNs, [](auto x) { return x < 0 ? std::exp(x) - 1 : x; });
  });
}

void compute_elu_grad(KernelContext& c) {
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    map_gradients<T>(c, kCheapNs, [](auto dy, auto y) { return y < 0 ? (y + 1) * dy : dy; });
  });
}

void compute_selu(KernelContext& c) {
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    map_elements<T>(c, kExpNs, [](auto x) {
      using W = decltype(x);
      return x < 0 ? W(kSeluScaleAlpha) * (std::exp(x) - 1) : W(kSeluScale) * x;
    });
  });
}

void compute_selu_grad(KernelContext& c) {
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    map_gradients<T>(c, kCheapNs, [](auto dy, auto y) {
      using W = decltype(y);
      return y < 0 ? dy * (y + W(kSeluScaleAlpha)) : dy * W(kSeluScale);
    });
  });
}

// Twice the machine's epsilon as a logarithm: above its negative, softplus(x) is x; below it,
// exp(x). For 16-bit floats it is their own epsilon that counts.
template <class T>
double softplus_threshold() {
  if constexpr (std::is_same_v<T, Half>) return std::log(0x1p-10) + 2;
  if constexpr (std::is_same_v<T, BFloat16>) return std::log(0x1p-7) + 2;
  if constexpr (std::is_same_v<T, double>) return std::log(0x1p-52) + 2;
  return std::log(0x1p-23) + 2;
}

void compute_softplus(KernelContext& c) {
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    const Wide<T> threshold = static_cast<Wide<T>>(softplus_threshold<T>());
    map_elements<T>(c, 2 * kExpNs, [threshold](auto x) {
      if (x > -threshold) return x;
      const auto e = std::exp(x);
      return x < threshold ? e : std::log1p(e);
    });
  });
}

void compute_softplus_grad(KernelContext& c) {
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    map_gradients<T>(c, kExpNs, [](auto dy, auto x) { return dy / (std::exp(-x) + 1); });
  });
}

void compute_softsign(KernelContext& c) {
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    map_elements<T>(c, 2 * kCheapNs, [](auto x) { return x / (std::abs(x) + 1); });
  });
}

void compute_softsign_grad(KernelContext& c) {
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    map_gradients<T>(c, 2 * kCheapNs, [](auto dy, auto x) {
      const auto root = std::abs(x) + 1;
      return dy / (root * root);
    });
  });
}

class LeakyReluKernel final : public Kernel {
 public:
  explicit LeakyReluKernel(const KernelInit& init) : alpha_(init.attr<float>("alpha")) {}
  void compute(KernelContext& c) const override {
    dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
      const auto alpha = static_cast<Wide<T>>(static_cast<T>(alpha_));
      map_elements<T>(c, kCheapNs, [alpha](auto x) { return x > 0 ? x : x * alpha; });
    });
  }

 private:
  float alpha_;
};

class LeakyReluGradKernel final : public Kernel {
 public:
  explicit LeakyReluGradKernel(const KernelInit& init) : alpha_(init.attr<float>("alpha")) {}
  void compute(KernelContext& c) const override {
    dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
      const auto alpha = static_cast<Wide<T>>(static_cast<T>(alpha_));
      map_gradients<T>(c, kCheapNs, [alpha](auto dy, auto x) { return x > 0 ? dy : dy * alpha; });
    });
  }

 private:
  float alpha_;
};

constexpr OpDef kOps[] = {
    {.name = "Elu",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_elu>},
    {.name = "EluGrad",
     .inputs = "gradients: T, outputs: T",
     .outputs = "backprops: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = merged_shape,
     .kernel = kernel_function<compute_elu_grad>},
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
     .kernel = kernel_function<compute_relu>},
    {.name = "Relu6",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: realnumbertype",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_relu6>},
    {.name = "Relu6Grad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "T: realnumbertype",
     .shape = merged_shape,
     .kernel = kernel_function<compute_relu6_grad>},
    {.name = "ReluGrad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "T: realnumbertype",
     .shape = merged_shape,
     .kernel = kernel_function<compute_relu_grad>},
    {.name = "Selu",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_selu>},
    {.name = "SeluGrad",
     .inputs = "gradients: T, outputs: T",
     .outputs = "backprops: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = merged_shape,
     .kernel = kernel_function<compute_selu_grad>},
    {.name = "Softplus",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_softplus>},
    {.name = "SoftplusGrad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = merged_shape,
     .kernel = kernel_function<compute_softplus_grad>},
    {.name = "Softsign",
     .inputs = "features: T",
     .outputs = "activations: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_softsign>},
    {.name = "SoftsignGrad",
     .inputs = "gradients: T, features: T",
     .outputs = "backprops: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = merged_shape,
     .kernel = kernel_function<compute_softsign_grad>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily nn_activation_ops() { return kOps; }

}  // namespace hub
