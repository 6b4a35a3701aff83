#pragma once

// What an optimiser says of itself, and what it may use.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/graph.h"
#include "hub/optimizers.h"
#include "hub/variables.h"

namespace hub::train {

// A gradient as it is applied: dense, or rows of these indices.
struct AppliedGradient {
  Output values;
  Output indices = {};  // no tensor: dense
  bool is_sparse() const { return indices.is_valid(); }
};

// The slots of an optimiser, and its hyper-parameters in the graph of one step.
class OptimizerState {
 public:
  explicit OptimizerState(std::string optimizer_name) : name_(std::move(optimizer_name)) {}

  const std::string& name() const { return name_; }

  // A variable for each variable, called after both: "w/Adam_1". Made once.
  void make_slot(const Variable& variable, std::string_view slot, const Initializer& value);
  // The same of a name that the optimiser chooses: "w/adam_m".
  void make_named_slot(const Variable& variable, std::string_view slot, std::string_view name);
  Variable find_slot(const Variable& variable, std::string_view slot) const;
  // Errors: INTERNAL where it was not made.
  Variable slot(const Variable& variable, std::string_view slot) const;

  // A variable of the optimiser itself, in the graph of `beside` and placed there: "beta1_power".
  void make_own(std::string_view name, double value, const Variable& beside);
  Variable own(std::string_view name, const Graph& graph) const;

  std::vector<Variable> variables() const;

  // Hyper-parameters of the step that is being written: TensorFlow makes float32 constants of
  // numbers first, and casts them where variables have other dtypes.
  void begin_step() { scalars_.clear(); }
  void set_scalar(const Graph& graph, std::string_view name, const Input& value);
  Output scalar(const Variable& variable, std::string_view name) const;

  // The op of the update: "ApplyMomentum", or "ResourceSparseApplyMomentum". It takes the
  // variables, tensors, the gradient (and its indices), tensors.
  Operation update(std::string_view op, const std::vector<Variable>& variables,
                   const std::vector<Output>& before, const AppliedGradient& gradient,
                   const std::vector<Output>& after = {}, const Attrs& attrs = {}) const;

 private:
  struct Key {
    const GraphState* graph = nullptr;
    std::string variable;  // empty: the optimiser's own
    std::string slot;
    auto operator<=>(const Key&) const = default;
  };
  static Key key_of(const Variable& variable, std::string_view slot);
  static Key own_key(std::string_view name, const Graph& graph);

  std::string name_;
  std::map<Key, Variable> slots_;
  std::map<std::string, Output, std::less<>> scalars_;
};

// One way of updating variables. Immutable.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  virtual void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const;
  // Says the hyper-parameters (set_scalar).
  virtual void prepare(OptimizerState& state, const Graph& graph) const = 0;
  // Indices occur once each, unless `adds_duplicates`.
  virtual Operation apply(const OptimizerState& state, const Variable& variable,
                          const AppliedGradient& gradient) const = 0;
  virtual bool adds_duplicates() const { return false; }
  // What the step is, after all updates.
  virtual Operation finish(const OptimizerState& state, const std::vector<Operation>& updates,
                           std::string_view name) const;
};

}  // namespace hub::train
