// cond and while_loop, node by node as TensorFlow 1 writes them (tensorflow/python/ops/cond.py,
// while_loop.py, control_flow_ops.py).

#include "hub/control_flow.h"

#include "base/errors.h"
#include "graph/flow_context.h"
#include "graph/graph_state.h"

namespace hub {
namespace {

Output identity(const Output& x, std::string_view name = {}) {
  return x.graph().op("Identity", {x}, {}, name);
}

void collect(GraphState& state, std::string_view key, const std::shared_ptr<FlowContext>& context) {
  if (context->outer() == nullptr) state.collections[std::string(key)].push_back({context});
}

// One branch: its nodes, in a context of its own.
std::vector<OutputId> build_branch(const Graph& graph, const std::shared_ptr<CondFlow>& context,
                                   const Branch& branch, std::string_view which) {
  GraphState& state = graph.state();
  state.flow_contexts.push_back(context);
  const FlowScope inside(state, context.get());
  std::vector<OutputId> results;
  for (const Output& output : branch()) results.push_back(context->result(id_of(output, state)));
  if (results.empty())
    throw value_error("A branch of a conditional gives at least one tensor. Details: the ", which,
                      " branch gives none.");
  if (context->outer() != nullptr) {
    for (const OutputId result : results) context->outer()->add_known(result);
  }
  return results;
}

Output merge(GraphState& state, OutputId a, OutputId b) {
  const bool refs = state.data().fact(a).is_ref && state.data().fact(b).is_ref;
  return state.output({state.create_scoped(refs ? "RefMerge" : "Merge", {a, b}, {}, "Merge"), 0});
}

std::string context_name(GraphState& state, std::string_view name) {
  return state.unique_name(name, true);
}

}  // namespace

std::vector<Output> cond_branches(const Output& predicate, const Branch& true_branch,
                                  const Branch& false_branch, std::string_view name) {
  const Graph graph = predicate.graph();
  GraphState& state = graph.state();
  const NameScope scope(graph, name.empty() ? "cond" : name);
  const Operation pivots = graph.op("Switch", {predicate, predicate});
  const Output pivot_true = identity(pivots.output(1), "switch_t");
  const Output pivot_false = identity(pivots.output(0), "switch_f");
  const OutputId pred = id_of(identity(predicate, "pred_id"), state);
  const auto add_branch = [&](const Output& pivot, int number, const Branch& branch,
                              std::string_view which) {
    auto context =
        std::make_shared<CondFlow>(state, context_name(state, "cond_text"), state.flow_context,
                                   pred, id_of(pivot, state), number);
    state.set_context_of(pivot.node(), context.get());
    return std::pair(context, build_branch(graph, context, branch, which));
  };
  const auto [context_true, results_true] = add_branch(pivot_true, 1, true_branch, "true");
  const auto [context_false, results_false] = add_branch(pivot_false, 0, false_branch, "false");
  if (results_true.size() != results_false.size()) {
    throw value_error("Both branches of a conditional give the same number of tensors. Details: ",
                      results_true.size(), " and ", results_false.size(), ".");
  }
  std::vector<Output> merged;
  for (std::size_t i = 0; i < results_true.size(); ++i) {
    const DType a = state.data().fact(results_true[i]).dtype;
    const DType b = state.data().fact(results_false[i]).dtype;
    if (a != b) {
      throw value_error("Outputs of true_fn and false_fn must have the same type. Details: output ",
                        i, " is ", a, " and ", b, ".");
    }
    merged.push_back(merge(state, results_false[i], results_true[i]));
  }
  collect(state, Collections::kCondContext, context_true);
  collect(state, Collections::kCondContext, context_false);
  return merged;
}

namespace {

// What is known of `inside` may not be more than `outside` allows.
bool allows(const PartialShape& outside, const PartialShape& inside) {
  if (!outside.has_rank()) return true;
  if (!inside.has_rank() || inside.rank() != outside.rank()) return false;
  for (int i = 0; i < outside.rank(); ++i) {
    if (outside.dim(i) >= 0 && outside.dim(i) != inside.dim(i)) return false;
  }
  return true;
}

class LoopWriter {
 public:
  LoopWriter(const Graph& graph, WhileFlow& context) : graph_(graph), context_(context) {}

