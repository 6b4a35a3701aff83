// Poisson-distributed numbers: Knuth's product of uniform numbers for small rates, Hormann's
// transformed rejection ("The transformed rejection method for generating Poisson random
// variables", 1993) for others.

#include <cmath>
#include <limits>

#include "ops/random_samples.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

class PoissonSampler {
 public:
  // `highest`: the largest number that the result can hold; larger ones are drawn again.
  PoissonSampler(double rate, double highest, double infinity)
      : rate_(rate), highest_(highest), infinity_(infinity) {}

  // Errors: INVALID_ARGUMENT for a rate that nearly always gives too large a number.
  double draw(Philox at) const {
    UniformDoubles uniform(at);
    if (rate_ < 10) return multiply(uniform);
    if (std::isinf(rate_)) return infinity_;
    return transform(uniform);
  }

 private:
  double multiply(UniformDoubles& uniform) const {
    const double limit = std::exp(-rate_);
    double product = 1;
    for (double count = 0;; ++count) {
      product *= uniform.next();
      if (product <= limit && count <= highest_) return count;
    }
  }

  double transform(UniformDoubles& uniform) const {
    const double log_rate = std::log(rate_);
    const double b = 0.931 + 2.53 * std::sqrt(rate_);
    const double a = -0.059 + 0.02483 * b;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    constexpr int kMostDraws = 100'000;
    for (int i = 0; i < kMostDraws; ++i) {
      const double u = uniform.next() - 0.5;
      const double v = uniform.next();
      const double shifted = 0.5 - std::abs(u);
      const double k = std::floor((2 * a / shifted + b) * u + rate_ + 0.43);
      if (k > highest_) continue;
      if (shifted >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2)) return k;
      if (k < 0 || (shifted < 0.013 && v > shifted)) continue;
      const double s = std::log(v * inverse_alpha / (a / (shifted * shifted) + b));
      const double t = -rate_ + k * log_rate - std::lgamma(k + 1);
      if (s <= t) return k;
    }
    throw invalid_argument(
        "A Poisson rate must give numbers that the result can hold. Details: the rate is ", rate_,
        ".");
  }

  double rate_;
  double highest_;
  double infinity_;
};

// The largest number of an output dtype, and its infinity (0 for integers, as in TensorFlow).
template <class T>
PoissonSampler sampler(double rate) {
  if constexpr (std::is_same_v<T, Half>) {
    return {rate, 65504, std::numeric_limits<double>::infinity()};
  } else {
    return {rate, static_cast<double>(std::numeric_limits<T>::max()),
            static_cast<double>(std::numeric_limits<T>::infinity())};
  }
}

void draw_poisson(KernelContext& context, const Philox& start, const Tensor& rates,
                  Tensor& result) {
  using RateTypes = TypeList<Half, float, double, std::int32_t, std::int64_t>;
  std::vector<double> values;
  dispatch(RateTypes{}, rates.dtype(), [&]<class R>() {
    for (const R& rate : rates.values<R>()) {
      values.push_back(to_double(rate));
      if (std::isnan(values.back())) {
        throw invalid_argument(context.node().op_name,
                               ": a rate must be a number. Details: one is NaN.");
      }
    }
  });
  dispatch(RateTypes{}, result.dtype(), [&]<class T>() {
    draw_samples<T>(context, rates.num_elements(), result, 200,
                    [&](std::int64_t parameter, std::int64_t sample) {
                      return sampler<T>(values[static_cast<std::size_t>(parameter)])
                          .draw(at_sample(start, sample));
                    });
  });
}

class PoissonKernel final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;
  void compute(KernelContext& context) const override {
    Tensor& result = context.output(0, samples_of_parameter(context));
    if (result.num_elements() == 0) return;
    draw_poisson(context, stream().reserve_outputs(result.num_elements()), context.input(1),
                 result);
  }
};

void compute_stateless_poisson(KernelContext& context) {
  const Shape shape = random_shape_input(context, 0);
  const Philox start = generator_of_seed(context, 1);
  check_ends_with(context, shape, context.input(2).shape());
  Tensor& result = context.output(0, shape);
  if (result.num_elements() == 0) return;
  draw_poisson(context, start, context.input(2), result);
}

constexpr OpDef kOps[] = {
    {.name = "RandomPoissonV2",
     .inputs = "shape: S, rate: R",
     .outputs = "output: dtype",
     .attrs = "seed: int = 0; seed2: int = 0; S: {int32, int64}; R: {half, float, double, int32, "
              "int64} = double; dtype: {half, float, double, int32, int64} = int64",
     .shape = samples_of_parameter_shape,
     .kernel = make_kernel<PoissonKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "RandomPoisson",
     .inputs = "shape: S, rate: dtype",
     .outputs = "output: dtype",
     .attrs = "seed: int = 0; seed2: int = 0; S: {int32, int64}; dtype: {half, float, double}",
     .shape = samples_of_parameter_shape,
     .kernel = make_kernel<PoissonKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "StatelessRandomPoisson",
     .inputs = "shape: T, seed: Tseed, lam: Rtype",
     .outputs = "output: dtype",
     .attrs = "Rtype: {half, float, double, int32, int64}; dtype: {half, float, double, int32, "
              "int64}; T: {int32, int64}; Tseed: {int32, int64} = int64",
     .shape = seeded_samples_shape,
     .kernel = kernel_function<compute_stateless_poisson>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily random_poisson_ops() { return kOps; }

}  // namespace hub
