// Gradients of functions as functions.

#include "autodiff/gradients.h"
#include "base/strings.h"

namespace hub {
namespace {

// The gradient to an argument, zeros where there is none.
OutputId dense_or_zeros(const Graph& graph, const GradientValue& value, const Output& arg) {
  Output dx = dense_gradient(graph, value);
  if (!dx) dx = graph.op("ZerosLike", {arg});
  return {dx.node(), dx.index()};
}

}  // namespace

std::unique_ptr<FunctionBody> gradient_of_function(const FunctionRef& function,
                                                   const GraphData& library) {
  const auto custom = library.function_gradients.find(function.name);
  if (custom != library.function_gradients.end())
    return instantiate_function({custom->second, function.attrs, {}}, library);
  std::unique_ptr<FunctionBody> body = instantiate_function(function, library);
  const auto state = std::make_shared<GraphState>(library.registry());
  {
    const GraphEdit edit(*state);
    edit.data() = std::move(body->graph);
  }
  for (const Node& node : state->data().nodes()) {
    if (!node.name.starts_with('_')) state->unique_name(node.name, true);
  }
  const Graph graph(state);
  std::vector<Output> ys;
  std::vector<Output> xs;
  std::vector<Output> dys;
  auto result = std::make_unique<FunctionBody>(library.registry());
  result->inputs = body->inputs;
  for (const OutputId input : body->inputs) xs.push_back(state->output(input));
  for (std::size_t i = 0; i < body->outputs.size(); ++i) {
    ys.push_back(state->output(body->outputs[i]));
    OutputFact fact;
    fact.dtype = body->output_dtypes[i];
    const GraphEdit edit(*state);
    result->inputs.push_back({edit.data().add_source(cat("_dy/", i), "_Arg", fact), 0});
  }
  for (std::size_t i = 0; i < ys.size(); ++i)
    dys.push_back(state->output(result->inputs[xs.size() + i]));
  const std::vector<GradientValue> values = gradients(graph, ys, xs, dys);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    result->outputs.push_back(dense_or_zeros(graph, values[i], xs[i]));
    result->output_dtypes.push_back(state->data().fact(result->outputs.back()).dtype);
  }
  const GraphEdit edit(*state);
  result->graph = std::move(edit.data());
  return result;
}

}  // namespace hub
