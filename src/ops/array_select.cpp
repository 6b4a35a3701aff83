// Choosing by a condition: Select, SelectV2, Where; and OneHot.

#include <algorithm>
#include <complex>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/broadcast.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes select_shape(ShapeContext& c) {
  const PartialShape& condition = c.input(0);
  PartialShape value = c.input(1).merge_with(c.input(2));
  if (const auto& handle = c.input_handle(1)) c.set_output_handle(0, *handle);
  if (!condition.has_rank() || condition.rank() == 0 || !value.has_rank())
    return {std::move(value)};
  if (condition.rank() > 1 || value.rank() == 0) return {value.merge_with(condition)};
  return {replace_dim(
      value, 0,
      merge_dims(value.dim(0), condition.dim(0), "Select: the condition's size and the rows"))};
}

// One condition for each row of the values (or each element, where a row is one).
void select_rows(KernelContext& ctx, const Tensor& condition, const Tensor& x, const Tensor& y) {
  const auto chosen = condition.values<bool>();
  const std::int64_t rows = condition.num_elements();
  const std::int64_t size = rows == 0 ? 0 : x.num_elements() / rows;
  Tensor& result = ctx.output(0, x.shape());
  ctx.parallel_for(rows, static_cast<double>(size) + 2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Tensor& from = chosen[static_cast<std::size_t>(i)] ? x : y;
      copy_elements(result.dtype(), element_at(from, i * size), element_at(result, i * size), size);
    }
  });
}

template <class T>
void select_loop(const std::uint8_t* condition, bool one_condition, const T* x, bool one_x,
                 const T* y, bool one_y, T* result, std::int64_t count) {
  if (!one_condition && !one_x && !one_y) {
    for (std::int64_t i = 0; i < count; ++i) result[i] = condition[i] != 0 ? x[i] : y[i];
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    result[i] = condition[one_condition ? 0 : i] != 0 ? x[one_x ? 0 : i] : y[one_y ? 0 : i];
  }
}

void select_broadcast(KernelContext& ctx) {
  const Tensor& condition = ctx.input(0);
  const Tensor& x = ctx.input(1);
  const Tensor& y = ctx.input(2);
  const Broadcast broadcast(ctx.node().op_name, {&condition.shape(), &x.shape(), &y.shape()});
  Tensor& result = ctx.output(0, broadcast.shape());
  const bool* chosen = condition.data<bool>();
  if (dtype_size(x.dtype()) == 0) {
    for (std::int64_t i = 0; i < result.num_elements(); ++i) {
      const bool first = chosen[broadcast.source(0, i)];
      const Tensor& from = first ? x : y;
      copy_elements(result.dtype(), element_at(from, broadcast.source(first ? 1 : 2, i)),
                    element_at(result, i), 1);
    }
    return;
  }
  dispatch_by_size(x.dtype(), [&]<class T>() {
    if constexpr (std::is_trivially_copyable_v<T>) {
      ctx.parallel_for(result.num_elements(), 0.5, [&](std::int64_t begin, std::int64_t end) {
        Broadcast::Scratch condition_scratch, x_scratch, y_scratch;
        for (std::int64_t n; begin < end; begin += n) {
          n = broadcast.block(begin, end);
          const auto c = broadcast.operand(0, chosen, 1, begin, n, condition_scratch);
          const auto a = broadcast.operand(1, x.raw_data(), sizeof(T), begin, n, x_scratch);
          const auto b = broadcast.operand(2, y.raw_data(), sizeof(T), begin, n, y_scratch);
          select_loop(static_cast<const std::uint8_t*>(c.data), c.repeated,
                      static_cast<const T*>(a.data), a.repeated, static_cast<const T*>(b.data),
                      b.repeated, static_cast<T*>(element_at(result, begin)), n);
        }
      });
    }
  });
}

void compute_select(KernelContext& ctx) {
  const Tensor& condition = ctx.input(0);
  const Tensor& x = ctx.input(1);
  const Tensor& y = ctx.input(2);
  const bool by_rows = condition.rank() == 1 && x.rank() != 1;
  const bool fits =
      x.shape() == y.shape() &&
      (condition.rank() == 0 ||
       (by_rows ? x.rank() > 0 && x.dim(0) == condition.dim(0) : x.shape() == condition.shape()));
  if (!fits) {
    throw invalid_argument(
        "Select: the values must have one shape, the condition that shape or a row's number. "
        "Details: ",
        "condition ", condition.shape(), ", values ", x.shape(), " and ", y.shape(), ".");
  }
  if (condition.rank() == 0) return ctx.set_output(0, condition.scalar<bool>() ? x : y);
  if (by_rows) return select_rows(ctx, condition, x, y);
  select_broadcast(ctx);
}

Shapes select_v2_shape(ShapeContext& c) {
  return {broadcast(c.input(0), broadcast(c.input(1), c.input(2)))};
}

void compute_select_v2(KernelContext& ctx) {
  const Tensor& condition = ctx.input(0);
  if (condition.rank() == 0 && ctx.input(1).shape() == ctx.input(2).shape()) {
    return ctx.set_output(0, ctx.input(condition.scalar<bool>() ? 1 : 2));
  }
  select_broadcast(ctx);
}

constexpr int kMaxWhereRank = 8;

Shapes where_shape(ShapeContext& c) { return {PartialShape{-1, c.input(0).rank()}}; }

// All plain types but half, for which TensorFlow has no kernel.
using WhereTypes = Join<Join<TypeList<float, double, BFloat16, bool>, Integers>, Complexes>;

