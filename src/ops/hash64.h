#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace hub {

// TensorFlow's Hash64: MurmurHash64A with this seed.
inline std::uint64_t hash64(std::string_view text) {
  constexpr std::uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  constexpr int kShift = 47;
  std::uint64_t hash = 0xDECAFCAFFE ^ (text.size() * kMultiplier);
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    word *= kMultiplier;
    word ^= word >> kShift;
    word *= kMultiplier;
    hash ^= word;
    hash *= kMultiplier;
  }
  if (i < text.size()) {
    std::uint64_t rest = 0;
    for (std::size_t k = text.size(); k > i; --k) {
      rest = rest << 8 | static_cast<unsigned char>(text[k - 1]);
    }
    hash ^= rest;
    hash *= kMultiplier;
  }
  hash ^= hash >> kShift;
  hash *= kMultiplier;
  hash ^= hash >> kShift;
  return hash;
}

}  // namespace hub
