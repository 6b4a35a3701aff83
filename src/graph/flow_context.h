#pragma once

// The loops and conditionals of TensorFlow 1 while they are written: what an added node's inputs
// become inside of one, and what a file says of it (CondContextDef, WhileContextDef), so that
// TensorFlow can differentiate what is exported (tensorflow/python/ops/control_flow_ops.py).

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

class FlowContext {
 public:
  FlowContext(GraphState& graph, std::string name, FlowContext* outer)
      : graph_(graph), name_(std::move(name)), outer_(outer) {}
  virtual ~FlowContext();
  FlowContext(const FlowContext&) = delete;
  FlowContext& operator=(const FlowContext&) = delete;

  const std::string& name() const { return name_; }
  FlowContext* outer() const { return outer_; }

  // The tensor as nodes inside see it.
  virtual OutputId add_value(OutputId value) = 0;
  // A node was added inside: its inputs become what add_value says.
  virtual void add_op(int node) = 0;
  // A node was added inside of a context that this one holds.
  virtual void add_inner_op(int node) { add_op(node); }
  // The tensor that runs where the inside runs.
  virtual OutputId control_pivot() const = 0;
  virtual bool is_while() const = 0;
  virtual struct ControlFlowContext to_def() const = 0;

  // Says that the tensor is inside, or that an inside one stands for an outer one.
  void add_known(OutputId value) { values_.insert(value); }
  bool knows(OutputId value) const { return values_.contains(value); }
  // What `inside` is called in the context around this one, all the way out.
  void set_external(OutputId outside, OutputId inside) { external_[outside] = inside; }

 protected:
  ContextValues values_def() const;
  std::vector<struct ControlFlowContext> nested_defs() const;
  // Takes away control inputs from outside of the loop around; gives what was left.
  std::vector<int> remove_outer_controls(int node, std::vector<int>* removed) const;

  GraphState& graph_;
  std::string name_;
  FlowContext* outer_;
  std::set<OutputId, OutputIdLess> values_;
  std::map<OutputId, OutputId, OutputIdLess> external_;
};

// The loop that the context stands in (or is); nullptr where it stands in none.
const FlowContext* loop_around(const FlowContext* context);
// The context of a node's outputs: an Exit belongs to what is around its loop.
FlowContext* output_context(const GraphState& graph, int node);

}  // namespace hub
