#include "ops/gradients.h"

#include <array>
#include <unordered_map>

namespace hub {

// One line for each file of this folder, here and in the array.
GradientRules arithmetic_gradients();
GradientRules array_gradients();
GradientRules einsum_gradients();
GradientRules fourier_gradients();
GradientRules index_gradients();
GradientRules linalg_gradients();
GradientRules nn_gradients();
GradientRules reduction_gradients();
GradientRules sparse_gradients();
GradientRules state_gradients();
GradientRules unary_gradients();

GradientFunction gradient_of(const Op& op) {
  static const auto rules = [] {
    std::unordered_map<std::string_view, GradientFunction> result;
    for (const GradientRules table :
         {arithmetic_gradients(), array_gradients(), einsum_gradients(), fourier_gradients(),
          index_gradients(), linalg_gradients(), nn_gradients(), reduction_gradients(),
          sparse_gradients(), state_gradients(), unary_gradients()}) {
      for (const GradientRule& rule : table) result.emplace(rule.op, rule.gradient);
    }
    return result;
  }();
  if (op.def().gradient != nullptr) return op.def().gradient;
  const auto found = rules.find(op.name());
  return found == rules.end() ? nullptr : found->second;
}

}  // namespace hub
