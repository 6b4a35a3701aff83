// Control flow that calls functions: If, Case, While and the calls themselves.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/gradients.h"
#include "ops/kernel.h"

namespace hub {
namespace {

using Function = std::shared_ptr<const FunctionInstance>;

// A scalar is true if it is not zero (NaN is true), a string if it is not empty; what is no
// scalar if it has elements (ToBool in tensorflow/core/kernels/functional_ops.cc).
bool truth(const Tensor& tensor) {
  if (tensor.rank() > 0) return tensor.num_elements() > 0;
  switch (tensor.dtype()) {
    case DType::kBool: return tensor.scalar<bool>();
    case DType::kFloat32: return tensor.scalar<float>() != 0;
    case DType::kFloat64: return tensor.scalar<double>() != 0;
    case DType::kInt8: return tensor.scalar<std::int8_t>() != 0;
    case DType::kInt16: return tensor.scalar<std::int16_t>() != 0;
    case DType::kInt32: return tensor.scalar<std::int32_t>() != 0;
    case DType::kInt64: return tensor.scalar<std::int64_t>() != 0;
    case DType::kUint8: return tensor.scalar<std::uint8_t>() != 0;
    case DType::kUint16: return tensor.scalar<std::uint16_t>() != 0;
    case DType::kString: return !tensor.scalar<std::string>().empty();
    default: throw invalid_argument("A condition cannot be of dtype ", tensor.dtype(), ".");
  }
}

// Calls `function` with inputs [first, ...) of the node; its results are the node's.
void call_branch(KernelContext& context, const FunctionInstance& function, int first) {
  std::vector<Tensor> inputs;
  inputs.reserve(static_cast<std::size_t>(context.num_inputs()));
  for (int i = first; i < context.num_inputs(); ++i) inputs.push_back(context.take_input(i));
  std::vector<Tensor> outputs(static_cast<std::size_t>(context.num_outputs()));
  function.call(context, inputs, outputs);
  for (int i = 0; i < context.num_outputs(); ++i) {
    Tensor& output = outputs[static_cast<std::size_t>(i)];
    if (output.dtype() != context.output_dtype(i)) {
      throw invalid_argument(
          context.node().op_name,
          ": the function returns another dtype than the node says. Details: output ", i, " is ",
          output.dtype(), ", expected ", context.output_dtype(i), ".");
    }
    context.set_output(i, std::move(output));
  }
}

class CallKernel final : public Kernel {
 public:
  explicit CallKernel(const KernelInit& init) : function_(init.function("f")) {}
  void compute(KernelContext& context) const override { call_branch(context, *function_, 0); }

 private:
  Function function_;
};

// Calls the gradient of the function.
class SymbolicGradientKernel final : public Kernel {
 public:
  explicit SymbolicGradientKernel(const KernelInit& init) {
    FunctionRef gradient = init.attr<FunctionRef>("f");
    gradient.name.insert(0, kGradientOf);
    function_ = init.function(gradient);
  }
  void compute(KernelContext& context) const override { call_branch(context, *function_, 0); }

 private:
  Function function_;
};

// As many gradients as arguments, of their shapes.
Shapes symbolic_gradient_shape(ShapeContext& c) {
  Shapes result;
  for (int i = 0; i < c.num_outputs(); ++i)
    result.push_back(i < c.num_inputs() ? c.input(i) : PartialShape());
  return result;
}

class IfKernel final : public Kernel {
 public:
  explicit IfKernel(const KernelInit& init)
      : then_(init.function("then_branch")), else_(init.function("else_branch")) {}
  void compute(KernelContext& context) const override {
    call_branch(context, truth(context.input(0)) ? *then_ : *else_, 1);
  }

 private:
  Function then_;
  Function else_;
};

class CaseKernel final : public Kernel {
 public:
  explicit CaseKernel(const KernelInit& init) {
    for (const FunctionRef& branch : init.attr<AttrList>("branches").functions)
      branches_.push_back(init.function(branch));
  }
  void compute(KernelContext& context) const override {
    const Tensor& index = context.input(0);
    if (index.rank() != 0) {
      throw invalid_argument("Case: branch_index must be a scalar. Details: its shape is ",
                             index.shape(), ".");
    }
    // An index out of range, negative too, takes the last branch.
    const auto last = static_cast<std::int64_t>(branches_.size()) - 1;
    const std::int64_t branch = index.scalar<std::int32_t>();
    call_branch(context,
                *branches_[static_cast<std::size_t>(branch < 0 || branch > last ? last : branch)],
                1);
  }

 private:
  std::vector<Function> branches_;
};

class WhileKernel final : public Kernel {
 public:
  explicit WhileKernel(const KernelInit& init)
      : cond_(init.function("cond")), body_(init.function("body")) {}

  void compute(KernelContext& context) const override {
    const auto count = static_cast<std::size_t>(context.num_inputs());
    std::vector<Tensor> state;
    state.reserve(count);
    for (int i = 0; i < context.num_inputs(); ++i) state.push_back(context.take_input(i));
    std::vector<Tensor> inputs(count);
    std::vector<Tensor> outputs(count);
    std::array<Tensor, 1> condition;
    if (cond_->num_outputs() != 1) {
      throw invalid_argument("While: the condition must return one tensor. Details: it returns ",
                             cond_->num_outputs(), ".");
    }
    while (true) {
      context.step().check_cancelled();
      std::ranges::copy(state, inputs.begin());
      cond_->call(context, inputs, condition);
      if (!truth(condition[0])) break;
      for (Tensor& input : inputs) input = Tensor();
      body_->call(context, state, outputs);  // moves from `state`: the body may write in place
      for (std::size_t i = 0; i < count; ++i) state[i] = std::move(outputs[i]);
    }
    for (std::size_t i = 0; i < count; ++i)
      context.set_output(static_cast<int>(i), std::move(state[i]));
  }

