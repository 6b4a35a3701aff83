// The optimisers, each as its class in tensorflow/python/training.

#include <algorithm>

#include "base/errors.h"
#include "hub/ops.h"
#include "hub/optimizers.h"

namespace hub::train {

// --- gradient descent ---

GradientDescentOptimizer::GradientDescentOptimizer(Input learning_rate, std::string name)
    : Optimizer(std::move(name)), learning_rate_(std::move(learning_rate)) {}

Operation GradientDescentOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  const Output rate = scalar(variable, "learning_rate", learning_rate_);
  return update("ApplyGradientDescent", {variable}, {rate, gradient});
}

Operation GradientDescentOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                                 const Output& indices) {
  const Output delta = rows * scalar(variable, "learning_rate", learning_rate_);
  const Graph graph = variable.graph();
  if (variable.is_resource())
    return graph.op("ResourceScatterAdd", {variable.handle(), indices, -delta});
  return graph.op("ScatterSub", {variable.handle(), indices, delta});
}

// --- momentum ---

MomentumOptimizer::MomentumOptimizer(Input learning_rate, Input momentum, bool use_nesterov,
                                     std::string name)
    : Optimizer(std::move(name)),
      learning_rate_(std::move(learning_rate)),
      momentum_(std::move(momentum)),
      use_nesterov_(use_nesterov) {}

void MomentumOptimizer::create_slots(const std::vector<Variable>& variables) {
  for (const Variable& variable : variables) make_slot(variable, "momentum", 0);
}

Operation MomentumOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  return update("ApplyMomentum", {variable, required_slot(variable, "momentum")},
                {scalar(variable, "learning_rate", learning_rate_), gradient,
                 scalar(variable, "momentum", momentum_)},
                {{"use_nesterov", use_nesterov_}});
}

Operation MomentumOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                          const Output& indices) {
  return update("SparseApplyMomentum", {variable, required_slot(variable, "momentum")},
                {scalar(variable, "learning_rate", learning_rate_), rows, indices,
                 scalar(variable, "momentum", momentum_)},
                {{"use_nesterov", use_nesterov_}});
}

// --- Adam ---

AdamOptimizer::AdamOptimizer(Input learning_rate, AdamParameters parameters)
    : Optimizer(parameters.name),
      learning_rate_(std::move(learning_rate)),
      parameters_(std::move(parameters)) {}

void AdamOptimizer::create_slots(const std::vector<Variable>& variables) {
  const Variable& first = *std::ranges::min_element(variables, {}, &Variable::name);
  const auto number = [](const Input& value) {
    const auto* real = std::get_if<double>(&value.value());
    if (real != nullptr) return *real;
    throw value_error("beta1 and beta2 are numbers where their powers begin.");
  };
  make_variable_once("beta1_power", number(parameters_.beta1), first);
  make_variable_once("beta2_power", number(parameters_.beta2), first);
  for (const Variable& variable : variables) {
    make_slot(variable, "m", 0);
    make_slot(variable, "v", 0);
  }
}

Operation AdamOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  return update(
      "ApplyAdam", {variable, required_slot(variable, "m"), required_slot(variable, "v")},
      {scalar(variable, "beta1_power", Output(own_variable("beta1_power"))),
       scalar(variable, "beta2_power", Output(own_variable("beta2_power"))),
       scalar(variable, "learning_rate", learning_rate_),
       scalar(variable, "beta1", parameters_.beta1), scalar(variable, "beta2", parameters_.beta2),
       scalar(variable, "epsilon", parameters_.epsilon), gradient});
}

// slot * beta, and then the rows added.
Output AdamOptimizer::moment(const Variable& slot, const Output& rows, const Output& indices,
                             const Output& beta) const {
  const Graph graph = slot.graph();
  const Operation scaled = slot.assign(Output(slot) * beta);
  const ControlDependencies after(graph, std::vector<Operation>{scaled});
  if (!slot.is_resource()) return graph.op("ScatterAdd", {slot.handle(), indices, rows});
  const Operation added = graph.op("ResourceScatterAdd", {slot.handle(), indices, rows});
  const ControlDependencies then(graph, std::vector<Operation>{added});
  return slot;
}

