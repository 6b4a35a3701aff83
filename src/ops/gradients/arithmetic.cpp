// Gradients of elementwise ops of two operands, and of choices between operands.

#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

Gradients add(GradientContext& c) {
  return unbroadcast_both(c.input(0), c.input(1), c.dy(), c.dy());
}

Gradients sub(GradientContext& c) {
  return unbroadcast_both(c.input(0), c.input(1), c.dy(), -c.dy());
}

Gradients mul(GradientContext& c) {
  const Output x = c.input(0);
  const Output y = c.input(1);
  return unbroadcast_both(x, y, c.dy() * conj(y), conj(x) * c.dy());
}

Gradients mul_no_nan(GradientContext& c) {
  const Output x = c.input(0);
  const Output y = c.input(1);
  return unbroadcast_both(x, y, op("MulNoNan", {c.dy(), y}), op("MulNoNan", {x, c.dy()}));
}

template <const char* kDivide>
Gradients divide(GradientContext& c) {
  const Output x = conj(c.input(0));
  const Output y = conj(c.input(1));
  const Output dx = op(kDivide, {c.dy(), y});
  const Output dy = c.dy() * op(kDivide, {op(kDivide, {-x, y}), y});
  return unbroadcast_both(c.input(0), c.input(1), dx, dy);
}
constexpr char kRealDiv[] = "RealDiv";
constexpr char kDivNoNan[] = "DivNoNan";

Gradients floor_mod(GradientContext& c) {
  const Output x = c.input(0);
  const Output y = c.input(1);
  return unbroadcast_both(x, y, c.dy(), c.dy() * -op("FloorDiv", {x, y}));
}

// log(x) counts as 0 where x <= 0.
Gradients power(GradientContext& c) {
  const Output x = conj(c.input(0));
  const Output y = conj(c.input(1));
  const Output dx = c.dy() * y * op("Pow", {x, y - 1.0});
  const Output mask = is_complex(x.dtype()) ? op("NotEqual", {x, 0.0}) : op("Greater", {x, 0.0});
  const Output safe_x = where(mask, x, ones_like(x));
  const Output log_x = where(mask, op("Log", {safe_x}), zeros_like(x));
  return unbroadcast_both(c.input(0), c.input(1), dx, c.dy() * conj(c.output()) * log_x);
}

template <const char* kCompare>
Gradients extremum(GradientContext& c) {
  const Output x = c.input(0);
  const Output y = c.input(1);
  const Output zeros = zeros_like(c.dy());
  const Output takes_x = op(kCompare, {x, y});
  return unbroadcast_both(x, y, where(takes_x, c.dy(), zeros), where(takes_x, zeros, c.dy()));
}
constexpr char kGreaterEqual[] = "GreaterEqual";
constexpr char kLessEqual[] = "LessEqual";

Gradients squared_difference(GradientContext& c) {
  const Output x = c.input(0);
  const Output y = c.input(1);
  const Output dx = 2.0 * c.dy() * (x - y);
  return unbroadcast_both(x, y, dx, -dx);
}

Gradients atan2(GradientContext& c) {
  const Output y = c.input(0);
  const Output x = c.input(1);
  const Output scaled = c.dy() / (square(y) + square(x));
  return unbroadcast_both(y, x, x * scaled, -y * scaled);
}

Output is_not_zero(const Output& x) { return cast(op("NotEqual", {x, 0.0}), x.dtype()); }

Gradients xlogy(GradientContext& c) {
  const Output x = c.input(0);
  const Output y = c.input(1);
  return unbroadcast_both(x, y, op("Xlogy", {is_not_zero(x), y}) * c.dy(),
                          op("Xdivy", {x, y}) * c.dy());
}

Gradients xlog1py(GradientContext& c) {
  const Output x = c.input(0);
  const Output y = c.input(1);
  return unbroadcast_both(x, y, op("Xlog1py", {is_not_zero(x), y}) * c.dy(),
                          op("Xdivy", {x, y + 1.0}) * c.dy());
}

Gradients xdivy(GradientContext& c) {
  const Output x = c.input(0);
  const Output y = c.input(1);
  return unbroadcast_both(x, y, op("Xdivy", {is_not_zero(x), y}) * c.dy(),
                          op("Xdivy", {-x, square(y)}) * c.dy());
}

Gradients igamma(GradientContext& c) {
  const Output a = c.input(0);
  const Output x = c.input(1);
  const Output by_a = op("IgammaGradA", {a, x});
  const Output by_x = exp(-x + (a - 1.0) * op("Log", {x}) - op("Lgamma", {a}));
  return unbroadcast_both(a, x, by_a * c.dy(), by_x * c.dy());
}

