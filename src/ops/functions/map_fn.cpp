// map_fn: a loop over TensorArrays, node by node as TensorFlow 1 writes it
// (tensorflow/python/ops/map_fn.py, tensor_array_ops.py).

#include "hub/control_flow.h"
#include "ops/functions/function_support.h"

namespace hub {
namespace {

// A TensorArray as nodes: its handle, and the flow that orders what is done with it.
struct TensorArray {
  Output handle;
  Output flow;
  DType dtype = kFloat;
  PartialShape element;
};

TensorArray make_array(const Graph& graph, DType dtype, const Input& size, bool infer_shape) {
  const Colocation nowhere(graph, Operation(), true);
  const Operation op =
      graph.op("TensorArrayV3", {size},
               {{"dtype", dtype}, {"identical_element_shapes", infer_shape}}, "TensorArray");
  return {op.output(0), op.output(1), dtype, {}};
}

PartialShape without_first(const PartialShape& shape) {
  if (!shape.has_rank() || shape.rank() == 0) return {};
  return PartialShape(std::vector<std::int64_t>(shape.dims().begin() + 1, shape.dims().end()));
}

PartialShape with_first(std::int64_t first, const PartialShape& shape) {
  if (!shape.has_rank()) return {};
  std::vector<std::int64_t> dims = {first};
  dims.insert(dims.end(), shape.dims().begin(), shape.dims().end());
  return PartialShape(std::move(dims));
}

// shape(x)[0].
Output first_dimension(const Output& x) {
  const Graph graph = x.graph();
  const Output dims = ops::shape(x);
  const NameScope scope(graph, "strided_slice");
  const Output begin = ops::constant(graph, int_vector({0}), "stack");
  const Output end = ops::constant(graph, int_vector({1}), "stack_1");
  const Output step = ops::constant(graph, int_vector({1}), "stack_2");
  return graph.op("StridedSlice", {dims, begin, end, step}, {{"shrink_axis_mask", 1}},
                  scope.name());
}

void unstack(TensorArray& array, const Output& value) {
  const Graph graph = value.graph();
  const NameScope scope(graph, "TensorArrayUnstack");
  const Output count = first_dimension(value);
  const Output indices = ops::range(0, count, 1);
  const NameScope inside(graph, "TensorArrayScatter");
  const Colocation colocation(graph, value.op());
  array.flow = graph.op("TensorArrayScatterV3", {array.handle, indices, value, array.flow});
  array.element = without_first(value.shape());
}

Output read(const TensorArray& array, const Output& index) {
  const Output value = index.graph().op("TensorArrayReadV3", {array.handle, index, array.flow},
                                        {{"dtype", array.dtype}});
  value.set_shape(array.element);
  return value;
}

Output write(const TensorArray& array, const Output& index, const Output& value,
             const Output& flow) {
  const Graph graph = index.graph();
  const NameScope scope(graph, "TensorArrayWrite");
  const Colocation colocation(graph, value.op());
  return graph.op("TensorArrayWriteV3", {array.handle, index, value, flow});
}

Output stack(const TensorArray& array, const Output& flow, const Input& size) {
  const Graph graph = flow.graph();
  const Colocation colocation(graph, array.handle.op());
  const NameScope scope(graph, "TensorArrayStack");
  const Output count =
      size.output() != nullptr ? *size.output() : ops::constant(graph, size, kInt32, "Const");
  const Output indices = ops::range(0, count, 1);
  return graph.op("TensorArrayGatherV3", {array.handle, indices, flow},
                  {{"dtype", array.dtype}, {"element_shape", array.element}});
}

std::int64_t common_rows(const std::vector<Output>& elements) {
  std::int64_t rows = -1;
  for (const Output& element : elements) {
    const PartialShape& shape = element.shape();
    if (!shape.has_rank()) continue;
    if (shape.rank() < 1) {
      throw value_error("elements in elems must be 1+ dimensional Tensors, not scalars. Details: ",
                        element.name(), ".");
    }
    if (rows >= 0 && shape.dim(0) >= 0 && shape.dim(0) != rows) {
      throw value_error("All elements have the same number of rows. Details: ", rows, " and ",
                        shape.dim(0), ".");
    }
    if (shape.dim(0) >= 0) rows = shape.dim(0);
  }
  return rows;
}

}  // namespace

std::vector<Output> map_fn(const LoopBody& body, const std::vector<Output>& elements,
                           const MapOptions& options) {
  if (elements.empty()) throw value_error("elems must hold at least one tensor.");
  const Graph graph = elements[0].graph();
  const NameScope scope(graph, name_or(options.name, "map"));
  const std::int64_t rows = common_rows(elements);
  const Input count = rows > 0 ? Input(rows) : Input(first_dimension(elements[0]));
  std::vector<TensorArray> inputs;
  for (const Output& element : elements)
    inputs.push_back(make_array(graph, element.dtype(), count, true));
  for (std::size_t i = 0; i < elements.size(); ++i) unstack(inputs[i], elements[i]);
  const Output start = ops::constant(graph, 0);
  std::vector<DType> dtypes = options.dtypes;
  if (dtypes.empty()) {
    for (const Output& element : elements) dtypes.push_back(element.dtype());
  }
  std::vector<TensorArray> results;
  std::vector<Input> variables = {start};
  for (const DType dtype : dtypes) {
    results.push_back(make_array(graph, dtype, count, options.infer_shape));
    variables.emplace_back(results.back().flow);
  }
  const LoopCondition more = [&](const std::vector<Output>& v) { return ops::less(v[0], count); };
  const LoopBody step = [&](const std::vector<Output>& v) {
    std::vector<Output> row;
    for (const TensorArray& input : inputs) row.push_back(read(input, v[0]));
    const std::vector<Output> values = body(row);
    if (values.size() != results.size()) {
      throw value_error("The mapped function gives one tensor for each dtype. Details: ",
                        values.size(), " for ", results.size(), ".");
    }
    std::vector<Output> next;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (options.infer_shape) results[i].element = values[i].shape();
      next.push_back(write(results[i], v[0], values[i], v[i + 1]));
    }
    next.insert(next.begin(), v[0] + 1);
    return next;
  };
  WhileOptions loop;
  loop.parallel_iterations = options.parallel_iterations;
  loop.back_prop = options.back_prop;
  loop.swap_memory = options.swap_memory;
  loop.maximum_iterations = count;
  const std::vector<Output> flows = while_loop(graph, more, step, variables, loop);
  std::vector<Output> stacked;
  for (std::size_t i = 0; i < results.size(); ++i) {
    stacked.push_back(stack(results[i], flows[i + 1], count));
    stacked.back().set_shape(with_first(rows, results[i].element));
  }
  return stacked;
}

Output map_fn(const std::function<Output(const Output&)>& body, const Output& elements,
              const MapOptions& options) {
  const LoopBody step = [&](const std::vector<Output>& row) {
    return std::vector<Output>{body(row[0])};
  };
  return map_fn(step, std::vector<Output>{elements}, options).front();
}

}  // namespace hub
