// Normal numbers between bounds (Robert, "Simulation of truncated normal variables", 1995), in
// the arithmetic of their dtype.

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/random_distributions.h"
#include "ops/random_samples.h"
#include "ops/random_stream.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// Half precision that rounds after each operation.
struct HalfNumber {
  float value = 0;
  HalfNumber() = default;
  explicit HalfNumber(double number)
      : value(static_cast<float>(Half(static_cast<float>(number)))) {}
  HalfNumber operator-() const { return HalfNumber(-static_cast<double>(value)); }
  friend HalfNumber operator+(HalfNumber a, HalfNumber b) { return rounded(a.value + b.value); }
  friend HalfNumber operator-(HalfNumber a, HalfNumber b) { return rounded(a.value - b.value); }
  friend HalfNumber operator*(HalfNumber a, HalfNumber b) { return rounded(a.value * b.value); }
  friend HalfNumber operator/(HalfNumber a, HalfNumber b) { return rounded(a.value / b.value); }
  friend auto operator<=>(HalfNumber a, HalfNumber b) { return a.value <=> b.value; }
  static HalfNumber rounded(float number) { return HalfNumber(static_cast<double>(number)); }
};
HalfNumber sqrt(HalfNumber x) { return HalfNumber::rounded(std::sqrt(x.value)); }
HalfNumber exp(HalfNumber x) { return HalfNumber::rounded(std::exp(x.value)); }
HalfNumber log(HalfNumber x) { return HalfNumber::rounded(std::log(x.value)); }
bool isinf(HalfNumber x) { return std::isinf(x.value); }
bool isfinite(HalfNumber x) { return std::isfinite(x.value); }

// What a dtype is computed in.
template <class T>
struct NumberOf {
  using type = T;
  static T from(T value) { return value; }
  static T to(T value) { return value; }
};
template <>
struct NumberOf<Half> {
  using type = HalfNumber;
  static HalfNumber from(Half value) { return HalfNumber::rounded(static_cast<float>(value)); }
  static Half to(HalfNumber value) { return Half(value.value); }
};

constexpr int kMostRejections = 1000;

template <class T>
struct Bounds {
  T mean;
  T deviation;
  T low;
  T high;
};

// Draws from one distribution; `T` is what a dtype is computed in, `Stored` the dtype's type.
template <class Stored>
class TruncatedSampler {
 public:
  using N = NumberOf<Stored>;
  using T = typename N::type;
  static constexpr int kGroup = group_size<Stored>;
  using Group = std::array<T, kGroup>;

  // Errors: INVALID_ARGUMENT for parameters that are none.
  TruncatedSampler(Bounds<T> bounds, std::string_view op) : bounds_(bounds), op_(op) {
    using std::exp, std::isfinite, std::isinf, std::sqrt;
    const bool valid = bounds.deviation > T(0) && bounds.low < bounds.high &&
                       (isfinite(bounds.low) || isfinite(bounds.high));
    if (!valid) {
      throw invalid_argument(
          op, ": there must be a positive deviation, minval < maxval, and a finite bound.");
    }
    // A single bound becomes the lower one; bounds on one side of the mean become positive.
    if ((isinf(bounds_.low) && bounds_.low < T(0)) || bounds_.high < bounds_.mean) {
      std::swap(bounds_.low, bounds_.high);
      bounds_.deviation = -bounds_.deviation;
    }
    low_ = (bounds_.low - bounds_.mean) / bounds_.deviation;
    high_ = (bounds_.high - bounds_.mean) / bounds_.deviation;
  }

  // Draws `count` samples, from the next block on; calls write(i, sample).
  template <class Write>
  void draw(Philox& generator, std::int64_t count, Write&& write) {
    using std::exp, std::sqrt;
    const T inside = T(1.3);
    const T root = sqrt((low_ * low_) + T(4));
    const T cutoff = T(2) * exp(T(0.5) + (low_ * (low_ - root)) / T(4)) / (low_ + root);
    const bool wide_below = low_ < -inside && high_ >= T(0);
    const bool wide_above = high_ > inside && low_ <= T(0);
    if (wide_below || wide_above) {
      draw_normal(generator, count, write);
    } else if (high_ - low_ < cutoff) {
      draw_uniform(generator, count, write);
    } else {
      draw_exponential(generator, count, write);
    }
  }

