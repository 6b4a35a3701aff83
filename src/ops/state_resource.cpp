// Resource variables: a handle to a variable, and the ops that read and write through it.
// Reads are snapshots: a writer that finds the memory shared makes new memory.

#include <algorithm>

#include "graph/shape_rules.h"
#include "ops/gather.h"
#include "ops/kernel.h"
#include "ops/table.h"
#include "ops/update_functions.h"
#include "ops/variable_update.h"
#include "ops/variables.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// --- shapes ---

// What the handle says of its variable. Errors: INVALID_ARGUMENT for another dtype.
HandleFact variable_fact(ShapeContext& c, DType dtype) {
  c.with_rank(0, 0);
  const auto& handle = c.input_handle(0);
  if (!handle) return {dtype, {}};
  if (handle->dtype != DType::kInvalid && handle->dtype != dtype) {
    throw invalid_argument(c.node().op_name, ": the variable has another dtype. Details: it is ",
                           handle->dtype, ", expected ", dtype, ".");
  }
  return *handle;
}

Shapes handle_shape(ShapeContext& c) {
  c.set_output_handle(0, {c.attr<DType>("dtype"), c.attr<PartialShape>("shape")});
  return {PartialShape::scalar()};
}

Shapes read_shape(ShapeContext& c) { return {variable_fact(c, c.attr<DType>("dtype")).shape}; }

Shapes assign_shape(ShapeContext& c) {
  variable_fact(c, c.attr<DType>("dtype")).shape.merge_with(c.input(1));
  return {};
}

Shapes handle_only_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {};
}

Shapes is_initialized_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {PartialShape::scalar()};
}

Shapes variable_shape_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  const auto& handle = c.input_handle(0);
  if (!handle || !handle->shape.has_rank()) return {PartialShape{-1}};
  return {PartialShape{handle->shape.rank()}};
}

Shapes gather_shape(ShapeContext& c) {
  const PartialShape params = variable_fact(c, c.attr<DType>("dtype")).shape;
  const PartialShape& indices = c.input(1);
  const auto batch_dims = c.attr<std::int64_t>("batch_dims");
  if (!params.has_rank() || !indices.has_rank()) return {{}};
  if (params.rank() < 1) {
    throw invalid_argument(
        "ResourceGather: the variable must have rank >= 1. Details: it is a scalar.");
  }
  if (batch_dims < 0 || batch_dims > indices.rank() || batch_dims >= params.rank()) {
    throw invalid_argument("ResourceGather: batch_dims must fit the ranks. Details: it is ",
                           batch_dims, ", the variable is ", params, ", indices are ", indices,
                           ".");
  }
  const int batch = static_cast<int>(batch_dims);
  return {concatenate(
      concatenate(sub_shape(params, 0, batch), sub_shape(indices, batch, indices.rank())),
      sub_shape(params, batch + 1, params.rank()))};
}

Shapes gather_nd_shape(ShapeContext& c) {
  const PartialShape indices = c.at_least_rank(1, 1);
  const PartialShape params = variable_fact(c, c.attr<DType>("dtype")).shape;
  if (!params.has_rank() || !indices.has_rank()) return {{}};
  const std::int64_t depth = indices.dim(indices.rank() - 1);
  if (depth < 0) return {{}};
  if (depth > params.rank()) {
    throw invalid_argument(
        "ResourceGatherNd: indices must not be deeper than the variable. Details: ", indices,
        " and ", params, ".");
  }
  return {concatenate(sub_shape(indices, 0, indices.rank() - 1),
                      sub_shape(params, static_cast<int>(depth), params.rank()))};
}

// --- kernels ---

class VarHandleKernel final : public Kernel {
 public:
  explicit VarHandleKernel(const KernelInit& init) : handle_(DType::kResource, Shape{}) {
    ResourceHandle& handle = *handle_.mutable_data<ResourceHandle>();
    handle.container = init.attr<std::string>("container");
    handle.name = init.attr<std::string>("shared_name");
    handle.resource = variable_of_node(init.node(), init.resources());
  }
  void compute(KernelContext& context) const override { context.set_output(0, handle_); }

 private:
  Tensor handle_;
};

void compute_read(KernelContext& context) {
  const auto variable = context.resource<VariableResource>(0);
  Tensor value = variable->read();
  if (!value.is_valid()) {
    throw failed_precondition(
        "ReadVariableOp: the variable has no value: it was never assigned, or was ",
        "destroyed. Details: \"", variable->name, "\".");
  }
  if (value.dtype() != context.output_dtype(0)) {
    throw invalid_argument("ReadVariableOp: the variable has another dtype. Details: \"",
                           variable->name, "\" is ", value.dtype(), ", expected ",
                           context.output_dtype(0), ".");
  }
  context.set_output(0, std::move(value));
}

