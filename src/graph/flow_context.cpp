#include "graph/flow_context.h"

#include <algorithm>

#include "graph/graph_state.h"

namespace hub {

FlowContext::~FlowContext() = default;

OutputId FlowContext::inside_of(OutputId value) const {
  const auto found = external_.find(value);
  return found == external_.end() ? value : found->second;
}

ContextValues FlowContext::values_def() const {
  ContextValues def;
  for (const OutputId value : values_) def.values.push_back(graph_.data().output_name(value));
  std::ranges::sort(def.values);
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

// ControlFlowContext._RemoveExternalControlEdges.
std::vector<int> FlowContext::remove_outer_controls(int node, std::set<int>* removed) const {
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
  if (removed != nullptr) *removed = std::move(outside);
  return internal;
}

void FlowContext::add_known_outputs(int node, bool also_outside) {
  const int outputs = static_cast<int>(graph_.data().node(node).outputs.size());
  for (FlowContext* context = this; context != nullptr; context = context->outer_) {
    for (int i = 0; i < outputs; ++i) context->values_.insert({node, i});
    if (!also_outside) return;
  }
}

int add_switch(GraphState& graph, OutputId data, OutputId pred) {
  const Graph face(graph.shared_from_this());
  const Colocation colocation(face, graph.operation(data.node), true);
  const bool is_ref = graph.data().fact(data).is_ref;
  return graph.create_scoped(is_ref ? "RefSwitch" : "Switch", {data, pred}, {}, "Switch");
}

OutputId add_enter(GraphState& graph, OutputId value, const std::string& frame, bool is_constant,
                   int parallel_iterations) {
  AttrMap attrs;
  attrs["frame_name"] = AttrValue(frame);
  attrs["is_constant"] = AttrValue(is_constant);
  attrs["parallel_iterations"] = AttrValue(std::int64_t{parallel_iterations});
  const bool is_ref = graph.data().fact(value).is_ref;
  return {graph.create_scoped(is_ref ? "RefEnter" : "Enter", {value}, std::move(attrs), "Enter"),
          0};
}

FlowScope::FlowScope(GraphState& graph, FlowContext* context)
    : graph_(graph), old_(std::exchange(graph.flow_context, context)) {}
FlowScope::~FlowScope() { graph_.flow_context = old_; }

const FlowContext* loop_around(const FlowContext* context) {
  while (context != nullptr && !context->is_while()) context = context->outer();
  return context;
}

ControlFlow control_flow_of(const GraphState& graph, int node) {
  const Op* op = graph.data().node(node).op;
  return op == nullptr ? ControlFlow::kNone : op->def().control_flow;
}

FlowContext* output_context(const GraphState& graph, int node) {
  FlowContext* context = graph.context_of(node);
  const bool leaves = control_flow_of(graph, node) == ControlFlow::kExit;
  return leaves && context != nullptr ? context->outer() : context;
}

CondFlow::CondFlow(GraphState& graph, std::string name, FlowContext* outer, OutputId pred,
                   OutputId pivot, int branch)
    : FlowContext(graph, std::move(name), outer), pred_(pred), pivot_(pivot), branch_(branch) {
  add_known(pred);
  add_external(pred, pred);
  add_known(pivot);
}

OutputId CondFlow::add_value(OutputId value) {
  if (knows(value)) return inside_of(value);
  OutputId result = value;
  add_known(value);
  if (outer_ != nullptr) {
    result = outer_->add_value(value);
    add_known(result);
    add_external(result, result);
  }
  int node = -1;
  {
    const ControlDependencies none(Graph(graph_.shared_from_this()));
    node = add_switch(graph_, result, pred_);
  }
  graph_.set_context_of(node, this);
  result = {node, branch_};
  for (FlowContext* context = this; context != nullptr; context = context->outer())
    context->add_known(result);
  add_external(value, result);
  return result;
}

void CondFlow::add_op(int node) {
  const std::vector<OutputId> inputs = graph_.data().node(node).inputs;
  if (inputs.empty()) {
    const std::vector<int> controls = remove_outer_controls(node, nullptr);
    const bool waits_inside = std::ranges::any_of(
        controls, [&](int control) { return output_context(graph_, control) == this; });
    if (!waits_inside) graph_.add_control_input(node, pivot_.node);
  } else {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const bool back_edge = control_flow_of(graph_, node) == ControlFlow::kMerge &&
                             control_flow_of(graph_, inputs[i].node) == ControlFlow::kNextIteration;
      const OutputId inside = back_edge ? inputs[i] : add_value(inputs[i]);
      if (inside != inputs[i]) graph_.set_input(node, static_cast<int>(i), inside);
    }
    remove_outer_controls(node, nullptr);
    if (graph_.data().node(node).op == nullptr) graph_.add_control_input(node, pivot_.node);
  }
  add_known_outputs(node, true);
}

OutputId CondFlow::result(OutputId value) {
  if (knows(value)) return inside_of(value);
  OutputId inside = value;
  add_known(value);
  if (outer_ != nullptr) {
    inside = outer_->add_value(value);
    add_known(inside);
    add_external(inside, inside);
  }
  inside = {add_switch(graph_, inside, pred_), branch_};
  add_external(value, inside);
  return inside;
}

CondContext CondFlow::cond_def() const {
  CondContext def;
  def.context_name = name_;
  def.pred_name = graph_.data().output_name(pred_);
  def.pivot_name = graph_.data().output_name(pivot_);
  def.branch = branch_;
  def.values = values_def();
  def.nested = nested_defs();
  return def;
}

ControlFlowContext CondFlow::to_def() const {
  ControlFlowContext def;
  def.context = cond_def();
  return def;
}

}  // namespace hub
