// Binomial numbers: sums of geometric ones where few are expected, else Hormann's transformed
// rejection (BTRS, "The generation of binomial random variates", 1993).

#include <cmath>

#include "ops/random_samples.h"
#include "ops/random_state.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// What Stirling's formula leaves out of log(k!).
double stirling_tail(double k) {
  constexpr double kSmall[] = {0.0810614667953272,  0.0413406959554092, 0.0276779256849983,
                               0.02079067210376509, 0.0166446911898211, 0.0138761288230707,
                               0.0118967099458917,  0.0104112652619720, 0.00925546218271273,
                               0.00833056343336287};
  if (k <= 9) return kSmall[static_cast<int>(std::max(k, 0.0))];
  const double square = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

// The number of trials up to each success, added until they exceed `count`.
double draw_by_waiting(double count, double probability, Philox at) {
  UniformDoubles uniform(at);
  double trials = 0;
  for (int successes = 0;; ++successes) {
    trials += std::ceil(std::log(uniform.next()) / std::log1p(-probability));
    if (trials > count) return successes;
  }
}

double draw_by_rejection(double count, double probability, Philox at) {
  const double deviation = std::sqrt(count * probability * (1 - probability));
  const double b = 1.15 + 2.53 * deviation;
  const double a = -0.0873 + 0.0248 * b + 0.01 * probability;
  const double c = count * probability + 0.5;
  const double r = probability / (1 - probability);
  const double alpha = (2.83 + 5.1 / b) * deviation;
  const double m = std::floor((count + 1) * probability);
  UniformDoubles uniform(at);
  constexpr int kMostDraws = 100'000;
  for (int i = 0; i < kMostDraws; ++i) {
    const double u = uniform.next() - 0.5;
    double v = uniform.next();
    const double us = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / us + b) * u + c);
    if (us >= 0.07 && v <= 0.92 - 4.2 / b) return k;
    if (k < 0 || k > count) continue;
    // TensorFlow's bound, which is not quite the paper's.
    v = std::log(v * alpha / (a / (us * us) + b));
    const double bound = (m + 0.5) * std::log((m + 1) / (r * (count - m + 1))) +
                         (count + 1) * std::log((count - m + 1) / (count - k + 1)) +
                         (k + 0.5) * std::log(r * (count - k + 1) / (k + 1)) + stirling_tail(m) +
                         stirling_tail(count - m) - stirling_tail(k) - stirling_tail(count - k);
    if (v <= bound) return k;
  }
  throw invalid_argument("Binomial counts must be finite. Details: ", count, ".");
}

// So many blocks are set apart for a sample, by the method.
constexpr std::uint64_t kBlocksOfRejection = 256;
constexpr std::uint64_t kBlocksOfWaiting = 42;

// Successes in `count` trials. `expected` is count * probability, as rounded by the dtype.
double draw_successes(double count, double probability, double expected, const Philox& start,
                      std::int64_t sample) {
  if (expected >= 10) {
    return draw_by_rejection(count, probability, at_sample(start, sample, kBlocksOfRejection));
  }
  return draw_by_waiting(count, probability, at_sample(start, sample, kBlocksOfWaiting));
}

template <class T>
double draw_binomial(T count, T probability, const Philox& start, std::int64_t sample) {
  const double trials = to_double(count);
  const double p = to_double(probability);
  if (std::isnan(p) || std::isnan(trials)) return std::nan("");
  if (trials <= 0 || p <= 0) return 0;
  if (p >= 1) return trials;
  if (p <= 0.5) {
    return draw_successes(trials, p, to_double(from_double<T>(trials * p)), start, sample);
  }
  const double q = to_double(from_double<T>(1 - p));
  return trials - draw_successes(trials, q, to_double(from_double<T>(trials * q)), start, sample);
}

struct BinomialInputs {
  Shape shape;       // of the result
  Shape parameters;  // what counts and probabilities broadcast to
};

