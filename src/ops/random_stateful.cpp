// Random numbers whose generator is a variable: [counter, counter, key] as int64.

#include <random>

#include "ops/random_distributions.h"
#include "ops/random_state.h"
#include "ops/random_stream.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// --- shapes ---

Shapes stateful_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  c.with_rank(1, 0);
  return shape_from_input(c, 2);
}

Shapes old_stateful_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return shape_from_input(c, 1);
}

Shapes stateful_int_shape(ShapeContext& c) {
  c.with_rank(3, 0);
  c.with_rank(4, 0);
  return stateful_shape(c);
}

Shapes skip_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) c.with_rank(i, 0);
  if (c.num_outputs() == 0) return {};
  return {PartialShape{kStateSize}};
}

// --- kernels ---

void check_algorithm(const KernelContext& context, std::int64_t algorithm) {
  const std::string& op = context.node().op_name;
  if (algorithm == 2)
    throw unimplemented(op, ": there is no ThreeFry generator. Details: the algorithm is 2.");
  if (algorithm != 1 && algorithm != 3) {
    throw invalid_argument(op, ": the algorithm must be 1 (Philox) or 3 (any). Details: it is ",
                           algorithm, ".");
  }
}

// The algorithm is input 1.
void check_algorithm(const KernelContext& context) {
  if (context.input(1).rank() != 0) {
    throw invalid_argument(context.node().op_name,
                           ": the algorithm must be a scalar. Details: its shape is ",
                           context.input(1).shape(), ".");
  }
  check_algorithm(context, integer_scalar(context, 1, "the algorithm"));
}

// Fills output 0, of the shape in input 2.
template <class Distribution>
void fill(KernelContext& context, const Distribution& distribution, const Shape& shape) {
  Tensor& result = context.output(0, shape);
  const Philox start = take_generator(context, static_cast<std::uint64_t>(result.num_elements()));
  fill_random(context, start, distribution, result);
}

// Before there was an input for the algorithm, it stood in front of the state.
void compute_old_normal(KernelContext& context) {
  const Shape shape = random_shape_input(context, 1);
  Tensor& result = context.output(0, shape);
  VariableUpdate variable(context, 0, DType::kInt64);
  if (variable.value().num_elements() > 0) {
    check_algorithm(context, variable.value().data<std::int64_t>()[0]);
  }
  const Philox start =
      take_generator(context, variable, static_cast<std::uint64_t>(result.num_elements()), 1);
  dispatch(Floats{}, result.dtype(),
           [&]<class T>() { fill_random(context, start, NormalDistribution<T>(), result); });
}

template <template <class> class Distribution>
void compute_floats(KernelContext& context) {
  check_algorithm(context);
  const Shape shape = random_shape_input(context, 2);
  dispatch(Floats{}, context.output_dtype(0),
           [&]<class T>() { fill(context, Distribution<T>(), shape); });
}

using Ints = Join<Indices, TypeList<std::uint32_t, std::uint64_t>>;

void compute_full_int(KernelContext& context) {
  check_algorithm(context);
  const Shape shape = random_shape_input(context, 2);
  dispatch(Ints{}, context.output_dtype(0),
           [&]<class T>() { fill(context, FullIntDistribution<T>(), shape); });
}

void compute_int(KernelContext& context) {
  check_algorithm(context);
  const Shape shape = random_shape_input(context, 2);
  const Tensor& low = context.input(3);
  const Tensor& high = context.input(4);
  if (low.rank() != 0 || high.rank() != 0) {
    throw invalid_argument("StatefulUniformInt: minval and maxval must be scalars. Details: ",
                           low.shape(), " and ", high.shape(), ".");
  }
  dispatch(Ints{}, context.output_dtype(0), [&]<class T>() {
    const T from = low.scalar<T>();
    const T to = high.scalar<T>();
    if (from >= to) {
      throw invalid_argument("StatefulUniformInt: minval must be less than maxval. Details: ", from,
                             " and ", to, ".");
    }
    fill(context, UniformIntDistribution<T>(from, to), shape);
  });
}

void check_delta(const KernelContext& context) {
  if (context.input(2).rank() != 0) {
    throw invalid_argument(context.node().op_name,
                           ": delta must be a scalar. Details: its shape is ",
                           context.input(2).shape(), ".");
  }
}

void compute_skip(KernelContext& context) {
  check_algorithm(context);
  check_delta(context);
  take_generator(context, static_cast<std::uint64_t>(context.input(2).scalar<std::int64_t>()));
}

void compute_read_and_skip(KernelContext& context) {
  check_algorithm(context);
  check_delta(context);
  const Philox before = take_generator(context, context.input(2).scalar<std::uint64_t>());
  auto* words = context.output(0, Shape{kStateSize}).mutable_data<std::int64_t>();
  words[0] = static_cast<std::int64_t>(before.counter_low());
  words[1] = static_cast<std::int64_t>(before.counter_high());
  words[2] = static_cast<std::int64_t>(before.key());
}

// From the system's source of random bits.
void compute_non_deterministic(KernelContext& context) {
  Tensor& result = context.output(0, random_shape_input(context, 0));
  std::random_device device;
  const Philox start((std::uint64_t{device()} << 32) | device(),
                     (std::uint64_t{device()} << 32) | device());
  dispatch(Ints{}, result.dtype(),
           [&]<class T>() { fill_random(context, start, FullIntDistribution<T>(), result); });
}

constexpr OpDef kOps[] = {
    {.name = "StatefulUniform",
     .inputs = "resource: resource, algorithm: int64, shape: shape_dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: type = float; shape_dtype: type = int64",
     .shape = stateful_shape,
     .kernel = kernel_function<compute_floats<UniformDistribution>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "StatefulStandardNormal",
     .inputs = "resource: resource, shape: shape_dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: type = float; shape_dtype: type = int64",
     .shape = old_stateful_shape,
     .kernel = kernel_function<compute_old_normal>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "StatefulStandardNormalV2",
     .inputs = "resource: resource, algorithm: int64, shape: shape_dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: type = float; shape_dtype: type = int64",
     .shape = stateful_shape,
     .kernel = kernel_function<compute_floats<NormalDistribution>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "StatefulTruncatedNormal",
     .inputs = "resource: resource, algorithm: int64, shape: shape_dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: type = float; shape_dtype: type = int64",
     .shape = stateful_shape,
     .kernel = kernel_function<compute_floats<TruncatedNormalDistribution>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "StatefulUniformInt",
     .inputs =
         "resource: resource, algorithm: int64, shape: shape_dtype, minval: dtype, maxval: dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: type = int64; shape_dtype: type = int64",
     .shape = stateful_int_shape,
     .kernel = kernel_function<compute_int>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "StatefulUniformFullInt",
     .inputs = "resource: resource, algorithm: int64, shape: shape_dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: type = uint64; shape_dtype: type = int64",
     .shape = stateful_shape,
     .kernel = kernel_function<compute_full_int>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "RngSkip",
     .inputs = "resource: resource, algorithm: int64, delta: int64",
     .shape = skip_shape,
     .kernel = kernel_function<compute_skip>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "RngReadAndSkip",
     .inputs = "resource: resource, alg: int32, delta: uint64",
     .outputs = "value: int64",
     .shape = skip_shape,
     .kernel = kernel_function<compute_read_and_skip>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "NonDeterministicInts",
     .inputs = "shape: shape_dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: type = int64; shape_dtype: type = int64",
     .shape = shape_from_input_0,
     .kernel = kernel_function<compute_non_deterministic>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily random_stateful_ops() { return kOps; }

}  // namespace hub
