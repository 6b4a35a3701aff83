#pragma once

// The loops and conditionals of TensorFlow 1 while they are written: what the inputs of a node
// become that is added inside of one, and what a file says of it (CondContextDef,
// WhileContextDef), so that TensorFlow can differentiate what is exported. The rules are those of
// tensorflow/python/ops/control_flow_ops.py.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "format/variable_def.h"
#include "graph/graph_data.h"

namespace hub {

class GraphState;

struct OutputIdLess {
  bool operator()(const OutputId& a, const OutputId& b) const {
    return a.node != b.node ? a.node < b.node : a.index < b.index;
  }
};

// Lives as long as its graph.
class FlowContext {
 public:
  FlowContext(GraphState& graph, std::string name, FlowContext* outer)
      : graph_(graph), name_(std::move(name)), outer_(outer) {}
  virtual ~FlowContext();
  FlowContext(const FlowContext&) = delete;
  FlowContext& operator=(const FlowContext&) = delete;

  const std::string& name() const { return name_; }
  FlowContext* outer() const { return outer_; }

  // The tensor as nodes inside see it: behind a Switch or an Enter where it comes from outside.
  virtual OutputId add_value(OutputId value) = 0;
  // A node was added inside: its inputs become what add_value says.
  virtual void add_op(int node) = 0;
  // The tensor that is alive where the inside runs; invalid where there is none yet.
  virtual OutputId control_pivot() const = 0;
  virtual bool is_while() const = 0;
  virtual struct ControlFlowContext to_def() const = 0;

  // Says that the tensor is known inside.
  void add_known(OutputId value) { values_.insert(value); }
  bool knows(OutputId value) const { return values_.contains(value); }
  // Says that `inside` stands for `outside`.
  void add_external(OutputId outside, OutputId inside) { external_[outside] = inside; }
  // What is put for a tensor from outside; the tensor itself where nothing is.
  OutputId inside_of(OutputId value) const;

 protected:
  ContextValues values_def() const;
  std::vector<struct ControlFlowContext> nested_defs() const;
  // Takes away control inputs from outside of the loop around; gives those that stay.
  std::vector<int> remove_outer_controls(int node, std::set<int>* removed) const;
  void add_known_outputs(int node, bool also_outside);

  GraphState& graph_;
  std::string name_;
  FlowContext* outer_;
  std::set<OutputId, OutputIdLess> values_;
  std::map<OutputId, OutputId, OutputIdLess> external_;
};

// One branch of a conditional.
class CondFlow final : public FlowContext {
 public:
  CondFlow(GraphState& graph, std::string name, FlowContext* outer, OutputId pred, OutputId pivot,
           int branch);
  OutputId add_value(OutputId value) override;
  void add_op(int node) override;
  OutputId control_pivot() const override { return pivot_; }
  bool is_while() const override { return false; }
  ControlFlowContext to_def() const override;
  CondContext cond_def() const;
  // A tensor that the branch gives.
  OutputId result(OutputId value);

 private:
  OutputId pred_;
  OutputId pivot_;
  int branch_;
};

// A loop.
class WhileFlow final : public FlowContext {
 public:
  WhileFlow(GraphState& graph, std::string name, FlowContext* outer)
      : FlowContext(graph, std::move(name), outer) {}
  OutputId add_value(OutputId value) override;
  void add_op(int node) override;
  OutputId control_pivot() const override {
    return pivot_for_body.is_valid() ? pivot_for_body : pivot_for_pred;
  }
  bool is_while() const override { return true; }
  ControlFlowContext to_def() const override;
  WhileContext while_def() const;
  // Puts Enters into the loop, and lets them wait for what they should.
  void adopt_enters(const std::vector<OutputId>& enters);
  void set_known(const std::vector<OutputId>& values);

  int parallel_iterations = 10;
  bool back_prop = true;
  bool swap_memory = false;
  OutputId maximum_iterations;
  OutputId pivot;  // LoopCond
  OutputId pivot_for_pred;
  OutputId pivot_for_body;
  std::vector<OutputId> exits;
  std::vector<OutputId> enters;

 private:
  void wait_for_pivot_where_free(int node);
  void pull_in(int node, const std::set<int>& outer_controls);
};

// Switch or RefSwitch, placed where `data` is.
int add_switch(GraphState& graph, OutputId data, OutputId pred);
// Enter or RefEnter.
OutputId add_enter(GraphState& graph, OutputId value, const std::string& frame, bool is_constant,
                   int parallel_iterations);

// The context is the current one while it lives.
class FlowScope {
 public:
  FlowScope(GraphState& graph, FlowContext* context);
  ~FlowScope();
  FlowScope(const FlowScope&) = delete;
  FlowScope& operator=(const FlowScope&) = delete;

 private:
  GraphState& graph_;
  FlowContext* old_;
};

// The loop that the context stands in (or is); nullptr where it stands in none.
const FlowContext* loop_around(const FlowContext* context);
// The context of a node's outputs: an Exit belongs to what is around its loop.
FlowContext* output_context(const GraphState& graph, int node);
ControlFlow control_flow_of(const GraphState& graph, int node);

// Contexts read from a file: `prefix` ("scope" or "") was put before all names. The nodes are in
// the graph. Errors: NOT_FOUND for a name that is not.
std::shared_ptr<FlowContext> context_from_def(GraphState& graph, const CondContext& def,
                                              const std::string& prefix, FlowContext* outer);
std::shared_ptr<FlowContext> context_from_def(GraphState& graph, const WhileContext& def,
                                              const std::string& prefix, FlowContext* outer);

}  // namespace hub
