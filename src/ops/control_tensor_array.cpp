// TensorArrays: the arrays of v1 loops (tensorflow/core/kernels/tensor_array.{h,cc}).

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/stacking.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

constexpr std::int64_t kMaxElements = 1 << 28;

class TensorArray final : public Resource {
 public:
  struct Options {
    DType dtype = DType::kInvalid;
    PartialShape element_shape;
    bool dynamic_size = false;
    bool clear_after_read = true;
    bool identical_element_shapes = false;
    bool is_gradient = false;  // writes to one place add up, what was not written is zero
  };

  TensorArray(std::string array_name, Options options, std::int64_t size)
      : name(std::move(array_name)),
        options_(std::move(options)),
        elements_(static_cast<std::size_t>(size)) {}

  const std::string name;
  DType dtype() const { return options_.dtype; }
  std::mutex& mutex() { return mutex_; }

  // What follows is called with `mutex()` held.
  std::int64_t size() const {
    check_open();
    return static_cast<std::int64_t>(elements_.size());
  }

  const PartialShape& element_shape() const { return options_.element_shape; }

  void merge_element_shape(const PartialShape& shape) {
    if (!options_.element_shape.is_compatible_with(shape)) {
      throw invalid_argument("A TensorArray's elements have one shape. Details: ", name, " has ",
                             options_.element_shape, ", the node says ", shape, ".");
    }
  }

  // Makes room for index `last` where the size is dynamic. Errors: INVALID_ARGUMENT.
  void reserve(std::int64_t last, std::string_view doing) {
    check_open();
    if (last < 0 || (last >= size() && !options_.dynamic_size)) {
      throw invalid_argument(
          "TensorArray ", name, ": the index is out of range. Details: tried to ", doing, " index ",
          last, ", the size is ", size(), options_.dynamic_size ? "." : " and not dynamic.");
    }
    if (last >= kMaxElements) {
      throw resource_exhausted("TensorArray ", name, ": too many elements. Details: index ", last,
                               ".");
    }
    if (last >= size()) elements_.resize(static_cast<std::size_t>(last) + 1);
  }

  void write(KernelContext& context, std::int64_t index, Tensor value) {
    reserve(index, "write");
    Element& element = elements_[static_cast<std::size_t>(index)];
    if (value.dtype() != options_.dtype) {
      throw invalid_argument("TensorArray ", name,
                             ": the value has the wrong dtype. Details: index ", index, " got ",
                             value.dtype(), ", expected ", options_.dtype, ".");
    }
    if (!options_.element_shape.is_compatible_with(value.shape())) {
      throw invalid_argument("TensorArray ", name,
                             ": the value has the wrong shape. Details: index ", index, " got ",
                             value.shape(), ", expected ", options_.element_shape, ".");
    }
    if (options_.identical_element_shapes && !options_.element_shape.is_fully_defined()) {
      options_.element_shape = value.shape();
    }
    if (element.was_read) {
      throw invalid_argument("TensorArray ", name,
                             ": an index that was read cannot be written. Details: index ", index,
                             ".");
    }
    if (element.value.is_valid() && element.written) {
      if (!options_.is_gradient) {
        throw invalid_argument("TensorArray ", name,
                               ": an index can be written once. Details: index ", index, ".");
      }
      value = sum(context, element.value, value);
    }
    element.value = std::move(value);
    element.written = true;
  }

  Tensor read(KernelContext& context, std::int64_t index) {
    check_open();
    if (index < 0 || index >= size()) {
      throw invalid_argument("TensorArray ", name,
                             ": the index is out of range. Details: tried to read index ", index,
                             ", the size is ", size(), ".");
    }
    Element& element = elements_[static_cast<std::size_t>(index)];
    if (element.cleared) {
      throw invalid_argument(
          "TensorArray ", name,
          ": an index can be read once, as clear_after_read is set. Details: index ", index, ".");
    }
    if (!element.value.is_valid())
      element.value = zeros(context, options_.dtype, default_shape(index));
    Tensor value = element.value;
    element.was_read = true;
    if (options_.clear_after_read) {
      element.value = Tensor();
      element.cleared = true;
    }
    return value;
  }

  void close() {
    elements_.clear();
    closed_ = true;
  }

