// Adagrad and its kin: steps divided by what the gradients were.

#include <cmath>
#include <complex>

#include "ops/optimizer.h"

namespace hub {
namespace {

using std::string_view_literals::operator""sv;

struct AdagradRule {
  using Types = FieldTypes;
  static constexpr std::array kSlots = {"accum"sv};
  static constexpr std::array kScalars = {"lr"sv};
  static constexpr bool kAllOrNothing = true;
  static constexpr bool kNeedsColumns = true;
  template <class W>
  struct Update {
    Update(const std::array<W, 1>& scalars, const UpdateOptions& options)
        : rate(scalars[0]), update_slots(options.update_slots) {}
    void operator()(W gradient, W& variable, std::array<W, 1>& slots) const {
      if (update_slots) slots[0] += gradient * gradient;
      variable -= gradient * rate / std::sqrt(slots[0]);
    }
    W rate;
    bool update_slots;
  };
};

struct AdagradV2Rule {
  using Types = FieldTypes;
  static constexpr std::array kSlots = {"accum"sv};
  static constexpr std::array kScalars = {"lr"sv, "epsilon"sv};
  static constexpr bool kAllOrNothing = true;
  static constexpr bool kNeedsColumns = true;
  template <class W>
  struct Update {
    Update(const std::array<W, 2>& scalars, const UpdateOptions& options)
        : rate(scalars[0]), epsilon(scalars[1]), update_slots(options.update_slots) {}
    void operator()(W gradient, W& variable, std::array<W, 1>& slots) const {
      if (update_slots) slots[0] += gradient * gradient;
      variable -= gradient * rate / (std::sqrt(slots[0]) + epsilon);
    }
    W rate, epsilon;
    bool update_slots;
  };
};

struct ProximalAdagradRule {
  using Types = PreciseFloats;
  static constexpr std::array kSlots = {"accum"sv};
  static constexpr std::array kScalars = {"lr"sv, "l1"sv, "l2"sv};
  static constexpr bool kNeedsColumns = true;
  template <class W>
  static void check(std::string_view op, const std::array<W, 3>& scalars, const UpdateOptions&) {
    if (scalars[0] > 0 && scalars[1] >= 0 && scalars[2] >= 0) return;
    throw invalid_argument(op,
                           ": lr must be positive, l1 and l2 must not be negative. Details: lr ",
                           scalars[0], ", l1 ", scalars[1], ", l2 ", scalars[2], ".");
  }
  template <class W>
  struct Update {
    Update(const std::array<W, 3>& scalars, const UpdateOptions&)
        : rate(scalars[0]), l1(scalars[1]), l2(scalars[2]) {}
    void operator()(W gradient, W& variable, std::array<W, 1>& slots) const {
      slots[0] += gradient * gradient;
      const W own_rate = rate * (1 / std::sqrt(slots[0]));
      variable = proximal(variable - gradient * own_rate, own_rate, l1, l2);
    }
    W rate, l1, l2;
  };
};

struct AdagradDARule {
  using Types = PreciseFloats;
  static constexpr std::array kSlots = {"gradient_accumulator"sv, "gradient_squared_accumulator"sv};
  static constexpr std::array kScalars = {"lr"sv, "l1"sv, "l2"sv, "global_step"sv};
  static constexpr bool kNeedsColumns = true;
  template <class W>
  struct Update {
    Update(const std::array<W, 4>& scalars, const UpdateOptions& options)
        : rate(scalars[0]),
          l1(scalars[1]),
          l2(scalars[2]),
          step(scalars[3]),
          sparse(options.sparse) {}
    void operator()(W gradient, W& variable, std::array<W, 2>& slots) const {
      slots[0] += gradient;
      slots[1] += gradient * gradient;
      // Rows are computed with averages, which are NaN in step 0.
      const W sum = sparse ? slots[0] / step : slots[0];
      const W penalty = sparse ? l1 : l1 * step;
      const W kept = l1 > 0 ? sign_of(sum) * std::max(std::abs(sum) - penalty, W{0}) : sum;
      const W size = std::sqrt(slots[1]);
      variable =
          sparse ? -kept / (l2 + size / (step * rate)) : -rate * kept / (l2 * rate * step + size);
    }
    W rate, l1, l2, step;
    bool sparse;
  };
};

struct AdadeltaRule {
  using Types = FieldTypes;
  static constexpr std::array kSlots = {"accum"sv, "accum_update"sv};
  static constexpr std::array kScalars = {"lr"sv, "rho"sv, "epsilon"sv};
  static constexpr bool kAllOrNothing = true;
  template <class W>
  struct Update {
    Update(const std::array<W, 3>& scalars, const UpdateOptions&)
        : rate(scalars[0]), rho(scalars[1]), rest(W{1} - scalars[1]), epsilon(scalars[2]) {}
    void operator()(W gradient, W& variable, std::array<W, 2>& slots) const {
      slots[0] = slots[0] * rho + gradient * gradient * rest;
      const W step =
          std::sqrt(slots[1] + epsilon) * (W{1} / std::sqrt(slots[0] + epsilon)) * gradient;
      variable -= step * rate;
      slots[1] = slots[1] * rho + step * step * rest;
    }
    W rate, rho, rest, epsilon;
  };
};

constexpr OpDef kOps[] = {
    {.name = "ApplyAdagrad",
     .inputs = "var: Ref(T), accum: Ref(T), lr: T, grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false; update_slots: bool = true",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyAdagrad",
     .inputs = "var: Ref(T), accum: Ref(T), lr: T, grad: T, indices: Tindices",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; update_slots: "
              "bool = true",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyAdagrad",
     .inputs = "var: resource, accum: resource, lr: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false; update_slots: bool = true",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyAdagrad",
     .inputs = "var: resource, accum: resource, lr: T, grad: T, indices: Tindices",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; update_slots: "
              "bool = true",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyAdagradV2",
     .inputs = "var: Ref(T), accum: Ref(T), lr: T, epsilon: T, grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false; update_slots: bool = true",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradV2Rule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyAdagradV2",
     .inputs = "var: Ref(T), accum: Ref(T), lr: T, epsilon: T, grad: T, indices: Tindices",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; update_slots: "
              "bool = true",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradV2Rule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyAdagradV2",
     .inputs = "var: resource, accum: resource, lr: T, epsilon: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false; update_slots: bool = true",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradV2Rule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyAdagradV2",
     .inputs = "var: resource, accum: resource, lr: T, epsilon: T, grad: T, indices: Tindices",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; update_slots: "
              "bool = true",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradV2Rule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyProximalAdagrad",
     .inputs = "var: Ref(T), accum: Ref(T), lr: T, l1: T, l2: T, grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<ProximalAdagradRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyProximalAdagrad",
     .inputs = "var: Ref(T), accum: Ref(T), lr: T, l1: T, l2: T, grad: T, indices: Tindices",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<ProximalAdagradRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyProximalAdagrad",
     .inputs = "var: resource, accum: resource, lr: T, l1: T, l2: T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<ProximalAdagradRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyProximalAdagrad",
     .inputs = "var: resource, accum: resource, lr: T, l1: T, l2: T, grad: T, indices: Tindices",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<ProximalAdagradRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyAdagradDA",
     .inputs = "var: Ref(T), gradient_accumulator: Ref(T), gradient_squared_accumulator: Ref(T), "
               "grad: T, lr: T, l1: T, l2: T, global_step: int64",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradDARule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyAdagradDA",
     .inputs = "var: Ref(T), gradient_accumulator: Ref(T), gradient_squared_accumulator: Ref(T), "
               "grad: T, indices: Tindices, lr: T, l1: T, l2: T, global_step: int64",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradDARule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyAdagradDA",
     .inputs = "var: resource, gradient_accumulator: resource, gradient_squared_accumulator: "
               "resource, grad: T, lr: T, l1: T, l2: T, global_step: int64",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradDARule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyAdagradDA",
     .inputs = "var: resource, gradient_accumulator: resource, gradient_squared_accumulator: "
               "resource, grad: T, indices: Tindices, lr: T, l1: T, l2: T, global_step: int64",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdagradDARule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyAdadelta",
     .inputs = "var: Ref(T), accum: Ref(T), accum_update: Ref(T), lr: T, rho: T, epsilon: T, "
               "grad: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdadeltaRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyAdadelta",
     .inputs = "var: Ref(T), accum: Ref(T), accum_update: Ref(T), lr: T, rho: T, epsilon: T, "
               "grad: T, indices: Tindices",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdadeltaRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyAdadelta",
     .inputs = "var: resource, accum: resource, accum_update: resource, lr: T, rho: T, epsilon: "
               "T, grad: T",
     .attrs = "T: numbertype; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdadeltaRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyAdadelta",
     .inputs = "var: resource, accum: resource, accum_update: resource, lr: T, rho: T, epsilon: "
               "T, grad: T, indices: Tindices",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<AdadeltaRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily optimizer_adagrad_ops() { return kOps; }

}  // namespace hub
