// Shuffling rows.

#include <numeric>

#include "ops/elements.h"
#include "ops/random_stream.h"

namespace hub {
namespace {

Shapes keyed_shuffle_shape(ShapeContext& c) {
  c.with_rank(1, 1);
  c.with_rank(2, 1);
  c.with_rank(3, 0);
  return {c.input(0)};
}

bool is_trivial(const Tensor& value) { return value.num_elements() <= 1 || value.dim(0) <= 1; }

// One sample for each row but the last: with which of the rows behind, or itself, it changes
// places.
void shuffle(KernelContext& context, const Philox& start) {
  const Tensor& value = context.input(0);
  std::vector<std::int64_t> order(static_cast<std::size_t>(value.dim(0)));
  std::iota(order.begin(), order.end(), 0);
  PhiloxSamples samples(start);
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    const auto left = static_cast<std::uint32_t>(order.size() - i);
    std::swap(order[i], order[i + samples.next() % left]);
  }
  Tensor& result = context.output(0, value.shape());
  const std::int64_t row = value.num_elements() / value.dim(0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    copy_elements(value.dtype(), element_at(value, order[i] * row),
                  element_at(result, static_cast<std::int64_t>(i) * row), row);
  }
}

class ShuffleKernel final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;
  void compute(KernelContext& context) const override {
    const Tensor& value = context.input(0);
    if (is_trivial(value)) return context.set_output(0, value);
    const auto samples = static_cast<std::uint64_t>(value.dim(0) - 1);
    shuffle(context, stream().reserve((samples + 3) / 4));
  }
};

void compute_keyed_shuffle(KernelContext& context) {
  const Philox start = generator_of_key(context, 1, 2, 3);
  if (is_trivial(context.input(0))) return context.set_output(0, context.input(0));
  shuffle(context, start);
}

constexpr OpDef kOps[] = {
    {.name = "RandomShuffle",
     .inputs = "value: T",
     .outputs = "output: T",
     .attrs = "seed: int = 0; seed2: int = 0; T: type",
     .shape = unchanged_shape,
     .kernel = make_kernel<ShuffleKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "StatelessShuffle",
     .inputs = "value: T, key: uint64, counter: uint64, alg: int32",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = keyed_shuffle_shape,
     .kernel = kernel_function<compute_keyed_shuffle>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily random_shuffle_ops() { return kOps; }

}  // namespace hub
