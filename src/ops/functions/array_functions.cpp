// Functions for sources, reductions, shapes and parts.

#include <algorithm>
#include <iterator>
#include <span>

#include "ops/functions/function_support.h"

namespace hub::ops {
namespace {

constexpr std::int64_t kLargestZerosConstant = 1000;  // array_ops.zeros

// A vector of int32 or int64.
Tensor integers(DType dtype, std::span<const std::int64_t> values) {
  if (dtype == kInt64) return make_tensor<std::int64_t>({std::ssize(values)}, values);
  return int_vector({values.begin(), values.end()});
}

// The tensor of axes that a reduction takes: made outside of the node's scope where all are
// meant (math_ops._ReductionDims), inside otherwise.
Input reduction_axes(const Output& x, const Axes& axes) {
  if (axes.tensor()) return axes.tensor();
  if (axes.axes()) {
    if (axes.is_scalar()) return make_scalar<std::int32_t>(axes.axes()->front());
    return int_vector(*axes.axes());
  }
  // TensorFlow takes a rank of 0 for an unknown one.
  if (x.shape().has_rank() && x.shape().rank() > 0) {
    std::vector<int> all;
    for (int i = 0; i < x.shape().rank(); ++i) all.push_back(i);
    return constant(x.graph(), int_vector(all));
  }
  const Output rank_of_x = rank(x);
  return range(0, rank_of_x, 1);
}

Output reduce(std::string_view op, const Output& x, const Axes& axes, KeepDims keep,
              std::string_view name) {
  const Input indices = reduction_axes(x, axes);
  return x.graph().op(op, {x, indices}, {{"keep_dims", keep == KeepDims::kYes}}, name);
}

// `value` everywhere: a constant where it is small, else a Fill.
Output filled(const Graph& graph, const Shape& shape, const Tensor& value, std::string_view name) {
  const NameScope scope(graph, name);
  if (shape.num_elements() < kLargestZerosConstant) {
    Tensor all(value.dtype(), shape);
    const std::size_t size = dtype_size(value.dtype());
    if (size == 0) {
      std::fill_n(all.mutable_data<std::string>(), all.num_elements(), value.scalar<std::string>());
    } else {
      auto* out = static_cast<std::byte*>(all.mutable_raw_data());
      for (std::int64_t i = 0; i < all.num_elements(); ++i, out += size)
        std::copy_n(static_cast<const std::byte*>(value.raw_data()), size, out);
    }
    return constant(graph, all, scope.name());
  }
  std::vector<int> dims(shape.dims().begin(), shape.dims().end());
  const Output shape_tensor = constant(graph, int_vector(dims), "shape_as_tensor");
  return graph.op("Fill", {shape_tensor, constant(graph, value, "Const")}, {}, scope.name());
}

}  // namespace

Output constant(const Graph& graph, const Tensor& value, std::string_view name) {
  if (!value.is_valid()) throw invalid_argument("A constant needs a value.");
  return graph.op("Const", {}, {{"dtype", value.dtype()}, {"value", value}}, name);
}

Output constant(const Graph& graph, const Input& value, DType dtype, std::string_view name) {
  const Input::Value& v = value.value();
  if (std::holds_alternative<Output>(v))
    throw invalid_argument("A constant is made of a value. Details: got a tensor of a graph.");
  if (const auto* tensor = std::get_if<Tensor>(&v)) return constant(graph, *tensor, name);
  if (const auto* text = std::get_if<std::string>(&v))
    return constant(graph, make_scalar<std::string>(*text), name);
  if (const auto* flag = std::get_if<bool>(&v)) return constant(graph, make_scalar(*flag), name);
  if (const auto* number = std::get_if<std::int64_t>(&v)) {
    return constant(graph, make_scalar_of(dtype == DType::kInvalid ? kInt32 : dtype, *number),
                    name);
  }
  const DType wanted = dtype == DType::kInvalid ? kFloat : dtype;
  return constant(graph, make_scalar_of(wanted, std::get<double>(v)), name);
}

Output placeholder(const Graph& graph, DType dtype, const PartialShape& shape,
                   std::string_view name) {
  return graph.op("Placeholder", {}, {{"dtype", dtype}, {"shape", shape}}, name);
}

Output placeholder_with_default(const Output& value, const PartialShape& shape,
                                std::string_view name) {
  return value.graph().op("PlaceholderWithDefault", {value}, {{"shape", shape}}, name);
}

Output zeros(const Graph& graph, const Shape& shape, DType dtype, std::string_view name) {
  Tensor zero = dtype == kBool     ? make_scalar(false)
                : dtype == kString ? make_scalar<std::string>("")
                                   : make_scalar_of(dtype, std::int64_t{0});
  return filled(graph, shape, zero, name_or(name, "zeros"));
}

Output ones(const Graph& graph, const Shape& shape, DType dtype, std::string_view name) {
  const Tensor one = dtype == kBool ? make_scalar(true) : make_scalar_of(dtype, std::int64_t{1});
  return filled(graph, shape, one, name_or(name, "ones"));
}

Output fill(const Output& dims, const Input& value, std::string_view name) {
  return dims.graph().op("Fill", {dims, value}, {}, name);
}

Output range(const Input& start, const Input& limit, const Input& delta, std::string_view name) {
  return graph_of({&start, &limit, &delta})
      .op("Range", {start, limit, delta}, {}, name_or(name, "range"));
}

Output identity(const Input& x, std::string_view name) {
  return graph_of({&x}).op("Identity", {x}, {}, name);
}
Output stop_gradient(const Output& x, std::string_view name) {
  return x.graph().op("StopGradient", {x}, {}, name);
}
Output zeros_like(const Output& x, std::string_view name) {
  return x.graph().op("ZerosLike", {x}, {}, name_or(name, "zeros_like"));
}
Output ones_like(const Output& x, std::string_view name) {
  return x.graph().op("OnesLike", {x}, {}, name_or(name, "ones_like"));
}
Output cast(const Output& x, DType dtype, std::string_view name) {
  if (x.dtype() == dtype) return x;
  return x.graph().op("Cast", {x}, {{"DstT", dtype}}, name);
}

Operation no_op(const Graph& graph, std::string_view name) {
  return graph.op("NoOp", {}, {}, name);
}

Operation group(const Graph& graph, const std::vector<Operation>& operations,
                std::string_view name) {
  const NameScope scope(graph, name_or(name, "group_deps"));
  const ControlDependencies after(graph, operations);
  return no_op(graph, scope.name());
}

Output with_dependencies(const std::vector<Operation>& operations, const Output& x,
                         std::string_view name) {
  const Graph graph = x.graph();
  const NameScope scope(graph, name_or(name, "control_dependency"));
  const Colocation colocation(graph, x.op());
  const ControlDependencies after(graph, operations);
  return identity(x, scope.name());
}

Output reduce_sum(const Output& x, const Axes& axes, KeepDims keep, std::string_view name) {
  return reduce("Sum", x, axes, keep, name);
}
Output reduce_mean(const Output& x, const Axes& axes, KeepDims keep, std::string_view name) {
  return reduce("Mean", x, axes, keep, name);
}
Output reduce_prod(const Output& x, const Axes& axes, KeepDims keep, std::string_view name) {
  return reduce("Prod", x, axes, keep, name);
}
Output reduce_max(const Output& x, const Axes& axes, KeepDims keep, std::string_view name) {
  return reduce("Max", x, axes, keep, name);
}
Output reduce_min(const Output& x, const Axes& axes, KeepDims keep, std::string_view name) {
  return reduce("Min", x, axes, keep, name);
}
Output reduce_any(const Output& x, const Axes& axes, KeepDims keep, std::string_view name) {
  return reduce("Any", x, axes, keep, name);
}
Output reduce_all(const Output& x, const Axes& axes, KeepDims keep, std::string_view name) {
  return reduce("All", x, axes, keep, name);
}
Output argmax(const Output& x, int axis, std::string_view name) {
  return x.graph().op("ArgMax", {x, axis}, {}, name);
}

Output matmul(const Input& a, const Input& b, bool transpose_a, bool transpose_b,
              std::string_view name) {
  const Graph graph = graph_of({&a, &b});
  const auto is_batch = [](const Input& x) {
    return !x.shape().has_rank() || x.shape().rank() > 2;
  };
  if (is_batch(a) && is_batch(b)) {
    return graph.op("BatchMatMulV2", {a, b}, {{"adj_x", transpose_a}, {"adj_y", transpose_b}},
                    name_or(name, "MatMul"));
  }
  return graph.op("MatMul", {a, b}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}},
                  name);
}
Output bias_add(const Input& x, const Input& bias, std::string_view name) {
  return graph_of({&x, &bias}).op("BiasAdd", {x, bias}, {}, name);
}

