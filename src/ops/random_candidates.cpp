// Sampled classes for losses over very many classes: which were drawn, how often to expect
// them, and which of them are true all the same.

#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "graph/shape_rules.h"
#include "ops/random_samples.h"

namespace hub {
namespace {

std::int64_t checked_true_classes(const KernelContext& context, std::int64_t num_true) {
  const Shape& classes = context.input(0).shape();
  if (classes.rank() != 2 || classes.dim(1) != num_true) {
    throw invalid_argument(context.node().op_name,
                           ": true_classes must be a matrix with num_true columns. Details: its ",
                           "shape is ", classes, ", num_true is ", num_true, ".");
  }
  return classes.dim(0);
}

// --- drawing ---

Shapes sampler_shape(ShapeContext& c) {
  const auto num_true = c.attr<std::int64_t>("num_true");
  const PartialShape classes = c.with_rank(0, 2);
  merge_dims(classes.dim(1), num_true, "true_classes' columns and num_true");
  const PartialShape sampled{c.attr<std::int64_t>("num_sampled")};
  return {sampled, PartialShape{classes.dim(0), num_true}, sampled};
}

class RandomWords {
 public:
  explicit RandomWords(const Philox& start) : samples_(start) {}
  std::uint64_t next_64() {
    const std::uint64_t low = samples_.next();
    return low | std::uint64_t{samples_.next()} << 32;
  }
  double next_double() {
    const std::uint32_t first = samples_.next();
    return uniform_double(first, samples_.next());
  }
  // In [0, n), every number as likely as any other.
  std::uint64_t next_below(std::uint64_t n) {
    if ((n & (n - 1)) == 0) return next_64() & (n - 1);
    const std::uint64_t left_over = std::numeric_limits<std::uint64_t>::max() % n + 1;
    std::uint64_t word = next_64();
    while (word < left_over) word = next_64();
    return word % n;
  }

 private:
  PhiloxSamples samples_;
};

struct UniformClasses {
  explicit UniformClasses(std::int64_t count) : range(count) {}
  std::int64_t draw(RandomWords& words) const {
    return static_cast<std::int64_t>(words.next_below(static_cast<std::uint64_t>(range)));
  }
  float probability(std::int64_t) const {
    return static_cast<float>(1.0 / static_cast<double>(range));
  }
  std::int64_t range;
};

// Frequencies fall as in a list of words sorted by how common they are.
struct LogUniformClasses {
  explicit LogUniformClasses(std::int64_t count)
      : range(count), log_range(std::log1p(static_cast<double>(count))) {}
  std::int64_t draw(RandomWords& words) const {
    const auto value = static_cast<std::int64_t>(std::exp(words.next_double() * log_range)) - 1;
    return value % range;  // rounding may reach the range itself
  }
  float probability(std::int64_t value) const {
    const auto number = static_cast<double>(value);
    return static_cast<float>(std::log((number + 2) / (number + 1)) / log_range);
  }
  std::int64_t range;
  double log_range;
};

// How often to expect a class among `count` draws, for which `tries` were needed.
float expected_count(float probability, std::int64_t count, std::int64_t tries) {
  if (tries == count) return probability * static_cast<float>(count);
  return static_cast<float>(
      -std::expm1(static_cast<double>(tries) * std::log1p(-static_cast<double>(probability))));
}

struct SamplerAttrs {
  explicit SamplerAttrs(const KernelInit& init)
      : num_true(init.attr<std::int64_t>("num_true")),
        num_sampled(init.attr<std::int64_t>("num_sampled")),
        unique(init.attr<bool>("unique")) {}
  std::int64_t num_true, num_sampled;
  bool unique;
};

template <class Classes>
class SamplerKernel final : public RandomKernel {
 public:
  explicit SamplerKernel(const KernelInit& init)
      : RandomKernel(init), attrs_(init), classes_(init.attr<std::int64_t>("range_max")) {
    if (attrs_.unique && attrs_.num_sampled > classes_.range) {
      throw invalid_argument(init.op(), ": as many different classes as are sampled must exist. ",
                             "Details: num_sampled is ", attrs_.num_sampled, ", range_max ",
                             classes_.range, ".");
    }
  }

  void compute(KernelContext& context) const override {
    const std::int64_t batch = checked_true_classes(context, attrs_.num_true);
    const std::int64_t count = attrs_.num_sampled;
    auto* sampled = context.output(0, Shape{count}).mutable_data<std::int64_t>();
    const Tensor& known = context.input(0);
    auto* known_counts = context.output(1, Shape{batch, attrs_.num_true}).mutable_data<float>();
    auto* sampled_counts = context.output(2, Shape{count}).mutable_data<float>();

    RandomWords words(stream().reserve(static_cast<std::uint64_t>(count) * 512));
    const std::int64_t tries = draw(context, words, sampled);
    const auto expect = [&](std::int64_t value) {
      return expected_count(classes_.probability(value), count, tries);
    };
    for (std::int64_t i = 0; i < count; ++i) sampled_counts[i] = expect(sampled[i]);
    for (const std::int64_t value : known.values<std::int64_t>()) *known_counts++ = expect(value);
  }