class AssignVariableKernel final : public Kernel {
 public:
  explicit AssignVariableKernel(const KernelInit& init)
      : validate_shape_(init.attr<bool>("validate_shape")) {}

  void compute(KernelContext& context) const override {
    const auto variable = context.resource<VariableResource>(0);
    const Tensor& value = context.input(1);
    const std::lock_guard lock(variable->mutex);
    const Tensor& old = variable->value;
    if (old.is_valid() && old.dtype() != value.dtype()) {
      throw invalid_argument("AssignVariableOp: the variable has another dtype. Details: \"",
                             variable->name, "\" is ", old.dtype(), ", the value ", value.dtype(),
                             ".");
    }
    if (validate_shape_ && old.is_valid() && !(old.shape() == value.shape())) {
      throw invalid_argument(
          "AssignVariableOp: the value must have the variable's shape. Details: \"", variable->name,
          "\" is ", old.shape(), ", the value ", value.shape(), ".");
    }
    variable->value = value;
    ++variable->version;
  }

 private:
  bool validate_shape_;
};

template <class Update>
void compute_assign_update(KernelContext& context) {
  const Tensor& delta = context.input(1);
  VariableUpdate update(context, 0, delta.dtype());
  if (!(update.value().shape() == delta.shape())) {
    throw invalid_argument(context.node().op_name,
                           ": the value must have the variable's shape. Details: \"",
                           update.variable()->name, "\" is ", update.value().shape(),
                           ", the value ", delta.shape(), ".");
  }
  const Tensor old = update.value();
  Tensor result = update.is_shared() ? Tensor(old.dtype(), old.shape()) : Tensor();
  dispatch(Numbers{}, delta.dtype(), [&]<class T>() {
    const T* a = old.data<T>();
    const T* b = delta.data<T>();
    T* to = result.is_valid() ? result.mutable_data<T>() : const_cast<T*>(a);
    context.parallel_for(old.num_elements(), 1.0, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = Update::apply(a[i], b[i]);
    });
  });
  if (result.is_valid()) update.replace(std::move(result));
}

void compute_is_initialized(KernelContext& context) {
  const auto& handle = context.input(0).scalar<ResourceHandle>();
  const auto variable = std::dynamic_pointer_cast<VariableResource>(handle.resource);
  *context.output(0, Shape{}).mutable_data<bool>() =
      variable != nullptr && variable->read().is_valid();
}

// The value for ops that say NOT_FOUND where there is none.
Tensor existing_value(KernelContext& context) {
  const auto variable = context.resource<VariableResource>(0);
  Tensor value = variable->read();
  if (!value.is_valid()) {
    throw not_found(context.node().op_name,
                    ": there is no such variable, or it has no value yet. Details: \"",
                    variable->name, "\".");
  }
  const DType dtype = context.output_dtype(0);
  if (value.dtype() != dtype && context.node().op_name != "VariableShape") {
    throw invalid_argument(context.node().op_name, ": the variable has another dtype. Details: \"",
                           variable->name, "\" is ", value.dtype(), ", expected ", dtype, ".");
  }
  return value;
}

void compute_variable_shape(KernelContext& context) {
  const Tensor value = existing_value(context);
  Tensor& result = context.output(0, Shape{value.rank()});
  dispatch(Indices{}, result.dtype(), [&]<class T>() {
    T* to = result.mutable_data<T>();
    for (const std::int64_t dim : value.shape().dims()) *to++ = static_cast<T>(dim);
  });
}

// The variable's memory stays with whoever still reads it.
class DestroyResourceKernel final : public Kernel {
 public:
  explicit DestroyResourceKernel(const KernelInit& init)
      : ignore_lookup_error_(init.attr<bool>("ignore_lookup_error")) {}

  void compute(KernelContext& context) const override {
    const ResourceHandle& handle = context.input(0).scalar<ResourceHandle>();
    if (!destroy(context, handle) && !ignore_lookup_error_) {
      throw not_found("DestroyResourceOp: there is no such resource. Details: \"", handle.name,
                      "\".");
    }
  }