Operation AdamOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                      const Output& indices) {
  const Output beta1_power = scalar(variable, "beta1_power", Output(own_variable("beta1_power")));
  const Output beta2_power = scalar(variable, "beta2_power", Output(own_variable("beta2_power")));
  const Output beta1 = scalar(variable, "beta1", parameters_.beta1);
  const Output beta2 = scalar(variable, "beta2", parameters_.beta2);
  const Output rate = scalar(variable, "learning_rate", learning_rate_) *
                      ops::sqrt(Input(1) - beta2_power) / (Input(1) - beta1_power);
  const Output m = moment(required_slot(variable, "m"), rows * (Input(1) - beta1), indices, beta1);
  const Output v =
      moment(required_slot(variable, "v"), rows * rows * (Input(1) - beta2), indices, beta2);
  return variable.assign_sub(rate * m /
                             (ops::sqrt(v) + scalar(variable, "epsilon", parameters_.epsilon)));
}

// The powers go on after all updates.
Operation AdamOptimizer::finish(const std::vector<Operation>& updates, std::string_view name) {
  const Graph graph = updates.front().graph();
  std::vector<Operation> all = updates;
  {
    const ControlDependencies after(graph, updates);
    for (const auto& [power, beta] :
         {std::pair{"beta1_power", &parameters_.beta1}, {"beta2_power", &parameters_.beta2}}) {
      const Variable variable = own_variable(power);
      const Colocation colocation(graph, variable.op());
      all.push_back(variable.assign(Output(variable) * *beta));
    }
  }
  return ops::group(graph, all, name);
}

// --- Adagrad ---

AdagradOptimizer::AdagradOptimizer(Input learning_rate, double initial_accumulator_value,
                                   std::string name)
    : Optimizer(std::move(name)),
      learning_rate_(std::move(learning_rate)),
      initial_accumulator_value_(initial_accumulator_value) {
  if (initial_accumulator_value <= 0) {
    throw value_error("initial_accumulator_value must be positive: ", initial_accumulator_value,
                      ".");
  }
}

void AdagradOptimizer::create_slots(const std::vector<Variable>& variables) {
  for (const Variable& variable : variables)
    make_slot(variable, "accumulator", init::constant(initial_accumulator_value_));
}

Operation AdagradOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  return update("ApplyAdagrad", {variable, required_slot(variable, "accumulator")},
                {scalar(variable, "learning_rate", learning_rate_), gradient});
}

Operation AdagradOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                         const Output& indices) {
  return update("SparseApplyAdagrad", {variable, required_slot(variable, "accumulator")},
                {scalar(variable, "learning_rate", learning_rate_), rows, indices});
}

// --- Adadelta ---

AdadeltaOptimizer::AdadeltaOptimizer(Input learning_rate, AdadeltaParameters parameters)
    : Optimizer(parameters.name),
      learning_rate_(std::move(learning_rate)),
      parameters_(std::move(parameters)) {}

void AdadeltaOptimizer::create_slots(const std::vector<Variable>& variables) {
  for (const Variable& variable : variables) {
    make_slot(variable, "accum", 0);
    make_slot(variable, "accum_update", 0);
  }
}

Operation AdadeltaOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  return update(
      "ApplyAdadelta",
      {variable, required_slot(variable, "accum"), required_slot(variable, "accum_update")},
      {scalar(variable, "lr", learning_rate_), scalar(variable, "rho", parameters_.rho),
       scalar(variable, "epsilon", parameters_.epsilon), gradient});
}

Operation AdadeltaOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                          const Output& indices) {
  return update(
      "SparseApplyAdadelta",
      {variable, required_slot(variable, "accum"), required_slot(variable, "accum_update")},
      {scalar(variable, "lr", learning_rate_), scalar(variable, "rho", parameters_.rho),
       scalar(variable, "epsilon", parameters_.epsilon), rows, indices});
}

// --- RMSProp ---

RmsPropOptimizer::RmsPropOptimizer(Input learning_rate, RmsPropParameters parameters)
    : Optimizer(parameters.name),
      learning_rate_(std::move(learning_rate)),
      parameters_(std::move(parameters)) {}

void RmsPropOptimizer::create_slots(const std::vector<Variable>& variables) {
  for (const Variable& variable : variables) {
    make_slot(variable, "rms", init::ones());
    if (parameters_.centered) make_slot(variable, "mg", 0);
    make_slot(variable, "momentum", 0);
  }
}

