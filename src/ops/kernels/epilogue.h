#pragma once

// What is done to rows of float32 after a product, while they are in the caches.

#include <cstdint>
#include <string_view>

namespace hub {

enum class RowActivation : std::uint8_t {
  kNone,
  kRelu,
  kRelu6,
  kTanh,
  kSigmoid,
  kGeluErf,   // x * (1 + erf(x / sqrt(2))) / 2
  kGeluTanh,  // x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2
};

// The activation of this name, an op's or "gelu_erf", "gelu_tanh"; kNone for any other text.
RowActivation row_activation(std::string_view name);

// y[i] = activation(y[i] + bias[i] + residual[i]), in this order; either may be nullptr. An
// element's bits do not depend on its place.
void finish_row(RowActivation activation, const float* bias, const float* residual, float* y,
                std::int64_t count);

}  // namespace hub