Output shape(const Output& x, DType out_type, std::string_view name) {
  if (x.shape().is_fully_defined()) {
    const Shape known = *x.shape().as_shape();
    return constant(x.graph(), integers(out_type, known.dims()), name_or(name, "Shape"));
  }
  return x.graph().op("Shape", {x}, {{"out_type", out_type}}, name);
}
Output size(const Output& x, DType out_type, std::string_view name) {
  if (const auto known = x.shape().as_shape())
    return constant(x.graph(), known->num_elements(), out_type, name_or(name, "Size"));
  return x.graph().op("Size", {x}, {{"out_type", out_type}}, name);
}
Output rank(const Output& x, std::string_view name) {
  if (x.shape().has_rank())
    return constant(x.graph(), x.shape().rank(), kInt32, name_or(name, "Rank"));
  return x.graph().op("Rank", {x}, {}, name);
}

Output reshape(const Output& x, const Output& shape, std::string_view name) {
  return x.graph().op("Reshape", {x, shape}, {}, name);
}
Output reshape(const Output& x, const PartialShape& shape, std::string_view name) {
  std::vector<int> dims(shape.dims().begin(), shape.dims().end());
  return x.graph().op("Reshape", {x, int_vector(dims)}, {}, name);
}
Output broadcast_to(const Output& x, const Output& shape, std::string_view name) {
  return x.graph().op("BroadcastTo", {x, shape}, {}, name);
}
Output expand_dims(const Output& x, int axis, std::string_view name) {
  return x.graph().op("ExpandDims", {x, axis}, {}, name);
}
Output squeeze(const Output& x, const std::vector<int>& axes, std::string_view name) {
  const std::vector<std::int64_t> dims(axes.begin(), axes.end());
  return x.graph().op("Squeeze", {x}, {{"squeeze_dims", dims}}, name);
}
Output transpose(const Output& x, const std::vector<int>& permutation, std::string_view name) {
  const NameScope scope(x.graph(), name_or(name, "transpose"));
  const Output perm = constant(x.graph(), int_vector(permutation), "perm");
  return x.graph().op("Transpose", {x, perm}, {}, scope.name());
}