Operation RmsPropOptimizer::apply(const Variable& variable, const Output& gradient,
                                  const Output* indices) {
  std::vector<Variable> variables = {variable};
  if (parameters_.centered) variables.push_back(required_slot(variable, "mg"));
  variables.push_back(required_slot(variable, "rms"));
  variables.push_back(required_slot(variable, "momentum"));
  std::vector<Output> tensors = {scalar(variable, "learning_rate", learning_rate_),
                                 scalar(variable, "decay", parameters_.decay),
                                 scalar(variable, "momentum", parameters_.momentum),
                                 scalar(variable, "epsilon", parameters_.epsilon), gradient};
  if (indices != nullptr) tensors.push_back(*indices);
  return update(cat(indices != nullptr ? "Sparse" : "", "Apply",
                    parameters_.centered ? "Centered" : "", "RMSProp"),
                variables, tensors);
}

Operation RmsPropOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  return apply(variable, gradient, nullptr);
}
Operation RmsPropOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                         const Output& indices) {
  return apply(variable, rows, &indices);
}

// --- FTRL ---

FtrlOptimizer::FtrlOptimizer(double learning_rate, FtrlParameters parameters)
    : Optimizer(parameters.name),
      learning_rate_(learning_rate),
      parameters_(std::move(parameters)) {
  const auto check = [](double value, std::string_view name) {
    if (value < 0) throw value_error(name, " ", value, " needs to be positive or zero.");
  };
  check(parameters_.initial_accumulator_value, "initial_accumulator_value");
  check(-parameters_.learning_rate_power, "the negative of learning_rate_power");
  check(parameters_.l1_regularization_strength, "l1_regularization_strength");
  check(parameters_.l2_regularization_strength, "l2_regularization_strength");
  check(parameters_.l2_shrinkage_regularization_strength, "l2_shrinkage_regularization_strength");
}

void FtrlOptimizer::create_slots(const std::vector<Variable>& variables) {
  for (const Variable& variable : variables) {
    make_slot(variable, "accum", init::constant(parameters_.initial_accumulator_value));
    make_slot(variable, "linear", 0);
  }
}

Operation FtrlOptimizer::apply(const Variable& variable, const Output& gradient,
                               const Output* indices) {
  const bool shrinks = parameters_.l2_shrinkage_regularization_strength > 0;
  // `beta` is added to the root of the accumulator: the same as more of l2.
  const double l2 =
      parameters_.l2_regularization_strength + parameters_.beta / (2 * learning_rate_);
  std::vector<Output> tensors = {gradient};
  if (indices != nullptr) tensors.push_back(*indices);
  tensors.push_back(scalar(variable, "learning_rate", learning_rate_));
  tensors.push_back(
      scalar(variable, "l1_regularization_strength", parameters_.l1_regularization_strength));
  tensors.push_back(scalar(variable, "l2_regularization_strength", l2));
  if (shrinks) {
    tensors.push_back(scalar(variable, "l2_shrinkage_regularization_strength",
                             parameters_.l2_shrinkage_regularization_strength));
  }
  tensors.push_back(scalar(variable, "learning_rate_power", parameters_.learning_rate_power));
  return update(cat(indices != nullptr ? "Sparse" : "", "ApplyFtrl", shrinks ? "V2" : ""),
                {variable, required_slot(variable, "accum"), required_slot(variable, "linear")},
                tensors);
}

Operation FtrlOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  return apply(variable, gradient, nullptr);
}
Operation FtrlOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                      const Output& indices) {
  return apply(variable, rows, &indices);
}

// --- proximal ones ---

namespace {

std::string name_or(const ProximalParameters& parameters, std::string_view otherwise) {
  return parameters.name.empty() ? std::string(otherwise) : parameters.name;
}

}  // namespace

ProximalGradientDescentOptimizer::ProximalGradientDescentOptimizer(Input learning_rate,
                                                                   ProximalParameters parameters)
    : Optimizer(name_or(parameters, "ProximalGradientDescent")),
      learning_rate_(std::move(learning_rate)),
      parameters_(std::move(parameters)) {}

Operation ProximalGradientDescentOptimizer::apply_dense(const Variable& variable,
                                                        const Output& gradient) {
  return update("ApplyProximalGradientDescent", {variable},
                {scalar(variable, "learning_rate", learning_rate_),
                 scalar(variable, "l1", parameters_.l1_regularization_strength),
                 scalar(variable, "l2", parameters_.l2_regularization_strength), gradient});
}

