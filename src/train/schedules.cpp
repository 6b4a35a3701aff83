// Learning-rate schedules (keras/optimizers/schedules/learning_rate_schedule.py and
// legacy_learning_rate_decay.py): their nodes and names.

#include "hub/schedules.h"

#include <cmath>
#include <numbers>

#include "hub/control_flow.h"
#include "train/node_support.h"

namespace hub::schedules {
namespace {

// The rate as a tensor of the schedule's scope.
Output rate_tensor(const Graph& graph, const Input& rate) {
  if (const Output* output = rate.output()) return *output;
  if (std::holds_alternative<VariableRead>(rate.value())) return ops::identity(rate);
  return ops::constant(graph, rate, DType::kInvalid, "initial_learning_rate");
}

struct Progress {
  Output rate;
  Output decay_rate;
  Output fraction;  // of decay_steps
};

Progress progress_of(const Graph& graph, const Input& learning_rate, const Input& step,
                     const Input& decay_steps, const Input& decay_rate, bool staircase) {
  Progress result;
  result.rate = rate_tensor(graph, learning_rate);
  const DType dtype = result.rate.dtype();
  const Output steps = cast_input(graph, decay_steps, dtype);
  result.decay_rate = cast_input(graph, decay_rate, dtype);
  result.fraction = cast_input(graph, step, dtype) / steps;
  if (staircase) result.fraction = ops::floor(result.fraction);
  return result;
}

Output decayed(const Graph& graph, const Input& learning_rate, const Input& step,
               const Input& decay_steps, const Input& decay_rate, const DecayOptions& options) {
  const NameScope scope(graph, name_or(options.name, "ExponentialDecay"));
  const Progress progress =
      progress_of(graph, learning_rate, step, decay_steps, decay_rate, options.staircase);
  const Output factor = ops::pow(progress.decay_rate, progress.fraction);
  return graph.op("Mul", {progress.rate, factor}, {}, scope.name());
}

// 0.5 * (1 + cos(pi * fraction)), the fraction's dtype.
Output half_cosine(const Output& fraction) {
  const Output pi = ops::constant(fraction.graph(), std::numbers::pi, fraction.dtype());
  return 1.0 + ops::cos(pi * fraction);
}

struct Restart {
  Output count;
  Output fraction;
};

Restart equal_periods(const Output& fraction) {
  const Output count = ops::floor(fraction);
  return {count, fraction - count};
}

Output power(const Output& base, const Output& exponent) { return ops::pow(base, exponent, "pow"); }

Restart growing_periods(const Output& fraction, const Output& t_mul) {
  const Output inside = 1.0 - fraction * (1.0 - t_mul);
  const Output logarithm = ops::log(inside);
  const Output count = ops::floor(logarithm / ops::log(t_mul));
  const Output before = 1.0 - power(t_mul, count);
  const Output sum = before / (1.0 - t_mul);
  const Output rest = fraction - sum;
  return {count, rest / power(t_mul, count)};
}

}  // namespace

Output exponential_decay(const Input& learning_rate, const Input& step, const Input& decay_steps,
                         const Input& decay_rate, const DecayOptions& options) {
  const Graph graph = graph_of({&step, &learning_rate});
  return decayed(graph, learning_rate, step, decay_steps, decay_rate, options);
}

Output natural_exp_decay(const Input& learning_rate, const Input& step, const Input& decay_steps,
                         const Input& decay_rate, const DecayOptions& options) {
  const Graph graph = graph_of({&step, &learning_rate});
  const Output rate = ops::exp(graph.op("Neg", {decay_rate}));
  return decayed(graph, learning_rate, step, decay_steps, rate, options);
}

Output inverse_time_decay(const Input& learning_rate, const Input& step, const Input& decay_steps,
                          const Input& decay_rate, const DecayOptions& options) {
  const Graph graph = graph_of({&step, &learning_rate});
  const NameScope scope(graph, name_or(options.name, "InverseTimeDecay"));
  const Progress progress =
      progress_of(graph, learning_rate, step, decay_steps, decay_rate, options.staircase);
  const Output one = ops::cast(ops::constant(graph, 1), progress.rate.dtype());
  const Output divisor = ops::add(one, ops::multiply(progress.decay_rate, progress.fraction));
  return graph.op("RealDiv", {progress.rate, divisor}, {}, scope.name());
}

Output polynomial_decay(const Input& learning_rate, const Input& step, const Input& decay_steps,
                        const PolynomialOptions& options) {
  const Graph graph = graph_of({&step, &learning_rate});
  const NameScope scope(graph, name_or(options.name, "PolynomialDecay"));
  const Output rate = rate_tensor(graph, learning_rate);
  const DType dtype = rate.dtype();
  const Output end = cast_input(graph, options.end, dtype);
  const Output exponent = cast_input(graph, options.power, dtype);
  Output now = cast_input(graph, step, dtype);
  Output steps = cast_input(graph, decay_steps, dtype);
  if (options.cycle) {
    const Output at_start = ops::equal(now, 0.0);
    const Output periods = graph.op("Ceil", {now / decay_steps});
    steps = ops::multiply(steps, graph.op("SelectV2", {at_start, 1.0, periods}));
  } else {
    now = ops::minimum(now, steps);
  }
  const Output fraction = now / steps;
  const Output range = rate - end;
  const Output remaining = ops::pow(1.0 - fraction, exponent);
  return graph.op("AddV2", {ops::multiply(range, remaining), end}, {}, scope.name());
}

Output cosine_decay(const Input& learning_rate, const Input& step, const Input& decay_steps,
                    double alpha, const std::string& name) {
  const Graph graph = graph_of({&step, &learning_rate});
  const NameScope scope(graph, name_or(name, "CosineDecay"));
  const Output rate = rate_tensor(graph, learning_rate);
  const Output steps = cast_input(graph, decay_steps, rate.dtype());
  const Output now = ops::minimum(cast_input(graph, step, rate.dtype()), steps);
  const Output cosine = 0.5 * half_cosine(now / steps);
  return ops::multiply(rate, (1 - alpha) * cosine + alpha);
}

Output cosine_decay_restarts(const Input& learning_rate, const Input& step,
                             const Input& first_decay_steps, const CosineRestartOptions& options) {
  const Graph graph = graph_of({&step, &learning_rate});
  const NameScope scope(graph, name_or(options.name, "SGDRDecay"));
  const Output rate = rate_tensor(graph, learning_rate);
  const DType dtype = rate.dtype();
  const Output first = cast_input(graph, first_decay_steps, dtype);
  const Output alpha = cast_input(graph, options.alpha, dtype);
  const Output t_mul = cast_input(graph, options.t_mul, dtype);
  const Output m_mul = cast_input(graph, options.m_mul, dtype);
  const Output fraction = cast_input(graph, step, dtype) / first;
  const auto both = [](const Restart& restart) {
    return std::vector<Output>{restart.count, restart.fraction};
  };
  const std::vector<Output> restart = cond(
      ops::equal(t_mul, 1.0), [&] { return both(equal_periods(fraction)); },
      [&] { return both(growing_periods(fraction, t_mul)); });
  const Output height = 0.5 * power(m_mul, restart[0]);
  const Output cosine = height * half_cosine(restart[1]);
  const Output above = 1.0 - alpha;
  return graph.op("Mul", {rate, above * cosine + alpha}, {}, scope.name());
}

Output linear_cosine_decay(const Input& learning_rate, const Input& step, const Input& decay_steps,
                           const LinearCosineOptions& options) {
  const Graph graph = graph_of({&step, &learning_rate});
  const NameScope scope(graph, name_or(options.name, "LinearCosineDecay"));
  const Output rate = rate_tensor(graph, learning_rate);
  const DType dtype = rate.dtype();
  const Output steps = cast_input(graph, decay_steps, dtype);
  const Output periods = cast_input(graph, options.num_periods, dtype);
  const Output alpha = cast_input(graph, options.alpha, dtype);
  const Output beta = cast_input(graph, options.beta, dtype);
  const Output now = ops::minimum(cast_input(graph, step, dtype), steps);
  const Output linear = (steps - now) / steps;
  const Output fraction = now / steps;
  const Output twice = 2.0 * periods;
  const Output cosine = 0.5 * half_cosine(twice * fraction);
  const Output height = alpha + linear;
  return graph.op("Mul", {rate, height * cosine + beta}, {}, scope.name());
}

Output piecewise_constant(const Input& step_input, const std::vector<double>& boundaries,
                          const std::vector<double>& values, const std::string& name) {
  if (boundaries.empty() || values.size() != boundaries.size() + 1) {
    throw value_error(
        "The length of boundaries should be 1 less than the length of values. Details: received ",
        boundaries.size(), " boundaries and ", values.size(), " values.");
  }
  const Graph graph = graph_of({&step_input});
  const NameScope scope(graph, name_or(name, "PiecewiseConstant"));
  const Output step =
      step_input.output() != nullptr ? *step_input.output() : ops::identity(step_input, "step");
  std::vector<Output> limits;
  for (const double boundary : boundaries) {
    const double limit =
        step.dtype() == kFloat || step.dtype() == kDouble ? boundary : std::floor(boundary);
    limits.push_back(ops::constant(graph, make_scalar_of(step.dtype(), limit)));
  }
  // From the last interval to the first: the value of the first boundary that is not passed.
  Output result = ops::constant(graph, values.back(), kFloat);
  for (std::size_t i = boundaries.size(); i-- > 0;) {
    const Output value = ops::constant(graph, values[i], kFloat);
    result = ops::select(ops::less_equal(step, limits[i]), value, result);
  }
  return result;
}

// google-research/bert, optimization.py.
Output linear_warmup(const Output& learning_rate, double initial_rate, const Input& step,
                     int warmup_steps) {
  if (warmup_steps < 1)
    throw value_error("A warm-up has at least one step. Details: got ", warmup_steps, ".");
  const Graph graph = learning_rate.graph();
  const DType dtype = learning_rate.dtype();
  const Output now = cast_input(graph, step, kInt32);
  const Output limit = ops::constant(graph, warmup_steps, kInt32);
  const Output done = ops::cast(now, dtype) / ops::cast(limit, dtype);
  const Output warm = initial_rate * done;
  const Output is_warm = ops::cast(ops::less(now, limit), dtype);
  const Output rest = (1.0 - is_warm) * learning_rate;
  return rest + is_warm * warm;
}

}  // namespace hub::schedules
