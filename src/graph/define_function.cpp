// Functions written by a program: a graph becomes a FunctionDef.

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "graph/graph_state.h"
#include "hub/control_flow.h"

namespace hub {
namespace {

// Writes the nodes of `graph` as a function's body.
class FunctionWriter {
 public:
  FunctionWriter(const GraphData& graph, const std::vector<Output>& inputs) : graph_(graph) {
    for (const Output& input : inputs) inputs_.push_back(input.node());
  }

  FunctionDef write(const std::string& name, const std::vector<FunctionInput>& inputs,
                    const std::vector<Output>& outputs) {
    FunctionDef def;
    def.signature.name = name;
    for (const FunctionInput& input : inputs)
      def.signature.inputs.push_back(arg(input.name, input.dtype));
    for (int i = 0; i < graph_.num_nodes(); ++i) {
      const Node& node = graph_.node(i);
      if (is_input(i)) continue;
      if (is_stateful(node)) {
        def.signature.is_stateful = true;
        def.signature.control_outputs.push_back(node.name);
        def.control_returns[node.name] = node.name;
      }
      def.nodes.push_back(node_def(node));
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const std::string output = cat("output_", i);
      def.signature.outputs.push_back(arg(output, outputs[i].dtype()));
      def.returns[output] = reference({outputs[i].node(), outputs[i].index()});
    }
    return def;
  }

 private:
  static ArgDef arg(const std::string& name, DType dtype) {
    ArgDef result;
    result.name = name;
    result.type = dtype;
    return result;
  }

  bool is_input(int node) const { return std::ranges::count(inputs_, node) > 0; }

  bool is_stateful(const Node& node) const {
    if (node.op != nullptr) return node.op->def().stateful;
    const auto function = graph_.functions.find(node.op_name);
    return function != graph_.functions.end() && function->second->signature.is_stateful;
  }

  const OpDefMessage& schema_of(const Node& node) const {
    return node.op != nullptr ? node.op->schema()
                              : graph_.functions.find(node.op_name)->second->signature;
  }

  // "arg", or "node:output_name:index".
  std::string reference(OutputId id) const {
    const Node& node = graph_.node(id.node);
    if (is_input(id.node)) return node.name;
    const OpDefMessage& schema = schema_of(node);
    for (std::size_t i = 0; i < schema.outputs.size(); ++i) {
      if (id.index < node.output_arg_begins[i + 1])
        return cat(node.name, ":", schema.outputs[i].name, ":",
                   id.index - node.output_arg_begins[i]);
    }
    throw internal_error("a node has an output that its schema does not know. Details: \"",
                         node.name, "\".");
  }

  NodeDef node_def(const Node& node) const {
    NodeDef def;
    def.name = node.name;
    def.op = node.op_name;
    def.device = node.device;
    def.attrs = node.attrs;
    for (const OutputId input : node.inputs) def.inputs.push_back(reference(input));
    for (const std::int32_t control : node.control_inputs) {
      if (!is_input(control)) def.inputs.push_back(cat("^", graph_.node(control).name));
    }
    return def;
  }

  const GraphData& graph_;
  std::vector<int> inputs_;
};

}  // namespace

void define_function(const Graph& graph, const std::string& name,
                     const std::vector<FunctionInput>& inputs, const FunctionBuilder& body) {
  const Graph inner(std::make_shared<GraphState>(graph.state().data().registry()));
  for (const auto& [key, function] : graph.state().data().functions)
    inner.state().add_function(function);
  std::vector<Output> arguments;
  for (const FunctionInput& input : inputs) {
    arguments.push_back(
        inner.op("Placeholder", {}, {{"dtype", input.dtype}, {"shape", input.shape}}, input.name));
    if (arguments.back().op().name() != input.name) {
      throw invalid_argument("The inputs of a function have different names. Details: \"",
                             printable(input.name), "\" of \"", name, "\".");
    }
  }
  const std::vector<Output> outputs = with_context(
      [&] { return body(inner, arguments); }, [&] { return cat("in function \"", name, "\""); });
  for (const Output& output : outputs) id_of(output, inner.state());
  FunctionWriter writer(inner.state().data(), arguments);
  graph.state().add_function(
      std::make_shared<const FunctionDef>(writer.write(name, inputs, outputs)));
  // Functions that the body defined belong to the library too.
  for (const auto& [key, function] : inner.state().data().functions) {
    if (!graph.state().data().functions.contains(key)) graph.state().add_function(function);
  }
}

std::vector<Output> call_function(const Graph& graph, const std::string& function,
                                  const std::vector<Input>& inputs, std::string_view name) {
  const auto& functions = graph.state().data().functions;
  const auto found = functions.find(function);
  if (found == functions.end()) {
    throw not_found("The library has no such function. Details: \"", printable(function), "\".");
  }
  const OpDefMessage& signature = found->second->signature;
  std::vector<DType> given;
  for (const ArgDef& arg : signature.inputs) given.push_back(arg.type);
  std::vector<DType> results;
  for (const ArgDef& arg : signature.outputs) results.push_back(arg.type);
  const Operation call =
      graph.op(signature.is_stateful ? "StatefulPartitionedCall" : "PartitionedCall", inputs,
               {{"Tin", given}, {"Tout", results}, {"f", FunctionName{function}}}, name);
  std::vector<Output> outputs;
  for (int i = 0; i < call.num_outputs(); ++i) outputs.push_back(call.output(i));
  return outputs;
}

}  // namespace hub
