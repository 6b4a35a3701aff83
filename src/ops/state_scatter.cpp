// Updates of rows of a variable, by index. Rows are updated one after the other, in order: an
// index may come twice, and what stands before a wrong index is done.

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/update_functions.h"
#include "ops/variable_update.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// indices.shape + variable.shape[1:], or one scalar for all.
void check_update_shape(std::string_view op, const PartialShape& variable,
                        const PartialShape& indices, const PartialShape& updates) {
  if (updates.has_rank() && updates.rank() == 0) return;
  if (!variable.has_rank() || !indices.has_rank()) return;
  const PartialShape expected = concatenate(indices, sub_shape(variable, 1, variable.rank()));
  if (!expected.is_compatible_with(updates)) {
    throw invalid_argument(
        op, ": updates must be a scalar, or have the shape indices.shape + variable.shape[1:]. ",
        "Details: variable ", variable, ", indices ", indices, ", updates ", updates, ".");
  }
}

// What TensorFlow asks of updates of a resource: the rank, the shape of indices in front, and as
// many elements as the rows have, however they are arranged.
void check_update_count(std::string_view op, const Shape& variable, const Shape& indices,
                        const Shape& updates) {
  if (updates.rank() == 0) return;
  bool fits = updates.rank() == indices.rank() + variable.rank() - 1;
  if (fits && indices.num_elements() > 0) {
    const Shape rows = updates.slice(indices.rank(), updates.rank());
    fits = updates.slice(0, indices.rank()) == indices &&
           rows.num_elements() == variable.slice(1, variable.rank()).num_elements();
  }
  if (!fits) {
    throw invalid_argument(op,
                           ": updates must be a scalar, or have the shape indices.shape + "
                           "variable.shape[1:]. Details: variable ",
                           variable, ", indices ", indices, ", updates ", updates, ".");
  }
}

Shapes scatter_shape(ShapeContext& c) {
  const PartialShape variable = c.at_least_rank(0, 1);
  check_update_shape(c.node().op_name, variable, c.input(1), c.input(2));
  return {variable};
}

Shapes resource_scatter_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  const auto& handle = c.input_handle(0);
  if (handle) check_update_shape(c.node().op_name, handle->shape, c.input(1), c.input(2));
  return {};
}

// Integers cannot be divided by zero; for a resource TensorFlow refuses it for all dtypes.
void check_divisors(std::string_view op, const Tensor& updates, bool is_ref) {
  dispatch(Numbers{}, updates.dtype(), [&]<class T>() {
    if constexpr (!std::is_integral_v<T>) {
      if (is_ref) return;
    }
    for (const T& value : updates.values<T>()) {
      bool is_zero;
      if constexpr (is_half_width<T>) {
        is_zero = static_cast<float>(value) == 0;
      } else {
        is_zero = value == T{0};
      }
      if (is_zero) throw invalid_argument(op, ": updates must not hold 0.");
    }
  });
}

template <class Update, class T, class Index>
void update_rows(const KernelContext& context, const Tensor& indices, const T* updates,
                 bool one_update, std::int64_t row, std::int64_t rows, T* variable) {
  const Index* index = indices.data<Index>();
  for (std::int64_t i = 0; i < indices.num_elements(); ++i) {
    if (index[i] < 0 || static_cast<std::int64_t>(index[i]) >= rows) {
      throw invalid_argument(context.node().op_name,
                             ": an index is out of range. Details: indices[", i, "] = ", index[i],
                             " is not in [0, ", rows, ").");
    }
    T* to = variable + static_cast<std::int64_t>(index[i]) * row;
    if (one_update) {
      for (std::int64_t k = 0; k < row; ++k) to[k] = Update::apply(to[k], *updates);
    } else {
      const T* from = updates + i * row;
      for (std::int64_t k = 0; k < row; ++k) to[k] = Update::apply(to[k], from[k]);
    }
  }
}