 private:
  static bool destroy(KernelContext& context, const ResourceHandle& handle) {
    if (const auto variable = std::dynamic_pointer_cast<VariableResource>(handle.resource)) {
      const std::lock_guard lock(variable->mutex);
      const bool existed = variable->value.is_valid();
      variable->value = {};
      ++variable->version;
      return existed;
    }
    if (const auto table = std::dynamic_pointer_cast<LookupTable>(handle.resource)) {
      // The next run finds a new table of the name. One without a name goes with its handles.
      if (!handle.name.empty()) table->clear();
      return true;
    }
    return context.resources().erase(handle.container, handle.name);
  }

  bool ignore_lookup_error_;
};

class ResourceGatherKernel final : public Kernel {
 public:
  explicit ResourceGatherKernel(const KernelInit& init)
      : batch_dims_(static_cast<int>(
            std::clamp<std::int64_t>(init.attr<std::int64_t>("batch_dims"), -1, 255))) {}

  void compute(KernelContext& context) const override {
    const Tensor params = existing_value(context);
    const Tensor& indices = context.input(1);
    bool fits = params.rank() >= 1 && batch_dims_ >= 0 && batch_dims_ < params.rank() &&
                batch_dims_ <= indices.rank();
    for (int i = 0; fits && i < batch_dims_; ++i) fits = params.dim(i) == indices.dim(i);
    if (!fits) {
      throw invalid_argument(
          "ResourceGather: variable, indices and batch_dims must fit each other. Details: ",
          params.shape(), ", ", indices.shape(), " and ", batch_dims_, ".");
    }
    gather(context, params, indices, batch_dims_, batch_dims_);
  }

 private:
  int batch_dims_;
};

void compute_gather_nd(KernelContext& context) {
  gather_nd(context, existing_value(context), context.input(1));
}

// Reads are snapshots that share memory anyway.
void compute_nothing(KernelContext&) {}

constexpr OpDef kOps[] = {
    {.name = "VarHandleOp",
     .outputs = "resource: resource",
     .attrs = "container: string = ''; shared_name: string = ''; debug_name: string = ''; dtype: "
              "type; shape: shape; allowed_devices: list(string) = []",
     .shape = handle_shape,
     .kernel = make_kernel<VarHandleKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .constant_in_session = true},
    {.name = "ReadVariableOp",
     .inputs = "resource: resource",
     .outputs = "value: dtype",
     .attrs = "dtype: type",
     .shape = read_shape,
     .kernel = kernel_function<compute_read>,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "AssignVariableOp",
     .inputs = "resource: resource, value: dtype",
     .attrs = "dtype: type; validate_shape: bool = false",
     .shape = assign_shape,
     .kernel = make_kernel<AssignVariableKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "AssignAddVariableOp",
     .inputs = "resource: resource, value: dtype",
     .attrs = "dtype: type",
     .shape = assign_shape,
     .kernel = kernel_function<compute_assign_update<AddUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "AssignSubVariableOp",
     .inputs = "resource: resource, value: dtype",
     .attrs = "dtype: type",
     .shape = assign_shape,
     .kernel = kernel_function<compute_assign_update<SubUpdate>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "VarIsInitializedOp",
     .inputs = "resource: resource",
     .outputs = "is_initialized: bool",
     .shape = is_initialized_shape,
     .kernel = kernel_function<compute_is_initialized>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "VariableShape",
     .inputs = "input: resource",
     .outputs = "output: out_type",
     .attrs = "out_type: {int32, int64} = int32",
     .shape = variable_shape_shape,
     .kernel = kernel_function<compute_variable_shape>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "DestroyResourceOp",
     .inputs = "resource: resource",
     .attrs = "ignore_lookup_error: bool = true",
     .shape = handle_only_shape,
     .kernel = make_kernel<DestroyResourceKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "DisableCopyOnRead",
     .inputs = "resource: resource",
     .shape = handle_only_shape,
     .kernel = kernel_function<compute_nothing>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "ResourceGather",
     .inputs = "resource: resource, indices: Tindices",
     .outputs = "output: dtype",
     .attrs = "batch_dims: int = 0; validate_indices: bool = true; dtype: type; Tindices: {int32, "
              "int64}",
     .shape = gather_shape,
     .kernel = make_kernel<ResourceGatherKernel>,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "ResourceGatherNd",
     .inputs = "resource: resource, indices: Tindices",
     .outputs = "output: dtype",
     .attrs = "dtype: type; Tindices: {int32, int64}",
     .shape = gather_nd_shape,
     .kernel = kernel_function<compute_gather_nd>,
     .stateful = true,
     .reads_variables_only = true},
};

}  // namespace

OpFamily state_resource_ops() { return kOps; }

}  // namespace hub
