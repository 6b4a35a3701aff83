// ArgMax and ArgMin: the first index of the largest or smallest element along an axis.

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/kernels/arg_rows.h"
#include "ops/kernels/vector.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes arg_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const PartialShape& input = c.input(0);
  if (!input.has_rank()) return {PartialShape{}};
  const Tensor* axis_value = c.input_value(1);
  if (axis_value == nullptr) {
    return {input.rank() <= 1 ? PartialShape(Shape())
                              : PartialShape::unknown_dims(input.rank() - 1)};
  }
  // TensorFlow lets a scalar pass here, and refuses it when it runs.
  if (input.rank() == 0) return {PartialShape(Shape())};
  const std::int64_t given = axis_value->dtype() == DType::kInt16
                                 ? axis_value->scalar<std::int16_t>()
                             : axis_value->dtype() == kInt32 ? axis_value->scalar<std::int32_t>()
                                                             : axis_value->scalar<std::int64_t>();
  const int axis = normalized_axis(given, input.rank());
  return {concatenate(sub_shape(input, 0, axis), sub_shape(input, axis + 1, input.rank()))};
}

// Half precision is compared as float.
template <class T>
using Comparable =
    std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;

struct Largest {
  static ArgOfRow fastest() { return fastest_argmax_of_row(); }
  template <class T>
  static T start() {
    return std::numeric_limits<T>::lowest();
  }
  template <class T>
  static auto beats(const T& a, const T& b) {
    return a > b;
  }
};
struct Smallest {
  static ArgOfRow fastest() { return fastest_argmin_of_row(); }
  template <class T>
  static T start() {
    return std::numeric_limits<T>::max();
  }
  template <class T>
  static auto beats(const T& a, const T& b) {
    return a < b;
  }
};

// The first of the best of x[0], x[stride], ...; 0 where none is better than the lowest (or
// highest) finite number: so NaN never wins.
template <class T, class Order>
std::int64_t best_index(const T* x, std::int64_t n, std::int64_t stride) {
  using C = Comparable<T>;
  C best = Order::template start<C>();
  std::int64_t index = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const C value = static_cast<C>(x[i * stride]);
    if (Order::beats(value, best)) {
      best = value;
      index = i;
    }
  }
  return index;
}

// The best of x[0..n), or the lowest (or highest) number where none is better: in lanes.
template <class T, class Order>
T best_of_row(const T* x, std::int64_t n) {
  using V = Vector<T>;
  using Type = typename V::type;
  constexpr std::int64_t kStep = 4 * V::kLanes;
  const auto better = [](const auto& a, const auto& b) { return Order::beats(a, b) ? a : b; };
  T winner = Order::template start<T>();
  std::int64_t i = 0;
  if (n >= kStep) {
    Type best[4];
    for (int j = 0; j < 4; ++j) best[j] = Type{} + winner;
    for (; i + kStep <= n; i += kStep) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) best[j] = better(V::load(x + i + j * V::kLanes), best[j]);
    }
    winner = join_lanes<T>(better(better(best[0], best[1]), better(best[2], best[3])), better);
  }
  for (; i < n; ++i) winner = better(x[i], winner);
  return winner;
}

// The same for neighbours in memory: first the best, and then where it is.
template <class T, class Order>
std::int64_t best_index_of_row(const T* x, std::int64_t n) {
  if constexpr (std::is_same_v<T, float>) {
    static const ArgOfRow fastest = Order::fastest();
    if (fastest != nullptr) return fastest(x, n);
  }
  const T winner = best_of_row<T, Order>(x, n);
  if (!Order::beats(winner, Order::template start<T>())) return 0;
  // Blocks without a branch inside, up to the one that holds it.
  using V = Vector<T>;
  using Type = typename V::type;
  constexpr std::int64_t kStep = 4 * V::kLanes;
  const Type wanted = Type{} + winner;
  std::int64_t first = 0;
  for (; first + kStep <= n; first += kStep) {
    auto equal = V::load(x + first) == wanted;
    for (int j = 1; j < 4; ++j) equal |= V::load(x + first + j * V::kLanes) == wanted;
    std::array<std::uint64_t, 4> found;
    static_assert(sizeof found == sizeof equal);
    std::memcpy(found.data(), &equal, sizeof found);
    if ((found[0] | found[1] | found[2] | found[3]) != 0) break;
  }
  while (x[first] != winner) ++first;
  return first;
}

template <class Order>
void compute_arg(KernelContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Tensor& axis_tensor = ctx.input(1);
  const std::string_view op = ctx.node().op_name;
  if (axis_tensor.rank() != 0) {
    throw invalid_argument(op, ": the dimension must be a scalar. Details: its shape is ",
                           axis_tensor.shape(), ".");
  }
  const std::int64_t given = axis_tensor.dtype() == DType::kInt16
                                 ? axis_tensor.scalar<std::int16_t>()
                                 : integer_scalar(ctx, 1, "the dimension");
  const int axis = checked_axis(given, x.rank(), op);
  const std::int64_t n = x.dim(axis);
  if (n == 0) {
    throw invalid_argument(op, ": the axis must not be empty. Details: axis ", axis, " of ",
                           x.shape(), ".");
  }
  Tensor& y = ctx.output(0, x.shape().without_dim(axis));
  if (y.num_elements() == 0) return;
  const std::int64_t inner = x.shape().slice(axis + 1, x.rank()).num_elements();
  Tensor indices = y.dtype() == kInt64 ? y : ctx.temporary(kInt64, y.shape());
  auto* out = indices.mutable_data<std::int64_t>();
  dispatch(Join<RealNumbers, TypeList<bool>>{}, x.dtype(), [&]<class T>() {
    const T* in = x.data<T>();
    ctx.parallel_for(
        y.num_elements(), static_cast<double>(n), [&](std::int64_t begin, std::int64_t end) {
          if constexpr (std::is_same_v<T, Comparable<T>> && !std::is_same_v<T, bool>) {
            if (inner == 1) {
              for (std::int64_t i = begin; i < end; ++i)
                out[i] = best_index_of_row<T, Order>(in + i * n, n);
              return;
            }
          }
          for (std::int64_t i = begin; i < end; ++i) {
            out[i] = best_index<T, Order>(in + i / inner * n * inner + i % inner, n, inner);
          }
        });
  });
  if (y.dtype() == kInt64) return;
  dispatch(TypeList<std::int16_t, std::uint16_t, std::int32_t>{}, y.dtype(), [&]<class T>() {
    T* to = y.mutable_data<T>();
    for (std::int64_t i = 0; i < y.num_elements(); ++i) to[i] = static_cast<T>(out[i]);
  });
}

constexpr OpDef kOps[] = {
    {.name = "ArgMax",
     .inputs = "input: T, dimension: Tidx",
     .outputs = "output: output_type",
     .attrs =
         "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, "
         "uint64, qint8, quint8, qint32, qint16, quint16, bool}; "
         "Tidx: {int16, int32, int64} = int32; output_type: {int16, uint16, int32, int64} = int64",
     .shape = arg_shape,
     .kernel = kernel_function<compute_arg<Largest>>},
    {.name = "ArgMin",
     .inputs = "input: T, dimension: Tidx",
     .outputs = "output: output_type",
     .attrs =
         "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, "
         "uint64, qint8, quint8, qint32, qint16, quint16, bool}; "
         "Tidx: {int32, int64} = int32; output_type: {int32, int64} = int64",
     .shape = arg_shape,
     .kernel = kernel_function<compute_arg<Smallest>>},
};

}  // namespace

OpFamily reduce_arg_ops() { return kOps; }

}  // namespace hub
