#pragma once

// The equation of an Einsum: "...ij,...jk->...ik".

#include <cstdint>
#include <string_view>
#include <vector>

namespace hub {

// What names an axis: a character, or an axis of the ellipsis, numbered from its last one.
using EinsumLabel = int;
constexpr EinsumLabel kFirstEllipsisLabel = 256;
inline bool is_ellipsis_label(EinsumLabel label) { return label >= kFirstEllipsisLabel; }

struct EinsumSubscript {
  std::vector<EinsumLabel> labels;  // without the ellipsis
  int ellipsis = -1;                // the label that the ellipsis stands before, -1: none

  bool has_ellipsis() const { return ellipsis >= 0; }
  // With the ellipsis written out as `ellipsis_rank` axes.
  std::vector<EinsumLabel> expanded(int ellipsis_rank) const;
  // With the ellipsis written out for a tensor of this rank. Errors: INVALID_ARGUMENT where
  // the rank does not fit.
  std::vector<EinsumLabel> expanded_to(int rank) const;
};

struct EinsumEquation {
  std::vector<EinsumSubscript> inputs;
  EinsumSubscript output;
};

// Errors: INVALID_ARGUMENT for an equation that is not one of `num_inputs` (1 or 2) inputs.
EinsumEquation parse_einsum(std::string_view equation, int num_inputs);

}  // namespace hub