  // An array for gradients, with the elements' shapes of this one. This one can no longer grow.
  std::shared_ptr<TensorArray> gradient(std::string gradient_name, const Shape& prepended) {
    check_open();
    options_.dynamic_size = false;
    Options options;
    options.dtype = options_.dtype;
    options.is_gradient = true;
    options.identical_element_shapes = options_.identical_element_shapes;
    options.element_shape = options_.element_shape.has_rank()
                                ? concatenate(prepended, options_.element_shape)
                                : PartialShape();
    auto array =
        std::make_shared<TensorArray>(std::move(gradient_name), std::move(options), size());
    for (std::size_t i = 0; i < elements_.size(); ++i) {
      const Element& element = elements_[i];
      if (element.written && element.value.is_valid()) {
        std::vector<std::int64_t> dims(prepended.dims().begin(), prepended.dims().end());
        dims.insert(dims.end(), element.value.shape().dims().begin(),
                    element.value.shape().dims().end());
        array->elements_[i].shape = Shape(dims);
      } else {
        array->elements_[i].shape = element.shape;
      }
    }
    return array;
  }

  // Keeps the shape of cleared elements, for gradients made after reading.
  void remember_shape(std::int64_t index, const Shape& shape) {
    elements_[static_cast<std::size_t>(index)].shape = shape;
  }

 private:
  struct Element {
    Tensor value;
    std::optional<Shape> shape;  // of a gradient's element
    bool written = false;
    bool was_read = false;
    bool cleared = false;
  };

  void check_open() const {
    if (closed_) throw invalid_argument("TensorArray ", name, " has already been closed.");
  }

  Shape default_shape(std::int64_t index) const {
    const Element& element = elements_[static_cast<std::size_t>(index)];
    if (element.shape) return *element.shape;
    if (const auto shape = options_.element_shape.as_shape()) return *shape;
    throw invalid_argument(
        "TensorArray ", name,
        ": an index that was never written cannot be read, as the element shape is not known. ",
        "Details: index ", index, ", shape ", options_.element_shape, ".");
  }

  Tensor sum(KernelContext& context, const Tensor& a, const Tensor& b) const {
    if (!(a.shape() == b.shape())) {
      throw invalid_argument("TensorArray ", name,
                             ": values that add up must have one shape. Details: ", a.shape(),
                             " and ", b.shape(), ".");
    }
    Tensor result = context.temporary(a.dtype(), a.shape());
    dispatch(Numbers{}, a.dtype(), [&]<class T>() {
      for (std::int64_t i = 0; i < a.num_elements(); ++i) {
        if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
          result.mutable_data<T>()[i] =
              T(static_cast<float>(a.data<T>()[i]) + static_cast<float>(b.data<T>()[i]));
        } else {
          result.mutable_data<T>()[i] = static_cast<T>(a.data<T>()[i] + b.data<T>()[i]);
        }
      }
    });
    return result;
  }

  Options options_;
  std::mutex mutex_;
  std::vector<Element> elements_;
  bool closed_ = false;
};

void set_handle(KernelContext& context, const std::shared_ptr<TensorArray>& array) {
  ResourceHandle handle;
  handle.name = array->name;
  handle.resource = array;
  *context.output(0, Shape{}).mutable_data<ResourceHandle>() = std::move(handle);
}

void pass_flow(KernelContext& context, int input, int output) {
  context.set_output(output, context.input(input));
}

class TensorArrayKernel final : public Kernel {
 public:
  explicit TensorArrayKernel(const KernelInit& init) {
    options_.dtype = init.attr<DType>("dtype");
    options_.element_shape = init.attr<PartialShape>("element_shape");
    options_.dynamic_size = init.attr<bool>("dynamic_size");
    options_.clear_after_read = init.attr<bool>("clear_after_read");
    options_.identical_element_shapes = init.attr<bool>("identical_element_shapes");
  }
  void compute(KernelContext& context) const override {
    const std::int64_t size = integer_scalar(context, 0, "size");
    if (size < 0)
      throw invalid_argument("TensorArrayV3: the size must not be negative. Details: got ", size,
                             ".");
    if (size > kMaxElements)
      throw resource_exhausted("TensorArrayV3: too many elements. Details: got ", size, ".");
    set_handle(context, std::make_shared<TensorArray>(
                            context.step().step_resources.fresh_name("array"), options_, size));
    *context.output(1, Shape{}).mutable_data<float>() = 0;
  }

 private:
  TensorArray::Options options_;
};

