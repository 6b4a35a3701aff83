#pragma once

// The Philox 4x32-10 generator: block i of a stream is a function of its key and counter + i,
// so that any part of a stream can be made by any thread.

#include <array>
#include <cstdint>

namespace hub {

class Philox {
 public:
  using Block = std::array<std::uint32_t, 4>;

  Philox() = default;
  // As TensorFlow derives them from a node's `seed` and `seed2`.
  Philox(std::uint64_t seed, std::uint64_t seed2) : key_(seed), high_(seed2) {}
  Philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high)
      : key_(key), low_(counter_low), high_(counter_high) {}

  std::uint64_t key() const { return key_; }
  std::uint64_t counter_low() const { return low_; }
  std::uint64_t counter_high() const { return high_; }

  // Moves on by `blocks`. (Where the upper half of `blocks` overflows, TensorFlow loses the
  // carry, and so does this.)
  void skip(std::uint64_t blocks) {
    low_ += blocks;
    const bool lost = high_half(blocks) == UINT32_MAX && low_half(low_) < low_half(blocks);
    if (low_ < blocks && !lost) ++high_;
  }
  Philox skipped(std::uint64_t blocks) const {
    Philox moved = *this;
    moved.skip(blocks);
    return moved;
  }

  Block block() const {
    Block counter = {low_half(low_), high_half(low_), low_half(high_), high_half(high_)};
    std::uint32_t key0 = low_half(key_);
    std::uint32_t key1 = high_half(key_);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
      const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
      counter = {high_half(b) ^ counter[1] ^ key0, low_half(b), high_half(a) ^ counter[3] ^ key1,
                 low_half(a)};
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    return counter;
  }

  // The current block; moves on to the next.
  Block next() {
    const Block result = block();
    skip(1);
    return result;
  }

 private:
  static std::uint32_t low_half(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
  static std::uint32_t high_half(std::uint64_t value) {
    return static_cast<std::uint32_t>(value >> 32);
  }

  std::uint64_t key_ = 0;
  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
};

// One 32-bit sample after the other.
class PhiloxSamples {
 public:
  // `left_out`: how many samples to leave out first.
  explicit PhiloxSamples(const Philox& start, std::uint64_t left_out = 0)
      : generator_(start.skipped(left_out / 4)) {
    for (std::uint64_t i = 0; i < left_out % 4; ++i) next();
  }
  std::uint32_t next() {
    if (used_ == block_.size()) {
      block_ = generator_.next();
      used_ = 0;
    }
    return block_[used_++];
  }

 private:
  Philox generator_;
  Philox::Block block_{};
  std::size_t used_ = 4;
};

}  // namespace hub
