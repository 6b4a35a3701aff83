// Random numbers that are functions of a seed, or of a key and a counter.

#include "ops/random_distributions.h"
#include "ops/random_stream.h"
#include "tensor/dispatch.h"

namespace hub {

Philox generator_of_seed(const KernelContext& context, int seed_input) {
  const Tensor& seed = context.input(seed_input);
  if (seed.shape() != Shape{2}) {
    throw invalid_argument(context.node().op_name,
                           ": the seed must have shape [2]. Details: its shape is ", seed.shape(),
                           ".");
  }
  const std::vector<std::int64_t> values = integer_vector(context, seed_input, "the seed");
  // Mixed, so that either half may be weak.
  const Philox mixer(0x02461e293ec8f720U, static_cast<std::uint64_t>(values[0]),
                     static_cast<std::uint64_t>(values[1]));
  const Philox::Block mixed = mixer.block();
  return Philox(uint64_of(mixed[0], mixed[1]), 0, uint64_of(mixed[2], mixed[3]));
}

namespace {

// TensorFlow's numbers of algorithms.
constexpr std::int64_t kPhilox = 1;
constexpr std::int64_t kAuto = 3;

}  // namespace

Philox generator_of_key(const KernelContext& context, int key_input, int counter_input,
                        int alg_input) {
  const std::string& op = context.node().op_name;
  const Tensor& key = context.input(key_input);
  const Tensor& counter = context.input(counter_input);
  if (context.input(alg_input).rank() != 0) {
    throw invalid_argument(op, ": the algorithm must be a scalar. Details: its shape is ",
                           context.input(alg_input).shape(), ".");
  }
  const std::int64_t algorithm = integer_scalar(context, alg_input, "the algorithm");
  if (algorithm != kPhilox && algorithm != kAuto) {
    throw invalid_argument(op, ": the algorithm must be 1 (Philox) or 3 (any). Details: it is ",
                           algorithm, ".");
  }
  if (key.shape() != Shape{1} || counter.rank() != 1 || counter.num_elements() < 2) {
    throw invalid_argument(op,
                           ": the key must have shape [1], the counter [2]. Details: ", key.shape(),
                           " and ", counter.shape(), ".");
  }
  const auto* parts = counter.data<std::uint64_t>();
  return Philox(key.scalar<std::uint64_t>(), parts[0], parts[1]);
}

namespace {

// --- shapes ---

void check_seed_shape(ShapeContext& c, int input) {
  const PartialShape seed = c.with_rank(input, 1);
  merge_dims(seed.dim(0), 2, "The seed's size");
}

Shapes seeded_shape(ShapeContext& c) {
  check_seed_shape(c, 1);
  return shape_from_input_0(c);
}

Shapes seeded_int_shape(ShapeContext& c) {
  c.with_rank(2, 0);
  c.with_rank(3, 0);
  return seeded_shape(c);
}

Shapes keyed_shape(ShapeContext& c) {
  c.with_rank(1, 1);
  c.with_rank(2, 1);
  c.with_rank(3, 0);
  return shape_from_input_0(c);
}

Shapes keyed_int_shape(ShapeContext& c) {
  c.with_rank(4, 0);
  c.with_rank(5, 0);
  return keyed_shape(c);
}

Shapes key_counter_shape(ShapeContext& c) {
  check_seed_shape(c, 0);
  Shapes shapes = {PartialShape{1}, PartialShape{2}};
  if (c.num_outputs() == 3) shapes.push_back(PartialShape::scalar());
  return shapes;
}

// --- kernels ---

// The first version of an op takes a seed, the second a key, a counter and an algorithm.
enum class Source { kSeed, kKey };

template <Source kSource>
Philox generator(const KernelContext& context) {
  if constexpr (kSource == Source::kSeed) {
    return generator_of_seed(context, 1);
  } else {
    return generator_of_key(context, 1, 2, 3);
  }
}

template <Source kSource, template <class> class Distribution>
void compute_floats(KernelContext& context) {
  const Shape shape = random_shape_input(context, 0);
  const Philox start = generator<kSource>(context);
  Tensor& result = context.output(0, shape);
  dispatch(Floats{}, result.dtype(),
           [&]<class T>() { fill_random(context, start, Distribution<T>(), result); });
}

template <Source kSource>
void compute_full_int(KernelContext& context) {
  const Shape shape = random_shape_input(context, 0);
  const Philox start = generator<kSource>(context);
  Tensor& result = context.output(0, shape);
  dispatch(TypeList<std::int32_t, std::int64_t, std::uint32_t, std::uint64_t>{}, result.dtype(),
           [&]<class T>() { fill_random(context, start, FullIntDistribution<T>(), result); });
}

template <Source kSource>
void compute_int(KernelContext& context) {
  constexpr int kLow = kSource == Source::kSeed ? 2 : 4;
  const Shape shape = random_shape_input(context, 0);
  const Philox start = generator<kSource>(context);
  const Tensor& low = context.input(kLow);
  const Tensor& high = context.input(kLow + 1);
  if (low.rank() != 0 || high.rank() != 0) {
    throw invalid_argument(context.node().op_name,
                           ": minval and maxval must be scalars. Details: ", low.shape(), " and ",
                           high.shape(), ".");
  }
  Tensor& result = context.output(0, shape);
  if (result.num_elements() == 0) return;  // nothing to choose: any range will do
  dispatch(Join<Indices, TypeList<std::uint32_t, std::uint64_t>>{}, result.dtype(), [&]<class T>() {
    const T from = low.scalar<T>();
    const T to = high.scalar<T>();
    if (from >= to) {
      throw invalid_argument(context.node().op_name,
                             ": minval must be less than maxval. Details: ", from, " and ", to,
                             ".");
    }
    fill_random(context, start, UniformIntDistribution<T>(from, to), result);
  });
}

void compute_key_counter(KernelContext& context) {
  const Philox start = generator_of_seed(context, 0);
  *context.output(0, Shape{1}).mutable_data<std::uint64_t>() = start.key();
  auto* counter = context.output(1, Shape{2}).mutable_data<std::uint64_t>();
  counter[0] = start.counter_low();
  counter[1] = start.counter_high();
  if (context.num_outputs() == 3) {
    *context.output(2, Shape{}).mutable_data<std::int32_t>() = static_cast<std::int32_t>(kPhilox);
  }
}

void compute_algorithm(KernelContext& context) {
  *context.output(0, Shape{}).mutable_data<std::int32_t>() = static_cast<std::int32_t>(kPhilox);
}

constexpr OpDef kOps[] = {
    {.name = "StatelessRandomUniform",
     .inputs = "shape: T, seed: Tseed",
     .outputs = "output: dtype",
     .attrs = "dtype: {half, bfloat16, float, double} = float; T: {int32, int64} = int32; Tseed: "
              "{int32, int64} = int64",
     .shape = seeded_shape,
     .kernel = kernel_function<compute_floats<Source::kSeed, UniformDistribution>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessRandomNormal",
     .inputs = "shape: T, seed: Tseed",
     .outputs = "output: dtype",
     .attrs = "dtype: {half, bfloat16, float, double} = float; T: {int32, int64} = int32; Tseed: "
              "{int32, int64} = int64",
     .shape = seeded_shape,
     .kernel = kernel_function<compute_floats<Source::kSeed, NormalDistribution>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessTruncatedNormal",
     .inputs = "shape: T, seed: Tseed",
     .outputs = "output: dtype",
     .attrs = "dtype: {half, bfloat16, float, double} = float; T: {int32, int64} = int32; Tseed: "
              "{int32, int64} = int64",
     .shape = seeded_shape,
     .kernel = kernel_function<compute_floats<Source::kSeed, TruncatedNormalDistribution>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessRandomUniformInt",
     .inputs = "shape: T, seed: Tseed, minval: dtype, maxval: dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: {int32, int64}; T: {int32, int64}; Tseed: {int32, int64} = int64",
     .shape = seeded_int_shape,
     .kernel = kernel_function<compute_int<Source::kSeed>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessRandomUniformFullInt",
     .inputs = "shape: T, seed: Tseed",
     .outputs = "output: dtype",
     .attrs = "dtype: {int32, int64, uint32, uint64} = uint64; T: {int32, int64} = int32; Tseed: "
              "{int32, int64, uint32, uint64} = int64",
     .shape = seeded_shape,
     .kernel = kernel_function<compute_full_int<Source::kSeed>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessRandomUniformV2",
     .inputs = "shape: Tshape, key: uint64, counter: uint64, alg: int32",
     .outputs = "output: dtype",
     .attrs = "dtype: {half, bfloat16, float, double} = float; Tshape: {int32, int64} = int32",
     .shape = keyed_shape,
     .kernel = kernel_function<compute_floats<Source::kKey, UniformDistribution>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessRandomNormalV2",
     .inputs = "shape: Tshape, key: uint64, counter: uint64, alg: int32",
     .outputs = "output: dtype",
     .attrs = "dtype: {half, bfloat16, float, double} = float; Tshape: {int32, int64} = int32",
     .shape = keyed_shape,
     .kernel = kernel_function<compute_floats<Source::kKey, NormalDistribution>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessTruncatedNormalV2",
     .inputs = "shape: Tshape, key: uint64, counter: uint64, alg: int32",
     .outputs = "output: dtype",
     .attrs = "dtype: {half, bfloat16, float, double} = float; Tshape: {int32, int64} = int32",
     .shape = keyed_shape,
     .kernel = kernel_function<compute_floats<Source::kKey, TruncatedNormalDistribution>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessRandomUniformIntV2",
     .inputs =
         "shape: Tshape, key: uint64, counter: uint64, alg: int32, minval: dtype, maxval: dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: {int32, int64, uint32, uint64}; Tshape: {int32, int64} = int32",
     .shape = keyed_int_shape,
     .kernel = kernel_function<compute_int<Source::kKey>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessRandomUniformFullIntV2",
     .inputs = "shape: Tshape, key: uint64, counter: uint64, alg: int32",
     .outputs = "output: dtype",
     .attrs = "dtype: {int32, int64, uint32, uint64} = uint64; Tshape: {int32, int64} = int32",
     .shape = keyed_shape,
     .kernel = kernel_function<compute_full_int<Source::kKey>>,
     .differentiable = Differentiable::kNone},
    {.name = "StatelessRandomGetKeyCounter",
     .inputs = "seed: Tseed",
     .outputs = "key: uint64, counter: uint64",
     .attrs = "Tseed: {int32, int64} = int64",
     .shape = key_counter_shape,
     .kernel = kernel_function<compute_key_counter>,
     .differentiable = Differentiable::kRefused},
    {.name = "StatelessRandomGetKeyCounterAlg",
     .inputs = "seed: Tseed",
     .outputs = "key: uint64, counter: uint64, alg: int32",
     .attrs = "Tseed: {int32, int64} = int64",
     .shape = key_counter_shape,
     .kernel = kernel_function<compute_key_counter>,
     .differentiable = Differentiable::kRefused},
    {.name = "StatelessRandomGetAlg",
     .outputs = "alg: int32",
     .shape = scalar_shape,
     .kernel = kernel_function<compute_algorithm>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily random_stateless_ops() { return kOps; }

}  // namespace hub