class GradientKernel final : public Kernel {
 public:
  explicit GradientKernel(const KernelInit& init) : source_(init.attr<std::string>("source")) {}
  void compute(KernelContext& context) const override {
    const auto array = context.resource<TensorArray>(0);
    Shape prepended;
    if (context.num_inputs() > 2) prepended = shape_input(context, 2, "shape_to_prepend");
    const std::string name = cat(array->name, "@", source_);
    // One gradient array for each source, whoever asks first.
    const auto gradient =
        context.step().step_resources.find_or_create<TensorArray>("gradients", name, [&] {
          const std::lock_guard lock(array->mutex());
          return array->gradient(name, prepended);
        });
    set_handle(context, gradient);
    pass_flow(context, 1, 1);
  }

 private:
  std::string source_;
};

void write(KernelContext& context) {
  const auto array = context.resource<TensorArray>(0);
  const std::int64_t index = integer_scalar(context, 1, "index");
  const std::lock_guard lock(array->mutex());
  array->write(context, index, context.take_input(2));
  pass_flow(context, 3, 0);
}

Tensor read_element(KernelContext& context, TensorArray& array, std::int64_t index) {
  Tensor value = array.read(context, index);
  array.remember_shape(index, value.shape());
  return value;
}

void read(KernelContext& context) {
  const auto array = context.resource<TensorArray>(0);
  const std::lock_guard lock(array->mutex());
  if (array->dtype() != context.output_dtype(0)) {
    throw invalid_argument("TensorArray ", array->name, " holds ", array->dtype(),
                           ", the node reads ", context.output_dtype(0), ".");
  }
  context.set_output(0, read_element(context, *array, integer_scalar(context, 1, "index")));
}

class GatherKernel final : public Kernel {
 public:
  explicit GatherKernel(const KernelInit& init)
      : element_shape_(init.attr<PartialShape>("element_shape")) {}

  void compute(KernelContext& context) const override {
    const auto array = context.resource<TensorArray>(0);
    const std::vector<std::int64_t> indices = integer_vector(context, 1, "indices");
    const std::lock_guard lock(array->mutex());
    if (array->dtype() != context.output_dtype(0)) {
      throw invalid_argument("TensorArray ", array->name, " holds ", array->dtype(),
                             ", the node reads ", context.output_dtype(0), ".");
    }
    array->merge_element_shape(element_shape_);
    const auto count = static_cast<std::int64_t>(indices.size());
    if (count == 0) {
      const auto shape = element_shape_.merge_with(array->element_shape()).as_shape();
      if (!shape) {
        throw unimplemented(
            "TensorArray ", array->name,
            ": gathering nothing needs a fully defined element shape. Details: it is ",
            element_shape_, ".");
      }
      context.output(0, shape->with_inserted(0, 0));
      return;
    }
    std::vector<Tensor> values;
    for (const std::int64_t index : indices) {
      values.push_back(read_element(context, *array, index));
      if (!(values.back().shape() == values.front().shape())) {
        throw invalid_argument("TensorArray ", array->name,
                               ": elements that are gathered must have one shape. Details: index ",
                               index, " has ", values.back().shape(), ", the first has ",
                               values.front().shape(), ".");
      }
    }
    if (!element_shape_.is_compatible_with(values.front().shape())) {
      throw invalid_argument("TensorArray ", array->name,
                             ": elements must fit the node's shape. Details: ",
                             values.front().shape(), " against ", element_shape_, ".");
    }
    Tensor& result = context.output(0, values.front().shape().with_inserted(0, count));
    for (std::int64_t i = 0; i < count; ++i) {
      copy_elements(values[static_cast<std::size_t>(i)], result, i * values.front().num_elements());
    }
  }

 private:
  PartialShape element_shape_;
};

// Rows [begin, end) of axis 0 as a tensor of their own memory's lifetime.
Tensor row_range(const Tensor& value, std::int64_t begin, std::int64_t end) {
  return value.rows(begin, end);
}

