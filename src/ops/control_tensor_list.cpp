// TensorLists: making them, and reading and writing single elements.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/stacking.h"
#include "ops/tensor_list.h"

namespace hub {
namespace {

constexpr std::int64_t kMaxElements = 1 << 28;

void check_dtype(const KernelContext& context, const TensorList& list, DType dtype) {
  if (list.dtype != dtype) {
    throw invalid_argument(context.node().op_name,
                           ": the list has another dtype. Details: it holds ", list.dtype,
                           ", the node says ", dtype, ".");
  }
}

void check_element(const KernelContext& context, const TensorList& list, const Tensor& element) {
  check_dtype(context, list, element.dtype());
  if (!list.element_shape.is_compatible_with(element.shape())) {
    throw invalid_argument(context.node().op_name,
                           ": an element must fit the list's shape. Details: ", element.shape(),
                           " against ", list.element_shape, ".");
  }
}

std::int64_t checked_count(const KernelContext& context, int input, std::string_view what) {
  const std::int64_t count = integer_scalar(context, input, what);
  if (count < 0)
    throw invalid_argument(context.node().op_name, ": ", what,
                           " must not be negative. Details: got ", count, ".");
  if (count > kMaxElements)
    throw resource_exhausted(context.node().op_name, ": too many elements. Details: got ", count,
                             ".");
  return count;
}

std::int64_t checked_index(const KernelContext& context, const TensorList& list,
                           std::int64_t index) {
  const auto size = static_cast<std::int64_t>(list.elements.size());
  if (index < 0 || index >= size) {
    throw invalid_argument(context.node().op_name, ": the index must be in [0, ", size,
                           "). Details: got ", index, ".");
  }
  return index;
}

// The shape of an element that was not set: what the list, the node and the elements that
// were set say together.
Shape unset_shape(const KernelContext& context, const TensorList& list, PartialShape shape) {
  shape = list.element_shape.merge_with(shape);
  if (!shape.is_fully_defined()) {
    for (const Tensor& element : list.elements) {
      if (element.is_valid()) shape = shape.merge_with(element.shape());
    }
  }
  if (const auto full = shape.as_shape()) return *full;
  throw invalid_argument(
      context.node().op_name,
      ": an element that was not set needs a fully defined shape. Details: it is ", shape, ".");
}

Tensor element_or_zeros(KernelContext& context, const TensorList& list, std::size_t index,
                        const PartialShape& shape) {
  const Tensor& element = list.elements[index];
  if (!element.is_valid()) return zeros(context, list.dtype, unset_shape(context, list, shape));
  if (!shape.is_compatible_with(element.shape())) {
    throw invalid_argument(context.node().op_name,
                           ": an element must fit the node's shape. Details: ", element.shape(),
                           " against ", shape, ".");
  }
  return element;
}

class NewListKernel : public Kernel {
 public:
  explicit NewListKernel(const KernelInit& init) : dtype_(init.attr<DType>("element_dtype")) {}

 protected:
  std::shared_ptr<TensorList> new_list(const KernelContext& context, int shape_input) const {
    auto list = std::make_shared<TensorList>();
    list->dtype = dtype_;
    list->element_shape = partial_shape_input(context, shape_input);
    return list;
  }

