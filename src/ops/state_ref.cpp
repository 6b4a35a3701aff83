// Reference variables: the variable itself passes along the edges, so that whoever reads later
// sees what was written meanwhile.

#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/update_functions.h"
#include "ops/variable_update.h"
#include "ops/variables.h"
#include "tensor/dispatch.h"

namespace hub {

std::shared_ptr<VariableResource> variable_of_node(const Node& node, ResourceManager& resources) {
  const bool is_handle = node.op_name == "VarHandleOp";
  if (!is_handle && node.op_name != "VariableV2" && node.op_name != "Variable") return nullptr;
  const auto& container = attr_value<std::string>(node.attrs, node.name, "container");
  std::string name = attr_value<std::string>(node.attrs, node.name, "shared_name");
  // Only reference variables fall back on the node's name.
  if (name.empty() && !is_handle) name = node.name;
  // Both kinds may have one name and are two variables.
  const std::string key = cat(is_handle ? "variable " : "reference variable ", name);
  return resources.find_or_create<VariableResource>(container, key, [&] {
    return std::make_shared<VariableResource>(
        name, attr_value<DType>(node.attrs, node.name, "dtype"),
        attr_value<PartialShape>(node.attrs, node.name, "shape"));
  });
}

namespace {

// --- shapes ---

Shapes declared_shape(ShapeContext& c) { return {c.attr<PartialShape>("shape")}; }

// The old op cannot say "scalar": the shape of no dimensions means unknown there.
Shapes old_declared_shape(ShapeContext& c) {
  const auto& shape = c.attr<PartialShape>("shape");
  if (shape.has_rank() && shape.rank() == 0) return {PartialShape{}};
  return {shape};
}

Shapes assign_shape(ShapeContext& c) {
  if (c.attr<bool>("validate_shape")) return {c.input(0).merge_with(c.input(1))};
  return {c.input(1)};
}

// --- kernels ---

class VariableKernel final : public Kernel {
 public:
  explicit VariableKernel(const KernelInit& init)
      : variable_(variable_of_node(init.node(), init.resources())) {}
  void compute(KernelContext& context) const override { context.set_ref_output(0, variable_); }

 private:
  std::shared_ptr<VariableResource> variable_;
};

class AssignKernel final : public Kernel {
 public:
  explicit AssignKernel(const KernelInit& init)
      : validate_shape_(init.attr<bool>("validate_shape")) {}

  void compute(KernelContext& context) const override {
    const auto& variable = context.ref_input(0);
    const Tensor& value = context.input(1);
    {
      const std::lock_guard lock(variable->mutex);
      if (validate_shape_) check_shape(*variable, value);
      assign(*variable, value);
    }
    context.set_ref_output(0, variable);
  }

 private:
  static void check_shape(const VariableResource& variable, const Tensor& value) {
    const PartialShape shape =
        variable.value.is_valid() ? PartialShape(variable.value.shape()) : variable.shape;
    if (!shape.is_compatible_with(value.shape())) {
      throw invalid_argument("Assign: the value must have the variable's shape. Details: \"",
                             variable.name, "\" is ", shape, ", the value ", value.shape(), ".");
    }
  }

  // Into the memory that there is, where it has the right size: whoever shares it sees the new
  // value. The value's own memory is never kept, since others may hold it.
  static void assign(VariableResource& variable, const Tensor& value) {
    Tensor& old = variable.value;
    if (old.is_valid() && old.num_elements() == value.num_elements() && old.buffer()->writable()) {
      variable.prepare_write(/*in_place=*/true);
      if (value.raw_data() != old.raw_data()) {
        copy_elements(value.dtype(), value.raw_data(), old.mutable_raw_data(),
                      value.num_elements());
      }
      old = old.reshaped(value.shape());
      return;
    }
    old = value.clone();
    ++variable.version;
  }

  bool validate_shape_;
};

template <class Update>
void compute_assign_update(KernelContext& context) {
  const Tensor& delta = context.input(1);
  {
    VariableUpdate update(context, 0, delta.dtype());
    if (!(update.value().shape() == delta.shape())) {
      throw invalid_argument(context.node().op_name,
                             ": the value must have the variable's shape. Details: \"",
                             update.variable()->name, "\" is ", update.value().shape(),
                             ", the value ", delta.shape(), ".");
    }
    Tensor& value = update.writable();
    dispatch(Numbers{}, delta.dtype(), [&]<class T>() {
      T* to = value.mutable_data<T>();
      const T* from = delta.data<T>();
      context.parallel_for(value.num_elements(), 1.0, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) to[i] = Update::apply(to[i], from[i]);
      });
    });
  }
  pass_reference_on(context);
}

void compute_is_initialized(KernelContext& context) {
  const bool initialized = context.ref_input(0)->read().is_valid();
  *context.output(0, Shape{}).mutable_data<bool>() = initialized;
}

constexpr OpDef kOps[] = {
    {.name = "VariableV2",
     .outputs = "ref: Ref(dtype)",
     .attrs = "shape: shape; dtype: type; container: string = ''; shared_name: string = ''",
     .shape = declared_shape,
     .kernel = make_kernel<VariableKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "Variable",
     .outputs = "ref: Ref(dtype)",
     .attrs = "shape: shape; dtype: type; container: string = ''; shared_name: string = ''",
     .shape = old_declared_shape,
     .kernel = make_kernel<VariableKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "Assign",
     .inputs = "ref: Ref(T), value: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: type; validate_shape: bool = true; use_locking: bool = true",
     .shape = assign_shape,
     .kernel = make_kernel<AssignKernel>,
     .differentiable = Differentiable::kNone,
     .allows_uninitialized_input = true},
    {.name = "AssignAdd",
     .inputs = "ref: Ref(T), value: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = merged_shape,
     .kernel = kernel_function<compute_assign_update<AddUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "AssignSub",
     .inputs = "ref: Ref(T), value: T",
     .outputs = "output_ref: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = merged_shape,
     .kernel = kernel_function<compute_assign_update<SubUpdate>>,
     .differentiable = Differentiable::kNone},
    {.name = "IsVariableInitialized",
     .inputs = "ref: Ref(dtype)",
     .outputs = "is_initialized: bool",
     .attrs = "dtype: type",
     .shape = scalar_shape,
     .kernel = kernel_function<compute_is_initialized>,
     .differentiable = Differentiable::kRefused,
     .allows_uninitialized_input = true,
     .reads_variables_only = true},
};

}  // namespace

OpFamily state_ref_ops() { return kOps; }

}  // namespace hub
