// Updates of elements and slices of a variable, by index vectors; one after the other, in
// order: an index may come twice, and what stands before a wrong index is done.

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/update_functions.h"
#include "ops/variable_update.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// Indices of rank 1 are as many indices of depth 1 where shapes are compared, but TensorFlow
// updates with the first of them only.
struct IndexLayout {
  int outer = 1;
  std::int64_t depth = 1;  // -1: unknown
  explicit IndexLayout(const PartialShape& indices) {
    if (indices.rank() <= 1) return;
    outer = indices.rank() - 1;
    depth = indices.dim(outer);
  }
};

void check_update_shape(std::string_view op, const PartialShape& variable,
                        const PartialShape& indices, const PartialShape& updates) {
  if (!variable.has_rank() || !indices.has_rank() || !updates.has_rank()) return;
  const IndexLayout layout(indices);
  if (layout.depth < 0) return;
  bool fits = variable.rank() >= 1 && indices.rank() >= 1 && updates.rank() >= 1 &&
              layout.depth <= variable.rank();
  if (fits) {
    const PartialShape expected =
        concatenate(sub_shape(indices, 0, layout.outer),
                    sub_shape(variable, static_cast<int>(layout.depth), variable.rank()));
    fits = expected.is_compatible_with(updates);
  }
  if (!fits) {
    throw invalid_argument(
        op, ": updates must have the shape ",
        "indices.shape[:-1] + variable.shape[indices.shape[-1]:]. Details: variable ", variable,
        ", indices ", indices, ", updates ", updates, ".");
  }
}

// Where indices are a vector, TensorFlow's shape rule and kernel disagree: the kernel decides.
void check_known_shapes(ShapeContext& c, const PartialShape& variable) {
  if (c.input(1).rank() <= 1) return;
  check_update_shape(c.node().op_name, variable, c.input(1), c.input(2));
}

Shapes scatter_nd_shape(ShapeContext& c) {
  check_known_shapes(c, c.input(0));
  return {c.input(0)};
}

Shapes resource_scatter_nd_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  const auto& handle = c.input_handle(0);
  if (handle) check_known_shapes(c, handle->shape);
  return {};
}

void check_shapes(std::string_view op, const Shape& variable, const Shape& indices,
                  const Shape& updates) {
  const bool nothing = indices.num_elements() == 0 && updates.num_elements() == 0;
  const bool something =
      variable.num_elements() != 0 && indices.num_elements() != 0 && updates.num_elements() != 0;
  const bool no_first_index = indices.rank() == 1 && indices.num_elements() == 0;
  if ((!nothing && !something) || no_first_index) {
    throw invalid_argument(
        op,
        ": where anything is empty, indices and updates must be, and indices must not be a "
        "vector. Details: variable ",
        variable, ", indices ", indices, ", updates ", updates, ".");
  }
  check_update_shape(op, variable, indices, updates);
}

template <class Update, class T, class Index>
void update_slices(const KernelContext& context, const Shape& shape, const Tensor& indices,
                   const T* updates, T* variable) {
  const IndexLayout layout(indices.shape());
  const auto depth = static_cast<int>(layout.depth);
  const std::int64_t slice = shape.slice(depth, shape.rank()).num_elements();
  const std::int64_t count =
      indices.rank() == 1 ? 1 : indices.shape().slice(0, layout.outer).num_elements();
  const Index* index = indices.data<Index>();
  for (std::int64_t i = 0; i < count; ++i, updates += slice) {
    std::int64_t position = 0;
    for (int axis = 0; axis < depth; ++axis, ++index) {
      if (*index < 0 || static_cast<std::int64_t>(*index) >= shape.dim(axis)) {
        throw invalid_argument(context.node().op_name,
                               ": an index is out of range. Details: index ", i, " is ", *index,
                               " for axis ", axis, " of ", shape, ".");
      }
      position = position * shape.dim(axis) + static_cast<std::int64_t>(*index);
    }
    T* to = variable + position * slice;
    for (std::int64_t k = 0; k < slice; ++k) to[k] = Update::apply(to[k], updates[k]);
  }
}

template <class Update>
void scatter(KernelContext& context, VariableUpdate& variable) {
  const Tensor& indices = context.input(1);
  const Tensor& updates = context.input(2);
  const Shape shape = variable.value().shape();
  check_shapes(context.node().op_name, shape, indices.shape(), updates.shape());
  if (updates.num_elements() == 0) return;
  Tensor& value = variable.writable();
  const auto run = [&]<class T>() {
    const T* from = static_cast<const T*>(updates.raw_data());
    T* to = static_cast<T*>(value.mutable_raw_data());
    dispatch(Indices{}, indices.dtype(), [&]<class Index>() {
      update_slices<Update, T, Index>(context, shape, indices, from, to);
    });
  };
  if constexpr (std::is_same_v<Update, ReplaceUpdate>) {
    dispatch_by_size(value.dtype(), run);
  } else if constexpr (std::is_same_v<Update, MinUpdate> || std::is_same_v<Update, MaxUpdate>) {
    dispatch(RealNumbers{}, value.dtype(), run);
  } else {
    dispatch(Join<Numbers, TypeList<bool>>{}, value.dtype(), run);
  }
}

template <class Update>
void compute_scatter_nd(KernelContext& context) {
  {
    VariableUpdate variable(context, 0, context.input(2).dtype());
    scatter<Update>(context, variable);
  }
  pass_reference_on(context);
}

constexpr OpDef kOps[] = {
    {.name = "ScatterNdAdd",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<AddUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "ResourceScatterNdAdd",
     .inputs = "ref: resource, indices: Tindices, updates: T",
     .attrs = "T: type; Tindices: {int32, int64}; use_locking: bool = true",
     .shape = resource_scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<AddUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterNdSub",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<SubUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "ResourceScatterNdSub",
     .inputs = "ref: resource, indices: Tindices, updates: T",
     .attrs = "T: type; Tindices: {int32, int64}; use_locking: bool = true",
     .shape = resource_scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<SubUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterNdMin",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<MinUpdate>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceScatterNdMin",
     .inputs = "ref: resource, indices: Tindices, updates: T",
     .attrs = "T: type; Tindices: {int32, int64}; use_locking: bool = true",
     .shape = resource_scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<MinUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterNdMax",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<MaxUpdate>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceScatterNdMax",
     .inputs = "ref: resource, indices: Tindices, updates: T",
     .attrs = "T: type; Tindices: {int32, int64}; use_locking: bool = true",
     .shape = resource_scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<MaxUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ScatterNdUpdate",
     .inputs = "ref: Ref(T), indices: Tindices, updates: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: type; Tindices: {int32, int64}; use_locking: bool = true",
     .shape = scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<ReplaceUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "ResourceScatterNdUpdate",
     .inputs = "ref: resource, indices: Tindices, updates: T",
     .attrs = "T: type; Tindices: {int32, int64}; use_locking: bool = true",
     .shape = resource_scatter_nd_shape,
     .kernel = kernel_function<compute_scatter_nd<ReplaceUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily state_scatter_nd_ops() { return kOps; }

}  // namespace hub
