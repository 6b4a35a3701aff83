#pragma once

// The stream of a stateful random op, and the shapes of random ops.

#include <mutex>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/philox.h"

namespace hub {

// How many samples are set apart for each output of a kernel, however many it uses.
inline constexpr std::uint64_t kSamplesPerOutput = 256;

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
  Philox reserve_outputs(std::int64_t outputs) {
    return reserve(static_cast<std::uint64_t>(outputs) * kSamplesPerOutput);
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

// The output's shape is the value of input 0.
Shapes shape_from_input_0(ShapeContext& c);

}  // namespace hub
