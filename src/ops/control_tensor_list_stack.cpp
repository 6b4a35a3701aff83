// TensorLists: many elements as one tensor.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/stacking.h"
#include "ops/tensor_list.h"

namespace hub {
namespace {

const TensorList& checked_list(const KernelContext& context) {
  const TensorList& list = tensor_list(context, 0);
  if (list.dtype != context.output_dtype(0)) {
    throw invalid_argument(context.node().op_name,
                           ": the list has another dtype. Details: it holds ", list.dtype,
                           ", the node says ", context.output_dtype(0), ".");
  }
  return list;
}

// What is known of the elements' one shape: the list's, the node's, that of the elements set.
PartialShape common_shape(const KernelContext& context, const TensorList& list,
                          const PartialShape& declared, std::span<const Tensor* const> elements) {
  if (!list.element_shape.is_compatible_with(declared)) {
    throw invalid_argument(context.node().op_name,
                           ": the shapes of list and node must be compatible. Details: ",
                           list.element_shape, " and ", declared, ".");
  }
  PartialShape shape = list.element_shape.merge_with(declared);
  for (const Tensor* element : elements) {
    if (!element->is_valid()) continue;
    if (!shape.is_compatible_with(element->shape())) {
      throw invalid_argument(context.node().op_name,
                             ": the elements must have one shape. Details: ", element->shape(),
                             " against ", shape, ".");
    }
    shape = shape.merge_with(element->shape());
  }
  return shape;
}

void stack(KernelContext& context, const TensorList& list, const PartialShape& declared,
           std::span<const Tensor* const> elements) {
  const PartialShape partial = common_shape(context, list, declared, elements);
  const auto shape = partial.as_shape();
  if (!shape) {
    throw invalid_argument(
        context.node().op_name,
        ": elements none of which is set need a fully defined shape. Details: it is ", partial,
        ".");
  }
  const auto count = static_cast<std::int64_t>(elements.size());
  Tensor& result = context.output(0, shape->with_inserted(0, count));
  for (std::int64_t i = 0; i < count; ++i) {
    const Tensor& element = *elements[static_cast<std::size_t>(i)];
    copy_elements(element.is_valid() ? element : zeros(context, list.dtype, *shape), result,
                  i * shape->num_elements());
  }
}

class StackKernel final : public Kernel {
 public:
  explicit StackKernel(const KernelInit& init) : count_(init.attr<std::int64_t>("num_elements")) {}
  void compute(KernelContext& context) const override {
    const TensorList& list = checked_list(context);
    const auto size = static_cast<std::int64_t>(list.elements.size());
    if (count_ >= 0 && count_ != size) {
      throw invalid_argument(
          "TensorListStack: the list must have num_elements elements. Details: it has ", size,
          ", expected ", count_, ".");
    }
    std::vector<const Tensor*> elements;
    for (const Tensor& element : list.elements) elements.push_back(&element);
    stack(context, list, partial_shape_input(context, 1), elements);
  }

 private:
  std::int64_t count_;
};

void gather(KernelContext& context) {
  const TensorList& list = checked_list(context);
  const auto size = static_cast<std::int64_t>(list.elements.size());
  std::vector<const Tensor*> elements;
  for (const std::int64_t index : integer_vector(context, 1, "indices")) {
    if (index < 0 || index >= size) {
      throw invalid_argument("TensorListGather: an index must be in [0, ", size, "). Details: got ",
                             index, ".");
    }
    elements.push_back(&list.elements[static_cast<std::size_t>(index)]);
  }
  stack(context, list, partial_shape_input(context, 2), elements);
}

// Concatenation along dimension 0, of which the sizes may differ.
class ConcatKernel final : public Kernel {
 public:
  explicit ConcatKernel(const KernelInit& init) : v2_(init.num_inputs() > 1) {
    if (!v2_) element_shape_ = init.attr<PartialShape>("element_shape");
  }

  void compute(KernelContext& context) const override {
    const TensorList& list = checked_list(context);
    const PartialShape declared = v2_ ? partial_shape_input(context, 1) : element_shape_;
    check_rank(declared);
    check_rank(list.element_shape);
    const PartialShape rest = rest_of(list, declared);
    const std::vector<std::int64_t> lengths = find_lengths(context, list, declared);
    const auto rest_shape = rest.as_shape();
    if (!rest_shape) {
      throw invalid_argument(
          "TensorListConcat: all dimensions but the first must be known for elements that are not "
          "set. Details: they are ",
          rest, ".");
    }
    std::int64_t rows = 0;
    for (const std::int64_t length : lengths) rows += length;
    Tensor& result = context.output(0, rest_shape->with_inserted(0, rows));
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const Tensor& element = list.elements[i];
      copy_elements(element.is_valid()
                        ? element
                        : zeros(context, list.dtype, rest_shape->with_inserted(0, lengths[i])),
                    result, offset);
      offset += lengths[i] * rest_shape->num_elements();
    }
    std::ranges::copy(lengths, context.output(1, Shape{static_cast<std::int64_t>(lengths.size())})
                                   .mutable_data<std::int64_t>());
  }

