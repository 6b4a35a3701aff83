// Ops that make tensors from nothing, hand them on, or only look at their shape.

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/tensor_list.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes constant_shape(ShapeContext& c) { return {PartialShape(c.attr<Tensor>("value").shape())}; }

class ConstKernel final : public Kernel {
 public:
  explicit ConstKernel(const KernelInit& init) : value_(init.attr<Tensor>("value")) {
    if (value_.dtype() != init.output_dtype(0)) {
      throw invalid_argument("Const: the value must have the node's dtype. Details: it is ",
                             value_.dtype(), ", the node says ", init.output_dtype(0), ".");
    }
  }
  void compute(KernelContext& ctx) const override { ctx.set_output(0, value_); }

 private:
  Tensor value_;
};

Shapes placeholder_shape(ShapeContext& c) {
  const auto& shape = c.attr<PartialShape>("shape");
  // Old graphs have no other way to say "unknown" than a scalar's shape.
  constexpr int kLastOldProducer = 21;
  if (c.graph().versions.producer <= kLastOldProducer && shape.has_rank() && shape.rank() == 0) {
    return {PartialShape()};
  }
  return {shape};
}

Shapes placeholder_v2_shape(ShapeContext& c) { return {c.attr<PartialShape>("shape")}; }

void compute_placeholder(KernelContext& ctx) {
  throw invalid_argument("You must feed a value for placeholder tensor \"", ctx.node().name,
                         "\". Details: it is ", ctx.output_dtype(0), " of shape ",
                         ctx.node().outputs[0].shape, ".");
}

Shapes placeholder_with_default_shape(ShapeContext& c) {
  const auto& shape = c.attr<PartialShape>("shape");
  (void)shape.merge_with(
      c.input(0));  // they must be compatible; a feed may differ from the default
  return {shape};
}

void compute_identity(KernelContext& ctx) {
  for (int i = 0; i < ctx.num_outputs(); ++i) ctx.set_output(i, ctx.input(i));
}

void compute_nothing(KernelContext&) {}

Shapes no_outputs(ShapeContext&) { return {}; }

void compute_copy(KernelContext& ctx) {
  copy_tensor(ctx, ctx.input(0), ctx.output(0, ctx.input(0).shape()));
}

Shapes ensured_shape(ShapeContext& c) {
  if (auto value = c.input_partial_value(0)) c.set_output_partial_value(0, std::move(*value));
  return {c.input(0).merge_with(c.attr<PartialShape>("shape"))};
}

class EnsureShapeKernel final : public Kernel {
 public:
  explicit EnsureShapeKernel(const KernelInit& init) : shape_(init.attr<PartialShape>("shape")) {}
  void compute(KernelContext& ctx) const override {
    const Tensor& input = ctx.input(0);
    if (!shape_.is_compatible_with(PartialShape(input.shape()))) {
      throw invalid_argument("EnsureShape: the input must have the expected shape. Details: it is ",
                             input.shape(), ", expected is ", shape_, ".");
    }
    ctx.set_output(0, input);
  }

 private:
  PartialShape shape_;
};

Shapes filled_shape(ShapeContext& c) { return {c.input_as_shape(0)}; }

void compute_fill(KernelContext& ctx) {
  const Tensor& value = ctx.input(1);
  if (value.num_elements() != 1 || value.rank() > 1) {
    throw invalid_argument("Fill: the value must be a scalar. Details: its shape is ",
                           value.shape(), ".");
  }
  Tensor& result = ctx.output(0, shape_input(ctx, 0, "dims"));
  fill_tensor(ctx, value.raw_data(), result);
}

class EmptyKernel final : public Kernel {
 public:
  // Without `init` TensorFlow leaves the memory as it is; here it is always defined.
  void compute(KernelContext& ctx) const override {
    Tensor& result = ctx.output(0, shape_input(ctx, 0, "shape"));
    zero_tensor(ctx, result);
  }
};

// Lists keep their length and hold zeros; elements that were not set stay so.
Variant zeros_like(KernelContext& ctx, const Variant& value, int depth);

Tensor zeros_like(KernelContext& ctx, const Tensor& tensor, int depth) {
  if (!tensor.is_valid()) return tensor;
  Tensor zeros = ctx.temporary(tensor.dtype(), tensor.shape());
  if (tensor.dtype() != DType::kVariant) {
    zero_tensor(ctx, zeros);
    return zeros;
  }
  for (std::int64_t i = 0; i < tensor.num_elements(); ++i) {
    zeros.mutable_data<Variant>()[i] = zeros_like(ctx, tensor.data<Variant>()[i], depth);
  }
  return zeros;
}

