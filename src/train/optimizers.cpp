// The optimisers, each as its class in tensorflow/python/training.

#include <algorithm>

#include "base/errors.h"
#include "hub/ops.h"
#include "hub/optimizers.h"
#include "train/update_rule.h"

namespace hub::train {
namespace {

constexpr std::string_view kRate = "learning_rate";

void check_positive(double value) {
  if (value > 0) return;
  throw value_error("initial_accumulator_value must be positive. Details: got ", value, ".");
}

class GradientDescent final : public UpdateRule {
 public:
  explicit GradientDescent(Input learning_rate) : learning_rate_(std::move(learning_rate)) {}

  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, kRate, learning_rate_);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    const Output rate = state.scalar(variable, kRate);
    if (!gradient.is_sparse())
      return state.update("ApplyGradientDescent", {variable}, {rate}, gradient);
    const Output delta = gradient.values * rate;
    const Graph graph = variable.graph();
    if (variable.is_resource())
      return graph.op("ResourceScatterAdd", {variable.handle(), gradient.indices, -delta});
    return graph.op("ScatterSub", {variable.handle(), gradient.indices, delta});
  }
  bool adds_duplicates() const override { return true; }

 private:
  Input learning_rate_;
};

class Momentum final : public UpdateRule {
 public:
  Momentum(Input learning_rate, Input momentum, bool use_nesterov)
      : learning_rate_(std::move(learning_rate)),
        momentum_(std::move(momentum)),
        use_nesterov_(use_nesterov) {}

  void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const override {
    for (const Variable& variable : variables) state.make_slot(variable, "momentum", init::zeros());
  }
  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, kRate, learning_rate_);
    state.set_scalar(graph, "momentum", momentum_);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    return state.update("ApplyMomentum", {variable, state.slot(variable, "momentum")},
                        {state.scalar(variable, kRate)}, gradient,
                        {state.scalar(variable, "momentum")}, {{"use_nesterov", use_nesterov_}});
  }

 private:
  Input learning_rate_;
  Input momentum_;
  bool use_nesterov_;
};

class Adam final : public UpdateRule {
 public:
  Adam(Input learning_rate, AdamParameters parameters)
      : learning_rate_(std::move(learning_rate)), parameters_(std::move(parameters)) {}

  void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const override {
    const Variable& first = *std::ranges::min_element(variables, {}, &Variable::name);
    state.make_own("beta1_power", parameters_.beta1, first);
    state.make_own("beta2_power", parameters_.beta2, first);
    for (const Variable& variable : variables) {
      state.make_slot(variable, "m", init::zeros());
      state.make_slot(variable, "v", init::zeros());
    }
  }
  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, kRate, learning_rate_);
    state.set_scalar(graph, "beta1", parameters_.beta1);
    state.set_scalar(graph, "beta2", parameters_.beta2);
    state.set_scalar(graph, "epsilon", parameters_.epsilon);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    const Output beta1_power = power(state, "beta1_power", variable);
    const Output beta2_power = power(state, "beta2_power", variable);
    const Output rate = state.scalar(variable, kRate);
    const Output beta1 = state.scalar(variable, "beta1");
    const Output beta2 = state.scalar(variable, "beta2");
    const Output epsilon = state.scalar(variable, "epsilon");
    if (!gradient.is_sparse()) {
      return state.update("ApplyAdam",
                          {variable, state.slot(variable, "m"), state.slot(variable, "v")},
                          {beta1_power, beta2_power, rate, beta1, beta2, epsilon}, gradient);
    }
    const Output scaled = rate * ops::sqrt(Input(1) - beta2_power) / (Input(1) - beta1_power);
    const Output& rows = gradient.values;
    const Output m =
        moment(state.slot(variable, "m"), rows * (Input(1) - beta1), gradient.indices, beta1);
    const Output v = moment(state.slot(variable, "v"), rows * rows * (Input(1) - beta2),
                            gradient.indices, beta2);
    return variable.assign_sub(scaled * m / (ops::sqrt(v) + epsilon));
  }
  // The powers go on after all updates.
  Operation finish(const OptimizerState& state, const std::vector<Operation>& updates,
                   std::string_view name) const override {
    const Graph graph = updates.front().graph();
    std::vector<Operation> all = updates;
    {
      const ControlDependencies after(graph, updates);
      for (const auto& [power_name, beta] :
           {std::pair{"beta1_power", parameters_.beta1}, {"beta2_power", parameters_.beta2}}) {
        const Variable variable = state.own(power_name, graph);
        const Colocation colocation(graph, variable.op());
        all.push_back(variable.assign(Output(variable) * beta));
      }
    }
    return ops::group(graph, all, name);
  }

 private:
  static Output power(const OptimizerState& state, std::string_view name,
                      const Variable& variable) {
    const Output value = state.own(name, variable.graph());
    return value.dtype() == variable.dtype() ? value : ops::cast(value, variable.dtype());
  }

  // slot * beta, and then the rows added.
  static Output moment(const Variable& slot, const Output& rows, const Output& indices,
                       const Output& beta) {
    const Graph graph = slot.graph();
    const Operation scaled = slot.assign(Output(slot) * beta);
    const ControlDependencies after(graph, std::vector<Operation>{scaled});
    if (!slot.is_resource()) return graph.op("ScatterAdd", {slot.handle(), indices, rows});
    const Operation added = graph.op("ResourceScatterAdd", {slot.handle(), indices, rows});
    const ControlDependencies then(graph, std::vector<Operation>{added});
    return slot;
  }

  Input learning_rate_;
  AdamParameters parameters_;
};