  std::vector<Output> write(const LoopCondition& condition, const LoopBody& body,
                            const std::vector<OutputId>& initial,
                            const std::vector<PartialShape>& invariants) {
    const FlowScope inside(state(), &context_);
    enter(initial, invariants);
    std::vector<Output> merges;
    for (const OutputId id : context_.enters) merges.push_back(merge(state(), id, id));
    context_.pivot_for_pred = id_of(merges[0], state());
    const Output holds = condition(merges);
    context_.pivot = id_of(Output(graph_.op("LoopCond", {holds})), state());
    std::vector<int> switches;
    for (const Output& variable : merges)
      switches.push_back(add_switch(state(), id_of(variable, state()), context_.pivot));
    std::vector<Output> variables;
    for (const int node : switches) {
      variables.push_back(identity(state().output({node, 1})));
      if (variables.size() == 1) context_.pivot_for_body = id_of(variables[0], state());
    }
    close(merges, body(variables));
    std::vector<Output> exits;
    for (const int node : switches) {
      exits.push_back(graph_.op("Exit", {state().output({node, 0})}));
      context_.exits.push_back(id_of(exits.back(), state()));
    }
    if (context_.outer() != nullptr) {
      for (const OutputId exit : context_.exits) context_.outer()->add_known(exit);
    }
    return exits;
  }

 private:
  GraphState& state() const { return graph_.state(); }

  void enter(const std::vector<OutputId>& initial, const std::vector<PartialShape>& invariants) {
    context_.set_known(initial);
    std::vector<OutputId> values;
    for (const OutputId value : initial) {
      values.push_back(context_.outer() != nullptr ? context_.outer()->add_value(value) : value);
    }
    {
      const ControlDependencies none(graph_);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const PartialShape shape = state().data().fact(values[i]).shape;
        const OutputId entered =
            add_enter(state(), values[i], context_.name(), false, context_.parallel_iterations);
        if (!allows(invariants[i], shape)) {
          throw value_error(
              "A loop variable's initial shape must fit its shape invariant. Details: ",
              state().data().output_name(values[i]), " of shape ", shape, ", invariant ",
              invariants[i], ".");
        }
        const GraphEdit edit(state());
        edit.data().mutable_node(entered.node).outputs[0].shape = invariants[i];
        context_.enters.push_back(entered);
      }
    }
    wait_for_outer_pivot(values);
    context_.adopt_enters(context_.enters);
    context_.set_known(context_.enters);
  }

  // What enters an outer loop as a constant would start this one before that iteration begins.
  void wait_for_outer_pivot(const std::vector<OutputId>& values) {
    OutputId pivot;
    for (const FlowContext* outer = context_.outer(); outer != nullptr && !pivot.is_valid();
         outer = outer->outer()) {
      pivot = outer->control_pivot();
    }
    if (!pivot.is_valid()) return;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Node& source = state().data().node(values[i].node);
      if (control_flow_of(state(), values[i].node) == ControlFlow::kEnter &&
          attr_value<bool>(source.attrs, source.name, "is_constant")) {
        state().add_control_input(context_.enters[i].node, pivot.node);
      }
    }
  }

  void close(const std::vector<Output>& merges, const std::vector<Output>& results) {
    if (results.size() != merges.size()) {
      throw value_error("A loop's body gives as many tensors as the loop has variables. Details: ",
                        results.size(), " and ", merges.size(), ".");
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      id_of(results[i], state());
      if (results[i].dtype() != merges[i].dtype()) {
        throw value_error("A loop variable keeps its dtype. Details: variable ", i, " is ",
                          merges[i].dtype(), ", the body gives ", results[i].dtype(), ".");
      }
      const PartialShape shape = results[i].shape();
      const Output next = graph_.op("NextIteration", {results[i]});
      if (!allows(merges[i].shape(), shape)) {
        const Output entered = merges[i].op().input(0);
        throw value_error(
            "A loop variable's shape may only vary where shape_invariants says so. "
            "Details: variable ",
            i, ", ", entered.op().input(0).name(), ", enters the loop with shape ",
            merges[i].shape(), ", but has shape ", shape, " after one iteration.");
      }
      state().set_input(merges[i].node(), 1, id_of(next, state()));
    }
  }