 private:
  template <class Distribution>
  static Group next(Philox& generator) {
    std::array<Stored, kGroup> values;
    Distribution().fill(generator, values.data());
    generator.skip(1);
    Group group;
    std::ranges::transform(values, group.begin(), [](Stored value) { return N::from(value); });
    return group;
  }

  // Errors: INTERNAL where nothing is accepted for too long.
  void reject() {
    if (++rejections_ > kMostRejections) {
      throw internal_error(op_, ": no sample lies between the bounds after ", kMostRejections,
                           " draws.");
    }
  }
  template <class Write>
  void accept(T sample, std::int64_t i, Write& write) {
    write(i, N::to(sample * bounds_.deviation + bounds_.mean));
    rejections_ = 0;
  }

  template <class Write>
  void draw_normal(Philox& generator, std::int64_t count, Write& write) {
    for (std::int64_t done = 0; done < count;) {
      for (const T sample : next<NormalDistribution<Stored>>(generator)) {
        if (!(sample >= low_ && sample <= high_)) {
          reject();
          continue;
        }
        accept(sample, done, write);
        if (++done == count) break;
      }
    }
  }

  template <class Write>
  void draw_uniform(Philox& generator, std::int64_t count, Write& write) {
    using std::exp;
    const T plus = low_ < T(0) ? T(0) : low_ * low_;
    for (std::int64_t done = 0; done < count;) {
      const Group places = next<UniformDistribution<Stored>>(generator);
      const Group chances = next<UniformDistribution<Stored>>(generator);
      for (std::size_t i = 0; i < places.size(); ++i) {
        const T sample = places[i] * (high_ - low_) + low_;
        if (!(chances[i] <= exp((plus - sample * sample) / T(2)))) {
          reject();
          continue;
        }
        accept(sample, done, write);
        if (++done == count) break;
      }
    }
  }

  // From the exponential distribution that is accepted most often.
  template <class Write>
  void draw_exponential(Philox& generator, std::int64_t count, Write& write) {
    using std::exp, std::log, std::sqrt;
    const T alpha = (low_ + sqrt((low_ * low_) + T(4))) / T(2);
    for (std::int64_t done = 0; done < count;) {
      const Group values = next<UniformDistribution<Stored>>(generator);
      for (std::size_t i = 0; i < values.size(); i += 2) {
        const T sample = -log(values[i]) / alpha + low_;
        const T x = low_ < alpha ? alpha - sample : low_ - alpha;
        if (!(values[i + 1] <= exp(-x * x / T(2)) && sample < high_)) {
          reject();
          continue;
        }
        accept(sample, done, write);
        if (++done == count) break;
      }
    }
  }

  Bounds<T> bounds_;
  std::string_view op_;
  T low_;  // in deviations from the mean
  T high_;
  int rejections_ = 0;
};

using TruncatedTypes = TypeList<Half, float, double>;

// The four parameters are inputs `first`, +1, +2 and +3.
template <class Stored>
Bounds<typename NumberOf<Stored>::type> bounds_at(const KernelContext& context, int first,
                                                  const std::array<std::int64_t, 4>& places) {
  const auto value = [&](int parameter) {
    const Tensor& tensor = context.input(first + parameter);
    return NumberOf<Stored>::from(
        tensor.data<Stored>()[places[static_cast<std::size_t>(parameter)]]);
  };
  return {value(0), value(1), value(2), value(3)};
}

// --- with a stream: one set of parameters for each row of the result ---

