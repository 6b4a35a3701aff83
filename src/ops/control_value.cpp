// Ops that pass values on and do something beside: Print; and optional values.

#include <algorithm>
#include <atomic>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"

namespace hub {
namespace {

class PrintKernel final : public Kernel {
 public:
  explicit PrintKernel(const KernelInit& init)
      : message_(init.attr<std::string>("message")), first_n_(init.attr<std::int64_t>("first_n")) {}

  void compute(KernelContext& context) const override {
    context.set_output(0, context.input(0));
    if (first_n_ >= 0 && calls_.fetch_add(1) >= first_n_) return;
    if (context.step().log == nullptr) return;
    std::string text = message_;
    for (int i = 1; i < context.num_inputs(); ++i) text += cat("[", context.input(i), "]");
    (*context.step().log)(text);
  }

 private:
  std::string message_;
  std::int64_t first_n_;
  mutable std::atomic<std::int64_t> calls_{0};
};

class PrintV2Kernel final : public Kernel {
 public:
  explicit PrintV2Kernel(const KernelInit& init) {
    // The log takes the place of every stream; a name that TensorFlow refuses is refused.
    const auto& stream = init.attr<std::string>("output_stream");
    constexpr std::string_view kStreams[] = {"stdout", "stderr", "log(info)", "log(warning)",
                                             "log(error)"};
    if (std::ranges::count(kStreams, stream) == 0 && !stream.starts_with("file://")) {
      throw invalid_argument("PrintV2: unknown output stream. Details: \"", printable(stream),
                             "\".");
    }
  }
  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    if (input.rank() != 0) {
      throw invalid_argument("PrintV2: the input must be a scalar. Details: its shape is ",
                             input.shape(), ".");
    }
    if (context.step().log != nullptr) (*context.step().log)(input.scalar<std::string>());
  }
};

class OptionalValue final : public VariantValue {
 public:
  std::string_view type_name() const override { return "tensorflow::data::Optional"; }
  std::optional<std::vector<Tensor>> values;
};

const OptionalValue& optional_input(const KernelContext& context) {
  const Tensor& input = context.input(0);
  const OptionalValue* value = nullptr;
  if (input.num_elements() == 1)
    value = dynamic_cast<const OptionalValue*>(input.data<Variant>()->value.get());
  if (value == nullptr) {
    throw invalid_argument(context.node().op_name,
                           ": the input must be an optional value. Details: it is ", input, ".");
  }
  return *value;
}

void set_optional(KernelContext& context, std::optional<std::vector<Tensor>> values) {
  auto optional = std::make_shared<OptionalValue>();
  optional->values = std::move(values);
  context.output(0, Shape{}).mutable_data<Variant>()->value = std::move(optional);
}

void optional_from_value(KernelContext& context) {
  std::vector<Tensor> values;
  for (int i = 0; i < context.num_inputs(); ++i) values.push_back(context.input(i));
  set_optional(context, std::move(values));
}

void optional_none(KernelContext& context) { set_optional(context, std::nullopt); }

void optional_has_value(KernelContext& context) {
  *context.output(0, Shape{}).mutable_data<bool>() = optional_input(context).values.has_value();
}

void optional_get_value(KernelContext& context) {
  const OptionalValue& optional = optional_input(context);
  if (!optional.values) throw invalid_argument("OptionalGetValue: the optional has no value.");
  if (static_cast<int>(optional.values->size()) != context.num_outputs()) {
    throw invalid_argument(
        "OptionalGetValue: the optional has another number of components. Details: ",
        optional.values->size(), ", expected ", context.num_outputs(), ".");
  }
  const auto& shapes =
      attr_value<AttrList>(context.node().attrs, context.node().name, "output_shapes").shapes;
  for (int i = 0; i < context.num_outputs(); ++i) {
    const Tensor& value = (*optional.values)[static_cast<std::size_t>(i)];
    const bool fits = value.dtype() == context.output_dtype(i) &&
                      (static_cast<std::size_t>(i) >= shapes.size() ||
                       shapes[static_cast<std::size_t>(i)].is_compatible_with(value.shape()));
    if (!fits) {
      throw invalid_argument(
          "OptionalGetValue: a component has another dtype or shape than the node says. Details: "
          "component ",
          i, " is ", value.dtype(), " ", value.shape(), ".");
    }
    context.set_output(i, value);
  }
}

Shapes print_v2_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  return {};
}
Shapes scalar_output(ShapeContext&) { return {PartialShape(Shape())}; }
Shapes optional_shapes(ShapeContext& c) {
  const auto& declared = c.attr<AttrList>("output_shapes").shapes;
  Shapes shapes(static_cast<std::size_t>(c.num_outputs()));
  if (declared.size() == shapes.size()) shapes = declared;
  return shapes;
}

constexpr OpDef kOps[] = {
    {.name = "Print",
     .inputs = "input: T, data: U",
     .outputs = "output: T",
     .attrs =
         "T: type; U: list(type) >= 0; message: string = ''; first_n: int = -1; summarize: int = 3",
     .shape = unchanged_shape,
     .kernel = make_kernel<PrintKernel>,
     .stateful = true},
    {.name = "PrintV2",
     .inputs = "input: string",
     .attrs = "output_stream: string = 'stderr'; end: string = '\n'",
     .shape = print_v2_shape,
     .kernel = make_kernel<PrintV2Kernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "OptionalFromValue",
     .inputs = "components: Toutput_types",
     .outputs = "optional: variant",
     .attrs = "Toutput_types: list(type) >= 1",
     .shape = scalar_output,
     .kernel = kernel_function<optional_from_value>},
    {.name = "OptionalNone",
     .outputs = "optional: variant",
     .shape = scalar_output,
     .kernel = kernel_function<optional_none>,
     .differentiable = Differentiable::kRefused},
    {.name = "OptionalHasValue",
     .inputs = "optional: variant",
     .outputs = "has_value: bool",
     .shape = scalar_output,
     .kernel = kernel_function<optional_has_value>,
     .differentiable = Differentiable::kRefused},
    {.name = "OptionalGetValue",
     .inputs = "optional: variant",
     .outputs = "components: output_types",
     .attrs = "output_types: list(type) >= 1; output_shapes: list(shape) >= 1",
     .shape = optional_shapes,
     .kernel = kernel_function<optional_get_value>},
};

}  // namespace

OpFamily control_value_ops() { return kOps; }

}  // namespace hub
