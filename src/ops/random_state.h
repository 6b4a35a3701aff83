#pragma once

// The generator of ops whose state is a variable: [counter, counter, key] as int64.

#include "ops/philox.h"
#include "ops/random_stream.h"
#include "ops/variable_update.h"

namespace hub {

inline constexpr std::int64_t kStateSize = 3;

inline void check_philox(const KernelContext& context, std::int64_t algorithm) {
  if (algorithm == 1) return;
  throw invalid_argument(context.node().op_name,
                         ": the algorithm must be 1 (Philox). Details: it is ", algorithm, ".");
}

// The generator in the variable; the variable's moves on by 256 blocks for each of `outputs`.
// The state begins behind `skipped` elements.
inline Philox take_generator(KernelContext& context, VariableUpdate& variable,
                             std::uint64_t outputs, std::int64_t skipped = 0) {
  const Tensor& state = variable.value();
  if (state.rank() != 1 || state.num_elements() < skipped + kStateSize) {
    throw invalid_argument(context.node().op_name, ": the state must be a vector of at least ",
                           skipped + kStateSize, " elements. Details: its shape is ", state.shape(),
                           ".");
  }
  auto* words = variable.writable().mutable_data<std::int64_t>() + skipped;
  const Philox current(static_cast<std::uint64_t>(words[2]), static_cast<std::uint64_t>(words[0]),
                       static_cast<std::uint64_t>(words[1]));
  const Philox next = current.skipped(outputs * kBlocksPerOutput);
  words[0] = static_cast<std::int64_t>(next.counter_low());
  words[1] = static_cast<std::int64_t>(next.counter_high());
  return current;
}

inline Philox take_generator(KernelContext& context, std::uint64_t outputs) {
  VariableUpdate variable(context, 0, DType::kInt64);
  return take_generator(context, variable, outputs);
}

}  // namespace hub