void scatter(KernelContext& context) {
  const auto array = context.resource<TensorArray>(0);
  const std::vector<std::int64_t> indices = integer_vector(context, 1, "indices");
  const Tensor& value = context.input(2);
  if (context.input(1).rank() != 1) {
    throw invalid_argument("TensorArrayScatterV3: indices must be a vector. Details: its shape is ",
                           context.input(1).shape(), ".");
  }
  const auto count = static_cast<std::int64_t>(indices.size());
  if (value.rank() < 1 || value.dim(0) != count) {
    throw invalid_argument(
        "TensorArrayScatterV3: there must be a row for each index. Details: value ", value.shape(),
        ", ", count, " indices.");
  }
  const std::lock_guard lock(array->mutex());
  if (count > 0) array->reserve(std::ranges::max(indices), "scatter to");
  for (std::int64_t i = 0; i < count; ++i) {
    array->write(context, indices[static_cast<std::size_t>(i)],
                 row_range(value, i, i + 1).reshaped(value.shape().without_dim(0)));
  }
  pass_flow(context, 3, 0);
}

class ConcatKernel final : public Kernel {
 public:
  explicit ConcatKernel(const KernelInit& init)
      : shape_except_0_(init.attr<PartialShape>("element_shape_except0")) {}

  void compute(KernelContext& context) const override {
    const auto array = context.resource<TensorArray>(0);
    const std::lock_guard lock(array->mutex());
    if (array->dtype() != context.output_dtype(0)) {
      throw invalid_argument("TensorArray ", array->name, " holds ", array->dtype(),
                             ", the node reads ", context.output_dtype(0), ".");
    }
    const std::int64_t count = array->size();
    std::int64_t* lengths = context.output(1, Shape{count}).mutable_data<std::int64_t>();
    if (count == 0) {
      const auto shape = shape_except_0_.as_shape();
      if (!shape) {
        throw unimplemented(
            "TensorArray ", array->name,
            ": concatenating nothing needs a fully defined element shape. Details: it is ",
            shape_except_0_, ".");
      }
      context.output(0, shape->with_inserted(0, 0));
      return;
    }
    std::vector<Tensor> values;
    std::int64_t rows = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      values.push_back(read_element(context, *array, i));
      check_element(*array, values, i);
      lengths[i] = values.back().dim(0);
      rows += lengths[i];
    }
    Tensor& result = context.output(0, values.front().shape().with_dim(0, rows));
    std::int64_t offset = 0;
    for (const Tensor& value : values) {
      copy_elements(value, result, offset);
      offset += value.num_elements();
    }
  }

 private:
  void check_element(const TensorArray& array, const std::vector<Tensor>& values,
                     std::int64_t index) const {
    const Tensor& value = values.back();
    if (value.rank() < 1) {
      throw invalid_argument("TensorArray ", array.name,
                             ": scalars cannot be concatenated. Details: index ", index, ".");
    }
    const Shape rest = value.shape().without_dim(0);
    if (!(rest == values.front().shape().without_dim(0)) ||
        !shape_except_0_.is_compatible_with(rest)) {
      throw invalid_argument("TensorArray ", array.name,
                             ": elements must agree but for dimension 0. Details: index ", index,
                             " has ", value.shape(), ", the first ", values.front().shape(),
                             ", the node says ", shape_except_0_, ".");
    }
  }

  PartialShape shape_except_0_;
};

void split(KernelContext& context) {
  const auto array = context.resource<TensorArray>(0);
  const Tensor& value = context.input(1);
  if (context.input(2).rank() != 1) {
    throw invalid_argument("TensorArraySplitV3: lengths must be a vector. Details: its shape is ",
                           context.input(2).shape(), ".");
  }
  const std::vector<std::int64_t> lengths = integer_vector(context, 2, "lengths");
  if (value.rank() < 1)
    throw invalid_argument(
        "TensorArraySplitV3: the value must have rank >= 1. Details: ", value.shape(), ".");
  std::int64_t rows = 0;
  for (const std::int64_t length : lengths) {
    if (length < 0)
      throw invalid_argument("TensorArraySplitV3: lengths must not be negative. Details: got ",
                             length, ".");
    rows = add_or_throw(rows, length, "TensorArraySplitV3: the sum of lengths");
  }
  if (rows != value.dim(0)) {
    throw invalid_argument("TensorArraySplitV3: the lengths must add up to the rows. Details: ",
                           rows, " against ", value.dim(0), ".");
  }
  const std::lock_guard lock(array->mutex());
  const auto count = static_cast<std::int64_t>(lengths.size());
  if (count > 0) array->reserve(count - 1, "split to");
  if (array->size() != count) {
    throw invalid_argument("TensorArraySplitV3: there must be a length for each element. Details: ",
                           count, " against ", array->size(), ".");
  }
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t length = lengths[static_cast<std::size_t>(i)];
    array->write(context, i, row_range(value, begin, begin + length));
    begin += length;
  }
  pass_flow(context, 3, 0);
}

