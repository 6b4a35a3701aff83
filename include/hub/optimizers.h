#pragma once

// Optimisers: steps that lower a loss, with TensorFlow's nodes and slot variables, so that
// checkpoints of TensorFlow 1 continue.
//
//   hub::train::AdamOptimizer optimizer(1e-4);
//   hub::Operation step = optimizer.minimize(loss);
//   session.initialize();                    // the slots are variables, too
//   session.run(step);

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/gradients.h"
#include "hub/graph.h"
#include "hub/variables.h"

namespace hub::train {

struct GradientAndVariable {
  GradientValue gradient;
  Variable variable;
};

struct MinimizeOptions {
  std::vector<Variable> variables = {};  // none: the graph's trainable ones
  Variable global_step = {};             // counted up by each step, where there is one
  Output grad_loss = {};                 // the weight of the loss; none: 1
  std::string name = {};                 // of the step; the optimiser's
};

// Adds nodes to the graph of what it is given; keeps the slots that it has made there. One thread
// at a time. Hyper-parameters are numbers or scalars of the graph (a schedule's).
class HUB_EXPORT Optimizer {
 public:
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // The gradient of `loss` to each variable; parts of a partitioned one are variables.
  // Errors: of kind value where there are no variables, or the loss is not of a floating dtype.
  std::vector<GradientAndVariable> compute_gradients(const Output& loss,
                                                     const MinimizeOptions& options = {}) const;
  // The step: all updates, then the global step's. Gradients that are not there are left out.
  // Errors: of kind value where none is there.
  Operation apply_gradients(const std::vector<GradientAndVariable>& gradients,
                            const Variable& global_step = {}, std::string_view name = {});
  // Both. Errors: those of both.
  Operation minimize(const Output& loss, const MinimizeOptions& options = {});

  // The slot of a variable ("momentum"); no variable where there is none.
  Variable slot(const Variable& variable, std::string_view name) const;
  // All that the optimiser has made.
  std::vector<Variable> variables() const;

 protected:
  explicit Optimizer(std::string name) : name_(std::move(name)) {}

  // What the subclasses say of themselves.
  virtual void create_slots(const std::vector<Variable>& variables);
  virtual Operation apply_dense(const Variable& variable, const Output& gradient) = 0;
  // `indices` occur once each, unless `adds_duplicates` says that they need not.
  virtual Operation apply_sparse(const Variable& variable, const Output& rows,
                                 const Output& indices) = 0;
  virtual bool adds_duplicates() const { return false; }
  virtual Operation finish(const std::vector<Operation>& updates, std::string_view name);

  // A slot of this initial value, named after the variable and the optimiser: "w/Adam_1".
  void make_slot(const Variable& variable, std::string_view slot, const Initializer& value);
  void make_slot(const Variable& variable, std::string_view slot, double value);
  Variable required_slot(const Variable& variable, std::string_view slot) const;
  // A variable that belongs to no other: "beta1_power".
  void make_variable_once(std::string_view name, double value, const Variable& beside);
  Variable own_variable(std::string_view name) const;
  // A hyper-parameter as a scalar of the variable's dtype.
  Output scalar(const Variable& variable, std::string_view name, const Input& value);
  // The op on variables ("ApplyMomentum"; "ResourceApplyMomentum" for resources): variables
  // first, then tensors.
  Operation update(std::string_view op, const std::vector<Variable>& variables,
                   const std::vector<Output>& tensors, const Attrs& attrs = {}) const;

  const std::string& name() const { return name_; }

 private:
  struct Key {
    const GraphState* graph;
    std::string variable;
    std::string slot;
    auto operator<=>(const Key&) const = default;
  };

  Operation update_one(const GradientAndVariable& pair);

  std::string name_;
  std::map<Key, Variable> slots_;
  std::map<Key, Output> scalars_;  // of one apply_gradients
};

// var -= learning_rate * gradient.
class HUB_EXPORT GradientDescentOptimizer : public Optimizer {
 public:
  explicit GradientDescentOptimizer(Input learning_rate, std::string name = "GradientDescent");

 protected:
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;
  bool adds_duplicates() const override { return true; }

 private:
  Input learning_rate_;
};

// accumulator = momentum * accumulator + gradient; var -= learning_rate * accumulator.
class HUB_EXPORT MomentumOptimizer : public Optimizer {
 public:
  MomentumOptimizer(Input learning_rate, Input momentum, bool use_nesterov = false,
                    std::string name = "Momentum");

 protected:
  void create_slots(const std::vector<Variable>& variables) override;
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;

 private:
  Input learning_rate_;
  Input momentum_;
  bool use_nesterov_;
};

struct AdamParameters {
  Input beta1 = 0.9;
  Input beta2 = 0.999;
  Input epsilon = 1e-8;  // outside of the bias correction
  std::string name = "Adam";
};
// https://arxiv.org/abs/1412.6980. A sparse gradient moves the moments of all rows.
class HUB_EXPORT AdamOptimizer : public Optimizer {
 public:
  explicit AdamOptimizer(Input learning_rate = 0.001, AdamParameters parameters = {});

