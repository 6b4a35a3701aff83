// Stacks, which v1 loops use to keep values for their gradients; and Assert.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"

namespace hub {
namespace {

class Stack final : public Resource {
 public:
  Stack(DType dtype, std::int64_t max_size) : dtype_(dtype), max_size_(max_size) {}
  DType dtype() const { return dtype_; }

  void push(Tensor value) {
    const std::lock_guard lock(mutex_);
    check_open();
    if (max_size_ >= 0 && static_cast<std::int64_t>(values_.size()) >= max_size_) {
      throw invalid_argument("A stack must not hold more than its maximum. Details: max_size is ",
                             max_size_, ".");
    }
    values_.push_back(std::move(value));
  }

  Tensor pop() {
    const std::lock_guard lock(mutex_);
    check_open();
    if (values_.empty()) throw invalid_argument("An empty stack has nothing to pop.");
    Tensor value = std::move(values_.back());
    values_.pop_back();
    return value;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    values_.clear();
    closed_ = true;
  }

 private:
  void check_open() const {
    if (closed_) throw invalid_argument("The stack has been closed.");
  }

  const DType dtype_;
  const std::int64_t max_size_;
  std::mutex mutex_;
  std::vector<Tensor> values_;
  bool closed_ = false;
};

class StackKernel final : public Kernel {
 public:
  explicit StackKernel(const KernelInit& init) : dtype_(init.attr<DType>("elem_type")) {}
  void compute(KernelContext& context) const override {
    ResourceHandle handle;
    handle.name = context.step().step_resources.fresh_name("stack");
    handle.resource = std::make_shared<Stack>(dtype_, integer_scalar(context, 0, "max_size"));
    *context.output(0, Shape{}).mutable_data<ResourceHandle>() = std::move(handle);
  }

 private:
  DType dtype_;
};

void push(KernelContext& context) {
  const auto stack = context.resource<Stack>(0);
  const Tensor& value = context.input(1);
  if (value.dtype() != stack->dtype()) {
    throw invalid_argument("StackPush: the element must have the stack's dtype. Details: it is ",
                           value.dtype(), ", the stack holds ", stack->dtype(), ".");
  }
  stack->push(value);
  context.set_output(0, value);
}

void pop(KernelContext& context) {
  Tensor value = context.resource<Stack>(0)->pop();
  if (value.dtype() != context.output_dtype(0)) {
    throw internal_error("StackPop: the element must have the node's dtype. Details: it is ",
                         value.dtype(), ", expected ", context.output_dtype(0), ".");
  }
  context.set_output(0, std::move(value));
}

void close(KernelContext& context) { context.resource<Stack>(0)->close(); }

class AssertKernel final : public Kernel {
 public:
  void compute(KernelContext& context) const override {
    const Tensor& condition = context.input(0);
    if (condition.num_elements() != 1 || condition.rank() != 0) {
      throw invalid_argument("Assert: the condition must be a scalar. Details: its shape is ",
                             condition.shape(), ".");
    }
    if (condition.scalar<bool>()) return;
    std::string data;
    for (int i = 1; i < context.num_inputs(); ++i) data += cat(i > 1 ? "; " : "", context.input(i));
    throw invalid_argument("assertion failed: ", data);
  }
};

Shapes stack_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {PartialShape(Shape())};
}
Shapes push_shape(ShapeContext& c) { return {c.input(1)}; }
Shapes assert_shape(ShapeContext&) { return {}; }

constexpr OpDef kOps[] = {
    {.name = "StackV2",
     .inputs = "max_size: int32",
     .outputs = "handle: resource",
     .attrs = "elem_type: type; stack_name: string = ''",
     .shape = stack_shape,
     .kernel = make_kernel<StackKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "StackPushV2",
     .inputs = "handle: resource, elem: T",
     .outputs = "output: T",
     .attrs = "T: type; swap_memory: bool = false",
     .shape = push_shape,
     .kernel = kernel_function<push>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "StackPopV2",
     .inputs = "handle: resource",
     .outputs = "elem: elem_type",
     .attrs = "elem_type: type",
     .shape = unknown_shape,
     .kernel = kernel_function<pop>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "StackCloseV2",
     .inputs = "handle: resource",
     .kernel = kernel_function<close>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "Assert",
     .inputs = "condition: bool, data: T",
     .attrs = "T: list(type) >= 1; summarize: int = 3",
     .shape = assert_shape,
     .kernel = make_kernel<AssertKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
};

}  // namespace

OpFamily control_stack_ops() { return kOps; }

}  // namespace hub