// Errors: INVALID_ARGUMENT for shapes that do not fit each other.
BinomialInputs checked_inputs(const KernelContext& context, int shape, int counts,
                              int probabilities) {
  const Shape result = random_shape_input(context, shape);
  const Shape parameters =
      *broadcast(context.input(counts).shape(), context.input(probabilities).shape()).as_shape();
  check_ends_with(context, result, parameters);
  return {result, parameters};
}

void draw(KernelContext& context, const Philox& start, const BinomialInputs& inputs,
          const Tensor& counts, const Tensor& probabilities) {
  Tensor& result = context.output(0, inputs.shape);
  if (result.num_elements() == 0) return;
  const std::vector<std::int64_t> count_of = broadcast_indices(counts.shape(), inputs.parameters);
  const std::vector<std::int64_t> probability_of =
      broadcast_indices(probabilities.shape(), inputs.parameters);
  dispatch(TypeList<Half, float, double>{}, counts.dtype(), [&]<class T>() {
    const T* count = counts.data<T>();
    const T* probability = probabilities.data<T>();
    const auto draw_one = [&](std::int64_t parameter, std::int64_t sample) {
      const auto i = static_cast<std::size_t>(parameter);
      return draw_binomial(count[count_of[i]], probability[probability_of[i]], start, sample);
    };
    dispatch(TypeList<Half, float, double, std::int32_t, std::int64_t>{}, result.dtype(),
             [&]<class Result>() {
               draw_samples<Result>(context, inputs.parameters.num_elements(), result, 200,
                                    draw_one);
             });
  });
}

void compute_stateless_binomial(KernelContext& context) {
  const Philox start = generator_of_seed(context, 1);
  draw(context, start, checked_inputs(context, 0, 2, 3), context.input(2), context.input(3));
}

void compute_stateful_binomial(KernelContext& context) {
  const BinomialInputs inputs = checked_inputs(context, 2, 3, 4);
  if (context.input(1).rank() != 0) {
    throw invalid_argument("StatefulRandomBinomial: the algorithm must be a scalar. Details: ",
                           context.input(1).shape(), ".");
  }
  check_philox(context, integer_scalar(context, 1, "the algorithm"));
  const std::int64_t parameters = inputs.parameters.num_elements();
  const std::int64_t samples = parameters > 0 ? inputs.shape.num_elements() / parameters : 0;
  VariableUpdate variable(context, 0, DType::kInt64);
  // TensorFlow forgets the new state where it had to copy the variable's memory first, as after
  // an assignment of a constant.
  const bool is_forgotten = variable.is_shared();
  const Philox start = take_generator(
      context, variable,
      is_forgotten ? 0 : static_cast<std::uint64_t>(parameters * 200 * (samples + 3) / 4));
  draw(context, start, inputs, context.input(3), context.input(4));
}

Shapes stateful_binomial_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  c.with_rank(1, 0);
  c.with_rank(2, 1);
  return shape_from_input(c, 2);
}

constexpr OpDef kOps[] = {
    {.name = "StatefulRandomBinomial",
     .inputs = "resource: resource, algorithm: int64, shape: S, counts: T, probs: T",
     .outputs = "output: dtype",
     .attrs = "S: {int32, int64}; T: {half, float, double, int32, int64} = double; dtype: {half, "
              "float, double, int32, int64} = int64",
     .shape = stateful_binomial_shape,
     .kernel = kernel_function<compute_stateful_binomial>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "StatelessRandomBinomial",
     .inputs = "shape: S, seed: Tseed, counts: T, probs: T",
     .outputs = "output: dtype",
     .attrs = "S: {int32, int64}; Tseed: {int32, int64} = int64; T: {half, float, double, int32, "
              "int64} = double; dtype: {half, float, double, int32, int64} = int64",
     .shape = seeded_samples_shape,
     .kernel = kernel_function<compute_stateless_binomial>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily random_binomial_ops() { return kOps; }

}  // namespace hub