 private:
  std::int64_t draw(const KernelContext& context, RandomWords& words, std::int64_t* to) const {
    const std::int64_t count = attrs_.num_sampled;
    std::unordered_set<std::int64_t> used;
    std::int64_t tries = 0;
    for (std::int64_t filled = 0; filled < count; ++tries) {
      to[filled] = classes_.draw(words);
      filled += !attrs_.unique || used.insert(to[filled]).second;
      if (tries % 65536 == 65535) context.step().check_cancelled();
    }
    return tries;
  }

  SamplerAttrs attrs_;
  Classes classes_;
};

// Every class once: nothing is drawn.
class AllClassesKernel final : public Kernel {
 public:
  explicit AllClassesKernel(const KernelInit& init) : attrs_(init) {}
  void compute(KernelContext& context) const override {
    const std::int64_t batch = checked_true_classes(context, attrs_.num_true);
    const std::int64_t count = attrs_.num_sampled;
    auto* sampled = context.output(0, Shape{count}).mutable_data<std::int64_t>();
    for (std::int64_t i = 0; i < count; ++i) sampled[i] = i;
    for (const int output : {1, 2}) {
      const Shape shape = output == 1 ? Shape{batch, attrs_.num_true} : Shape{count};
      auto* counts = context.output(output, shape).mutable_data<float>();
      std::fill_n(counts, shape.num_elements(), 1.0F);
    }
  }

 private:
  SamplerAttrs attrs_;
};

// --- hits ---

Shapes hits_shape(ShapeContext& c) {
  merge_dims(c.with_rank(0, 2).dim(1), c.attr<std::int64_t>("num_true"),
             "true_classes' columns and num_true");
  c.with_rank(1, 1);
  return {PartialShape{-1}, PartialShape{-1}, PartialShape{-1}};
}

class HitsKernel final : public Kernel {
 public:
  explicit HitsKernel(const KernelInit& init) : num_true_(init.attr<std::int64_t>("num_true")) {}

  void compute(KernelContext& context) const override {
    const std::int64_t batch = checked_true_classes(context, num_true_);
    const Tensor& sampled = context.input(1);
    if (sampled.rank() != 1) {
      throw invalid_argument(
          "ComputeAccidentalHits: sampled_candidates must be a vector. Details: their shape is ",
          sampled.shape(), ".");
    }
    std::unordered_map<std::int64_t, std::int64_t> positions;  // the last, where one comes twice
    for (std::int64_t i = 0; i < sampled.dim(0); ++i) {
      positions[sampled.data<std::int64_t>()[i]] = i;
    }
    std::vector<std::pair<std::int32_t, std::int64_t>> hits;
    const std::int64_t* known = context.input(0).data<std::int64_t>();
    for (std::int64_t i = 0; i < batch * num_true_; ++i) {
      const auto found = positions.find(known[i]);
      if (found != positions.end()) hits.emplace_back(i / num_true_, found->second);
    }
    const Shape shape{static_cast<std::int64_t>(hits.size())};
    auto* rows = context.output(0, shape).mutable_data<std::int32_t>();
    auto* ids = context.output(1, shape).mutable_data<std::int64_t>();
    auto* weights = context.output(2, shape).mutable_data<float>();
    for (const auto& [row, id] : hits) {
      *rows++ = row;
      *ids++ = id;
      *weights++ = std::numeric_limits<float>::lowest();
    }
  }

 private:
  std::int64_t num_true_;
};

constexpr OpDef kOps[] = {
    {.name = "AllCandidateSampler",
     .inputs = "true_classes: int64",
     .outputs = "sampled_candidates: int64, true_expected_count: float, sampled_expected_count: "
                "float",
     .attrs = "num_true: int >= 1; num_sampled: int >= 1; unique: bool; seed: int = 0; seed2: int "
              "= 0",
     .shape = sampler_shape,
     .kernel = make_kernel<AllClassesKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ComputeAccidentalHits",
     .inputs = "true_classes: int64, sampled_candidates: int64",
     .outputs = "indices: int32, ids: int64, weights: float",
     .attrs = "num_true: int; seed: int = 0; seed2: int = 0",
     .shape = hits_shape,
     .kernel = make_kernel<HitsKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "LogUniformCandidateSampler",
     .inputs = "true_classes: int64",
     .outputs = "sampled_candidates: int64, true_expected_count: float, sampled_expected_count: "
                "float",
     .attrs = "num_true: int >= 1; num_sampled: int >= 1; unique: bool; range_max: int >= 1; "
              "seed: int = 0; seed2: int = 0",
     .shape = sampler_shape,
     .kernel = make_kernel<SamplerKernel<LogUniformClasses>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "UniformCandidateSampler",
     .inputs = "true_classes: int64",
     .outputs = "sampled_candidates: int64, true_expected_count: float, sampled_expected_count: "
                "float",
     .attrs = "num_true: int >= 1; num_sampled: int >= 1; unique: bool; range_max: int >= 1; "
              "seed: int = 0; seed2: int = 0",
     .shape = sampler_shape,
     .kernel = make_kernel<SamplerKernel<UniformClasses>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily random_candidates_ops() { return kOps; }

}  // namespace hub
