#pragma once

// Which diagonals of a matrix an op works on, and where their elements lie.

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "ops/kernel.h"

namespace hub {

// Diagonals [lower, upper]: 0 is the main one, positive ones lie above it. As rows of
// `max_length` elements they are stored from the upper one to the lower one; shorter ones
// begin at the left or end at the right.
struct Diagonals {
  std::int64_t lower = 0;
  std::int64_t upper = 0;
  bool upper_left = true;  // diagonals above (and on) the main one begin at the left
  bool lower_left = true;  // those below (and on) it do

  std::int64_t count() const { return upper - lower + 1; }

  // Elements of the longest one in a matrix of this size.
  std::int64_t max_length(std::int64_t rows, std::int64_t columns) const {
    return std::min(rows + std::min<std::int64_t>(upper, 0),
                    columns - std::max<std::int64_t>(lower, 0));
  }
  static std::int64_t length(std::int64_t diagonal, std::int64_t rows, std::int64_t columns) {
    return std::min(rows + std::min<std::int64_t>(diagonal, 0),
                    columns - std::max<std::int64_t>(diagonal, 0));
  }
  // Where the elements of a diagonal begin in its row of `max_length`.
  std::int64_t offset(std::int64_t diagonal, std::int64_t length, std::int64_t max_length) const {
    const bool left = (diagonal >= 0 && upper_left) || (diagonal <= 0 && lower_left);
    return left ? 0 : max_length - length;
  }

  // Errors: INVALID_ARGUMENT for diagonals that a matrix of this size does not have.
  void check(std::string_view op, std::int64_t rows, std::int64_t columns) const;
};

// Sets `lower` and `upper` from a scalar, or a vector of one or two. Errors: INVALID_ARGUMENT.
void read_diagonal_range(std::string_view op, const Tensor& k, Diagonals& diagonals);
// Sets the alignment from the attribute `align`.
void read_alignment(std::string_view align, Diagonals& diagonals);

}  // namespace hub