 protected:
  void create_slots(const std::vector<Variable>& variables) override;
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;
  Operation finish(const std::vector<Operation>& updates, std::string_view name) override;

 private:
  Output moment(const Variable& slot, const Output& rows, const Output& indices,
                const Output& beta) const;
  Input learning_rate_;
  AdamParameters parameters_;
};

// accumulator += gradient^2; var -= learning_rate * gradient / sqrt(accumulator).
class HUB_EXPORT AdagradOptimizer : public Optimizer {
 public:
  explicit AdagradOptimizer(Input learning_rate, double initial_accumulator_value = 0.1,
                            std::string name = "Adagrad");

 protected:
  void create_slots(const std::vector<Variable>& variables) override;
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;

 private:
  Input learning_rate_;
  double initial_accumulator_value_;
};

struct AdadeltaParameters {
  Input rho = 0.95;
  Input epsilon = 1e-8;
  std::string name = "Adadelta";
};
// https://arxiv.org/abs/1212.5701
class HUB_EXPORT AdadeltaOptimizer : public Optimizer {
 public:
  explicit AdadeltaOptimizer(Input learning_rate = 0.001, AdadeltaParameters parameters = {});

 protected:
  void create_slots(const std::vector<Variable>& variables) override;
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;

 private:
  Input learning_rate_;
  AdadeltaParameters parameters_;
};

struct RmsPropParameters {
  Input decay = 0.9;
  Input momentum = 0.0;
  Input epsilon = 1e-10;  // inside of the root
  bool centered = false;  // the mean of the gradients is taken off
  std::string name = "RMSProp";
};
// The mean square starts at 1.
class HUB_EXPORT RmsPropOptimizer : public Optimizer {
 public:
  explicit RmsPropOptimizer(Input learning_rate, RmsPropParameters parameters = {});

 protected:
  void create_slots(const std::vector<Variable>& variables) override;
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;

 private:
  Operation apply(const Variable& variable, const Output& gradient, const Output* indices);
  Input learning_rate_;
  RmsPropParameters parameters_;
};

struct FtrlParameters {
  double learning_rate_power = -0.5;
  double initial_accumulator_value = 0.1;
  double l1_regularization_strength = 0;
  double l2_regularization_strength = 0;
  double l2_shrinkage_regularization_strength = 0;
  double beta = 0;
  std::string name = "Ftrl";
};
// https://www.eecs.tufts.edu/~dsculley/papers/ad-click-prediction.pdf
class HUB_EXPORT FtrlOptimizer : public Optimizer {
 public:
  // Errors: of kind value for a power above 0, or strengths below.
  explicit FtrlOptimizer(double learning_rate, FtrlParameters parameters = {});

 protected:
  void create_slots(const std::vector<Variable>& variables) override;
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;

 private:
  Operation apply(const Variable& variable, const Output& gradient, const Output* indices);
  double learning_rate_;
  FtrlParameters parameters_;
};

struct ProximalParameters {
  Input l1_regularization_strength = 0.0;
  Input l2_regularization_strength = 0.0;
  std::string name = {};
};
// Gradient descent, then soft thresholds (l1) and shrinkage (l2).
class HUB_EXPORT ProximalGradientDescentOptimizer : public Optimizer {
 public:
  explicit ProximalGradientDescentOptimizer(Input learning_rate,
                                            ProximalParameters parameters = {});

 protected:
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;

 private:
  Input learning_rate_;
  ProximalParameters parameters_;
};

// Adagrad, then the same.
class HUB_EXPORT ProximalAdagradOptimizer : public Optimizer {
 public:
  explicit ProximalAdagradOptimizer(Input learning_rate, double initial_accumulator_value = 0.1,
                                    ProximalParameters parameters = {});

 protected:
  void create_slots(const std::vector<Variable>& variables) override;
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;

 private:
  Input learning_rate_;
  double initial_accumulator_value_;
  ProximalParameters parameters_;
};

struct AdamWeightDecayParameters {
  double weight_decay_rate = 0.01;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-6;
  // Variables whose names hold one of these do not decay.
  std::vector<std::string> exclude_from_weight_decay = {"LayerNorm", "layer_norm", "bias"};
  std::string name = "AdamWeightDecayOptimizer";
};
// BERT's (google-research/bert, optimization.py): without bias correction; the decay is added to
// the update. Sparse gradients are made dense.
class HUB_EXPORT AdamWeightDecayOptimizer : public Optimizer {
 public:
  explicit AdamWeightDecayOptimizer(Input learning_rate, AdamWeightDecayParameters parameters = {});

 protected:
  void create_slots(const std::vector<Variable>& variables) override;
  Operation apply_dense(const Variable& variable, const Output& gradient) override;
  Operation apply_sparse(const Variable& variable, const Output& rows,
                         const Output& indices) override;

 private:
  Input learning_rate_;
  AdamWeightDecayParameters parameters_;
};

}  // namespace hub::train
