#include "ops/tensor_list.h"

namespace hub {
namespace {

const TensorList* list_in(const Tensor& tensor) {
  if (tensor.dtype() != DType::kVariant || tensor.num_elements() != 1) return nullptr;
  return dynamic_cast<const TensorList*>(tensor.data<Variant>()->value.get());
}

}  // namespace

const TensorList& tensor_list(const KernelContext& context, int input) {
  const TensorList* list = list_in(context.input(input));
  if (list == nullptr) {
    throw invalid_argument(context.node().op_name,
                           ": the input must be a tensor list. Details: input ", input, " is ",
                           context.input(input), ".");
  }
  return *list;
}

std::shared_ptr<TensorList> take_tensor_list(KernelContext& context, int input) {
  tensor_list(context, input);
  Tensor tensor = context.take_input(input);
  if (tensor.is_exclusive()) {
    std::shared_ptr<const VariantValue> value = std::move(tensor.mutable_data<Variant>()->value);
    if (value.use_count() == 1) {
      return std::const_pointer_cast<TensorList>(
          std::static_pointer_cast<const TensorList>(std::move(value)));
    }
    return std::make_shared<TensorList>(static_cast<const TensorList&>(*value));
  }
  return std::make_shared<TensorList>(*list_in(tensor));
}

void set_tensor_list(KernelContext& context, int output, std::shared_ptr<const TensorList> list) {
  context.output(output, DType::kVariant, Shape{}).mutable_data<Variant>()->value = std::move(list);
}

PartialShape partial_shape_input(const KernelContext& context, int input) {
  const std::vector<std::int64_t> dims = integer_vector(context, input, "element_shape");
  if (context.input(input).rank() == 0) {
    if (dims[0] == -1) return {};
    throw invalid_argument(context.node().op_name,
                           ": a scalar element_shape must be -1 (unknown rank). Details: got ",
                           dims[0], ".");
  }
  return PartialShape(dims);
}

}  // namespace hub