template <class Update>
void scatter(KernelContext& context, VariableUpdate& variable) {
  const std::string& op = context.node().op_name;
  const Tensor& indices = context.input(1);
  const Tensor& updates = context.input(2);
  const Shape shape = variable.value().shape();
  if (shape.rank() == 0)
    throw invalid_argument(op, ": the variable must have rank >= 1. Details: it is a scalar.");
  if (variable.is_ref()) {
    check_update_shape(op, shape, indices.shape(), updates.shape());
  } else {
    check_update_count(op, shape, indices.shape(), updates.shape());
  }
  if constexpr (std::is_same_v<Update, DivUpdate>) check_divisors(op, updates, variable.is_ref());
  if (indices.num_elements() == 0) return;
  const std::int64_t row = shape.slice(1, shape.rank()).num_elements();
  Tensor& value = variable.writable();
  const auto run = [&]<class T>() {
    const T* from = static_cast<const T*>(updates.raw_data());
    T* to = static_cast<T*>(value.mutable_raw_data());
    dispatch(Indices{}, indices.dtype(), [&]<class Index>() {
      update_rows<Update, T, Index>(context, indices, from, updates.rank() == 0, row, shape.dim(0),
                                    to);
    });
  };
  if constexpr (std::is_same_v<Update, ReplaceUpdate>) {
    dispatch_by_size(value.dtype(), run);
  } else if constexpr (std::is_same_v<Update, MinUpdate> || std::is_same_v<Update, MaxUpdate>) {
    dispatch(RealNumbers{}, value.dtype(), run);
  } else {
    dispatch(Numbers{}, value.dtype(), run);
  }
}

template <class Update>
void compute_scatter(KernelContext& context) {
  {
    VariableUpdate variable(context, 0, context.input(2).dtype());
    scatter<Update>(context, variable);
  }
  pass_reference_on(context);
}

constexpr OpDef kOps[] = {
    {.name = "ScatterAdd",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = scatter_shape,
     .kernel = kernel_function<compute_scatter<AddUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "ResourceScatterAdd",
     .inputs = "resource: resource, indices: Tindices, updates: dtype",
     .attrs = "dtype: numbertype; Tindices: {int32, int64}",
     .shape = resource_scatter_shape,
     .kernel = kernel_function<compute_scatter<AddUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterSub",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = scatter_shape,
     .kernel = kernel_function<compute_scatter<SubUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "ResourceScatterSub",
     .inputs = "resource: resource, indices: Tindices, updates: dtype",
     .attrs = "dtype: numbertype; Tindices: {int32, int64}",
     .shape = resource_scatter_shape,
     .kernel = kernel_function<compute_scatter<SubUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterMul",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = scatter_shape,
     .kernel = kernel_function<compute_scatter<MulUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "ResourceScatterMul",
     .inputs = "resource: resource, indices: Tindices, updates: dtype",
     .attrs = "dtype: numbertype; Tindices: {int32, int64}",
     .shape = resource_scatter_shape,
     .kernel = kernel_function<compute_scatter<MulUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterDiv",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = scatter_shape,
     .kernel = kernel_function<compute_scatter<DivUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "ResourceScatterDiv",
     .inputs = "resource: resource, indices: Tindices, updates: dtype",
     .attrs = "dtype: numbertype; Tindices: {int32, int64}",
     .shape = resource_scatter_shape,
     .kernel = kernel_function<compute_scatter<DivUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterMin",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: {half, bfloat16, float, double, int32, int64}; Tindices: {int32, int64}; "
              "use_locking: bool = false",
     .shape = scatter_shape,
     .kernel = kernel_function<compute_scatter<MinUpdate>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceScatterMin",
     .inputs = "resource: resource, indices: Tindices, updates: dtype",
     .attrs = "dtype: numbertype; Tindices: {int32, int64}",
     .shape = resource_scatter_shape,
     .kernel = kernel_function<compute_scatter<MinUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterMax",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: {half, bfloat16, float, double, int32, int64}; Tindices: {int32, int64}; "
              "use_locking: bool = false",
     .shape = scatter_shape,
     .kernel = kernel_function<compute_scatter<MaxUpdate>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceScatterMax",
     .inputs = "resource: resource, indices: Tindices, updates: dtype",
     .attrs = "dtype: numbertype; Tindices: {int32, int64}",
     .shape = resource_scatter_shape,
     .kernel = kernel_function<compute_scatter<MaxUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterUpdate",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: type; Tindices: {int32, int64}; use_locking: bool = true",
     .shape = scatter_shape,
     .kernel = kernel_function<compute_scatter<ReplaceUpdate>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceScatterUpdate",
     .inputs = "resource: resource, indices: Tindices, updates: dtype",
     .attrs = "dtype: type; Tindices: {int32, int64}",
     .shape = resource_scatter_shape,
     .kernel = kernel_function<compute_scatter<ReplaceUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily state_scatter_ops() { return kOps; }

}  // namespace hub
