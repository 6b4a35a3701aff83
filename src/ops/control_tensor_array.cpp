// TensorArrays: the arrays of v1 loops (tensorflow/core/kernels/tensor_array.{h,cc}).

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/stacking.h"
#include "ops/tensor_array.h"

namespace hub {
namespace {

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
    if (size > kMaxTensorArrayElements)
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