Output concat(const std::vector<Output>& values, int axis, std::string_view name) {
  if (values.empty()) throw invalid_argument("concat: at least one tensor is needed.");
  const Graph graph = values[0].graph();
  if (values.size() == 1) {
    const NameScope scope(graph, name_or(name, "concat"));
    constant(graph, make_scalar<std::int32_t>(axis), "concat_dim");
    return identity(values[0], scope.name());
  }
  std::vector<Input> inputs(values.begin(), values.end());
  inputs.emplace_back(axis);
  return graph.op("ConcatV2", inputs, {}, name_or(name, "concat"));
}

std::vector<Output> split(const Output& value, int num_splits, int axis, std::string_view name) {
  const NameScope scope(value.graph(), name_or(name, "split"));
  const Output dim = constant(value.graph(), make_scalar<std::int32_t>(axis), "split_dim");
  const Operation op =
      value.graph().op("Split", {dim, value}, {{"num_split", num_splits}}, scope.name());
  std::vector<Output> parts;
  for (int i = 0; i < num_splits; ++i) parts.push_back(op.output(i));
  return parts;
}

Output stack(const std::vector<Output>& values, int axis, std::string_view name) {
  if (values.empty()) throw invalid_argument("stack: at least one tensor is needed.");
  return values[0].graph().op("Pack", {values.begin(), values.end()}, {{"axis", axis}},
                              name_or(name, "stack"));
}

std::vector<Output> unstack(const Output& value, int num, int axis, std::string_view name) {
  const Operation op =
      value.graph().op("Unpack", {value}, {{"num", num}, {"axis", axis}}, name_or(name, "unstack"));
  std::vector<Output> parts;
  for (int i = 0; i < num; ++i) parts.push_back(op.output(i));
  return parts;
}

Output slice(const Output& x, const std::vector<std::int64_t>& begin,
             const std::vector<std::int64_t>& size, std::string_view name) {
  const auto vector = [](const std::vector<std::int64_t>& values) {
    return int_vector(std::vector<int>(values.begin(), values.end()));
  };
  return x.graph().op("Slice", {x, vector(begin), vector(size)}, {}, name);
}

Output tile(const Output& x, const Output& multiples, std::string_view name) {
  return x.graph().op("Tile", {x, multiples}, {}, name);
}

Output gather(const Input& params, const Input& indices, int axis, std::string_view name) {
  return graph_of({&params, &indices}).op("GatherV2", {params, indices, axis}, {}, name);
}

Output one_hot(const Output& indices, int depth, const Input& on_value, const Input& off_value,
               std::string_view name) {
  const Graph graph = indices.graph();
  const NameScope scope(graph, name_or(name, "one_hot"));
  const auto tensor = [&](const Input& value, std::string_view what) {
    return value.output() != nullptr ? *value.output()
                                     : constant(graph, value, DType::kInvalid, what);
  };
  const Output on = tensor(on_value, "on_value");
  const Output off = tensor(off_value, "off_value");
  return graph.op("OneHot", {indices, depth, on, off}, {}, scope.name());
}

}  // namespace hub::ops
