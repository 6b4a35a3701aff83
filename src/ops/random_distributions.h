#pragma once

// From blocks of random bits to numbers, as TensorFlow does it. A distribution has the type of
// its `Value`, how many values a `kGroup` has, and fills a group from where its bits begin.

#include <bit>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "ops/kernel.h"
#include "ops/philox.h"

namespace hub {

// Random bits as the fraction of a number in [1, 2), minus 1: in [0, 1).
inline float uniform_float(std::uint32_t bits) {
  return std::bit_cast<float>((std::uint32_t{127} << 23) | (bits & 0x7fffffU)) - 1.0F;
}
inline double uniform_double(std::uint32_t first, std::uint32_t second) {
  const std::uint64_t fraction = (std::uint64_t{first & 0xfffffU} << 32) | second;
  return std::bit_cast<double>((std::uint64_t{1023} << 52) | fraction) - 1.0;
}
inline Half uniform_half(std::uint32_t bits) {
  const auto one_to_two = static_cast<std::uint16_t>((15U << 10) | (bits & 0x3ffU));
  return Half(static_cast<float>(Half::from_bits(one_to_two)) - 1.0F);
}
inline BFloat16 uniform_bfloat16(std::uint32_t bits) {
  const auto one_to_two = static_cast<std::uint16_t>((127U << 7) | (bits & 0x7fU));
  return BFloat16(static_cast<float>(BFloat16::from_bits(one_to_two)) - 1.0F);
}
inline std::uint64_t uint64_of(std::uint32_t first, std::uint32_t second) {
  return (std::uint64_t{second} << 32) | first;
}

// Two independent normal numbers.
struct NormalPair {
  double first;
  double second;
};
struct NormalPairFloat {
  float first;
  float second;
};
inline NormalPairFloat box_muller(std::uint32_t a, std::uint32_t b) {
  const float u = std::max(uniform_float(a), 1.0e-7F);
  // The product is made in double, as in TensorFlow.
  const auto angle =
      static_cast<float>(2.0F * std::numbers::pi * static_cast<double>(uniform_float(b)));
  const float radius = std::sqrt(-2.0F * std::log(u));
  return {std::sin(angle) * radius, std::cos(angle) * radius};
}
inline NormalPair box_muller(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  const double u = std::max(uniform_double(a, b), 1.0e-7);
  const double angle = 2 * std::numbers::pi * uniform_double(c, d);
  const double radius = std::sqrt(-2.0 * std::log(u));
  return {std::sin(angle) * radius, std::cos(angle) * radius};
}

template <class T>
inline constexpr int group_size = sizeof(T) == 8 ? 2 : 4;

template <class T>
struct UniformDistribution {
  using Value = T;
  static constexpr int kGroup = group_size<T>;
  static constexpr std::uint64_t kBlocksPerGroup = 1;
  static constexpr double kCostNs = 3;

  void fill(const Philox& at, T* out) const {
    const Philox::Block bits = at.block();
    for (std::size_t i = 0; i < kGroup; ++i) {
      if constexpr (std::is_same_v<T, double>) {
        out[i] = uniform_double(bits[2 * i], bits[2 * i + 1]);
      } else if constexpr (std::is_same_v<T, float>) {
        out[i] = uniform_float(bits[i]);
      } else if constexpr (std::is_same_v<T, Half>) {
        out[i] = uniform_half(bits[i]);
      } else {
        out[i] = uniform_bfloat16(bits[i]);
      }
    }
  }
};

template <class T>
struct NormalDistribution {
  using Value = T;
  static constexpr int kGroup = group_size<T>;
  static constexpr std::uint64_t kBlocksPerGroup = 1;
  static constexpr double kCostNs = 12;

