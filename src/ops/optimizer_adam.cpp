// Adam, RMSProp and their kin: steps divided by a moving average of the gradients' size.

#include <cmath>
#include <complex>

#include "ops/optimizer.h"

namespace hub {
namespace {

using std::string_view_literals::operator""sv;

template <class W>
W corrected_rate(W rate, W beta1_power, W beta2_power) {
  return rate * std::sqrt(W{1} - beta2_power) / (W{1} - beta1_power);
}

struct AdamRule {
  using Types = FieldTypes;
  static constexpr std::array kSlots = {"m"sv, "v"sv};
  static constexpr std::array kScalars = {"beta1_power"sv, "beta2_power"sv, "lr"sv,
                                          "beta1"sv,       "beta2"sv,       "epsilon"sv};
  template <class W>
  struct Update {
    Update(const std::array<W, 6>& scalars, const UpdateOptions& options)
        : rate(corrected_rate(scalars[2], scalars[0], scalars[1])),
          beta1(scalars[3]),
          rest1(W{1} - scalars[3]),
          rest2(W{1} - scalars[4]),
          epsilon(scalars[5]),
          nesterov(options.nesterov) {}
    void operator()(W gradient, W& variable, std::array<W, 2>& slots) const {
      W& m = slots[0];
      m += (gradient - m) * rest1;
      slots[1] += (gradient * gradient - slots[1]) * rest2;
      const W direction = nesterov ? gradient * rest1 + beta1 * m : m;
      variable -= direction * rate / (std::sqrt(slots[1]) + epsilon);
    }
    W rate, beta1, rest1, rest2, epsilon;
    bool nesterov;
  };
};

struct AdamWithAmsgradRule {
  using Types = Floats;
  static constexpr std::array kSlots = {"m"sv, "v"sv, "vhat"sv};
  static constexpr std::array kScalars = AdamRule::kScalars;
  template <class W>
  struct Update {
    Update(const std::array<W, 6>& scalars, const UpdateOptions&)
        : rate(corrected_rate(scalars[2], scalars[0], scalars[1])),
          rest1(1 - scalars[3]),
          rest2(1 - scalars[4]),
          epsilon(scalars[5]) {}
    void operator()(W gradient, W& variable, std::array<W, 3>& slots) const {
      slots[0] += (gradient - slots[0]) * rest1;
      slots[1] += (gradient * gradient - slots[1]) * rest2;
      slots[2] = std::max(slots[2], slots[1]);
      variable -= slots[0] * rate / (std::sqrt(slots[2]) + epsilon);
    }
    W rate, rest1, rest2, epsilon;
  };
};

struct AdaMaxRule {
  using Types = TypeList<float, double, Half>;
  static constexpr std::array kSlots = {"m"sv, "v"sv};
  static constexpr std::array kScalars = {"beta1_power"sv, "lr"sv, "beta1"sv, "beta2"sv,
                                          "epsilon"sv};
  template <class W>
  struct Update {
    Update(const std::array<W, 5>& scalars, const UpdateOptions&)
        : rate(scalars[1] / (1 - scalars[0])),
          rest1(1 - scalars[2]),
          beta2(scalars[3]),
          epsilon(scalars[4]) {}
    void operator()(W gradient, W& variable, std::array<W, 2>& slots) const {
      slots[0] += (gradient - slots[0]) * rest1;
      slots[1] = std::max(beta2 * slots[1], std::abs(gradient));
      variable -= rate * (slots[0] / (slots[1] + epsilon));
    }
    W rate, rest1, beta2, epsilon;
  };
};

struct RMSPropRule {
  using Types = FieldTypes;
  static constexpr std::array kSlots = {"ms"sv, "mom"sv};
  static constexpr std::array kScalars = {"lr"sv, "rho"sv, "momentum"sv, "epsilon"sv};
  static constexpr bool kAllOrNothing = true;
  template <class W>
  struct Update {
    Update(const std::array<W, 4>& scalars, const UpdateOptions& options)
        : rate(scalars[0]),
          rho(scalars[1]),
          rest(W{1} - scalars[1]),
          momentum(scalars[2]),
          epsilon(scalars[3]),
          sparse(options.sparse) {}
    // The two kernels round differently.
    W average(W old, W next) const {
      return sparse ? old * rho + next * rest : old + (next - old) * rest;
    }
    void operator()(W gradient, W& variable, std::array<W, 2>& slots) const {
      slots[0] = average(slots[0], gradient * gradient);
      slots[1] = slots[1] * momentum + gradient * rate / std::sqrt(slots[0] + epsilon);
      variable -= slots[1];
    }
    W rate, rho, rest, momentum, epsilon;
    bool sparse;
  };
};

struct CenteredRMSPropRule {
  using Types = FieldTypes;
  static constexpr std::array kSlots = {"mg"sv, "ms"sv, "mom"sv};
  static constexpr std::array kScalars = RMSPropRule::kScalars;
  static constexpr bool kAllOrNothing = true;
  template <class W>
  struct Update : RMSPropRule::Update<W> {
    using RMSPropRule::Update<W>::Update;
    void operator()(W gradient, W& variable, std::array<W, 3>& slots) const {
      slots[1] = this->average(slots[1], gradient * gradient);
      slots[0] = this->average(slots[0], gradient);
      const W spread = slots[1] - slots[0] * slots[0] + this->epsilon;
      slots[2] = slots[2] * this->momentum + gradient * this->rate / std::sqrt(spread);
      variable -= slots[2];
    }
  };
};

constexpr OpDef kOps[] = {
    {.name = "ApplyAdam",
     .inputs = "var: Ref(T), m: Ref(T), v: Ref(T), beta1_power: T, beta2_power: T, lr: T, beta1: "
               "T, beta2: T, epsilon: T, grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false; use_nesterov: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdamRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyAdam",
     .inputs = "var: resource, m: resource, v: resource, beta1_power: T, beta2_power: T, lr: T, "
               "beta1: T, beta2: T, epsilon: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false; use_nesterov: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdamRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceApplyAdamWithAmsgrad",
     .inputs = "var: resource, m: resource, v: resource, vhat: resource, beta1_power: T, "
               "beta2_power: T, lr: T, beta1: T, beta2: T, epsilon: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdamWithAmsgradRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyAdaMax",
     .inputs = "var: Ref(T), m: Ref(T), v: Ref(T), beta1_power: T, lr: T, beta1: T, beta2: T, "
               "epsilon: T, grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdaMaxRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyAdaMax",
     .inputs = "var: resource, m: resource, v: resource, beta1_power: T, lr: T, beta1: T, beta2: "
               "T, epsilon: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdaMaxRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyRMSProp",
     .inputs = "var: Ref(T), ms: Ref(T), mom: Ref(T), lr: T, rho: T, momentum: T, epsilon: T, "
               "grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<RMSPropRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyRMSProp",
     .inputs = "var: Ref(T), ms: Ref(T), mom: Ref(T), lr: T, rho: T, momentum: T, epsilon: T, "
               "grad: T, indices: Tindices",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<RMSPropRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyRMSProp",
     .inputs = "var: resource, ms: resource, mom: resource, lr: T, rho: T, momentum: T, epsilon: "
               "T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<RMSPropRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyRMSProp",
     .inputs = "var: resource, ms: resource, mom: resource, lr: T, rho: T, momentum: T, epsilon: "
               "T, grad: T, indices: Tindices",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<RMSPropRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyCenteredRMSProp",
     .inputs = "var: Ref(T), mg: Ref(T), ms: Ref(T), mom: Ref(T), lr: T, rho: T, momentum: T, "
               "epsilon: T, grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<CenteredRMSPropRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyCenteredRMSProp",
     .inputs = "var: Ref(T), mg: Ref(T), ms: Ref(T), mom: Ref(T), lr: T, rho: T, momentum: T, "
               "epsilon: T, grad: T, indices: Tindices",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<CenteredRMSPropRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyCenteredRMSProp",
     .inputs = "var: resource, mg: resource, ms: resource, mom: resource, lr: T, rho: T, "
               "momentum: T, epsilon: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<CenteredRMSPropRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyCenteredRMSProp",
     .inputs = "var: resource, mg: resource, ms: resource, mom: resource, lr: T, rho: T, "
               "momentum: T, epsilon: T, grad: T, indices: Tindices",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<CenteredRMSPropRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily optimizer_adam_ops() { return kOps; }

}  // namespace hub