template <class T>
bool is_true(const T& value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return static_cast<float>(value) != 0;
  } else {
    return value != T{};
  }
}

template <class T>
void where(KernelContext& ctx, const Tensor& condition) {
  const T* values = condition.data<T>();
  const std::int64_t count = condition.num_elements();
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) found += is_true(values[i]) ? 1 : 0;
  const int rank = condition.rank();
  std::int64_t* to = ctx.output(0, Shape{found, rank}).mutable_data<std::int64_t>();
  std::array<std::int64_t, kMaxWhereRank> position{};
  for (std::int64_t i = 0; i < count; ++i) {
    if (is_true(values[i])) to = std::copy_n(position.data(), rank, to);
    for (int axis = rank - 1; axis >= 0; --axis) {
      if (++position[static_cast<std::size_t>(axis)] < condition.dim(axis)) break;
      position[static_cast<std::size_t>(axis)] = 0;
    }
  }
}

void compute_where(KernelContext& ctx) {
  const Tensor& condition = ctx.input(0);
  if (condition.rank() < 1 || condition.rank() > kMaxWhereRank) {
    throw invalid_argument("Where: the rank must be in [1, ", kMaxWhereRank, "]. Details: it is ",
                           condition.rank(), ".");
  }
  dispatch(WhereTypes{}, condition.dtype(), [&]<class T>() { where<T>(ctx, condition); });
}

int one_hot_axis(std::int64_t axis, int indices_rank) {
  if (axis < -1 || axis > indices_rank) {
    throw invalid_argument("OneHot: the axis must be -1 or in [0, ", indices_rank,
                           "]. Details: got ", axis, ".");
  }
  return static_cast<int>(axis == -1 ? indices_rank : axis);
}

Shapes one_hot_shape(ShapeContext& c) {
  for (int i = 1; i <= 3; ++i) c.with_rank(i, 0);
  const auto axis_attr = c.attr<std::int64_t>("axis");
  if (axis_attr < -1) one_hot_axis(axis_attr, 0);
  const PartialShape& indices = c.input(0);
  if (!indices.has_rank()) return {PartialShape()};
  if (axis_attr > indices.rank()) return {PartialShape()};
  const int axis = one_hot_axis(axis_attr, indices.rank());
  const auto depth = c.input_as_int(1);
  if (depth && *depth < 0)
    throw invalid_argument("OneHot: the depth must be >= 0. Details: it is ", *depth, ".");
  return {concatenate(concatenate(sub_shape(indices, 0, axis), vector_shape(depth.value_or(-1))),
                      sub_shape(indices, axis, indices.rank()))};
}

class OneHotKernel final : public Kernel {
 public:
  explicit OneHotKernel(const KernelInit& init) : axis_(init.attr<std::int64_t>("axis")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& indices = ctx.input(0);
    const int axis = one_hot_axis(axis_, indices.rank());
    for (int i = 1; i <= 3; ++i) {
      if (ctx.input(i).rank() != 0) {
        throw invalid_argument(
            "OneHot: depth, on_value and off_value must be scalars. Details: input ", i,
            " has shape ", ctx.input(i).shape(), ".");
      }
    }
    const std::int64_t depth = ctx.input(1).scalar<std::int32_t>();
    if (depth < 0)
      throw invalid_argument("OneHot: the depth must be >= 0. Details: it is ", depth, ".");
    Tensor& result = ctx.output(0, indices.shape().with_inserted(axis, depth));
    fill_tensor(ctx, ctx.input(3).raw_data(), result);
    const std::int64_t inner = indices.shape().slice(axis, indices.rank()).num_elements();
    dispatch(TypeList<std::uint8_t, std::int8_t, std::int32_t, std::int64_t>{}, indices.dtype(),
             [&]<class Index>() {
               set_ones(indices.data<Index>(), indices.num_elements(), inner, depth, ctx.input(2),
                        result);
             });
  }

 private:
  // Indices outside of the depth have no place.
  template <class Index>
  static void set_ones(const Index* indices, std::int64_t count, std::int64_t inner,
                       std::int64_t depth, const Tensor& on, Tensor& result) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::int64_t>(indices[i]);
      if (index < 0 || index >= depth) continue;
      const std::int64_t place = (i / inner * depth + index) * inner + i % inner;
      copy_elements(result.dtype(), on.raw_data(), element_at(result, place), 1);
    }
  }

  std::int64_t axis_;
};

constexpr OpDef kOps[] = {
    {.name = "Select",
     .inputs = "condition: bool, t: T, e: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = select_shape,
     .kernel = kernel_function<compute_select>},
    {.name = "SelectV2",
     .inputs = "condition: bool, t: T, e: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = select_v2_shape,
     .kernel = kernel_function<compute_select_v2>},
    {.name = "Where",
     .inputs = "input: T",
     .outputs = "index: int64",
     .attrs = "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, "
              "qint32, bfloat16, qint16, quint16, uint16, complex128, half, uint32, uint64, "
              "bool} = bool",
     .shape = where_shape,
     .kernel = kernel_function<compute_where>,
     .differentiable = Differentiable::kRefused},
    {.name = "OneHot",
     .inputs = "indices: TI, depth: int32, on_value: T, off_value: T",
     .outputs = "output: T",
     .attrs = "axis: int = -1; T: type; TI: {uint8, int8, int32, int64} = int64",
     .shape = one_hot_shape,
     .kernel = make_kernel<OneHotKernel>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily array_select_ops() { return kOps; }

}  // namespace hub