 private:
  DType dtype_;
};

class EmptyKernel final : public NewListKernel {
 public:
  using NewListKernel::NewListKernel;
  void compute(KernelContext& context) const override {
    auto list = new_list(context, 0);
    list->max_elements = integer_scalar(context, 1, "max_num_elements");
    set_tensor_list(context, 0, std::move(list));
  }
};

class ReserveKernel final : public NewListKernel {
 public:
  using NewListKernel::NewListKernel;
  void compute(KernelContext& context) const override {
    auto list = new_list(context, 0);
    list->elements.resize(static_cast<std::size_t>(checked_count(context, 1, "num_elements")));
    set_tensor_list(context, 0, std::move(list));
  }
};

// Row i of a tensor, sharing its memory.
Tensor row(const Tensor& tensor, std::int64_t i) {
  return tensor.rows(i, i + 1).reshaped(tensor.shape().without_dim(0));
}

void check_rows(const KernelContext& context, const Tensor& tensor,
                const PartialShape& element_shape) {
  if (tensor.rank() < 1) {
    throw invalid_argument(context.node().op_name,
                           ": the tensor must have rank >= 1. Details: its shape is ",
                           tensor.shape(), ".");
  }
  if (!element_shape.is_compatible_with(tensor.shape().without_dim(0))) {
    throw invalid_argument(context.node().op_name,
                           ": the rows must fit element_shape. Details: tensor ", tensor.shape(),
                           ", element_shape ", element_shape, ".");
  }
}

class FromTensorKernel final : public NewListKernel {
 public:
  using NewListKernel::NewListKernel;
  void compute(KernelContext& context) const override {
    const Tensor& tensor = context.input(0);
    auto list = new_list(context, 1);
    check_rows(context, tensor, list->element_shape);
    list->elements.reserve(static_cast<std::size_t>(tensor.dim(0)));
    for (std::int64_t i = 0; i < tensor.dim(0); ++i) list->elements.push_back(row(tensor, i));
    set_tensor_list(context, 0, std::move(list));
  }
};

// Scatter's three forms: `size` is that of the new list.
void scatter_rows(KernelContext& context, TensorList& list, const Tensor& tensor, int indices_input,
                  std::int64_t size) {
  const std::vector<std::int64_t> indices = integer_vector(context, indices_input, "indices");
  check_rows(context, tensor, list.element_shape);
  if (static_cast<std::int64_t>(indices.size()) != tensor.dim(0)) {
    throw invalid_argument(context.node().op_name,
                           ": there must be a row for each index. Details: ", indices.size(),
                           " indices, tensor ", tensor.shape(), ".");
  }
  std::int64_t highest = -1;
  for (const std::int64_t index : indices) {
    if (index < 0)
      throw invalid_argument(context.node().op_name,
                             ": indices must not be negative. Details: got ", index, ".");
    if (index >= kMaxElements)
      throw resource_exhausted(context.node().op_name, ": too many elements. Details: index ",
                               index, ".");
    highest = std::max(highest, index);
  }
  if (size >= 0 && highest >= size) {
    throw invalid_argument(context.node().op_name, ": an index is out of range. Details: ", highest,
                           " is not below num_elements = ", size, ".");
  }
  const auto wanted = static_cast<std::size_t>(size >= 0 ? size : highest + 1);
  if (wanted > list.elements.size()) list.elements.resize(wanted);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    list.elements[static_cast<std::size_t>(indices[i])] = row(tensor, static_cast<std::int64_t>(i));
  }
}

class ScatterKernel final : public NewListKernel {
 public:
  using NewListKernel::NewListKernel;
  void compute(KernelContext& context) const override {
    auto list = new_list(context, 2);
    std::int64_t size = -1;
    if (context.num_inputs() > 3) {
      size = integer_scalar(context, 3, "num_elements");
      if (size < -1)
        throw invalid_argument("TensorListScatterV2: num_elements must be >= -1. Details: got ",
                               size, ".");
      if (size > kMaxElements)
        throw resource_exhausted("TensorListScatterV2: too many elements. Details: got ", size,
                                 ".");
    }
    scatter_rows(context, *list, context.input(0), 1, size);
    set_tensor_list(context, 0, std::move(list));
  }
};

void scatter_into(KernelContext& context) {
  check_dtype(context, tensor_list(context, 0), context.input(1).dtype());
  auto list = take_tensor_list(context, 0);
  scatter_rows(context, *list, context.input(1), 2, -1);
  set_tensor_list(context, 0, std::move(list));
}

class SplitKernel final : public NewListKernel {
 public:
  using NewListKernel::NewListKernel;
  void compute(KernelContext& context) const override {
    const Tensor& tensor = context.input(0);
    const PartialShape declared = partial_shape_input(context, 1);
    if (context.input(2).rank() != 1) {
      throw invalid_argument("TensorListSplit: lengths must be a vector. Details: its shape is ",
                             context.input(2).shape(), ".");
    }
    const std::vector<std::int64_t> lengths = integer_vector(context, 2, "lengths");
    if (tensor.rank() < 1)
      throw invalid_argument(
          "TensorListSplit: the tensor must have rank >= 1. Details: ", tensor.shape(), ".");
    const PartialShape rest =
        declared.has_rank() ? sub_shape(declared, 1, declared.rank()) : PartialShape();
    check_rows(context, tensor, rest);
    auto list = new_list(context, 1);
    std::int64_t begin = 0;
    for (const std::int64_t length : lengths) {
      if (length < 0 || length > tensor.dim(0) - begin) {
        throw invalid_argument("TensorListSplit: the lengths must add up to the rows. Details: [",
                               join(lengths, ","), "] for ", tensor.dim(0), " rows.");
      }
      list->elements.push_back(tensor.rows(begin, begin + length));
      begin += length;
    }
    if (begin != tensor.dim(0)) {
      throw invalid_argument("TensorListSplit: the lengths must add up to the rows. Details: ",
                             begin, " of ", tensor.dim(0), " rows.");
    }
    set_tensor_list(context, 0, std::move(list));
  }
};

void length(KernelContext& context) {
  *context.output(0, Shape{}).mutable_data<std::int32_t>() =
      static_cast<std::int32_t>(tensor_list(context, 0).elements.size());
}

void element_shape(KernelContext& context) {
  const PartialShape& shape = tensor_list(context, 0).element_shape;
  Tensor& result = context.output(0, shape.has_rank() ? Shape{shape.rank()} : Shape{});
  dispatch(Indices{}, result.dtype(), [&]<class T>() {
    T* out = result.mutable_data<T>();
    if (!shape.has_rank()) *out = -1;
    for (const std::int64_t dim : shape.dims()) *out++ = static_cast<T>(dim);
  });
}

void resize(KernelContext& context) {
  const std::int64_t size = checked_count(context, 1, "size");
  auto list = take_tensor_list(context, 0);
  list->elements.resize(static_cast<std::size_t>(size));
  set_tensor_list(context, 0, std::move(list));
}

void get_item(KernelContext& context) {
  const TensorList& list = tensor_list(context, 0);
  check_dtype(context, list, context.output_dtype(0));
  const std::int64_t index = checked_index(context, list, integer_scalar(context, 1, "index"));
  context.set_output(0, element_or_zeros(context, list, static_cast<std::size_t>(index),
                                         partial_shape_input(context, 2)));
}

class SetItemKernel final : public Kernel {
 public:
  explicit SetItemKernel(const KernelInit& init)
      : resize_(init.attr<bool>("resize_if_index_out_of_bounds")) {}
  void compute(KernelContext& context) const override {
    const TensorList& given = tensor_list(context, 0);
    check_element(context, given, context.input(2));
    std::int64_t index = integer_scalar(context, 1, "index");
    const bool grows = resize_ && index >= static_cast<std::int64_t>(given.elements.size()) &&
                       index < kMaxElements;
    if (!grows) index = checked_index(context, given, index);
    auto list = take_tensor_list(context, 0);
    if (grows) list->elements.resize(static_cast<std::size_t>(index) + 1);
    list->elements[static_cast<std::size_t>(index)] = context.take_input(2);
    set_tensor_list(context, 0, std::move(list));
  }

