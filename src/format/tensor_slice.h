#pragma once

// Parts of a partitioned variable, and the keys under which a bundle stores them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/tensor.h"

namespace hub {

// Part of one dimension. A length of kFull stands for the whole dimension; written out, a
// whole dimension is another extent (and another key) with the same meaning.
struct SliceExtent {
  static constexpr std::int64_t kFull = -1;
  std::int64_t start = 0;
  std::int64_t length = kFull;
  bool operator==(const SliceExtent&) const = default;
};

// A box in a tensor: an extent for each dimension.
struct TensorSlice {
  std::vector<SliceExtent> extents;
  bool operator==(const TensorSlice&) const = default;
};
// "0,3:-".
std::string to_string(const TensorSlice& slice);

// The slice with every length written out. Errors: INVALID_ARGUMENT where the slice has
// another rank or leaves the shape.
TensorSlice resolve_slice(const TensorSlice& slice, const Shape& shape);
// The shape of a resolved slice.
Shape slice_shape(const TensorSlice& resolved);
// What two resolved slices of one tensor have in common, where they do.
std::optional<TensorSlice> intersect(const TensorSlice& a, const TensorSlice& b);

// What save and restore ops are given: "7 3 0,3:-" is the first three rows of a [7,3].
struct SliceSpec {
  Shape full_shape;
  TensorSlice slice;
};
// Errors: INVALID_ARGUMENT. The empty text (the whole tensor) is no spec: the caller asks.
SliceSpec parse_slice_spec(std::string_view text);
std::string to_string(const SliceSpec& spec);

// The key of a slice: ordered like (name, extents), and led by a zero byte, which no
// variable's name is.
std::string slice_key(std::string_view full_name, const TensorSlice& slice);
inline bool is_slice_key(std::string_view key) { return !key.empty() && key[0] == '\0'; }

}  // namespace hub
