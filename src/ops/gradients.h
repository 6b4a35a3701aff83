#pragma once

// Gradient rules of the ops: tables by theme in ops/gradients/.

#include <span>
#include <string_view>

#include "graph/gradient_context.h"
#include "graph/op.h"

namespace hub {

struct GradientRule {
  std::string_view op;
  GradientFunction gradient;
};
using GradientRules = std::span<const GradientRule>;

// A function's name with this before it means its gradient (autodiff's gradient_of_function):
// what the kernel of SymbolicGradient asks for.
inline constexpr std::string_view kGradientOf = "gradient of ";

// The op's rule: that of its table entry, else the one of the tables here; nullptr where there
// is none.
GradientFunction gradient_of(const Op& op);

}  // namespace hub
