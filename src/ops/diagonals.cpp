#include "ops/diagonals.h"

#include "ops/segments.h"

namespace hub {

void Diagonals::check(std::string_view op, std::int64_t rows, std::int64_t columns) const {
  if (lower > upper) {
    throw invalid_argument(op, ": the lower diagonal must not lie above the upper one. Details: ",
                           lower, " > ", upper, ".");
  }
  for (const std::int64_t diagonal : {lower, upper}) {
    if (diagonal == 0 || (diagonal > -rows && diagonal < columns)) continue;
    throw invalid_argument(op, ": a diagonal must be in (", -rows, ", ", columns,
                           "). Details: got ", diagonal, ".");
  }
}

void read_diagonal_range(std::string_view op, const Tensor& k, Diagonals& diagonals) {
  if (k.rank() > 1 || k.num_elements() < 1 || k.num_elements() > 2) {
    throw invalid_argument(op,
                           ": k must be a scalar or a vector of one or two. Details: its shape is ",
                           k.shape(), ".");
  }
  const auto values = integer_elements(k);
  diagonals.lower = values.front();
  diagonals.upper = values.back();
}

void read_alignment(std::string_view align, Diagonals& diagonals) {
  diagonals.upper_left = align.starts_with("LEFT");
  diagonals.lower_left = align.ends_with("LEFT");
}

}  // namespace hub
