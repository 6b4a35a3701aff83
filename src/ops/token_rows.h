#pragma once

// What tokenizers give: rows of tokens, and where each lies in its text.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/ragged.h"

namespace hub {

// Sets a vector output of any integer dtype. Errors: INVALID_ARGUMENT where a value does not fit.
inline void output_integers(KernelContext& context, int i,
                            const std::vector<std::int64_t>& values) {
  Tensor& result = context.output(i, Shape{static_cast<std::int64_t>(values.size())});
  for (std::size_t k = 0; k < values.size(); ++k) {
    set_integer(result, static_cast<std::int64_t>(k), values[k]);
  }
}

inline void output_texts(KernelContext& context, int i, std::vector<std::string>&& values) {
  Tensor& result = context.output(i, Shape{static_cast<std::int64_t>(values.size())});
  std::ranges::move(values, result.mutable_data<std::string>());
}

struct TokenRows {
  std::vector<std::string> tokens;
  std::vector<std::int64_t> begins;
  std::vector<std::int64_t> ends;
  Splits splits{0};

  void add(std::string_view token, std::int64_t begin, std::int64_t end) {
    tokens.emplace_back(token);
    begins.push_back(begin);
    ends.push_back(end);
  }
  void end_row() { splits.push_back(static_cast<std::int64_t>(tokens.size())); }
};

// How many outputs of a tokenizer there are with the texts' number of rows.
inline std::int64_t split_count(const PartialShape& texts) {
  const auto known = texts.as_shape();
  return known ? known->num_elements() + 1 : -1;
}

}  // namespace hub
