#pragma once

// Writing Summary messages: keys of fields, and fields of bytes and numbers.

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "format/coding.h"
#include "ops/kernel.h"

namespace hub::summary {

// How a field is written, in its key beside its number.
inline constexpr std::uint32_t kVarint = 0;
inline constexpr std::uint32_t kFixed64 = 1;
inline constexpr std::uint32_t kBytes = 2;
inline constexpr std::uint32_t kFixed32 = 5;

// Summary.value
inline constexpr std::uint32_t kValue = 1;
// Summary.Value: its tag or node, and one of the others
inline constexpr std::uint32_t kTag = 1;
inline constexpr std::uint32_t kSimpleValue = 2;
inline constexpr std::uint32_t kImage = 4;
inline constexpr std::uint32_t kHistogram = 5;
inline constexpr std::uint32_t kAudio = 6;
inline constexpr std::uint32_t kNodeName = 7;
inline constexpr std::uint32_t kTensor = 8;
inline constexpr std::uint32_t kMetadata = 9;

inline void append_key(std::string& out, std::uint32_t field, std::uint32_t kind) {
  append_varint(out, field << 3 | kind);
}

inline void append_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  append_key(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

// Zero is left out.
inline void append_integer(std::string& out, std::uint32_t field, std::int64_t value) {
  if (value == 0) return;
  append_key(out, field, kVarint);
  append_varint(out, static_cast<std::uint64_t>(value));
}

inline void append_float(std::string& out, std::uint32_t field, float value) {
  append_key(out, field, kFixed32);
  append_uint32(out, std::bit_cast<std::uint32_t>(value));
}

// A value with its tag, if it has one.
inline std::string tagged(std::string_view tag) {
  std::string value;
  if (!tag.empty()) append_bytes(value, kTag, tag);
  return value;
}

// Output 0.
inline void write_summary(KernelContext& c, std::string summary) {
  *c.output(0, Shape{}).mutable_data<std::string>() = std::move(summary);
}

// The tag of one of several values: "tag/kind/0", or "tag/kind" where there can be one only.
inline std::string numbered_tag(std::string_view tag, std::string_view kind, std::int64_t number,
                                std::int64_t most) {
  return most > 1 ? cat(tag, "/", kind, "/", number) : cat(tag, "/", kind);
}

// Errors: INVALID_ARGUMENT unless input i is a scalar.
inline const std::string& scalar_text(const KernelContext& c, int i, std::string_view what) {
  const Tensor& tensor = c.input(i);
  if (tensor.rank() != 0) {
    throw invalid_argument(c.node().op_name, ": ", what,
                           " must be a scalar. Details: its shape is ", tensor.shape(), ".");
  }
  return tensor.scalar<std::string>();
}

}  // namespace hub::summary
