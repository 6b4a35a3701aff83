#include "autodiff/conditionals.h"

#include <array>
#include <set>

#include "base/errors.h"

namespace hub {

bool is_op(const Node& node, std::string_view name) {
  return node.op_name == name ||
         (node.op_name.starts_with("Ref") && node.op_name.substr(3) == name);
}

Branch find_branch(const GraphData& graph, OutputId from) {
  struct Step {
    OutputId id;
    int depth;
  };
  std::vector<Step> todo = {{from, 0}};
  std::set<std::pair<int, int>> seen;
  while (!todo.empty()) {
    const Step step = todo.back();
    todo.pop_back();
    const Node& node = graph.node(step.id.node);
    int depth = step.depth;
    if (is_op(node, "Switch")) {
      if (depth == 0) return {step.id.node, step.id.index};
      --depth;
    } else if (is_op(node, "Merge")) {
      ++depth;
    }
    if (!seen.insert({step.id.node, depth}).second) continue;
    for (const std::int32_t control : node.control_inputs) todo.push_back({{control, 0}, depth});
    for (const OutputId input : node.inputs) {
      if (input.is_valid()) todo.push_back({input, depth});
    }
  }
  return {};
}

std::vector<Branch> branches_around(const GraphData& graph, OutputId from) {
  std::vector<Branch> result;
  while (true) {
    const Branch branch = find_branch(graph, from);
    if (branch.switch_node < 0) return result;
    result.push_back(branch);
    from = graph.node(branch.switch_node).inputs[1];
  }
}

Gradients merge_gradient(GradientContext& c) {
  Gradients result = c.pad({});
  for (int i = 0; i < c.num_inputs(); ++i) {
    const Branch branch =
        find_branch(c.state().data(), c.node().inputs[static_cast<std::size_t>(i)]);
    if (branch.switch_node < 0)
      throw unimplemented("Merge: its gradient needs the Switch that its inputs come from.");
    const OutputId predicate = c.state().data().node(branch.switch_node).inputs[1];
    const Operation parts = c.many("Switch", {c.dy(), c.state().output(predicate)});
    result[static_cast<std::size_t>(i)] = parts.output(branch.output);
  }
  return result;
}

Gradients switch_gradient(GradientContext& c) {
  std::array<Output, 2> parts;
  for (int i = 0; i < 2; ++i) {
    if (c.has_dy(i)) {
      parts[static_cast<std::size_t>(i)] = c.dy(i);
    } else if (c.dtype(0) == DType::kResource) {
      const DType dtype = c.dy(1 - i).dtype();
      parts[static_cast<std::size_t>(i)] =
          c.op("ZerosLike", {c.op("ReadVariableOp", {c.output(i)}, {{"dtype", dtype}})});
    } else {
      parts[static_cast<std::size_t>(i)] = c.op("ZerosLike", {c.output(i)});
    }
  }
  return {c.op("Merge", {parts[0], parts[1]}, {{"N", 2}}), {}};
}

}  // namespace hub