Gradients igammac(GradientContext& c) {
  Gradients result = igamma(c);
  return {-result[0], -result[1]};
}

Gradients betainc(GradientContext& c) {
  const Output a = c.input(0);
  const Output b = c.input(1);
  const Output x = c.input(2);
  const Output log_beta = op("Lgamma", {a}) + op("Lgamma", {b}) - op("Lgamma", {a + b});
  const Output by_x = exp(op("Xlog1py", {b - 1.0, -x}) + op("Xlogy", {a - 1.0, x}) - log_beta);
  return {{}, {}, unbroadcast(by_x * c.dy(), x, a)};
}

Gradients zeta(GradientContext& c) {
  const Output x = c.input(0);
  const Output q = c.input(1);
  return unbroadcast_both(x, q, {}, -x * op("Zeta", {x + 1.0, q}) * c.dy());
}

Gradients polygamma(GradientContext& c) {
  const Output n = c.input(0);
  const Output x = c.input(1);
  return unbroadcast_both(n, x, {}, op("Polygamma", {n + 1.0, x}) * c.dy());
}

Gradients next_after(GradientContext& c) {
  return unbroadcast_both(c.input(0), c.input(1), c.dy(), zeros_like(c.dy()));
}

Gradients complex_parts(GradientContext& c) {
  const DType dtype = real_dtype(c.dy().dtype());
  return unbroadcast_both(c.input(0), c.input(1), op("Real", {c.dy()}, {{"Tout", dtype}}),
                          op("Imag", {c.dy()}, {{"Tout", dtype}}));
}

Gradients add_n(GradientContext& c) {
  if (c.dy_slices() != nullptr) {
    for (int i = 0; i < c.num_inputs(); ++i) c.give_slices(i, *c.dy_slices());
    return c.pad({});
  }
  return Gradients(static_cast<std::size_t>(c.num_inputs()), c.dy());
}

Gradients select(GradientContext& c) {
  const Output zeros = zeros_like(c.input(1));
  return {{}, op("Select", {c.input(0), c.dy(), zeros}), op("Select", {c.input(0), zeros, c.dy()})};
}

Gradients select_v2(GradientContext& c) {
  const Output zero = scalar(c, c.dy().dtype(), 0);
  return {{},
          unbroadcast(where(c.input(0), c.dy(), zero), c.input(1), c.output()),
          unbroadcast(where(c.input(0), zero, c.dy()), c.input(2), c.output())};
}

// NaN passes, its gradient too; a border that is met takes the gradient.
Gradients clip_by_value(GradientContext& c) {
  const Output x = c.input(0);
  const Output low = c.input(1);
  const Output high = c.input(2);
  const Output zeros = zeros_like(c.dy());
  const Output below = op("Less", {x, low});
  const Output above = op("Greater", {x, high});
  const Output dx = where(op("LogicalOr", {below, above}), zeros, c.dy());
  return {unbroadcast(dx, x, c.output()), unbroadcast(where(below, c.dy(), zeros), low, c.output()),
          unbroadcast(where(above, c.dy(), zeros), high, c.output())};
}

constexpr GradientRule kRules[] = {
    {"Add", add},
    {"AddV2", add},
    {"Sub", sub},
    {"Mul", mul},
    {"MulNoNan", mul_no_nan},
    {"Div", divide<kRealDiv>},
    {"RealDiv", divide<kRealDiv>},
    {"DivNoNan", divide<kDivNoNan>},
    {"FloorMod", floor_mod},
    {"Pow", power},
    {"Maximum", extremum<kGreaterEqual>},
    {"Minimum", extremum<kLessEqual>},
    {"SquaredDifference", squared_difference},
    {"Atan2", atan2},
    {"Xlogy", xlogy},
    {"Xlog1py", xlog1py},
    {"Xdivy", xdivy},
    {"Igamma", igamma},
    {"Igammac", igammac},
    {"Betainc", betainc},
    {"Zeta", zeta},
    {"Polygamma", polygamma},
    {"NextAfter", next_after},
    {"Complex", complex_parts},
    {"AddN", add_n},
    {"AccumulateNV2", add_n},
    {"Select", select},
    {"SelectV2", select_v2},
    {"ClipByValue", clip_by_value},
};

}  // namespace

GradientRules arithmetic_gradients() { return kRules; }

}  // namespace hub
