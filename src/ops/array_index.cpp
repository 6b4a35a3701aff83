// Ops that compute with small vectors of integers: ranges, offsets, shapes of broadcasts.

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// How many steps of delta lead from start to before limit. Errors: INVALID_ARGUMENT.
template <class T>
std::int64_t range_size(T start, T limit, T delta) {
  if (delta == 0) throw invalid_argument("Range: delta must not be zero.");
  if (delta > 0 ? !(start <= limit) : !(start >= limit)) {
    throw invalid_argument("Range: delta must lead from start to limit. Details: start ", start,
                           ", limit ", limit, ", delta ", delta, ".");
  }
  if constexpr (std::is_integral_v<T>) {
    const auto distance = static_cast<std::uint64_t>(limit) - static_cast<std::uint64_t>(start);
    const std::uint64_t length = delta > 0 ? distance : 0 - distance;
    const std::uint64_t step =
        delta > 0 ? static_cast<std::uint64_t>(delta) : 0 - static_cast<std::uint64_t>(delta);
    const std::uint64_t size = length / step + (length % step != 0 ? 1 : 0);
    if (size <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return static_cast<std::int64_t>(size);
    }
  } else {
    const T size = std::ceil(std::abs((limit - start) / delta));
    if (size < static_cast<T>(std::numeric_limits<std::int64_t>::max()))
      return static_cast<std::int64_t>(size);
  }
  throw invalid_argument("Range: there are too many steps. Details: start ", start, ", limit ",
                         limit, ", delta ", delta, ".");
}

using RangeTypes = TypeList<float, double, std::int32_t, std::int64_t>;

Shapes range_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) c.at_most_rank(i, 1);
  const Tensor* start = c.input_value(0);
  const Tensor* limit = c.input_value(1);
  const Tensor* delta = c.input_value(2);
  const DType dtype = c.output_dtype(0);
  const bool computed = dtype == kFloat || dtype == kDouble || dtype == kInt32 || dtype == kInt64;
  const bool known = computed && start != nullptr && limit != nullptr && delta != nullptr &&
                     start->num_elements() == 1 && limit->num_elements() == 1 &&
                     delta->num_elements() == 1;
  if (known) {
    std::int64_t size = -1;
    dispatch(RangeTypes{}, dtype, [&]<class T>() {
      size = range_size(start->scalar<T>(), limit->scalar<T>(), delta->scalar<T>());
    });
    return {vector_shape(size)};
  }
  const auto first = c.input_as_int(0);
  const auto last = c.input_as_int(1);
  const auto step = c.input_as_int(2);
  if (!first || !last || !step || *step <= 0 || *first > *last) return {vector_shape(-1)};
  return {vector_shape(range_size(*first, *last, *step))};
}

void compute_range(KernelContext& ctx) {
  for (int i = 0; i < 3; ++i) {
    if (ctx.input(i).rank() > 1 || ctx.input(i).num_elements() != 1) {
      throw invalid_argument("Range: start, limit and delta must be scalars. Details: input ", i,
                             " has shape ", ctx.input(i).shape(), ".");
    }
  }
  dispatch(RangeTypes{}, ctx.input(0).dtype(), [&]<class T>() {
    const T start = ctx.input(0).scalar<T>();
    const T delta = ctx.input(2).scalar<T>();
    const std::int64_t size = range_size(start, ctx.input(1).scalar<T>(), delta);
    T* values = ctx.output(0, Shape{size}).template mutable_data<T>();
    // Integers wrap on the way to a value that fits.
    using Wide = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;
    for (std::int64_t i = 0; i < size; ++i) {
      const Wide steps = static_cast<Wide>(static_cast<T>(i)) * static_cast<Wide>(delta);
      values[i] = static_cast<T>(static_cast<Wide>(start) + steps);
    }
  });
}

constexpr OpDef kOps[] = {
    {.name = "Range",
     .inputs = "start: Tidx, limit: Tidx, delta: Tidx",
     .outputs = "output: Tidx",
     .attrs = "Tidx: {bfloat16, half, float, double, int8, int16, int32, int64, uint16, uint32} "
              "= int32",
     .shape = range_shape,
     .kernel = kernel_function<compute_range>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily array_index_ops() { return kOps; }

}  // namespace hub