class Adagrad final : public UpdateRule {
 public:
  Adagrad(Input learning_rate, double initial_accumulator_value)
      : learning_rate_(std::move(learning_rate)), initial_value_(initial_accumulator_value) {
    check_positive(initial_accumulator_value);
  }

  void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const override {
    for (const Variable& variable : variables)
      state.make_slot(variable, "accumulator", init::constant(initial_value_));
  }
  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, kRate, learning_rate_);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    return state.update("ApplyAdagrad", {variable, state.slot(variable, "accumulator")},
                        {state.scalar(variable, kRate)}, gradient);
  }

 private:
  Input learning_rate_;
  double initial_value_;
};

class Adadelta final : public UpdateRule {
 public:
  Adadelta(Input learning_rate, AdadeltaParameters parameters)
      : learning_rate_(std::move(learning_rate)), parameters_(std::move(parameters)) {}

  void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const override {
    for (const Variable& variable : variables) {
      state.make_slot(variable, "accum", init::zeros());
      state.make_slot(variable, "accum_update", init::zeros());
    }
  }
  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, "lr", learning_rate_);
    state.set_scalar(graph, "rho", parameters_.rho);
    state.set_scalar(graph, "epsilon", parameters_.epsilon);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    return state.update(
        "ApplyAdadelta",
        {variable, state.slot(variable, "accum"), state.slot(variable, "accum_update")},
        {state.scalar(variable, "lr"), state.scalar(variable, "rho"),
         state.scalar(variable, "epsilon")},
        gradient);
  }

 private:
  Input learning_rate_;
  AdadeltaParameters parameters_;
};

class RmsProp final : public UpdateRule {
 public:
  RmsProp(Input learning_rate, RmsPropParameters parameters)
      : learning_rate_(std::move(learning_rate)), parameters_(std::move(parameters)) {}

  void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const override {
    for (const Variable& variable : variables) {
      state.make_slot(variable, "rms", init::ones());
      if (parameters_.centered) state.make_slot(variable, "mg", init::zeros());
      state.make_slot(variable, "momentum", init::zeros());
    }
  }
  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, kRate, learning_rate_);
    state.set_scalar(graph, "decay", parameters_.decay);
    state.set_scalar(graph, "momentum", parameters_.momentum);
    state.set_scalar(graph, "epsilon", parameters_.epsilon);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    std::vector<Variable> variables = {variable};
    if (parameters_.centered) variables.push_back(state.slot(variable, "mg"));
    variables.push_back(state.slot(variable, "rms"));
    variables.push_back(state.slot(variable, "momentum"));
    return state.update(parameters_.centered ? "ApplyCenteredRMSProp" : "ApplyRMSProp", variables,
                        {state.scalar(variable, kRate), state.scalar(variable, "decay"),
                         state.scalar(variable, "momentum"), state.scalar(variable, "epsilon")},
                        gradient);
  }

 private:
  Input learning_rate_;
  RmsPropParameters parameters_;
};

