#include "graph/flow_context.h"

#include "graph/graph_state.h"

namespace hub {

FlowContext::~FlowContext() = default;

ContextValues FlowContext::values_def() const {
  ContextValues def;
  for (const OutputId value : values_) def.values.push_back(graph_.data().output_name(value));
  for (const auto& [outside, inside] : external_)
    def.external_values[graph_.data().output_name(outside)] = graph_.data().output_name(inside);
  return def;
}

std::vector<ControlFlowContext> FlowContext::nested_defs() const {
  std::vector<ControlFlowContext> nested;
  for (const auto& context : graph_.flow_contexts) {
    if (context->outer() == this) nested.push_back(context->to_def());
  }
  return nested;
}

// ControlFlowContext._RemoveExternalControlEdges: only what is in the same loop may be waited for.
std::vector<int> FlowContext::remove_outer_controls(int node, std::vector<int>* removed) const {
  const FlowContext* loop = loop_around(this);
  std::vector<int> internal;
  std::set<int> outside;
  for (const int control : graph_.data().node(node).control_inputs) {
    const FlowContext* context = output_context(graph_, control);
    const bool inside = loop == nullptr || (context != nullptr && loop_around(context) == loop);
    if (inside) {
      internal.push_back(control);
    } else {
      outside.insert(control);
    }
  }
  if (!outside.empty()) graph_.remove_control_inputs(node, outside);
  if (removed != nullptr) removed->assign(outside.begin(), outside.end());
  return internal;
}

const FlowContext* loop_around(const FlowContext* context) {
  while (context != nullptr && !context->is_while()) context = context->outer();
  return context;
}

FlowContext* output_context(const GraphState& graph, int node) {
  FlowContext* context = graph.context_of(node);
  const Node& source = graph.data().node(node);
  const bool leaves = source.op != nullptr && source.op->def().control_flow == ControlFlow::kExit;
  return leaves && context != nullptr ? context->outer() : context;
}

}  // namespace hub