class ParameterizedKernel final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;
  void compute(KernelContext& context) const override {
    const Shape shape = random_shape_input(context, 0);
    if (shape.rank() == 0) {
      throw invalid_argument("ParameterizedTruncatedNormal: the shape must not be empty.");
    }
    Rows rows = rows_of(context, shape);
    Tensor& result = context.output(0, shape);
    const auto draws = static_cast<std::uint64_t>(rows.count) * 2 * kMostRejections *
                       static_cast<std::uint64_t>(rows.samples + 3) / 4;
    Philox generator = stream().reserve(draws);
    dispatch(TruncatedTypes{}, result.dtype(), [&]<class Stored>() {
      Stored* out = result.mutable_data<Stored>();
      for (std::int64_t row = 0; row < rows.count; ++row) {
        std::array<std::int64_t, 4> places;
        for (std::size_t i = 0; i < 4; ++i) places[i] = rows.varies[i] ? row : 0;
        const std::int64_t begin = row * rows.samples;
        TruncatedSampler<Stored> sampler(bounds_at<Stored>(context, 1, places),
                                         context.node().op_name);
        sampler.draw(generator, std::min(rows.samples, result.num_elements() - begin),
                     [&](std::int64_t i, Stored sample) { out[begin + i] = sample; });
      }
    });
  }

 private:
  struct Rows {
    std::int64_t count = 0;
    std::int64_t samples = 0;  // of a row
    std::array<bool, 4> varies{};
  };

  // Errors: INVALID_ARGUMENT for parameters that are neither scalars nor one for each row.
  static Rows rows_of(const KernelContext& context, const Shape& shape) {
    Rows rows;
    rows.count = shape.dim(0);
    rows.samples = shape.slice(1, shape.rank()).num_elements();
    bool same = context.input(3).rank() == 0 && context.input(4).rank() == 0;
    for (int i = 0; i < 4; ++i) {
      const Tensor& parameter = context.input(1 + i);
      if (parameter.rank() > 1) bad_parameter(shape, parameter);
      same = same && parameter.num_elements() == 1;
    }
    if (same) {
      // Rows of a handy size, as in TensorFlow.
      rows.samples = 100;
      rows.count = (shape.num_elements() + rows.samples - 1) / rows.samples;
      return rows;
    }
    for (int i = 0; i < 4; ++i) {
      const Tensor& parameter = context.input(1 + i);
      if (parameter.num_elements() != 1 && parameter.num_elements() != rows.count)
        bad_parameter(shape, parameter);
      rows.varies[static_cast<std::size_t>(i)] = parameter.num_elements() != 1;
    }
    return rows;
  }

  [[noreturn]] static void bad_parameter(const Shape& shape, const Tensor& parameter) {
    throw invalid_argument(
        "ParameterizedTruncatedNormal: a parameter must be a scalar or have one element for each "
        "row. Details: ",
        "its shape is ", parameter.shape(), ", the result's ", shape, ".");
  }
};

// --- with a seed: parameters broadcast to the last dimensions of the result ---

void compute_stateless(KernelContext& context) {
  constexpr int kFirst = 2;
  const Shape shape = random_shape_input(context, 0);
  PartialShape broadcast_shape = PartialShape::scalar();
  for (int i = 0; i < 4; ++i)
    broadcast_shape = broadcast(broadcast_shape, context.input(kFirst + i).shape());
  const Shape parameters = *broadcast_shape.as_shape();
  check_ends_with(context, shape, parameters);
  Philox generator = generator_of_seed(context, 1);
  Tensor& result = context.output(0, shape);
  if (result.num_elements() == 0) return;
  std::array<std::vector<std::int64_t>, 4> indices;
  for (int i = 0; i < 4; ++i) {
    indices[static_cast<std::size_t>(i)] =
        broadcast_indices(context.input(kFirst + i).shape(), parameters);
  }
  const std::int64_t sets = parameters.num_elements();
  dispatch(TruncatedTypes{}, result.dtype(), [&]<class Stored>() {
    Stored* out = result.mutable_data<Stored>();
    for (std::int64_t set = 0; set < sets; ++set) {
      std::array<std::int64_t, 4> places;
      for (std::size_t i = 0; i < 4; ++i) places[i] = indices[i][static_cast<std::size_t>(set)];
      TruncatedSampler<Stored> sampler(bounds_at<Stored>(context, kFirst, places),
                                       context.node().op_name);
      sampler.draw(generator, result.num_elements() / sets,
                   [&](std::int64_t i, Stored sample) { out[i * sets + set] = sample; });
    }
  });
}

constexpr OpDef kOps[] = {
    {.name = "ParameterizedTruncatedNormal",
     .inputs = "shape: T, means: dtype, stdevs: dtype, minvals: dtype, maxvals: dtype",
     .outputs = "output: dtype",
     .attrs =
         "seed: int = 0; seed2: int = 0; dtype: {half, bfloat16, float, double}; T: {int32, int64}",
     .shape = shape_from_input_0,
     .kernel = make_kernel<ParameterizedKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "StatelessParameterizedTruncatedNormal",
     .inputs =
         "shape: S, seed: Tseed, means: dtype, stddevs: dtype, minvals: dtype, maxvals: dtype",
     .outputs = "output: dtype",
     .attrs = "S: {int32, int64}; Tseed: {int32, int64} = int64; dtype: {half, float, double}",
     .shape = seeded_samples_shape,
     .kernel = kernel_function<compute_stateless>},
};

}  // namespace

OpFamily random_truncated_ops() { return kOps; }

}  // namespace hub