 private:
  bool resize_;
};

void check_room(const KernelContext& context, const TensorList& list) {
  if (list.max_elements >= 0 &&
      static_cast<std::int64_t>(list.elements.size()) >= list.max_elements) {
    throw invalid_argument(context.node().op_name,
                           ": the list is full. Details: max_num_elements is ", list.max_elements,
                           ".");
  }
}

void push_back(KernelContext& context) {
  check_element(context, tensor_list(context, 0), context.input(1));
  check_room(context, tensor_list(context, 0));
  auto list = take_tensor_list(context, 0);
  list->elements.push_back(context.take_input(1));
  set_tensor_list(context, 0, std::move(list));
}

void pop_back(KernelContext& context) {
  const TensorList& given = tensor_list(context, 0);
  check_dtype(context, given, context.output_dtype(1));
  if (given.elements.empty())
    throw invalid_argument("TensorListPopBack: an empty list has nothing to pop.");
  Tensor element =
      element_or_zeros(context, given, given.elements.size() - 1, partial_shape_input(context, 1));
  auto list = take_tensor_list(context, 0);
  list->elements.pop_back();
  set_tensor_list(context, 0, std::move(list));
  context.set_output(1, std::move(element));
}

void push_back_batch(KernelContext& context) {
  const Tensor& handles = context.input(0);
  const Tensor& tensor = context.input(1);
  if (tensor.rank() < 1 || handles.rank() != 1 || handles.dim(0) != tensor.dim(0)) {
    throw invalid_argument("TensorListPushBackBatch: there must be a row for each list. Details: ",
                           handles.shape(), " lists, tensor ", tensor.shape(), ".");
  }
  Tensor& result = context.output(0, handles.shape());
  for (std::int64_t i = 0; i < handles.dim(0); ++i) {
    const auto* list = dynamic_cast<const TensorList*>(handles.data<Variant>()[i].value.get());
    if (list == nullptr)
      throw invalid_argument(
          "TensorListPushBackBatch: every input must be a tensor list. Details: element ", i, ".");
    const Tensor element = row(tensor, i);
    check_element(context, *list, element);
    check_room(context, *list);
    auto copy = std::make_shared<TensorList>(*list);
    copy->elements.push_back(element);
    result.mutable_data<Variant>()[i].value = std::move(copy);
  }
}

class ConcatListsKernel final : public Kernel {
 public:
  explicit ConcatListsKernel(const KernelInit& init) : dtype_(init.attr<DType>("element_dtype")) {}
  void compute(KernelContext& context) const override {
    const Tensor& a = context.input(0);
    const Tensor& b = context.input(1);
    if (!(a.shape() == b.shape())) {
      throw invalid_argument("TensorListConcatLists: the inputs must have one shape. Details: ",
                             a.shape(), " and ", b.shape(), ".");
    }
    Tensor& result = context.output(0, a.shape());
    for (std::int64_t i = 0; i < a.num_elements(); ++i) {
      const auto* first = dynamic_cast<const TensorList*>(a.data<Variant>()[i].value.get());
      const auto* second = dynamic_cast<const TensorList*>(b.data<Variant>()[i].value.get());
      if (first == nullptr || second == nullptr) {
        throw invalid_argument(
            "TensorListConcatLists: every input must be a tensor list. Details: element ", i, ".");
      }
      check_dtype(context, *first, dtype_);
      check_dtype(context, *second, dtype_);
      auto both = std::make_shared<TensorList>(*first);
      both->element_shape = first->element_shape.merge_with(second->element_shape);
      both->elements.insert(both->elements.end(), second->elements.begin(), second->elements.end());
      result.mutable_data<Variant>()[i].value = std::move(both);
    }
  }

