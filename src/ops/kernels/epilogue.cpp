#include "ops/kernels/epilogue.h"

#include <cmath>

#include "ops/lanes.h"
#include "ops/vector_math.h"
#include "ops/wide_lanes.h"

namespace hub {
namespace {

struct Relu {
  [[gnu::always_inline]] static float apply(float x) {
    return vector_math::select(x < 0.0f, 0.0f, x);
  }
};
struct Relu6 {
  [[gnu::always_inline]] static float apply(float x) { return vector_math::bounded(x, 0.0f, 6.0f); }
};
struct Tanh {
  [[gnu::always_inline]] static float apply(float x) { return vector_math::tanh(x); }
};
struct Sigmoid {
  [[gnu::always_inline]] static float apply(float x) { return vector_math::sigmoid(x); }
};
struct GeluErf {
  [[gnu::always_inline]] static float apply(float x) {
    return 0.5f * x * (1.0f + vector_math::erf(x * 0.70710678f));
  }
};
struct GeluTanh {
  [[gnu::always_inline]] static float apply(float x) {
    // (1 + tanh(u)) / 2 is 1 / (1 + exp(-2 u)).
    const float u = x * std::fma(x * x, -2 * 0.79788456f * 0.044715f, -2 * 0.79788456f);
    return x / (1.0f + vector_math::exp(u));
  }
};

using Loop = void (*)(float* y, std::int64_t count);

template <class Activation>
void plain_loop(float* y, std::int64_t count) {
  for_lanes(count, [=](std::int64_t i) { y[i] = Activation::apply(y[i]); });
}

#if HUB_HAS_WIDE_LANES
template <class Activation>
HUB_WIDE_LANES void wide_activation(float* y, std::int64_t count) {
  for_lanes<64>(count, [=](std::int64_t i) { y[i] = Activation::apply(y[i]); });
}
#endif

template <class Activation>
Loop widest() {
#if HUB_HAS_WIDE_LANES
  if (cpu_has_wide_lanes()) return wide_activation<Activation>;
#endif
  return plain_loop<Activation>;
}

Loop loop_of(RowActivation activation) {
  static const Loop loops[] = {nullptr,           widest<Relu>(),    widest<Relu6>(),
                               widest<Tanh>(),    widest<Sigmoid>(), widest<GeluErf>(),
                               widest<GeluTanh>()};
  return loops[static_cast<std::size_t>(activation)];
}

}  // namespace

RowActivation row_activation(std::string_view name) {
  if (name == "Relu") return RowActivation::kRelu;
  if (name == "Relu6") return RowActivation::kRelu6;
  if (name == "Tanh") return RowActivation::kTanh;
  if (name == "Sigmoid") return RowActivation::kSigmoid;
  if (name == "gelu_erf") return RowActivation::kGeluErf;
  if (name == "gelu_tanh") return RowActivation::kGeluTanh;
  return RowActivation::kNone;
}

void finish_row(RowActivation activation, const float* bias, const float* residual, float* y,
                std::int64_t count) {
  if (bias != nullptr && residual != nullptr) {
    for_lanes(count, [=](std::int64_t i) { y[i] = y[i] + bias[i] + residual[i]; });
  } else if (bias != nullptr || residual != nullptr) {
    const float* more = bias != nullptr ? bias : residual;
    for_lanes(count, [=](std::int64_t i) { y[i] = y[i] + more[i]; });
  }
  if (const Loop loop = loop_of(activation)) loop(y, count);
}

}  // namespace hub