  const Graph& graph_;
  WhileFlow& context_;
};

// The variables as tensors: numbers become constants.
std::vector<Output> as_tensors(const Graph& graph, const std::vector<Input>& inputs) {
  std::vector<Output> result;
  for (const Input& input : inputs) {
    if (const Output* output = input.output()) {
      result.push_back(*output);
    } else if (const auto* read = std::get_if<VariableRead>(&input.value())) {
      result.push_back(graph.state().output(
          graph.state().read_variable(id_of(read->handle, graph.state()), read->dtype)));
    } else {
      result.push_back(graph.op("Const", {}, constant_attrs(input)));
    }
  }
  return result;
}

}  // namespace

std::vector<Output> while_loop(const Graph& graph, const LoopCondition& condition,
                               const LoopBody& body, const std::vector<Input>& variables,
                               const WhileOptions& options) {
  if (variables.empty()) throw value_error("A loop needs at least one variable.");
  if (options.parallel_iterations < 1) {
    throw value_error("'parallel_iterations' must be a positive integer. Details: got ",
                      options.parallel_iterations, ".");
  }
  if (!options.shape_invariants.empty() && options.shape_invariants.size() != variables.size()) {
    throw value_error("There is one shape invariant for each loop variable. Details: ",
                      options.shape_invariants.size(), " for ", variables.size(), " variables.");
  }
  GraphState& state = graph.state();
  const NameScope scope(graph, options.name.empty() ? "while" : std::string_view(options.name));
  Output maximum;
  std::vector<Output> all;
  LoopCondition full_condition = condition;
  LoopBody full_body = body;
  if (options.maximum_iterations) {
    const Input& given = *options.maximum_iterations;
    maximum = given.output() != nullptr
                  ? *given.output()
                  : graph.op("Const", {}, constant_attrs(given), "maximum_iterations").output(0);
    all.push_back(graph.op("Const", {},
                           constant_attrs(make_scalar_of(maximum.dtype(), std::int64_t{0})),
                           "iteration_counter"));
    const auto rest = [](const std::vector<Output>& v) {
      return std::vector<Output>(v.begin() + 1, v.end());
    };
    full_condition = [&, rest](const std::vector<Output>& v) -> Output {
      const Output below = graph.op("Less", {v[0], maximum});
      return graph.op("LogicalAnd", {below, condition(rest(v))});
    };
    full_body = [&, rest](const std::vector<Output>& v) {
      std::vector<Output> next = {graph.op("AddV2", {v[0], 1}, {}, "add")};
      for (const Output& output : body(rest(v))) next.push_back(output);
      return next;
    };
  }
  auto context =
      std::make_shared<WhileFlow>(state, context_name(state, "while_context"), state.flow_context);
  context->parallel_iterations = options.parallel_iterations;
  context->back_prop = options.back_prop;
  context->swap_memory = options.swap_memory;
  if (maximum) context->maximum_iterations = id_of(maximum, state);
  state.flow_contexts.push_back(context);
  collect(state, Collections::kWhileContext, context);
  for (const Output& variable : as_tensors(graph, variables)) all.push_back(variable);
  std::vector<OutputId> initial;
  std::vector<PartialShape> invariants;
  for (std::size_t i = 0; i < all.size(); ++i) {
    initial.push_back(id_of(all[i], state));
    const std::size_t given = i - (maximum ? 1 : 0);
    invariants.push_back(options.shape_invariants.empty() || (maximum && i == 0)
                             ? all[i].shape()
                             : options.shape_invariants[given]);
  }
  std::vector<Output> exits =
      LoopWriter(graph, *context).write(full_condition, full_body, initial, invariants);
  if (maximum) exits.erase(exits.begin());
  return exits;
}

}  // namespace hub