 private:
  DType dtype_;
};

Shapes list_shape(ShapeContext& c) {
  return {c.num_outputs() > 0 ? PartialShape(Shape()) : PartialShape()};
}
Shapes pop_shape(ShapeContext& c) { return {PartialShape(Shape()), c.input_as_shape(1)}; }
Shapes item_shape(ShapeContext& c) { return {c.input_as_shape(2)}; }
Shapes passed_lists_shape(ShapeContext& c) { return {c.input(0)}; }
Shapes element_shape_shape(ShapeContext&) { return {PartialShape()}; }

constexpr std::string_view kListAttrs = "element_dtype: type; shape_type: {int32, int64}";

constexpr OpDef kOps[] = {
    {.name = "EmptyTensorList",
     .inputs = "element_shape: shape_type, max_num_elements: int32",
     .outputs = "handle: variant",
     .attrs = kListAttrs,
     .shape = list_shape,
     .kernel = make_kernel<EmptyKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "TensorListReserve",
     .inputs = "element_shape: shape_type, num_elements: int32",
     .outputs = "handle: variant",
     .attrs = kListAttrs,
     .shape = list_shape,
     .kernel = make_kernel<ReserveKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "TensorListFromTensor",
     .inputs = "tensor: element_dtype, element_shape: shape_type",
     .outputs = "output_handle: variant",
     .attrs = kListAttrs,
     .shape = list_shape,
     .kernel = make_kernel<FromTensorKernel>},
    {.name = "TensorListScatter",
     .inputs = "tensor: element_dtype, indices: int32, element_shape: shape_type",
     .outputs = "output_handle: variant",
     .attrs = kListAttrs,
     .shape = list_shape,
     .kernel = make_kernel<ScatterKernel>},
    {.name = "TensorListScatterV2",
     .inputs =
         "tensor: element_dtype, indices: int32, element_shape: shape_type, num_elements: int32",
     .outputs = "output_handle: variant",
     .attrs = kListAttrs,
     .shape = list_shape,
     .kernel = make_kernel<ScatterKernel>},
    {.name = "TensorListScatterIntoExistingList",
     .inputs = "input_handle: variant, tensor: element_dtype, indices: int32",
     .outputs = "output_handle: variant",
     .attrs = "element_dtype: type",
     .shape = list_shape,
     .kernel = kernel_function<scatter_into>},
    {.name = "TensorListSplit",
     .inputs = "tensor: element_dtype, element_shape: shape_type, lengths: int64",
     .outputs = "output_handle: variant",
     .attrs = kListAttrs,
     .shape = list_shape,
     .kernel = make_kernel<SplitKernel>},
    {.name = "TensorListLength",
     .inputs = "input_handle: variant",
     .outputs = "length: int32",
     .shape = list_shape,
     .kernel = kernel_function<length>,
     .differentiable = Differentiable::kNone},
    {.name = "TensorListElementShape",
     .inputs = "input_handle: variant",
     .outputs = "element_shape: shape_type",
     .attrs = "shape_type: {int32, int64}",
     .shape = element_shape_shape,
     .kernel = kernel_function<element_shape>,
     .differentiable = Differentiable::kNone},
    {.name = "TensorListResize",
     .inputs = "input_handle: variant, size: int32",
     .outputs = "output_handle: variant",
     .shape = list_shape,
     .kernel = kernel_function<resize>},
    {.name = "TensorListGetItem",
     .inputs = "input_handle: variant, index: int32, element_shape: int32",
     .outputs = "item: element_dtype",
     .attrs = "element_dtype: type",
     .shape = item_shape,
     .kernel = kernel_function<get_item>},
    {.name = "TensorListSetItem",
     .inputs = "input_handle: variant, index: int32, item: element_dtype",
     .outputs = "output_handle: variant",
     .attrs = "element_dtype: type; resize_if_index_out_of_bounds: bool = false",
     .shape = list_shape,
     .kernel = make_kernel<SetItemKernel>},
    {.name = "TensorListPushBack",
     .inputs = "input_handle: variant, tensor: element_dtype",
     .outputs = "output_handle: variant",
     .attrs = "element_dtype: type",
     .shape = list_shape,
     .kernel = kernel_function<push_back>},
    {.name = "TensorListPushBackBatch",
     .inputs = "input_handles: variant, tensor: element_dtype",
     .outputs = "output_handles: variant",
     .attrs = "element_dtype: type",
     .shape = passed_lists_shape,
     .kernel = kernel_function<push_back_batch>,
     .differentiable = Differentiable::kNone},
    {.name = "TensorListPopBack",
     .inputs = "input_handle: variant, element_shape: int32",
     .outputs = "output_handle: variant, tensor: element_dtype",
     .attrs = "element_dtype: type",
     .shape = pop_shape,
     .kernel = kernel_function<pop_back>},
    {.name = "TensorListConcatLists",
     .inputs = "input_a: variant, input_b: variant",
     .outputs = "output: variant",
     .attrs = "element_dtype: type",
     .shape = passed_lists_shape,
     .kernel = make_kernel<ConcatListsKernel>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily control_tensor_list_ops() { return kOps; }

}  // namespace hub
