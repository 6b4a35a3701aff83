// Plain descent, momentum, and descent by the sign of the momentum.

#include <cmath>

#include "ops/optimizer.h"

namespace hub {
namespace {

using std::string_view_literals::operator""sv;

struct GradientDescentRule {
  using Types = FieldTypes;
  static constexpr std::array<std::string_view, 0> kSlots = {};
  static constexpr std::array kScalars = {"alpha"sv};
  template <class W>
  struct Update {
    Update(const std::array<W, 1>& scalars, const UpdateOptions&) : rate(scalars[0]) {}
    void operator()(W gradient, W& variable, std::array<W, 0>&) const {
      variable -= gradient * rate;
    }
    W rate;
  };
};

struct ProximalGradientDescentRule {
  using Types = PreciseFloats;
  static constexpr std::array<std::string_view, 0> kSlots = {};
  static constexpr std::array kScalars = {"alpha"sv, "l1"sv, "l2"sv};
  static constexpr bool kNeedsColumns = true;
  template <class W>
  struct Update {
    Update(const std::array<W, 3>& scalars, const UpdateOptions&)
        : rate(scalars[0]), l1(scalars[1]), l2(scalars[2]) {}
    void operator()(W gradient, W& variable, std::array<W, 0>&) const {
      variable = proximal(variable - gradient * rate, rate, l1, l2);
    }
    W rate, l1, l2;
  };
};

struct MomentumRule {
  using Types = FieldTypes;
  static constexpr std::array kSlots = {"accum"sv};
  static constexpr std::array kScalars = {"lr"sv, "momentum"sv};
  template <class W>
  struct Update {
    Update(const std::array<W, 2>& scalars, const UpdateOptions& options)
        : rate(scalars[0]), momentum(scalars[1]), nesterov(options.nesterov) {}
    void operator()(W gradient, W& variable, std::array<W, 1>& slots) const {
      W& sum = slots[0];
      sum = sum * momentum + gradient;
      variable -= nesterov ? gradient * rate + sum * momentum * rate : sum * rate;
    }
    W rate, momentum;
    bool nesterov;
  };
};

struct KerasMomentumRule {
  using Types = FieldTypes;
  static constexpr std::array kSlots = {"accum"sv};
  static constexpr std::array kScalars = {"lr"sv, "momentum"sv};
  template <class W>
  struct Update {
    Update(const std::array<W, 2>& scalars, const UpdateOptions& options)
        : rate(scalars[0]), momentum(scalars[1]), nesterov(options.nesterov) {}
    void operator()(W gradient, W& variable, std::array<W, 1>& slots) const {
      W& sum = slots[0];
      sum = sum * momentum - gradient * rate;
      variable += nesterov ? sum * momentum - gradient * rate : sum;
    }
    W rate, momentum;
    bool nesterov;
  };
};

struct AddSignRule {
  using Types = Floats;
  static constexpr std::array kSlots = {"m"sv};
  static constexpr std::array kScalars = {"lr"sv, "alpha"sv, "sign_decay"sv, "beta"sv};
  template <class W>
  struct Update {
    Update(const std::array<W, 4>& scalars, const UpdateOptions&)
        : rate(scalars[0]), alpha(scalars[1]), sign_decay(scalars[2]), beta(scalars[3]) {}
    void operator()(W gradient, W& variable, std::array<W, 1>& slots) const {
      W& m = slots[0];
      m = m * beta + gradient * (1 - beta);
      variable -= rate * (alpha + sign_decay * (sign_of(gradient) * sign_of(m))) * gradient;
    }
    W rate, alpha, sign_decay, beta;
  };
};

struct PowerSignRule {
  using Types = Floats;
  static constexpr std::array kSlots = {"m"sv};
  static constexpr std::array kScalars = {"lr"sv, "logbase"sv, "sign_decay"sv, "beta"sv};
  template <class W>
  struct Update {
    Update(const std::array<W, 4>& scalars, const UpdateOptions&)
        : rate(scalars[0]), power(scalars[1] * scalars[2]), beta(scalars[3]) {}
    void operator()(W gradient, W& variable, std::array<W, 1>& slots) const {
      W& m = slots[0];
      m = m * beta + gradient * (1 - beta);
      variable -= rate * std::exp(power * (sign_of(gradient) * sign_of(m))) * gradient;
    }
    W rate, power, beta;
  };
};

constexpr OpDef kOps[] = {
    {.name = "ApplyGradientDescent",
     .inputs = "var: Ref(T), alpha: T, delta: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<GradientDescentRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyGradientDescent",
     .inputs = "var: resource, alpha: T, delta: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<GradientDescentRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyProximalGradientDescent",
     .inputs = "var: Ref(T), alpha: T, l1: T, l2: T, delta: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<ProximalGradientDescentRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyProximalGradientDescent",
     .inputs = "var: Ref(T), alpha: T, l1: T, l2: T, grad: T, indices: Tindices",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<ProximalGradientDescentRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyProximalGradientDescent",
     .inputs = "var: resource, alpha: T, l1: T, l2: T, delta: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<ProximalGradientDescentRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyProximalGradientDescent",
     .inputs = "var: resource, alpha: T, l1: T, l2: T, grad: T, indices: Tindices",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<ProximalGradientDescentRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyMomentum",
     .inputs = "var: Ref(T), accum: Ref(T), lr: T, grad: T, momentum: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false; use_nesterov: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<MomentumRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyMomentum",
     .inputs = "var: Ref(T), accum: Ref(T), lr: T, grad: T, indices: Tindices, momentum: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; use_nesterov: "
              "bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<MomentumRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyMomentum",
     .inputs = "var: resource, accum: resource, lr: T, grad: T, momentum: T",
     .attrs = "T: numbertype; use_locking: bool = false; use_nesterov: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<MomentumRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyMomentum",
     .inputs = "var: resource, accum: resource, lr: T, grad: T, indices: Tindices, momentum: T",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; use_nesterov: "
              "bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<MomentumRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceApplyKerasMomentum",
     .inputs = "var: resource, accum: resource, lr: T, grad: T, momentum: T",
     .attrs = "T: numbertype; use_locking: bool = false; use_nesterov: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<KerasMomentumRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyKerasMomentum",
     .inputs = "var: resource, accum: resource, lr: T, grad: T, indices: Tindices, momentum: T",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; use_nesterov: "
              "bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<KerasMomentumRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyAddSign",
     .inputs = "var: Ref(T), m: Ref(T), lr: T, alpha: T, sign_decay: T, beta: T, grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AddSignRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyAddSign",
     .inputs = "var: resource, m: resource, lr: T, alpha: T, sign_decay: T, beta: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AddSignRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyPowerSign",
     .inputs = "var: Ref(T), m: Ref(T), lr: T, logbase: T, sign_decay: T, beta: T, grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<PowerSignRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyPowerSign",
     .inputs = "var: resource, m: resource, lr: T, logbase: T, sign_decay: T, beta: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<PowerSignRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily optimizer_descent_ops() { return kOps; }

}  // namespace hub
