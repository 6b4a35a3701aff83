// Loops while they are written (WhileContext of tensorflow/python/ops/control_flow_ops.py).

#include <algorithm>

#include "graph/flow_context.h"
#include "graph/graph_state.h"

namespace hub {
namespace {

bool is_constant_enter(const GraphState& graph, int node) {
  if (control_flow_of(graph, node) != ControlFlow::kEnter) return false;
  return attr_value<bool>(graph.data().node(node).attrs, graph.data().node(node).name,
                          "is_constant");
}

}  // namespace

OutputId WhileFlow::add_value(OutputId value) {
  const bool is_new = !knows(value) && graph_.context_of(value.node) != this;
  if (!is_new) return inside_of(value);
  add_known(value);
  OutputId outside = value;
  if (outer_ != nullptr) outside = outer_->add_value(value);
  OutputId enter;
  {
    const ControlDependencies none(Graph(graph_.shared_from_this()));
    enter = add_enter(graph_, outside, name_, true, parallel_iterations);
  }
  adopt_enters({enter});
  add_known(enter);
  add_external(value, enter);
  return enter;
}

void WhileFlow::add_op(int node) {
  const std::string& type = graph_.data().node(node).op_name;
  if (type == "PartitionedCall" || type == "StatefulPartitionedCall")
    graph_.add_control_input(node, control_pivot().node);
  const std::vector<OutputId> inputs = graph_.data().node(node).inputs;
  std::set<int> outer_controls;
  if (inputs.empty()) {
    if (remove_outer_controls(node, &outer_controls).empty())
      graph_.add_control_input(node, control_pivot().node);
  } else {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const OutputId inside = add_value(inputs[i]);
      if (inside != inputs[i]) graph_.set_input(node, static_cast<int>(i), inside);
    }
    remove_outer_controls(node, &outer_controls);
    wait_for_pivot_where_free(node);
  }
  add_known_outputs(node, false);
  if (!outer_controls.empty()) pull_in(node, outer_controls);
}

// A node that depends on loop invariants alone would run before the loop does.
void WhileFlow::wait_for_pivot_where_free(int node) {
  const Node& added = graph_.data().node(node);
  if (!added.control_inputs.empty()) return;
  const bool free =
      added.op == nullptr || std::ranges::all_of(added.inputs, [&](const OutputId& input) {
        return is_constant_enter(graph_, input.node);
      });
  if (free) graph_.add_control_input(node, control_pivot().node);
}

// What is waited for outside of the loop enters it as data.
void WhileFlow::pull_in(int node, const std::set<int>& outer_controls) {
  const Graph face(graph_.shared_from_this());
  for (const int control : outer_controls) {
    if (graph_.data().node(control).outputs.empty()) continue;
    const ControlDependencies none(face);
    const FlowScope inside(graph_, this);
    const int entered = graph_.create_scoped("Identity", {{control, 0}}, {}, "Identity");
    graph_.add_control_input(node, entered);
  }
}

// WhileContext._FixControlInputsAndContext: an Enter waits for what is around the loop, within
// the loop around that.
void WhileFlow::adopt_enters(const std::vector<OutputId>& added) {
  for (const OutputId enter : added) {
    const int input = graph_.data().node(enter.node).inputs[0].node;
    for (const int control : graph_.new_control_inputs({input})) {
      const FlowContext* wanted = output_context(graph_, control);
      const FlowContext* outer_loop = loop_around(outer_);
      const FlowContext* context = outer_;
      bool keep = true;
      while (context != wanted) {
        if (context == nullptr || context == outer_loop) {
          keep = false;
          break;
        }
        context = context->outer();
      }
      if (keep) graph_.add_control_input(enter.node, control);
    }
    graph_.set_context_of(enter.node, this);
    for (auto& scope : graph_.control_scopes) scope.seen.insert(enter.node);
  }
}

void WhileFlow::set_known(const std::vector<OutputId>& values) {
  values_.clear();
  values_.insert(values.begin(), values.end());
}

WhileContext WhileFlow::while_def() const {
  const auto name_of = [&](OutputId id) {
    return id.is_valid() ? graph_.data().output_name(id) : std::string();
  };
  WhileContext def;
  def.context_name = name_;
  def.parallel_iterations = parallel_iterations;
  def.back_prop = back_prop;
  def.swap_memory = swap_memory;
  def.pivot_name = name_of(pivot);
  def.pivot_for_pred_name = name_of(pivot_for_pred);
  def.pivot_for_body_name = name_of(pivot_for_body);
  for (const OutputId id : exits) def.loop_exit_names.push_back(name_of(id));
  for (const OutputId id : enters) def.loop_enter_names.push_back(name_of(id));
  def.maximum_iterations_name = name_of(maximum_iterations);
  def.values = values_def();
  def.nested = nested_defs();
  return def;
}

ControlFlowContext WhileFlow::to_def() const {
  ControlFlowContext def;
  def.context = while_def();
  return def;
}

}  // namespace hub
