#pragma once

// Functions made of a graph's parts, and a function's body with its gradient taken apart.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "graph/flow_context.h"
#include "graph/function.h"
#include "graph/graph_state.h"

namespace hub {

// What a function is made of. A tensor of `renamed` is read under its new identity.
struct FunctionParts {
  std::string name;
  std::vector<OutputId> inputs;  // sources
  std::vector<OutputId> outputs;
  std::set<int> nodes;  // sources are left out
  std::vector<int> targets = {};
  std::map<OutputId, OutputId, OutputIdLess> renamed = {};
};
std::shared_ptr<const FunctionDef> make_function(const GraphData& graph,
                                                 const FunctionParts& parts);

// A name that no function of the library has.
std::string unique_function_name(const GraphState& graph, const std::string& base);
// Adds the function, and those of `from` that the graph does not have.
void add_functions(GraphState& graph, std::shared_ptr<const FunctionDef> function,
                   const GraphData& from);

// A function's body and the nodes of its gradient, in one graph.
class Derivative {
 public:
  // `given` says which outputs have a gradient; their dtypes, where the output is a resource, are
  // those of `dy_dtypes`. In a loop an argument that the body changes is no argument of the
  // backward part, but kept from each iteration.
  Derivative(const GraphState& outer, const FunctionRef& function, const std::vector<bool>& given,
             const std::vector<DType>& dy_dtypes, bool is_loop);

  GraphState& graph() { return *state_; }
  const std::vector<OutputId>& args() const { return args_; }
  const std::vector<OutputId>& outputs() const { return outputs_; }
  // What the backward part needs of the forward part.
  const std::vector<OutputId>& taps() const { return taps_; }
  DType dtype(OutputId id) const { return state_->data().fact(id).dtype; }
  bool is_invariant(std::size_t arg) const {
    return arg < outputs_.size() && outputs_[arg] == args_[arg];
  }
  // The gradient to each argument; not valid where there is none.
  const std::vector<OutputId>& dxs() const { return dxs_; }
  // The gradient to an output as the backward part's argument; not valid where none is given.
  const std::vector<OutputId>& dys() const { return dys_; }
  void set_dx(std::size_t arg, OutputId dx) { dxs_[arg] = dx; }

  OutputId add_source(const std::string& name, DType dtype);
  OutputId add_node(const std::string& type, std::vector<OutputId> inputs, AttrMap attrs = {},
                    int output = 0);
  // Splits the nodes anew, after nodes were added.
  void split();

  // A tensor for what the forward part keeps: alive also where the tap's branch is not taken.
  OutputId revived(OutputId tap);
  // What was kept (`value`) as the backward part reads it: dead where the branch was not taken.
  OutputId gated(OutputId tap, OutputId value,
                 const std::map<OutputId, OutputId, OutputIdLess>& renamed);
  // Something of the dtype.
  OutputId filler(DType dtype);

  // `inputs` are after the arguments; `extra` after the outputs.
  std::shared_ptr<const FunctionDef> forward(const std::string& name,
                                             const std::vector<OutputId>& inputs,
                                             const std::vector<OutputId>& extra);
  std::shared_ptr<const FunctionDef> backward(
      const std::string& name, const std::vector<OutputId>& inputs,
      const std::vector<OutputId>& outputs,
      const std::map<OutputId, OutputId, OutputIdLess>& renamed);

 private:
  std::set<int> closure(const std::vector<OutputId>& outputs, const std::set<int>& until) const;

  std::shared_ptr<GraphState> state_;
  std::vector<OutputId> args_;
  std::vector<OutputId> outputs_;
  std::vector<int> targets_;
  std::vector<OutputId> dys_;
  std::vector<OutputId> dxs_;
  std::vector<OutputId> taps_;
  std::set<int> forward_;
  bool is_loop_;
  int next_ = 0;
};

}  // namespace hub
