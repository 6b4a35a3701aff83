#include "format/tensor_slice.h"

#include <algorithm>
#include <charconv>

#include "base/checked.h"
#include "base/errors.h"

namespace hub {

std::string to_string(const TensorSlice& slice) {
  std::string text;
  for (const SliceExtent& extent : slice.extents) {
    if (!text.empty()) text += ':';
    text += extent.length == SliceExtent::kFull ? "-" : cat(extent.start, ",", extent.length);
  }
  return text;
}

TensorSlice resolve_slice(const TensorSlice& slice, const Shape& shape) {
  if (slice.extents.size() != static_cast<std::size_t>(shape.rank())) {
    throw invalid_argument("A slice must have an extent for each dimension. Details: ", slice,
                           " of shape ", shape, ".");
  }
  TensorSlice resolved = slice;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    SliceExtent& extent = resolved.extents[static_cast<std::size_t>(axis)];
    if (extent.length == SliceExtent::kFull && extent.start == 0) extent.length = shape.dim(axis);
    if (extent.start < 0 || extent.length < 0 || extent.start > shape.dim(axis) ||
        extent.length > shape.dim(axis) - extent.start) {
      throw invalid_argument("A slice must lie inside its tensor. Details: ", slice, " of shape ",
                             shape, ".");
    }
  }
  return resolved;
}

Shape slice_shape(const TensorSlice& resolved) {
  std::vector<std::int64_t> dims;
  for (const SliceExtent& extent : resolved.extents) dims.push_back(extent.length);
  return Shape(dims);
}

std::optional<TensorSlice> intersect(const TensorSlice& a, const TensorSlice& b) {
  TensorSlice common;
  for (std::size_t axis = 0; axis < a.extents.size(); ++axis) {
    const SliceExtent& x = a.extents[axis];
    const SliceExtent& y = b.extents[axis];
    const std::int64_t start = std::max(x.start, y.start);
    const std::int64_t end = std::min(x.start + x.length, y.start + y.length);
    if (start >= end) return std::nullopt;
    common.extents.push_back({start, end - start});
  }
  return common;
}

namespace {

[[noreturn]] void bad_spec(std::string_view text, std::string_view rule) {
  throw invalid_argument(rule, " Details: got \"", printable(text), "\".");
}

std::int64_t parse_count(std::string_view number, std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || value < 0) {
    bad_spec(text, "A slice specification must hold numbers >= 0.");
  }
  return value;
}

SliceExtent parse_extent(std::string_view piece, std::string_view text) {
  if (piece == "-") return {};
  const std::size_t comma = piece.find(',');
  if (comma == std::string_view::npos) {
    bad_spec(text, "An extent must be \"-\" or \"start,length\".");
  }
  const SliceExtent extent = {parse_count(piece.substr(0, comma), text),
                              parse_count(piece.substr(comma + 1), text)};
  if (!checked_add(extent.start, extent.length)) bad_spec(text, "An extent must fit 63 bits.");
  return extent;
}

}  // namespace

SliceSpec parse_slice_spec(std::string_view text) {
  std::vector<std::int64_t> dims;
  const std::vector<std::string> words = split(text, ' ');
  for (std::size_t i = 0; i + 1 < words.size(); ++i) dims.push_back(parse_count(words[i], text));
  if (words.empty() || dims.empty()) {
    bad_spec(text, "A slice specification must be a shape and a slice.");
  }
  SliceSpec spec{.full_shape = Shape(dims), .slice = {}};
  for (const std::string& piece : split(words.back(), ':')) {
    spec.slice.extents.push_back(parse_extent(piece, text));
  }
  resolve_slice(spec.slice, spec.full_shape);
  return spec;
}

std::string to_string(const SliceSpec& spec) {
  return cat(join(spec.full_shape.dims(), " "), " ", spec.slice);
}

namespace {

// An unsigned number: how many bytes, then the bytes, most significant first.
void append_ordered_number(std::string& out, std::uint64_t value) {
  char bytes[8];
  int count = 0;
  for (; value > 0; value >>= 8) bytes[count++] = static_cast<char>(value & 0xff);
  out += static_cast<char>(count);
  while (count > 0) out += bytes[--count];
}

void append_ordered_string(std::string& out, std::string_view text) {
  for (const char c : text) {
    out += c;
    if (c == '\0') out += '\xff';
    if (c == '\xff') out += '\0';
  }
  out += '\0';
  out += '\1';
}

// A signed number: its first bits say sign and length.
void append_ordered_signed(std::string& out, std::int64_t value) {
  if (value >= -64 && value < 64) {
    out += static_cast<char>(0x80 ^ (value & 0xff));
    return;
  }
  constexpr unsigned char kHeaders[][2] = {{0x80, 0},    {0xc0, 0},   {0xe0, 0}, {0xf0, 0},
                                           {0xf8, 0},    {0xfc, 0},   {0xfe, 0}, {0xff, 0},
                                           {0xff, 0x80}, {0xff, 0xc0}};
  const auto magnitude = static_cast<std::uint64_t>(value < 0 ? ~value : value);
  int count = 2;
  while (count < 10 && magnitude >> (7 * count - 1) != 0) ++count;
  unsigned char bytes[10];
  const auto bits = static_cast<std::uint64_t>(value);
  for (int i = 0; i < 10; ++i) {
    bytes[9 - i] = i < 8 ? static_cast<unsigned char>(bits >> (8 * i)) : (value < 0 ? 0xff : 0);
  }
  unsigned char* first = bytes + 10 - count;
  first[0] ^= kHeaders[count - 1][0];
  first[1] ^= kHeaders[count - 1][1];
  out.append(reinterpret_cast<const char*>(first), static_cast<std::size_t>(count));
}

}  // namespace

std::string slice_key(std::string_view full_name, const TensorSlice& slice) {
  std::string key;
  append_ordered_number(key, 0);
  append_ordered_string(key, full_name);
  append_ordered_number(key, slice.extents.size());
  for (const SliceExtent& extent : slice.extents) {
    append_ordered_signed(key, extent.start);
    append_ordered_signed(key, extent.length);
  }
  return key;
}

}  // namespace hub
