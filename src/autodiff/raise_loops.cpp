#include <vector>

#include "autodiff/calls.h"
#include "autodiff/conditionals.h"
#include "autodiff/function_parts.h"
#include "autodiff/structure.h"
#include "graph/loops.h"

namespace hub {
namespace {

// While nodes for loops.
class LoopRaiser {
 public:
  explicit LoopRaiser(GraphState& graph) : graph_(graph) {}

  void run(const std::vector<Output>& ys) {
    while (true) {
      std::vector<Loop> loops = find_innermost_loops(graph_.data(), used(ys));
      if (loops.empty()) return;
      for (const Loop& loop : loops) raise(loop);
    }
  }

 private:
  // What the ys need, and all Exits of the loops in it.
  std::vector<bool> used(const std::vector<Output>& ys) const {
    const GraphData& graph = graph_.data();
    std::vector<bool> result(static_cast<std::size_t>(graph.num_nodes()), false);
    std::vector<int> todo;
    const auto keep = [&](int node) {
      if (node < 0 || result[static_cast<std::size_t>(node)]) return;
      result[static_cast<std::size_t>(node)] = true;
      todo.push_back(node);
    };
    for (const Output& y : ys) keep(y.node());
    while (!todo.empty()) {
      const Node& node = graph.node(todo.back());
      todo.pop_back();
      for (const OutputId input : node.inputs) keep(input.node);
      for (const std::int32_t control : node.control_inputs) keep(control);
    }
    for (int i = 0; i < graph.num_nodes(); ++i) {
      const Node& node = graph.node(i);
      if (is_op(node, "Exit") && node.inputs[0].is_valid() &&
          result[static_cast<std::size_t>(node.inputs[0].node)]) {
        result[static_cast<std::size_t>(i)] = true;
      }
    }
    return result;
  }

  std::string add_part(const FunctionBody& part, const char* what, std::size_t variables) {
    FunctionParts parts = {.name = unique_function_name(graph_, what),
                           .inputs = part.inputs,
                           .outputs = part.outputs,
                           .nodes = {},
                           .targets = part.targets};
    // The body hands on what it captures.
    if (variables > 0) {
      parts.outputs.insert(parts.outputs.end(),
                           part.inputs.begin() + static_cast<std::ptrdiff_t>(variables),
                           part.inputs.end());
    }
    for (int i = 0; i < part.graph.num_nodes(); ++i) parts.nodes.insert(i);
    graph_.add_function(make_function(part.graph, parts));
    return parts.name;
  }

  void raise(const Loop& loop) {
    const std::size_t variables = loop.variables.size();
    AttrMap attrs;
    attrs["cond"] = function_ref(add_part(*loop.condition, "loop_condition", 0));
    attrs["body"] = function_ref(add_part(*loop.body, "loop_body", variables));
    std::vector<OutputId> inputs;
    for (const LoopVariable& variable : loop.variables)
      inputs.push_back(graph_.data().node(variable.enter).inputs[0]);
    inputs.insert(inputs.end(), loop.captured.begin(), loop.captured.end());
    attrs["T"] = types_attr(dtypes_of(graph_.data(), inputs));
    attrs[std::string(kRaisedLoop)] = AttrValue(true);
    const int node = graph_.create("While", inputs, std::move(attrs), loop.frame_name);
    for (const int control : loop.control_inputs) graph_.add_control_input(node, control);
    for (std::size_t i = 0; i < variables; ++i) {
      const OutputFact& fact = graph_.data().fact({loop.variables[i].merge, 0});
      graph_.set_shape({node, static_cast<int>(i)}, fact.shape);
      for (const int exit : loop.variables[i].exits)
        become_identity(exit, {node, static_cast<int>(i)});
    }
  }

  void become_identity(int exit, OutputId value) {
    const DType dtype = graph_.data().fact(value).dtype;
    {
      const GraphEdit edit(graph_);
      Node& node = edit.data().mutable_node(exit);
      node.op = edit.data().registry().find("Identity");
      node.op_name = "Identity";
      node.control_inputs.clear();
      node.attrs.clear();
      node.inputs = {value};
    }
    graph_.set_attr(exit, "T", AttrValue(dtype));
  }

  GraphState& graph_;
};

}  // namespace

void raise_loops(GraphState& graph, const std::vector<Output>& ys) { LoopRaiser(graph).run(ys); }

}  // namespace hub
