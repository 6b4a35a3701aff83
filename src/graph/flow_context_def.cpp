// Contexts of loops and conditionals as read from files (from_proto in
// tensorflow/python/ops/control_flow_ops.py).

#include "base/errors.h"
#include "graph/flow_context.h"
#include "graph/graph_state.h"

namespace hub {
namespace {

class ContextReader {
 public:
  ContextReader(GraphState& graph, const std::string& prefix) : graph_(graph), prefix_(prefix) {}

  std::string prefixed(const std::string& name) const {
    return prefix_.empty() || name.empty() ? name : cat(prefix_, "/", name);
  }

  OutputId output(const std::string& name) const {
    return name.empty() ? OutputId() : graph_.data().find_output(prefixed(name));
  }

  // The tensors that are known inside; their nodes belong to the context.
  void read_values(const ContextValues& def, FlowContext& context) const {
    for (const auto& [outside, inside] : def.external_values) {
      // What was mapped to another tensor at the import keeps its own node.
      context.add_external(output(outside), output(inside));
    }
    for (const std::string& value : def.values) {
      const OutputId id = output(value);
      context.add_known(id);
      if (!def.external_values.contains(value)) graph_.set_context_of(id.node, &context);
    }
  }

  void read_nested(const std::vector<ControlFlowContext>& nested, FlowContext* outer) const {
    for (const ControlFlowContext& def : nested) {
      if (const auto* cond = std::get_if<CondContext>(&def.context))
        context_from_def(graph_, *cond, prefix_, outer);
      if (const auto* loop = std::get_if<WhileContext>(&def.context))
        context_from_def(graph_, *loop, prefix_, outer);
    }
  }

 private:
  GraphState& graph_;
  const std::string& prefix_;
};

}  // namespace

std::shared_ptr<FlowContext> context_from_def(GraphState& graph, const CondContext& def,
                                              const std::string& prefix, FlowContext* outer) {
  const ContextReader reader(graph, prefix);
  // CondContext.__init__ takes a name before it reads its own from the file; a conditional that is
  // written later has the next one.
  graph.unique_name("cond_text", true);
  auto context = std::make_shared<CondFlow>(graph, reader.prefixed(def.context_name), outer,
                                            reader.output(def.pred_name),
                                            reader.output(def.pivot_name), def.branch);
  graph.flow_contexts.push_back(context);
  reader.read_values(def.values, *context);
  reader.read_nested(def.nested, context.get());
  return context;
}

std::shared_ptr<FlowContext> context_from_def(GraphState& graph, const WhileContext& def,
                                              const std::string& prefix, FlowContext* outer) {
  const ContextReader reader(graph, prefix);
  auto context = std::make_shared<WhileFlow>(graph, reader.prefixed(def.context_name), outer);
  context->parallel_iterations = def.parallel_iterations;
  context->back_prop = def.back_prop;
  context->swap_memory = def.swap_memory;
  context->pivot = reader.output(def.pivot_name);
  context->pivot_for_pred = reader.output(def.pivot_for_pred_name);
  context->pivot_for_body = reader.output(def.pivot_for_body_name);
  context->maximum_iterations = reader.output(def.maximum_iterations_name);
  for (const std::string& name : def.loop_exit_names) context->exits.push_back(reader.output(name));
  for (const std::string& name : def.loop_enter_names)
    context->enters.push_back(reader.output(name));
  graph.flow_contexts.push_back(context);
  reader.read_values(def.values, *context);
  reader.read_nested(def.nested, context.get());
  return context;
}

}  // namespace hub
