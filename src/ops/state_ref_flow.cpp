// References on their way: passed on, chosen, counted, made for one step.

#include <algorithm>
#include <limits>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/variable_update.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// --- shapes ---

// One of the inputs passes through: known where all agree.
Shapes select_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  const PartialShape& first = c.input(1);
  for (int i = 2; i < c.num_inputs(); ++i) {
    if (!(c.input(i) == first)) return {{}};
  }
  return {first};
}

Shapes count_shape(ShapeContext& c) {
  if (c.input_dtype(0) != DType::kResource) return {c.with_rank(0, 0)};
  c.with_rank(0, 0);
  return {PartialShape::scalar()};
}

Shapes declared_shape(ShapeContext& c) { return {c.attr<PartialShape>("shape")}; }

// --- kernels ---

void compute_identity(KernelContext& context) { context.set_ref_output(0, context.ref_input(0)); }

void compute_select(KernelContext& context) {
  const std::int64_t index = integer_scalar(context, 0, "the index");
  const int choices = context.num_inputs() - 1;
  if (index < 0 || index >= choices) {
    throw invalid_argument("RefSelect: the index must be in [0, ", choices, "). Details: got ",
                           index, ".");
  }
  context.set_ref_output(0, context.ref_input(static_cast<int>(index) + 1));
}

// Gives the counter's value and adds one, until it reaches the limit.
class CountUpToKernel final : public Kernel {
 public:
  explicit CountUpToKernel(const KernelInit& init) : limit_(init.attr<std::int64_t>("limit")) {}

  void compute(KernelContext& context) const override {
    const DType dtype = context.output_dtype(0);
    Tensor& result = context.output(0, Shape{});
    VariableUpdate update(context, 0, dtype);
    if (update.value().rank() != 0) {
      throw invalid_argument(context.node().op_name,
                             ": the counter must be a scalar. Details: its shape is ",
                             update.value().shape(), ".");
    }
    dispatch(Indices{}, dtype, [&]<class T>() {
      const T value = *update.value().data<T>();
      if (static_cast<std::int64_t>(value) >= limit_ || value == std::numeric_limits<T>::max()) {
        throw out_of_range(context.node().op_name, ": the counter has reached its limit. Details: ",
                           static_cast<std::int64_t>(value), " of ", limit_, ".");
      }
      *update.writable().mutable_data<T>() = static_cast<T>(value + 1);
      *result.mutable_data<T>() = value;
    });
  }

 private:
  std::int64_t limit_;
};

constexpr std::string_view kTemporaries = "temporary variables";

// A variable of this step.
class TemporaryVariableKernel final : public Kernel {
 public:
  explicit TemporaryVariableKernel(const KernelInit& init)
      : shape_(init.attr<PartialShape>("shape")),
        dtype_(init.attr<DType>("dtype")),
        name_(init.attr<std::string>("var_name")) {
    if (name_.empty()) name_ = init.name();
    if (!shape_.as_shape()) {
      throw invalid_argument("TemporaryVariable: the shape must be known. Details: it is ", shape_,
                             ".");
    }
  }

  void compute(KernelContext& context) const override {
    bool is_new = false;
    const auto variable = context.step().step_resources.find_or_create<VariableResource>(
        std::string(kTemporaries), name_, [&] {
          is_new = true;
          return std::make_shared<VariableResource>(name_, dtype_, shape_);
        });
    if (!is_new) {
      throw already_exists("TemporaryVariable: a step has one variable of a name. Details: \"",
                           name_, "\".");
    }
    // It has a value from the start, which is whatever memory holds: zeros here.
    Tensor value(dtype_, *shape_.as_shape());
    if (dtype_size(dtype_) != 0) std::ranges::fill(value.mutable_bytes(), std::byte{0});
    variable->assign(std::move(value));
    context.set_ref_output(0, variable);
  }

 private:
  PartialShape shape_;
  DType dtype_;
  std::string name_;
};

class DestroyTemporaryVariableKernel final : public Kernel {
 public:
  explicit DestroyTemporaryVariableKernel(const KernelInit& init)
      : name_(init.attr<std::string>("var_name")) {}

  void compute(KernelContext& context) const override {
    context.set_output(0, context.ref_input(0)->read());
    if (!context.step().step_resources.erase(std::string(kTemporaries), name_)) {
      throw not_found("DestroyTemporaryVariable: there is no such variable. Details: \"", name_,
                      "\".");
    }
  }

 private:
  std::string name_;
};

constexpr OpDef kOps[] = {
    {.name = "RefIdentity",
     .inputs = "input: Ref(T)",
     .outputs = "output: Ref(T)",
     .attrs = "T: type",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_identity>,
     .allows_uninitialized_input = true},
    {.name = "RefSelect",
     .inputs = "index: int32, inputs: Ref(N * T)",
     .outputs = "output: Ref(T)",
     .attrs = "T: type; N: int >= 1",
     .shape = select_shape,
     .kernel = kernel_function<compute_select>,
     .differentiable = Differentiable::kRefused},
    {.name = "CountUpTo",
     .inputs = "ref: Ref(T)",
     .outputs = "output: T",
     .attrs = "limit: int; T: {int32, int64}",
     .shape = count_shape,
     .kernel = make_kernel<CountUpToKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceCountUpTo",
     .inputs = "resource: resource",
     .outputs = "output: T",
     .attrs = "limit: int; T: {int32, int64}",
     .shape = count_shape,
     .kernel = make_kernel<CountUpToKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "TemporaryVariable",
     .outputs = "ref: Ref(dtype)",
     .attrs = "shape: shape; dtype: type; var_name: string = ''",
     .shape = declared_shape,
     .kernel = make_kernel<TemporaryVariableKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "DestroyTemporaryVariable",
     .inputs = "ref: Ref(T)",
     .outputs = "value: T",
     .attrs = "T: type; var_name: string",
     .shape = unchanged_shape,
     .kernel = make_kernel<DestroyTemporaryVariableKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily state_ref_flow_ops() { return kOps; }

}  // namespace hub
