#pragma once

// Ragged tensors among a kernel's inputs: row splits, outermost first, and flat values.

#include <cstdint>
#include <vector>

#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {

// Row splits: [0, ..., number of values], never falling.
using Splits = std::vector<std::int64_t>;

// Errors: INVALID_ARGUMENT where the vector is no row splits.
inline Splits splits_input(const KernelContext& context, int input) {
  const Tensor& tensor = context.input(input);
  if (tensor.rank() != 1 || tensor.dim(0) < 1) {
    throw invalid_argument(
        context.node().op_name,
        ": row splits must be a vector that is not empty. Details: the shape is ", tensor.shape(),
        ".");
  }
  Splits splits(static_cast<std::size_t>(tensor.dim(0)));
  for (std::size_t i = 0; i < splits.size(); ++i) {
    splits[i] = integer_at(tensor, static_cast<std::int64_t>(i));
    if (i == 0 ? splits[0] != 0 : splits[i] < splits[i - 1]) {
      throw invalid_argument(context.node().op_name,
                             ": row splits must begin with 0 and never fall. Details: element ", i,
                             " is ", splits[i], ".");
    }
  }
  return splits;
}

// The `count` splits that begin at input `first`, for flat values of `rows` rows: each level
// must have as many rows as the level above has values.
inline std::vector<Splits> nested_splits_input(const KernelContext& context, int first, int count,
                                               std::int64_t rows) {
  std::vector<Splits> nested;
  for (int i = 0; i < count; ++i) nested.push_back(splits_input(context, first + i));
  for (std::size_t i = 0; i < nested.size(); ++i) {
    const std::int64_t below =
        i + 1 < nested.size() ? static_cast<std::int64_t>(nested[i + 1].size()) - 1 : rows;
    if (nested[i].back() != below) {
      throw invalid_argument(context.node().op_name,
                             ": the last of the row splits must be the number of rows below. "
                             "Details: level ",
                             i, ", ", nested[i].back(), " and ", below, ".");
    }
  }
  return nested;
}

// Sets output `i` to the splits. Errors: INVALID_ARGUMENT where they do not fit its dtype.
inline void output_splits(KernelContext& context, int i, const Splits& splits) {
  Tensor& result = context.output(i, Shape{static_cast<std::int64_t>(splits.size())});
  for (std::size_t k = 0; k < splits.size(); ++k) {
    set_integer(result, static_cast<std::int64_t>(k), splits[k]);
  }
}

// Elements in one row of the flat values.
inline std::int64_t row_size(const Tensor& values) {
  return values.shape().slice(1, values.rank()).num_elements();
}

}  // namespace hub