Operation ProximalGradientDescentOptimizer::apply_sparse(const Variable& variable,
                                                         const Output& rows,
                                                         const Output& indices) {
  return update("SparseApplyProximalGradientDescent", {variable},
                {scalar(variable, "learning_rate", learning_rate_),
                 scalar(variable, "l1", parameters_.l1_regularization_strength),
                 scalar(variable, "l2", parameters_.l2_regularization_strength), rows, indices});
}

ProximalAdagradOptimizer::ProximalAdagradOptimizer(Input learning_rate,
                                                   double initial_accumulator_value,
                                                   ProximalParameters parameters)
    : Optimizer(name_or(parameters, "ProximalAdagrad")),
      learning_rate_(std::move(learning_rate)),
      initial_accumulator_value_(initial_accumulator_value),
      parameters_(std::move(parameters)) {
  if (initial_accumulator_value <= 0) {
    throw value_error("initial_accumulator_value must be positive: ", initial_accumulator_value,
                      ".");
  }
}

void ProximalAdagradOptimizer::create_slots(const std::vector<Variable>& variables) {
  for (const Variable& variable : variables)
    make_slot(variable, "accumulator", init::constant(initial_accumulator_value_));
}

Operation ProximalAdagradOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  return update("ApplyProximalAdagrad", {variable, required_slot(variable, "accumulator")},
                {scalar(variable, "learning_rate", learning_rate_),
                 scalar(variable, "l1", parameters_.l1_regularization_strength),
                 scalar(variable, "l2", parameters_.l2_regularization_strength), gradient});
}

Operation ProximalAdagradOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                                 const Output& indices) {
  return update("SparseApplyProximalAdagrad", {variable, required_slot(variable, "accumulator")},
                {scalar(variable, "learning_rate", learning_rate_),
                 scalar(variable, "l1", parameters_.l1_regularization_strength),
                 scalar(variable, "l2", parameters_.l2_regularization_strength), rows, indices});
}

// --- BERT's ---

AdamWeightDecayOptimizer::AdamWeightDecayOptimizer(Input learning_rate,
                                                   AdamWeightDecayParameters parameters)
    : Optimizer(parameters.name),
      learning_rate_(std::move(learning_rate)),
      parameters_(std::move(parameters)) {}

namespace {

Variable named_slot(const Variable& variable, std::string_view name) {
  return get_variable(variable.graph(), cat(variable.name(), "/", name), variable.shape(),
                      {.dtype = variable.dtype(),
                       .initializer = init::zeros(),
                       .trainable = false,
                       .use_resource = variable.is_resource(),
                       .reuse = Reuse::kAuto});
}

}  // namespace

void AdamWeightDecayOptimizer::create_slots(const std::vector<Variable>& variables) {
  for (const Variable& variable : variables) {
    named_slot(variable, "adam_m");
    named_slot(variable, "adam_v");
  }
}

Operation AdamWeightDecayOptimizer::apply_dense(const Variable& variable, const Output& gradient) {
  const Variable m = named_slot(variable, "adam_m");
  const Variable v = named_slot(variable, "adam_v");
  const Output next_m = Output(m) * parameters_.beta1 + gradient * (1.0 - parameters_.beta1);
  const Output next_v =
      Output(v) * parameters_.beta2 + ops::square(gradient) * (1.0 - parameters_.beta2);
  Output delta = next_m / (ops::sqrt(next_v) + parameters_.epsilon);
  const bool excluded = std::ranges::any_of(
      parameters_.exclude_from_weight_decay,
      [&](const std::string& part) { return variable.name().find(part) != std::string::npos; });
  if (parameters_.weight_decay_rate != 0 && !excluded)
    delta = delta + Output(variable) * parameters_.weight_decay_rate;
  const Output next = Output(variable) - delta * scalar(variable, "learning_rate", learning_rate_);
  return ops::group(variable.graph(), {variable.assign(next), m.assign(next_m), v.assign(next_v)});
}

Operation AdamWeightDecayOptimizer::apply_sparse(const Variable& variable, const Output& rows,
                                                 const Output& indices) {
  const Graph graph = variable.graph();
  const Output shape = ops::constant(graph, make_vector<std::int64_t>({variable.shape().dim(0)}));
  const Output count = ops::gather(shape, 0);
  return apply_dense(variable, graph.op("UnsortedSegmentSum", {rows, indices, count}));
}

}  // namespace hub::train