class Ftrl final : public UpdateRule {
 public:
  Ftrl(double learning_rate, FtrlParameters parameters)
      : learning_rate_(learning_rate), parameters_(std::move(parameters)) {
    const auto check = [](double value, std::string_view name) {
      if (value < 0) throw value_error(name, " must not be negative. Details: got ", value, ".");
    };
    check(parameters_.initial_accumulator_value, "initial_accumulator_value");
    check(-parameters_.learning_rate_power, "the negative of learning_rate_power");
    check(parameters_.l1_regularization_strength, "l1_regularization_strength");
    check(parameters_.l2_regularization_strength, "l2_regularization_strength");
    check(parameters_.l2_shrinkage_regularization_strength, "l2_shrinkage_regularization_strength");
  }

  void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const override {
    for (const Variable& variable : variables) {
      state.make_slot(variable, "accum", init::constant(parameters_.initial_accumulator_value));
      state.make_slot(variable, "linear", init::zeros());
    }
  }
  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, kRate, learning_rate_);
    state.set_scalar(graph, "l1_regularization_strength", parameters_.l1_regularization_strength);
    // `beta` is added to the root of the accumulator: the same as more of l2.
    state.set_scalar(
        graph, "l2_regularization_strength",
        parameters_.l2_regularization_strength + parameters_.beta / (2 * learning_rate_));
    if (shrinks()) {
      state.set_scalar(graph, "l2_shrinkage_regularization_strength",
                       parameters_.l2_shrinkage_regularization_strength);
    }
    state.set_scalar(graph, "learning_rate_power", parameters_.learning_rate_power);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    std::vector<Output> after = {state.scalar(variable, kRate),
                                 state.scalar(variable, "l1_regularization_strength"),
                                 state.scalar(variable, "l2_regularization_strength")};
    if (shrinks()) after.push_back(state.scalar(variable, "l2_shrinkage_regularization_strength"));
    after.push_back(state.scalar(variable, "learning_rate_power"));
    return state.update(shrinks() ? "ApplyFtrlV2" : "ApplyFtrl",
                        {variable, state.slot(variable, "accum"), state.slot(variable, "linear")},
                        {}, gradient, after);
  }

 private:
  bool shrinks() const { return parameters_.l2_shrinkage_regularization_strength > 0; }

  double learning_rate_;
  FtrlParameters parameters_;
};

// Plain, or with Adagrad's accumulator.
class Proximal final : public UpdateRule {
 public:
  Proximal(Input learning_rate, ProximalParameters parameters,
           std::optional<double> initial_accumulator_value = {})
      : learning_rate_(std::move(learning_rate)),
        parameters_(std::move(parameters)),
        initial_value_(initial_accumulator_value) {
    if (initial_value_) check_positive(*initial_value_);
  }

  void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const override {
    if (!initial_value_) return;
    for (const Variable& variable : variables)
      state.make_slot(variable, "accumulator", init::constant(*initial_value_));
  }
  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, kRate, learning_rate_);
    state.set_scalar(graph, "l1_regularization_strength", parameters_.l1_regularization_strength);
    state.set_scalar(graph, "l2_regularization_strength", parameters_.l2_regularization_strength);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    std::vector<Variable> variables = {variable};
    if (initial_value_) variables.push_back(state.slot(variable, "accumulator"));
    return state.update(
        initial_value_ ? "ApplyProximalAdagrad" : "ApplyProximalGradientDescent", variables,
        {state.scalar(variable, kRate), state.scalar(variable, "l1_regularization_strength"),
         state.scalar(variable, "l2_regularization_strength")},
        gradient);
  }

 private:
  Input learning_rate_;
  ProximalParameters parameters_;
  std::optional<double> initial_value_;
};

class AdamWeightDecay final : public UpdateRule {
 public:
  AdamWeightDecay(Input learning_rate, AdamWeightDecayParameters parameters)
      : learning_rate_(std::move(learning_rate)), parameters_(std::move(parameters)) {}