void size(KernelContext& context) {
  const auto array = context.resource<TensorArray>(0);
  const std::lock_guard lock(array->mutex());
  *context.output(0, Shape{}).mutable_data<std::int32_t>() =
      static_cast<std::int32_t>(array->size());
}

void close(KernelContext& context) {
  const auto array = context.resource<TensorArray>(0);
  const std::lock_guard lock(array->mutex());
  array->close();
}

Shapes array_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  if (c.attr<bool>("identical_element_shapes")) {
    c.set_output_handle(0, {c.attr<DType>("dtype"), c.attr<PartialShape>("element_shape")});
  }
  return {PartialShape(Shape()), PartialShape(Shape())};
}
Shapes two_scalars(ShapeContext&) { return {PartialShape(Shape()), PartialShape(Shape())}; }
Shapes flow_shape(ShapeContext&) { return {PartialShape(Shape())}; }
Shapes no_outputs(ShapeContext&) { return {}; }
Shapes gather_shape(ShapeContext& c) {
  const PartialShape indices = c.with_rank(1, 1);
  return {concatenate(indices, c.attr<PartialShape>("element_shape"))};
}
Shapes concat_shape(ShapeContext& c) {
  return {concatenate(PartialShape{-1}, c.attr<PartialShape>("element_shape_except0")),
          PartialShape{-1}};
}

constexpr OpDef kOps[] = {
    {.name = "TensorArrayV3",
     .inputs = "size: int32",
     .outputs = "handle: resource, flow: float",
     .attrs = "dtype: type; element_shape: shape = ?; dynamic_size: bool = false; "
              "clear_after_read: bool = true; "
              "identical_element_shapes: bool = false; tensor_array_name: string = ''",
     .shape = array_shape,
     .kernel = make_kernel<TensorArrayKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "TensorArrayGradV3",
     .inputs = "handle: resource, flow_in: float",
     .outputs = "grad_handle: resource, flow_out: float",
     .attrs = "source: string",
     .shape = two_scalars,
     .kernel = make_kernel<GradientKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArrayGradWithShape",
     .inputs = "handle: resource, flow_in: float, shape_to_prepend: int32",
     .outputs = "grad_handle: resource, flow_out: float",
     .attrs = "source: string",
     .shape = two_scalars,
     .kernel = make_kernel<GradientKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArrayWriteV3",
     .inputs = "handle: resource, index: int32, value: T, flow_in: float",
     .outputs = "flow_out: float",
     .attrs = "T: type",
     .shape = flow_shape,
     .kernel = kernel_function<write>,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArrayReadV3",
     .inputs = "handle: resource, index: int32, flow_in: float",
     .outputs = "value: dtype",
     .attrs = "dtype: type",
     .shape = unknown_shape,
     .kernel = kernel_function<read>,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArrayGatherV3",
     .inputs = "handle: resource, indices: int32, flow_in: float",
     .outputs = "value: dtype",
     .attrs = "dtype: type; element_shape: shape = ?",
     .shape = gather_shape,
     .kernel = make_kernel<GatherKernel>,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArrayScatterV3",
     .inputs = "handle: resource, indices: int32, value: T, flow_in: float",
     .outputs = "flow_out: float",
     .attrs = "T: type",
     .shape = flow_shape,
     .kernel = kernel_function<scatter>,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArrayConcatV3",
     .inputs = "handle: resource, flow_in: float",
     .outputs = "value: dtype, lengths: int64",
     .attrs = "dtype: type; element_shape_except0: shape = ?",
     .shape = concat_shape,
     .kernel = make_kernel<ConcatKernel>,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArraySplitV3",
     .inputs = "handle: resource, value: T, lengths: int64, flow_in: float",
     .outputs = "flow_out: float",
     .attrs = "T: type",
     .shape = flow_shape,
     .kernel = kernel_function<split>,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArraySizeV3",
     .inputs = "handle: resource, flow_in: float",
     .outputs = "size: int32",
     .shape = flow_shape,
     .kernel = kernel_function<size>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "TensorArrayCloseV3",
     .inputs = "handle: resource",
     .shape = no_outputs,
     .kernel = kernel_function<close>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
};

}  // namespace

OpFamily control_tensor_array_ops() { return kOps; }

}  // namespace hub
