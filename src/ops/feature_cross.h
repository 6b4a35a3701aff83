#pragma once

// Combinations of features, row by row, as text or as hashes.

#include <farmhash.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "ops/kernel.h"
#include "ops/ragged.h"

namespace hub {

// TensorFlow's FingerprintCat64.
inline std::uint64_t join_fingerprints(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  const auto mix = [](std::uint64_t value) { return value ^ (value >> 47); };
  std::uint64_t result = a ^ kMultiplier;
  result ^= mix(b * kMultiplier) * kMultiplier;
  result *= kMultiplier;
  return mix(mix(result) * kMultiplier);
}

// One input's features, row after row.
struct Features {
  const Tensor* values;
  Splits splits;

  std::int64_t count(std::size_t row) const { return splits[row + 1] - splits[row]; }
  std::int64_t place(std::size_t row, std::int64_t i) const { return splits[row] + i; }
  bool is_text() const { return values->dtype() == kString; }

  std::uint64_t fingerprint(std::int64_t at) const {
    if (!is_text()) return static_cast<std::uint64_t>(values->data<std::int64_t>()[at]);
    const std::string& text = values->data<std::string>()[at];
    return util::Fingerprint64(text.data(), text.size());
  }
  void append_text(std::int64_t at, std::string& to) const {
    if (is_text()) {
      to += values->data<std::string>()[at];
    } else {
      to += cat(values->data<std::int64_t>()[at]);
    }
  }
};

// The row splits of a matrix of features.
inline Splits dense_rows(const Tensor& values) {
  Splits splits;
  for (std::int64_t row = 0; row <= values.dim(0); ++row) splits.push_back(row * values.dim(1));
  return splits;
}

// The attributes that say how combinations are hashed.
struct CrossHashing {
  std::uint64_t num_buckets;  // 0: any number that is not negative
  std::uint64_t key;

  explicit CrossHashing(const KernelInit& init)
      : num_buckets(static_cast<std::uint64_t>(init.attr<std::int64_t>("num_buckets"))),
        key(static_cast<std::uint64_t>(init.attr<std::int64_t>("hash_key"))) {}
};

// Row splits of the combinations. Errors: INVALID_ARGUMENT where they are too many.
inline Splits cross_counts(const std::vector<Features>& features, std::size_t rows,
                           std::string_view op) {
  const std::string what = cat(op, ": the number of combinations");
  Splits splits{0};
  for (std::size_t row = 0; row < rows; ++row) {
    std::int64_t count = 1;
    for (const Features& feature : features) {
      count = mul_or_throw(count, feature.count(row), what);
    }
    splits.push_back(add_or_throw(splits.back(), count, what));
  }
  return splits;
}

// Writes the row's combinations to [begin, end) of a vector of strings or hashes; the last
// feature changes fastest.
inline void cross_row(const std::vector<Features>& features, std::size_t row, std::int64_t begin,
                      std::int64_t end, const CrossHashing& hashing, Tensor& result) {
  std::vector<std::int64_t> choice(features.size(), 0);
  for (std::int64_t at = begin; at < end; ++at) {
    if (result.dtype() == kString) {
      std::string& text = result.mutable_data<std::string>()[at];
      for (std::size_t i = 0; i < features.size(); ++i) {
        if (i > 0) text += "_X_";
        features[i].append_text(features[i].place(row, choice[i]), text);
      }
    } else {
      std::uint64_t hash = hashing.key;
      for (std::size_t i = 0; i < features.size(); ++i) {
        hash = join_fingerprints(hash, features[i].fingerprint(features[i].place(row, choice[i])));
      }
      constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
      result.mutable_data<std::int64_t>()[at] =
          static_cast<std::int64_t>(hash % (hashing.num_buckets > 0 ? hashing.num_buckets : kMost));
    }
    for (std::size_t i = features.size(); i-- > 0;) {
      if (++choice[i] < features[i].count(row)) break;
      choice[i] = 0;
    }
  }
}

}  // namespace hub
