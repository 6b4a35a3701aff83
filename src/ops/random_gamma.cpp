// Gamma-distributed numbers (Marsaglia and Tsang, "A simple method for generating gamma
// variables", 2000): a cube of a shifted normal number, accepted or drawn again.

#include <cmath>

#include "ops/random_samples.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

class GammaSampler {
 public:
  explicit GammaSampler(double alpha)
      : alpha_(alpha), d_(alpha + (alpha < 1 ? 2.0 / 3 : -1.0 / 3)), c_(1.0 / 3 / std::sqrt(d_)) {}

  double draw(Philox at) const {
    UniformDoubles uniform(at);
    if (alpha_ == 1) return -std::log1p(-uniform.next());
    NormalDoubles normal(at);
    while (true) {
      const double x = normal.next();
      double v = 1 + c_ * x;
      if (v <= 0) continue;
      v = v * v * v;
      const double u = uniform.next();
      const bool squeezed = u < 1 - 0.0331 * (x * x) * (x * x);
      if (!squeezed && !(std::log(u) < 0.5 * x * x + d_ * (1 - v + std::log(v)))) continue;
      const double result = d_ * v;
      return alpha_ < 1 ? result * std::pow(uniform.next(), 1 / alpha_) : result;
    }
  }

 private:
  double alpha_;
  double d_;
  double c_;
};

void draw_gamma(KernelContext& context, const Philox& start, const Tensor& alpha, Tensor& result) {
  dispatch(Floats{}, result.dtype(), [&]<class T>() {
    const T* alphas = alpha.data<T>();
    draw_samples<T>(
        context, alpha.num_elements(), result, 120,
        [&](std::int64_t parameter, std::int64_t sample) {
          return GammaSampler(to_double(alphas[parameter])).draw(at_sample(start, sample));
        });
  });
}

class GammaKernel final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;
  void compute(KernelContext& context) const override {
    Tensor& result = context.output(0, samples_of_parameter(context));
    if (result.num_elements() == 0) return;
    draw_gamma(context, stream().reserve_outputs(result.num_elements()), context.input(1), result);
  }
};

// The second version has a seed, the third a key, a counter and an algorithm.
template <bool kKeyed>
void compute_stateless_gamma(KernelContext& context) {
  const Shape shape = random_shape_input(context, 0);
  const Tensor& alpha = context.input(kKeyed ? 4 : 2);
  const Philox start = kKeyed ? generator_of_key(context, 1, 2, 3) : generator_of_seed(context, 1);
  check_ends_with(context, shape, alpha.shape());
  Tensor& result = context.output(0, shape);
  if (result.num_elements() == 0) return;
  draw_gamma(context, start, alpha, result);
}

constexpr OpDef kOps[] = {
    {.name = "RandomGamma",
     .inputs = "shape: S, alpha: T",
     .outputs = "output: T",
     .attrs = "seed: int = 0; seed2: int = 0; S: {int32, int64}; T: {half, float, double}",
     .shape = samples_of_parameter_shape,
     .kernel = make_kernel<GammaKernel>,
     .stateful = true},
    {.name = "StatelessRandomGammaV2",
     .inputs = "shape: T, seed: Tseed, alpha: dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: {half, float, double}; T: {int32, int64}; Tseed: {int32, int64} = int64",
     .shape = seeded_samples_shape,
     .kernel = kernel_function<compute_stateless_gamma<false>>},
    {.name = "StatelessRandomGammaV3",
     .inputs = "shape: shape_dtype, key: uint64, counter: uint64, alg: int32, alpha: dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: {half, float, double}; shape_dtype: {int32, int64} = int32",
     .shape = shape_from_input_0,
     .kernel = kernel_function<compute_stateless_gamma<true>>},
};

}  // namespace

OpFamily random_gamma_ops() { return kOps; }

}  // namespace hub