  void create_slots(OptimizerState& state, const std::vector<Variable>& variables) const override {
    for (const Variable& variable : variables) {
      state.make_named_slot(variable, "m", "adam_m");
      state.make_named_slot(variable, "v", "adam_v");
    }
  }
  void prepare(OptimizerState& state, const Graph& graph) const override {
    state.set_scalar(graph, kRate, learning_rate_);
  }
  Operation apply(const OptimizerState& state, const Variable& variable,
                  const AppliedGradient& gradient) const override {
    const Graph graph = variable.graph();
    const Variable m = state.slot(variable, "m");
    const Variable v = state.slot(variable, "v");
    Output dense = gradient.values;
    if (gradient.is_sparse()) {
      const Output rows = ops::constant(graph, make_scalar(variable.shape().dim(0)));
      dense = graph.op("UnsortedSegmentSum", {gradient.values, gradient.indices, rows});
    }
    const Output next_m = Output(m) * parameters_.beta1 + dense * (1.0 - parameters_.beta1);
    const Output next_v =
        Output(v) * parameters_.beta2 + ops::square(dense) * (1.0 - parameters_.beta2);
    Output delta = next_m / (ops::sqrt(next_v) + parameters_.epsilon);
    if (decays(variable)) delta = delta + Output(variable) * parameters_.weight_decay_rate;
    const Output next = Output(variable) - delta * state.scalar(variable, kRate);
    return ops::group(graph, {variable.assign(next), m.assign(next_m), v.assign(next_v)});
  }

 private:
  bool decays(const Variable& variable) const {
    if (parameters_.weight_decay_rate == 0) return false;
    return std::ranges::none_of(
        parameters_.exclude_from_weight_decay,
        [&](const std::string& part) { return variable.name().find(part) != std::string::npos; });
  }

  Input learning_rate_;
  AdamWeightDecayParameters parameters_;
};

std::string name_or(const ProximalParameters& parameters, std::string_view otherwise) {
  return parameters.name.empty() ? std::string(otherwise) : parameters.name;
}

}  // namespace

GradientDescentOptimizer::GradientDescentOptimizer(Input learning_rate, std::string name)
    : Optimizer(std::move(name), std::make_unique<GradientDescent>(std::move(learning_rate))) {}

MomentumOptimizer::MomentumOptimizer(Input learning_rate, Input momentum, bool use_nesterov,
                                     std::string name)
    : Optimizer(std::move(name), std::make_unique<Momentum>(std::move(learning_rate),
                                                            std::move(momentum), use_nesterov)) {}

AdamOptimizer::AdamOptimizer(Input learning_rate, AdamParameters parameters)
    : Optimizer(parameters.name, std::make_unique<Adam>(std::move(learning_rate), parameters)) {}

AdagradOptimizer::AdagradOptimizer(Input learning_rate, double initial_accumulator_value,
                                   std::string name)
    : Optimizer(std::move(name),
                std::make_unique<Adagrad>(std::move(learning_rate), initial_accumulator_value)) {}

AdadeltaOptimizer::AdadeltaOptimizer(Input learning_rate, AdadeltaParameters parameters)
    : Optimizer(parameters.name, std::make_unique<Adadelta>(std::move(learning_rate), parameters)) {
}

RmsPropOptimizer::RmsPropOptimizer(Input learning_rate, RmsPropParameters parameters)
    : Optimizer(parameters.name, std::make_unique<RmsProp>(std::move(learning_rate), parameters)) {}

FtrlOptimizer::FtrlOptimizer(double learning_rate, FtrlParameters parameters)
    : Optimizer(parameters.name, std::make_unique<Ftrl>(learning_rate, parameters)) {}

ProximalGradientDescentOptimizer::ProximalGradientDescentOptimizer(Input learning_rate,
                                                                   ProximalParameters parameters)
    : Optimizer(name_or(parameters, "ProximalGradientDescent"),
                std::make_unique<Proximal>(std::move(learning_rate), parameters)) {}

ProximalAdagradOptimizer::ProximalAdagradOptimizer(Input learning_rate,
                                                   double initial_accumulator_value,
                                                   ProximalParameters parameters)
    : Optimizer(name_or(parameters, "ProximalAdagrad"),
                std::make_unique<Proximal>(std::move(learning_rate), parameters,
                                           initial_accumulator_value)) {}

AdamWeightDecayOptimizer::AdamWeightDecayOptimizer(Input learning_rate,
                                                   AdamWeightDecayParameters parameters)
    : Optimizer(parameters.name,
                std::make_unique<AdamWeightDecay>(std::move(learning_rate), parameters)) {}

}  // namespace hub::train