 private:
  Function cond_;
  Function body_;
};

// The attribute `output_shapes`, where it is given.
Shapes declared_shapes(ShapeContext& c) {
  const auto& declared = c.attr<AttrList>("output_shapes").shapes;
  Shapes shapes(static_cast<std::size_t>(c.num_outputs()));
  if (declared.size() == shapes.size()) shapes = declared;
  return shapes;
}

// A While keeps the handles of the resources that it carries.
Shapes while_shapes(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (c.input_handle(i)) c.set_output_handle(i, *c.input_handle(i));
  }
  return declared_shapes(c);
}

constexpr std::string_view kCallAttrs =
    "Tin: list(type) >= 0; Tout: list(type) >= 0; f: func; config: string = ''; config_proto: "
    "string = ''; "
    "executor_type: string = ''";
constexpr std::string_view kIfAttrs =
    "Tcond: type; Tin: list(type) >= 0; Tout: list(type) >= 0; then_branch: func; else_branch: "
    "func; "
    "output_shapes: list(shape) = []";
constexpr std::string_view kCaseAttrs =
    "Tin: list(type) >= 0; Tout: list(type) >= 0; branches: list(func) >= 1; output_shapes: "
    "list(shape) = []";
constexpr std::string_view kWhileAttrs =
    "T: list(type) >= 0; cond: func; body: func; output_shapes: list(shape) = []; "
    "parallel_iterations: int = 10";

void compute_to_bool(KernelContext& c) {
  *c.output(0, Shape{}).mutable_data<bool>() = truth(c.input(0));
}

// Which of several branches is for this device: everything runs on the CPU.
class DeviceIndexKernel final : public Kernel {
 public:
  explicit DeviceIndexKernel(const KernelInit& init) {
    const auto& names = init.attr<AttrList>("device_names").strings;
    index_ = static_cast<std::int32_t>(std::ranges::find(names, "CPU") - names.begin());
  }
  void compute(KernelContext& c) const override {
    *c.output(0, Shape{}).mutable_data<std::int32_t>() = index_;
  }

 private:
  std::int32_t index_;
};

Shapes one_scalar(ShapeContext&) { return {PartialShape::scalar()}; }

constexpr OpDef kOps[] = {
    {.name = "DeviceIndex",
     .outputs = "index: int32",
     .attrs = "device_names: list(string)",
     .shape = one_scalar,
     .kernel = make_kernel<DeviceIndexKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ToBool",
     .inputs = "input: T",
     .outputs = "output: bool",
     .attrs = "T: type",
     .shape = one_scalar,
     .kernel = kernel_function<compute_to_bool>,
     .differentiable = Differentiable::kRefused},
    {.name = "PartitionedCall",
     .inputs = "args: Tin",
     .outputs = "output: Tout",
     .attrs = kCallAttrs,
     .shape = unknown_shape,
     .kernel = make_kernel<CallKernel>},
    {.name = "StatefulPartitionedCall",
     .inputs = "args: Tin",
     .outputs = "output: Tout",
     .attrs = kCallAttrs,
     .shape = unknown_shape,
     .kernel = make_kernel<CallKernel>,
     .stateful = true},
    {.name = "SymbolicGradient",
     .inputs = "input: Tin",
     .outputs = "output: Tout",
     .attrs = "Tin: list(type) >= 1; Tout: list(type) >= 1; f: func",
     .shape = symbolic_gradient_shape,
     .kernel = make_kernel<SymbolicGradientKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "If",
     .inputs = "cond: Tcond, input: Tin",
     .outputs = "output: Tout",
     .attrs = kIfAttrs,
     .shape = declared_shapes,
     .kernel = make_kernel<IfKernel>,
     .stateful = true},
    {.name = "StatelessIf",
     .inputs = "cond: Tcond, input: Tin",
     .outputs = "output: Tout",
     .attrs = kIfAttrs,
     .shape = declared_shapes,
     .kernel = make_kernel<IfKernel>},
    {.name = "Case",
     .inputs = "branch_index: int32, input: Tin",
     .outputs = "output: Tout",
     .attrs = kCaseAttrs,
     .shape = declared_shapes,
     .kernel = make_kernel<CaseKernel>,
     .stateful = true},
    {.name = "StatelessCase",
     .inputs = "branch_index: int32, input: Tin",
     .outputs = "output: Tout",
     .attrs = kCaseAttrs,
     .shape = declared_shapes,
     .kernel = make_kernel<CaseKernel>},
    {.name = "While",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = kWhileAttrs,
     .shape = while_shapes,
     .kernel = make_kernel<WhileKernel>,
     .stateful = true},
    {.name = "StatelessWhile",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = kWhileAttrs,
     .shape = while_shapes,
     .kernel = make_kernel<WhileKernel>},
};

}  // namespace

OpFamily control_functional_ops() { return kOps; }

}  // namespace hub