  void fill(const Philox& at, T* out) const {
    const Philox::Block bits = at.block();
    if constexpr (std::is_same_v<T, double>) {
      const NormalPair pair = box_muller(bits[0], bits[1], bits[2], bits[3]);
      out[0] = pair.first;
      out[1] = pair.second;
    } else {
      for (std::size_t i = 0; i < kGroup; i += 2) {
        const NormalPairFloat pair = box_muller(bits[i], bits[i + 1]);
        out[i] = static_cast<T>(pair.first);
        out[i + 1] = static_cast<T>(pair.second);
      }
    }
  }
};

// Normal numbers of which those outside of (-2, 2) are drawn again.
template <class T>
struct TruncatedNormalDistribution {
  using Value = T;
  static constexpr int kGroup = group_size<T>;
  // So many samples are set apart for each output, however many it takes.
  static constexpr std::uint64_t kBlocksPerGroup = kGroup * 256 / 4;
  static constexpr double kCostNs = 15;

  void fill(const Philox& at, T* out) const {
    PhiloxSamples samples(at);
    int filled = 0;
    const auto keep = [&](auto value) {
      if (filled < kGroup && std::abs(value) < 2) out[filled++] = static_cast<T>(value);
    };
    while (filled < kGroup) {
      const std::uint32_t a = samples.next();
      const std::uint32_t b = samples.next();
      if constexpr (std::is_same_v<T, double>) {
        const std::uint32_t c = samples.next();
        const std::uint32_t d = samples.next();
        const NormalPair pair = box_muller(a, b, c, d);
        keep(pair.first);
        keep(pair.second);
      } else {
        const NormalPairFloat pair = box_muller(a, b);
        keep(pair.first);
        keep(pair.second);
      }
    }
  }
};

// Integers in [low, low + range).
template <class T>
struct UniformIntDistribution {
  using Value = T;
  using Bits = std::make_unsigned_t<T>;
  static constexpr int kGroup = group_size<T>;
  static constexpr std::uint64_t kBlocksPerGroup = 1;
  static constexpr double kCostNs = 5;

  T low;
  Bits range;

  UniformIntDistribution(T low_value, T high_value)
      : low(low_value),
        range(static_cast<Bits>(static_cast<Bits>(high_value) - static_cast<Bits>(low_value))) {}

  void fill(const Philox& at, T* out) const {
    const Philox::Block bits = at.block();
    for (std::size_t i = 0; i < kGroup; ++i) {
      Bits value;
      if constexpr (sizeof(T) == 8) {
        value = uint64_of(bits[2 * i], bits[2 * i + 1]);
      } else {
        value = bits[i];
      }
      out[i] = static_cast<T>(static_cast<Bits>(low) + value % range);
    }
  }
};

// Integers of any value.
template <class T>
struct FullIntDistribution {
  using Value = T;
  static constexpr int kGroup = group_size<T>;
  static constexpr std::uint64_t kBlocksPerGroup = 1;
  static constexpr double kCostNs = 3;

  void fill(const Philox& at, T* out) const {
    const Philox::Block bits = at.block();
    for (std::size_t i = 0; i < kGroup; ++i) {
      if constexpr (sizeof(T) == 8) {
        out[i] = static_cast<T>(uint64_of(bits[2 * i], bits[2 * i + 1]));
      } else {
        out[i] = static_cast<T>(bits[i]);
      }
    }
  }
};

// Fills a tensor from a stream that begins at `start`. Element i depends on i alone.
template <class Distribution>
void fill_random(KernelContext& context, const Philox& start, const Distribution& distribution,
                 Tensor& result) {
  using T = typename Distribution::Value;
  constexpr std::int64_t kGroup = Distribution::kGroup;
  T* out = result.mutable_data<T>();
  const std::int64_t count = result.num_elements();
  const std::int64_t groups = (count + kGroup - 1) / kGroup;
  context.parallel_for(groups, Distribution::kCostNs * static_cast<double>(kGroup),
                       [&](std::int64_t begin, std::int64_t end) {
                         Philox at = start.skipped(static_cast<std::uint64_t>(begin) *
                                                   Distribution::kBlocksPerGroup);
                         for (std::int64_t group = begin; group < end; ++group) {
                           T* to = out + group * kGroup;
                           if ((group + 1) * kGroup <= count) {
                             distribution.fill(at, to);
                           } else {
                             T last[kGroup];
                             distribution.fill(at, last);
                             std::copy_n(last, count - group * kGroup, to);
                           }
                           at.skip(Distribution::kBlocksPerGroup);
                         }
                       });
}

}  // namespace hub
