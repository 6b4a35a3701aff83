// Follow the regularised leader.

#include <cmath>

#include "ops/optimizer.h"

namespace hub {
namespace {

using std::string_view_literals::operator""sv;

template <class W>
struct FtrlScalars {
  W rate, l1, l2, shrinkage, power;
};

// TensorFlow's kernels of rows check these, those of whole variables do not.
template <class W>
void check_ftrl(std::string_view op, const FtrlScalars<W>& s, const UpdateOptions& options) {
  if (!options.sparse) return;
  const bool rate_fits = s.rate > 0 || (options.multiply_linear_by_lr && s.rate >= 0);
  if (rate_fits && s.l1 >= 0 && s.l2 >= 0 && s.shrinkage >= 0 && s.power <= 0) return;
  throw invalid_argument(op,
                         ": lr must be positive, the penalties must not be negative, and lr_power "
                         "must not be positive. Details: lr ",
                         s.rate, ", l1 ", s.l1, ", l2 ", s.l2, ", l2_shrinkage ", s.shrinkage,
                         ", lr_power ", s.power, ".");
}

template <class W>
struct FtrlUpdate {
  FtrlUpdate(const FtrlScalars<W>& scalars, const UpdateOptions& options)
      : s(scalars),
        root(scalars.power == W(-0.5)),
        linear_by_rate(options.multiply_linear_by_lr),
        sparse(options.sparse) {}

  W powered(W x) const { return root ? std::sqrt(x) : std::pow(x, -s.power); }

  void operator()(W gradient, W& variable, std::array<W, 2>& slots) const {
    W& sum = slots[0];
    W& linear = slots[1];
    const W next = sum + gradient * gradient;
    const W size = powered(next);
    const W change = size - powered(sum);
    // The squares are of the gradient without its shrinkage.
    const W shrunk = gradient + 2 * s.shrinkage * variable;
    W threshold = s.l1;
    W divisor;
    if (linear_by_rate) {
      linear += shrunk * s.rate - change * variable;
      threshold *= s.rate;
      divisor = size + 2 * s.l2 * s.rate;
    } else {
      linear += shrunk - change / s.rate * variable;
      divisor = size / s.rate + 2 * s.l2;
    }
    // A NaN is 0 in a whole variable, and stays in rows.
    if (std::abs(linear) > threshold || (sparse && linear != linear)) {
      variable = (sign_of(linear) * threshold - linear) / divisor;
    } else {
      variable = 0;
    }
    sum = next;
  }

  FtrlScalars<W> s;
  bool root, linear_by_rate, sparse;
};

template <class W>
FtrlScalars<W> named(const std::array<W, 4>& scalars) {
  return {
      .rate = scalars[0], .l1 = scalars[1], .l2 = scalars[2], .shrinkage = 0, .power = scalars[3]};
}

template <class W>
FtrlScalars<W> named(const std::array<W, 5>& scalars) {
  return {.rate = scalars[0],
          .l1 = scalars[1],
          .l2 = scalars[2],
          .shrinkage = scalars[3],
          .power = scalars[4]};
}

template <std::size_t kCount>
struct FtrlRuleOf {
  using Types = Floats;
  static constexpr std::array kSlots = {"accum"sv, "linear"sv};
  static constexpr bool kNeedsColumns = true;
  template <class W>
  struct Update : FtrlUpdate<W> {
    Update(const std::array<W, kCount>& scalars, const UpdateOptions& options)
        : FtrlUpdate<W>(named(scalars), options) {}
  };
  template <class W>
  static void check(std::string_view op, const std::array<W, kCount>& scalars,
                    const UpdateOptions& options) {
    check_ftrl(op, named(scalars), options);
  }
};

struct FtrlRule : FtrlRuleOf<4> {
  static constexpr std::array kScalars = {"lr"sv, "l1"sv, "l2"sv, "lr_power"sv};
};

struct FtrlV2Rule : FtrlRuleOf<5> {
  static constexpr std::array kScalars = {"lr"sv, "l1"sv, "l2"sv, "l2_shrinkage"sv, "lr_power"sv};
};

constexpr OpDef kOps[] = {
    {.name = "ApplyFtrl",
     .inputs = "var: Ref(T), accum: Ref(T), linear: Ref(T), grad: T, lr: T, l1: T, l2: T, "
               "lr_power: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false; multiply_linear_by_lr: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<FtrlRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyFtrl",
     .inputs = "var: Ref(T), accum: Ref(T), linear: Ref(T), grad: T, indices: Tindices, lr: T, "
               "l1: T, l2: T, lr_power: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; "
              "multiply_linear_by_lr: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<FtrlRule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyFtrl",
     .inputs = "var: resource, accum: resource, linear: resource, grad: T, lr: T, l1: T, l2: T, "
               "lr_power: T",
     .attrs = "T: numbertype; use_locking: bool = false; multiply_linear_by_lr: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<FtrlRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyFtrl",
     .inputs = "var: resource, accum: resource, linear: resource, grad: T, indices: Tindices, lr: "
               "T, l1: T, l2: T, lr_power: T",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; "
              "multiply_linear_by_lr: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<FtrlRule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ApplyFtrlV2",
     .inputs = "var: Ref(T), accum: Ref(T), linear: Ref(T), grad: T, lr: T, l1: T, l2: T, "
               "l2_shrinkage: T, lr_power: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; use_locking: bool = false; multiply_linear_by_lr: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<FtrlV2Rule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseApplyFtrlV2",
     .inputs = "var: Ref(T), accum: Ref(T), linear: Ref(T), grad: T, indices: Tindices, lr: T, "
               "l1: T, l2: T, l2_shrinkage: T, lr_power: T",
     .outputs = "out: Ref(T)",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; "
              "multiply_linear_by_lr: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<FtrlV2Rule>>,
     .differentiable = Differentiable::kRefused},
    {.name = "ResourceApplyFtrlV2",
     .inputs = "var: resource, accum: resource, linear: resource, grad: T, lr: T, l1: T, l2: T, "
               "l2_shrinkage: T, lr_power: T",
     .attrs = "T: numbertype; use_locking: bool = false; multiply_linear_by_lr: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<FtrlV2Rule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "ResourceSparseApplyFtrlV2",
     .inputs = "var: resource, accum: resource, linear: resource, grad: T, indices: Tindices, lr: "
               "T, l1: T, l2: T, l2_shrinkage: T, lr_power: T",
     .attrs = "T: numbertype; Tindices: {int32, int64}; use_locking: bool = false; "
              "multiply_linear_by_lr: bool = false",
     .shape = optimizer_shape,
     .kernel = make_kernel<OptimizerKernel<FtrlV2Rule>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily optimizer_ftrl_ops() { return kOps; }

}  // namespace hub
