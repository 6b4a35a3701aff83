// Classes drawn with probabilities given by their logits.

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/random_samples.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes multinomial_shape(ShapeContext& c) {
  const PartialShape logits = c.with_rank(0, 2);
  c.with_rank(1, 0);
  return {PartialShape{logits.dim(0), c.input_as_int(1).value_or(-1)}};
}

// The number of samples. Errors: INVALID_ARGUMENT for inputs that do not fit.
std::int64_t checked_samples(const KernelContext& context) {
  const std::string& op = context.node().op_name;
  const Tensor& logits = context.input(0);
  if (logits.rank() != 2 || logits.dim(1) == 0) {
    throw invalid_argument(
        op, ": logits must be a matrix with at least one class. Details: their shape is ",
        logits.shape(), ".");
  }
  if (context.input(1).rank() != 0) {
    throw invalid_argument(op, ": the number of samples must be a scalar. Details: its shape is ",
                           context.input(1).shape(), ".");
  }
  const std::int64_t samples = integer_scalar(context, 1, "the number of samples");
  if (samples < 0)
    throw invalid_argument(op, ": the number of samples must not be negative. Details: ", samples,
                           ".");
  return samples;
}

// Sums of exp(logit - the largest), without those that are not finite.
template <class T>
double cumulate(const T* logits, std::vector<double>& sums) {
  double largest = std::numeric_limits<double>::lowest();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto logit = to_double(logits[i]);
    if (std::isfinite(logit)) largest = std::max(largest, logit);
  }
  double total = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto logit = to_double(logits[i]);
    if (std::isfinite(logit)) total += std::exp(logit - largest);
    sums[i] = total;
  }
  return total;
}

// Two samples of 32 bits for each class drawn; rows follow each other without a gap.
template <class T, class Class>
void draw_rows(KernelContext& context, const Philox& start, const Tensor& logits, Tensor& result) {
  const std::int64_t classes = logits.dim(1);
  const std::int64_t samples = result.dim(1);
  const T* from = logits.data<T>();
  Class* to = result.mutable_data<Class>();
  const double cost = static_cast<double>(classes) * 15 + static_cast<double>(samples) * 30;
  context.parallel_for(logits.dim(0), cost, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>(classes));
    PhiloxSamples bits(start, static_cast<std::uint64_t>(begin * samples) * 2);
    for (std::int64_t row = begin; row < end; ++row) {
      const double total = cumulate(from + row * classes, sums);
      for (std::int64_t i = 0; i < samples; ++i) {
        const std::uint32_t first = bits.next();
        const double sought = uniform_double(first, bits.next()) * total;
        const auto found = std::upper_bound(sums.begin(), sums.end(), sought);
        to[row * samples + i] = static_cast<Class>(found - sums.begin());
      }
    }
  });
}

void draw(KernelContext& context, const Philox& start, std::int64_t samples) {
  const Tensor& logits = context.input(0);
  Tensor& result = context.output(0, Shape{logits.dim(0), samples});
  if (result.num_elements() == 0) return;
  dispatch(Floats{}, logits.dtype(), [&]<class T>() {
    dispatch(Indices{}, result.dtype(),
             [&]<class Class>() { draw_rows<T, Class>(context, start, logits, result); });
  });
}

class MultinomialKernel final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;
  void compute(KernelContext& context) const override {
    const std::int64_t samples = checked_samples(context);
    const std::int64_t rows = context.input(0).dim(0);
    const Shape reserved{rows, samples == 0 ? 0 : (samples + 3) / 4 * 4, 2};
    draw(context, stream().reserve_outputs(reserved.num_elements()), samples);
  }
};

Shapes seeded_multinomial_shape(ShapeContext& c) {
  merge_dims(c.with_rank(2, 1).dim(0), 2, "The seed's size");
  return multinomial_shape(c);
}

void compute_seeded_multinomial(KernelContext& context) {
  const std::int64_t samples = checked_samples(context);
  draw(context, generator_of_seed(context, 2), samples);
}

constexpr OpDef kOps[] = {
    {.name = "Multinomial",
     .inputs = "logits: T, num_samples: int32",
     .outputs = "output: output_dtype",
     .attrs =
         "seed: int = 0; seed2: int = 0; T: realnumbertype; output_dtype: {int32, int64} = int64",
     .shape = multinomial_shape,
     .kernel = make_kernel<MultinomialKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "StatelessMultinomial",
     .inputs = "logits: T, num_samples: int32, seed: Tseed",
     .outputs = "output: output_dtype",
     .attrs =
         "T: realnumbertype; Tseed: {int32, int64} = int64; output_dtype: {int32, int64} = int64",
     .shape = seeded_multinomial_shape,
     .kernel = kernel_function<compute_seeded_multinomial>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily random_multinomial_ops() { return kOps; }

}  // namespace hub
