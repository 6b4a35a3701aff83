#pragma once

// The stream of a stateful random op, and the shapes of random ops.

#include <mutex>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/philox.h"

namespace hub {

inline constexpr std::uint64_t kBlocksPerOutput = 256;

// Goes on from run to run. Thread-safe.
class RandomStream final : public Resource {
 public:
  explicit RandomStream(const Philox& start) : generator_(start) {}
  // The stream from here; the next caller's begins `blocks` later.
  Philox reserve(std::uint64_t blocks) {
    const std::lock_guard lock(mutex_);
    const Philox start = generator_;
    generator_.skip(blocks);
    return start;
  }
  // The same for an op that sets 256 blocks apart for each output, however many it uses.
  Philox reserve_outputs(std::int64_t outputs) {
    return reserve(static_cast<std::uint64_t>(outputs) * kBlocksPerOutput);
  }

 private:
  std::mutex mutex_;
  Philox generator_;
};

// The stream of this node in the session, which all plans share: made of the attributes `seed`
// and `seed2`; both zero: of random bits.
std::shared_ptr<RandomStream> random_stream(const KernelInit& init);

// A kernel with a stream of its own.
class RandomKernel : public Kernel {
 public:
  explicit RandomKernel(const KernelInit& init) : stream_(random_stream(init)) {}

 protected:
  RandomStream& stream() const { return *stream_; }

 private:
  std::shared_ptr<RandomStream> stream_;
};

// A shape as an input: a vector. Errors: INVALID_ARGUMENT.
Shape random_shape_input(const KernelContext& context, int input);

// The generators of ops without a state. Errors: INVALID_ARGUMENT for seeds, keys, counters or
// algorithms that are none.
Philox generator_of_seed(const KernelContext& context, int seed_input);
Philox generator_of_key(const KernelContext& context, int key_input, int counter_input,
                        int alg_input);

// The output's shape is the value of input 0.
Shapes shape_from_input_0(ShapeContext& c);
// The same for any input.
Shapes shape_from_input(ShapeContext& c, int input);

}  // namespace hub
