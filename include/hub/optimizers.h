#pragma once

// Optimisers: steps that lower a loss, with TensorFlow's nodes and slot variables, so that
// checkpoints of TensorFlow 1 continue.
//
//   hub::train::AdamOptimizer optimizer(1e-4);
//   hub::Operation step = optimizer.minimize(loss);
//   session.initialize();                    // the slots are variables, too
//   session.run(step);

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/gradients.h"
#include "hub/graph.h"
#include "hub/variables.h"

namespace hub::train {

class UpdateRule;
class OptimizerState;

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

// Adds nodes to the graphs of what it is given, and keeps the slots that it has made there. One
// thread at a time. Hyper-parameters are numbers, or scalars of the graph (a schedule's).
class HUB_EXPORT Optimizer {
 public:
  ~Optimizer();
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  // The gradient of `loss` (any shape; its elements are added up) to each variable; parts of a
  // partitioned one are variables.
  // Errors: of kind value where there are no variables, or the loss is not of a floating dtype;
  // those of hub::gradients.
  std::vector<GradientAndVariable> compute_gradients(const Output& loss,
                                                     const MinimizeOptions& options = {}) const;
  // The step: all updates, then the global step's. Gradients that are not there are left out. It
  // waits for the control dependencies around, and stands in the collection "train_op".
  // Errors: of kind value where no gradient is there.
  Operation apply_gradients(const std::vector<GradientAndVariable>& gradients,
                            const Variable& global_step = {}, std::string_view name = {});
  // Both. Errors: those of both.
  Operation minimize(const Output& loss, const MinimizeOptions& options = {});

  // The slot of a variable ("momentum", "m"...); no variable where there is none.
  Variable slot(const Variable& variable, std::string_view name) const;
  // All that the optimiser has made.
  std::vector<Variable> variables() const;

 protected:
  Optimizer(std::string name, std::unique_ptr<UpdateRule> rule);

 private:
  std::unique_ptr<UpdateRule> rule_;
  std::unique_ptr<OptimizerState> state_;
};

// var -= learning_rate * gradient.
class HUB_EXPORT GradientDescentOptimizer : public Optimizer {
 public:
  explicit GradientDescentOptimizer(Input learning_rate, std::string name = "GradientDescent");
};

// accumulator = momentum * accumulator + gradient; var -= learning_rate * accumulator. Slot
// "momentum".
class HUB_EXPORT MomentumOptimizer : public Optimizer {
 public:
  MomentumOptimizer(Input learning_rate, Input momentum, bool use_nesterov = false,
                    std::string name = "Momentum");
};

struct AdamParameters {
  // Numbers: the variables "beta1_power" and "beta2_power" begin with them.
  double beta1 = 0.9;
  double beta2 = 0.999;
  Input epsilon = 1e-8;  // outside of the bias correction
  std::string name = "Adam";
};
// https://arxiv.org/abs/1412.6980. Slots "m" and "v"; a sparse gradient moves them for all rows.
class HUB_EXPORT AdamOptimizer : public Optimizer {
 public:
  explicit AdamOptimizer(Input learning_rate = 0.001, AdamParameters parameters = {});
};

// accumulator += gradient^2; var -= learning_rate * gradient / sqrt(accumulator). Slot
// "accumulator". Errors: of kind value for an initial value that is not positive.
class HUB_EXPORT AdagradOptimizer : public Optimizer {
 public:
  explicit AdagradOptimizer(Input learning_rate, double initial_accumulator_value = 0.1,
                            std::string name = "Adagrad");
};

struct AdadeltaParameters {
  Input rho = 0.95;
  Input epsilon = 1e-8;
  std::string name = "Adadelta";
};
// https://arxiv.org/abs/1212.5701. Slots "accum" and "accum_update".
class HUB_EXPORT AdadeltaOptimizer : public Optimizer {
 public:
  explicit AdadeltaOptimizer(Input learning_rate = 0.001, AdadeltaParameters parameters = {});
};

struct RmsPropParameters {
  Input decay = 0.9;
  Input momentum = 0.0;
  Input epsilon = 1e-10;  // inside of the root
  bool centered = false;  // the mean of the gradients is taken off
  std::string name = "RMSProp";
};
// Slots "rms" (from 1), "momentum", and "mg" where it is centred.
class HUB_EXPORT RmsPropOptimizer : public Optimizer {
 public:
  explicit RmsPropOptimizer(Input learning_rate, RmsPropParameters parameters = {});
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
// https://www.eecs.tufts.edu/~dsculley/papers/ad-click-prediction.pdf. Slots "accum", "linear".
// Errors: of kind value for a power above 0, and for strengths or a first value below.
class HUB_EXPORT FtrlOptimizer : public Optimizer {
 public:
  explicit FtrlOptimizer(double learning_rate, FtrlParameters parameters = {});
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
};
// Adagrad, then the same. Slot "accumulator". Errors: as AdagradOptimizer's.
class HUB_EXPORT ProximalAdagradOptimizer : public Optimizer {
 public:
  explicit ProximalAdagradOptimizer(Input learning_rate, double initial_accumulator_value = 0.1,
                                    ProximalParameters parameters = {});
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
// the update. Variables "w/adam_m" and "w/adam_v", slots "m" and "v". Sparse gradients are made
// dense.
class HUB_EXPORT AdamWeightDecayOptimizer : public Optimizer {
 public:
  explicit AdamWeightDecayOptimizer(Input learning_rate, AdamWeightDecayParameters parameters = {});
};

}  // namespace hub::train
