// Random numbers from the stream of a node: uniform and normal ones.

#include <random>

#include "ops/random_distributions.h"
#include "ops/random_stream.h"
#include "tensor/dispatch.h"

namespace hub {

std::shared_ptr<RandomStream> random_stream(const KernelInit& init) {
  auto seed = static_cast<std::uint64_t>(init.attr<std::int64_t>("seed"));
  auto seed2 = static_cast<std::uint64_t>(init.attr<std::int64_t>("seed2"));
  // The seeds keep nodes of one name in different functions apart.
  const std::string name = cat(init.op(), " ", init.name(), " ", seed, " ", seed2);
  return init.resources().find_or_create<RandomStream>("random streams", name, [&] {
    if (seed == 0 && seed2 == 0) {
      std::random_device device;
      seed = (std::uint64_t{device()} << 32) | device();
      seed2 = (std::uint64_t{device()} << 32) | device();
    }
    return std::make_shared<RandomStream>(Philox(seed, seed2));
  });
}

Shape random_shape_input(const KernelContext& context, int input) {
  if (context.input(input).rank() != 1) {
    throw invalid_argument(context.node().op_name,
                           ": the shape must be a vector. Details: its shape is ",
                           context.input(input).shape(), ".");
  }
  return shape_input(context, input, "the shape");
}

Shapes shape_from_input(ShapeContext& c, int input) {
  c.with_rank(input, 1);
  return {c.input_as_shape(input)};
}

Shapes shape_from_input_0(ShapeContext& c) { return shape_from_input(c, 0); }

namespace {

Shapes uniform_int_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.with_rank(2, 0);
  return shape_from_input_0(c);
}

template <template <class> class Distribution>
class FloatsKernel final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;
  void compute(KernelContext& context) const override {
    Tensor& result = context.output(0, random_shape_input(context, 0));
    const Philox start = stream().reserve_outputs(result.num_elements());
    dispatch(Floats{}, result.dtype(),
             [&]<class T>() { fill_random(context, start, Distribution<T>(), result); });
  }
};

class UniformIntKernel final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;
  void compute(KernelContext& context) const override {
    const Shape shape = random_shape_input(context, 0);
    const std::int64_t low = integer_scalar(context, 1, "minval");
    const std::int64_t high = integer_scalar(context, 2, "maxval");
    if (context.input(1).rank() != 0 || context.input(2).rank() != 0) {
      throw invalid_argument("RandomUniformInt: minval and maxval must be scalars. Details: ",
                             context.input(1).shape(), " and ", context.input(2).shape(), ".");
    }
    Tensor& result = context.output(0, shape);
    if (result.num_elements() == 0) return;  // nothing to choose: any range will do
    if (low >= high) {
      throw invalid_argument("RandomUniformInt: minval must be less than maxval. Details: ", low,
                             " and ", high, ".");
    }
    const Philox start = stream().reserve_outputs(result.num_elements());
    dispatch(Indices{}, result.dtype(), [&]<class T>() {
      fill_random(context, start,
                  UniformIntDistribution<T>(static_cast<T>(low), static_cast<T>(high)), result);
    });
  }
};

constexpr OpDef kOps[] = {
    {.name = "RandomUniform",
     .inputs = "shape: T",
     .outputs = "output: dtype",
     .attrs =
         "seed: int = 0; seed2: int = 0; dtype: {half, bfloat16, float, double}; T: {int32, int64}",
     .shape = shape_from_input_0,
     .kernel = make_kernel<FloatsKernel<UniformDistribution>>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "RandomStandardNormal",
     .inputs = "shape: T",
     .outputs = "output: dtype",
     .attrs =
         "seed: int = 0; seed2: int = 0; dtype: {half, bfloat16, float, double}; T: {int32, int64}",
     .shape = shape_from_input_0,
     .kernel = make_kernel<FloatsKernel<NormalDistribution>>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "TruncatedNormal",
     .inputs = "shape: T",
     .outputs = "output: dtype",
     .attrs =
         "seed: int = 0; seed2: int = 0; dtype: {half, bfloat16, float, double}; T: {int32, int64}",
     .shape = shape_from_input_0,
     .kernel = make_kernel<FloatsKernel<TruncatedNormalDistribution>>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "RandomUniformInt",
     .inputs = "shape: T, minval: Tout, maxval: Tout",
     .outputs = "output: Tout",
     .attrs = "seed: int = 0; seed2: int = 0; Tout: {int32, int64}; T: {int32, int64}",
     .shape = uniform_int_shape,
     .kernel = make_kernel<UniformIntKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily random_ops() { return kOps; }

}  // namespace hub