Variant zeros_like(KernelContext& ctx, const Variant& value, int depth) {
  constexpr int kMaxDepth = 100;  // of lists within lists
  if (value.value == nullptr) return value;
  if (depth >= kMaxDepth) {
    throw resource_exhausted("ZerosLike: lists nest at most ", kMaxDepth, " deep.");
  }
  const auto* list = dynamic_cast<const TensorList*>(value.value.get());
  if (list == nullptr) {
    throw unimplemented("ZerosLike: there are no zeros for the variant's type. Details: it is ",
                        value.value->type_name(), ".");
  }
  auto zeros = std::make_shared<TensorList>(*list);
  for (Tensor& element : zeros->elements) element = zeros_like(ctx, element, depth + 1);
  return {std::move(zeros)};
}

void compute_zeros_like(KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  if (input.dtype() == DType::kVariant) return ctx.set_output(0, zeros_like(ctx, input, 0));
  zero_tensor(ctx, ctx.output_in_place(0, 0, input.shape()));
}

void compute_ones_like(KernelContext& ctx) {
  Tensor& result = ctx.output_in_place(0, 0, ctx.input(0).shape());
  dispatch(PlainTypes{}, result.dtype(), [&]<class T>() {
    const T one = static_cast<T>(1.0f);
    fill_tensor(ctx, &one, result);
  });
}

constexpr OpDef kOps[] = {
    {.name = "Const",
     .outputs = "output: dtype",
     .attrs = "value: tensor; dtype: type",
     .shape = constant_shape,
     .kernel = make_kernel<ConstKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "Placeholder",
     .outputs = "output: dtype",
     .attrs = "dtype: type; shape: shape = ?",
     .shape = placeholder_shape,
     .kernel = kernel_function<compute_placeholder>,
     .differentiable = Differentiable::kRefused},
    {.name = "PlaceholderV2",
     .outputs = "output: dtype",
     .attrs = "dtype: type; shape: shape",
     .shape = placeholder_v2_shape,
     .kernel = kernel_function<compute_placeholder>,
     .differentiable = Differentiable::kRefused},
    {.name = "PlaceholderWithDefault",
     .inputs = "input: dtype",
     .outputs = "output: dtype",
     .attrs = "dtype: type; shape: shape",
     .shape = placeholder_with_default_shape,
     .kernel = kernel_function<compute_identity>},
    {.name = "Identity",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = passed_on_shape,
     .kernel = kernel_function<compute_identity>},
    {.name = "IdentityN",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: list(type) >= 1",
     .shape = passed_on_shape,
     .kernel = kernel_function<compute_identity>},
    {.name = "StopGradient",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = passed_on_shape,
     .kernel = kernel_function<compute_identity>,
     .differentiable = Differentiable::kNone},
    {.name = "PreventGradient",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type; message: string = ''",
     .shape = passed_on_shape,
     .kernel = kernel_function<compute_identity>},
    {.name = "GuaranteeConst",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = passed_on_shape,
     .kernel = kernel_function<compute_identity>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "Snapshot",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .shape = passed_on_shape,
     .kernel = kernel_function<compute_identity>,
     .differentiable = Differentiable::kRefused},
    {.name = "Copy",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type; tensor_name: string = ''; debug_ops_spec: list(string) = []",
     .shape = passed_on_shape,
     .kernel = kernel_function<compute_identity>,
     .differentiable = Differentiable::kRefused,
     .allows_uninitialized_input = true},
    {.name = "CopyHost",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "T: type; tensor_name: string = ''; debug_ops_spec: list(string) = []",
     .shape = passed_on_shape,
     .kernel = kernel_function<compute_identity>,
     .differentiable = Differentiable::kRefused,
     .allows_uninitialized_input = true},
    {.name = "DeepCopy",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: type",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_copy>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "NoOp",
     .shape = no_outputs,
     .kernel = kernel_function<compute_nothing>,
     .differentiable = Differentiable::kRefused},
    {.name = "EnsureShape",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "shape: shape; T: type",
     .shape = ensured_shape,
     .kernel = make_kernel<EnsureShapeKernel>},
    {.name = "Fill",
     .inputs = "dims: index_type, value: T",
     .outputs = "output: T",
     .attrs = "T: type; index_type: {int32, int64} = int32",
     .shape = filled_shape,
     .kernel = kernel_function<compute_fill>},
    {.name = "Empty",
     .inputs = "shape: int32",
     .outputs = "output: dtype",
     .attrs = "dtype: type; init: bool = false",
     .shape = filled_shape,
     .kernel = make_kernel<EmptyKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ZerosLike",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: type",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_zeros_like>,
     .differentiable = Differentiable::kNone},
    {.name = "OnesLike",
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {bfloat16, half, float, double, int8, uint8, int16, uint16, int32, uint32, "
              "int64, uint64, complex64, complex128, bool}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_ones_like>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily array_basic_ops() { return kOps; }

}  // namespace hub