 private:
  static void check_rank(const PartialShape& shape) {
    if (shape.has_rank() && shape.rank() < 1) {
      throw invalid_argument(
          "TensorListConcat: scalars cannot be concatenated. Details: the element shape is ", shape,
          ".");
    }
  }

  static PartialShape without_first(const PartialShape& shape) {
    return shape.has_rank() ? sub_shape(shape, 1, shape.rank()) : PartialShape();
  }

  static PartialShape rest_of(const TensorList& list, const PartialShape& declared) {
    PartialShape rest = without_first(declared).merge_with(without_first(list.element_shape));
    for (const Tensor& element : list.elements) {
      if (!element.is_valid()) continue;
      if (element.rank() < 1)
        throw invalid_argument("TensorListConcat: scalars cannot be concatenated.");
      rest = rest.merge_with(element.shape().without_dim(0));
    }
    return rest;
  }

  std::vector<std::int64_t> find_lengths(const KernelContext& context, const TensorList& list,
                                         const PartialShape& declared) const {
    std::vector<std::int64_t> leading;
    if (v2_) leading = integer_vector(context, 2, "leading_dims");
    std::int64_t usual = declared.has_rank() ? declared.dim(0) : -1;
    if (usual < 0 && list.element_shape.has_rank()) usual = list.element_shape.dim(0);
    if (usual < 0) {
      const auto set = std::ranges::find_if(
          list.elements, [](const Tensor& element) { return element.is_valid(); });
      if (set != list.elements.end()) usual = set->dim(0);
    }
    std::vector<std::int64_t> lengths;
    for (std::size_t i = 0; i < list.elements.size(); ++i) {
      const Tensor& element = list.elements[i];
      const std::int64_t length = element.is_valid()   ? element.dim(0)
                                  : i < leading.size() ? leading[i]
                                                       : usual;
      if (length < 0) {
        throw invalid_argument(
            "TensorListConcat: an element that is not set needs a known first dimension. Details: "
            "element ",
            i, ".");
      }
      lengths.push_back(length);
    }
    return lengths;
  }

  bool v2_;
  PartialShape element_shape_;
};

Shapes stack_shape(ShapeContext& c) {
  const std::int64_t count = c.attr<std::int64_t>("num_elements");
  return {concatenate(PartialShape{count < 0 ? -1 : count}, c.input_as_shape(1))};
}
Shapes gather_shape(ShapeContext& c) {
  return {concatenate(c.with_rank(1, 1), c.input_as_shape(2))};
}
Shapes concat_shape(ShapeContext& c) {
  const PartialShape declared =
      c.num_inputs() > 1 ? c.input_as_shape(1) : c.attr<PartialShape>("element_shape");
  if (!declared.has_rank() || declared.rank() < 1) return {PartialShape(), PartialShape{-1}};
  return {replace_dim(declared, 0, -1), PartialShape{-1}};
}

constexpr OpDef kOps[] = {
    {.name = "TensorListStack",
     .inputs = "input_handle: variant, element_shape: int32",
     .outputs = "tensor: element_dtype",
     .attrs = "element_dtype: type; num_elements: int = -1",
     .shape = stack_shape,
     .kernel = make_kernel<StackKernel>},
    {.name = "TensorListGather",
     .inputs = "input_handle: variant, indices: int32, element_shape: int32",
     .outputs = "values: element_dtype",
     .attrs = "element_dtype: type",
     .shape = gather_shape,
     .kernel = kernel_function<gather>},
    {.name = "TensorListConcat",
     .inputs = "input_handle: variant",
     .outputs = "tensor: element_dtype, lengths: int64",
     .attrs = "element_dtype: type; element_shape: shape = ?",
     .shape = concat_shape,
     .kernel = make_kernel<ConcatKernel>},
    {.name = "TensorListConcatV2",
     .inputs = "input_handle: variant, element_shape: shape_type, leading_dims: int64",
     .outputs = "tensor: element_dtype, lengths: int64",
     .attrs = "element_dtype: type; shape_type: {int32, int64}",
     .shape = concat_shape,
     .kernel = make_kernel<ConcatKernel>},
};

}  // namespace

OpFamily control_tensor_list_stack_ops() { return kOps; }

}  // namespace hub
