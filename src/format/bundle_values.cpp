#include "format/bundle_values.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/errors.h"
#include "format/coding.h"
#include "format/crc32c.h"
#include "format/graph_def.h"
#include "format/proto_convert.h"
#include "format/table.h"

namespace hub {

TensorSlice read_tensor_slice(const pb::TensorSliceProto& message) {
  TensorSlice slice;
  for (const auto& extent : message.extent()) {
    if (extent.has_length_case() == pb::TensorSliceProto::Extent::kLength) {
      slice.extents.push_back({extent.start(), extent.length()});
    } else {
      slice.extents.push_back({});
    }
  }
  return slice;
}

void write_tensor_slice(const TensorSlice& slice, pb::TensorSliceProto& message) {
  for (const SliceExtent& extent : slice.extents) {
    auto& written = *message.add_extent();
    if (extent.length == SliceExtent::kFull) continue;
    written.set_start(extent.start);
    written.set_length(extent.length);
  }
}

void check_bundle_version(const pb::VersionDef& version) {
  if (version.producer() < 0 || version.min_consumer() > kBundleVersion ||
      std::ranges::count(version.bad_consumers(), kBundleVersion) > 0) {
    throw invalid_argument("A checkpoint's version must be one for readers of version ",
                           kBundleVersion, ". Details: producer ", version.producer(),
                           ", min_consumer ", version.min_consumer(), ".");
  }
}

BundleEntry read_bundle_entry(const pb::BundleEntryProto& message) {
  BundleEntry entry;
  entry.dtype = read_dtype(message.dtype(), DTypeRule::kAnyone);
  entry.shape = read_full_shape(message.shape());
  entry.shard = message.shard_id();
  entry.offset = message.offset();
  entry.size_bytes = message.size();
  entry.masked_crc32c = message.crc32c();
  for (const auto& slice : message.slices()) entry.slices.push_back(read_tensor_slice(slice));
  return entry;
}

void write_bundle_entry(const BundleEntry& entry, pb::BundleEntryProto& message) {
  message.set_dtype(static_cast<pb::DataType>(entry.dtype));
  message.mutable_shape();
  write_shape(entry.shape, *message.mutable_shape());
  message.set_shard_id(entry.shard);
  message.set_offset(entry.offset);
  message.set_size(entry.size_bytes);
  message.set_crc32c(entry.masked_crc32c);
  for (const TensorSlice& slice : entry.slices) write_tensor_slice(slice, *message.add_slices());
}

std::string bundle_index(const BundleEntries& entries, int num_shards) {
  TableWriter table;
  pb::BundleHeaderProto header;
  header.set_num_shards(num_shards);
  header.mutable_version()->set_producer(kBundleVersion);
  table.add("", serialize_binary(header));
  for (const auto& [key, entry] : entries) {
    pb::BundleEntryProto message;
    write_bundle_entry(entry, message);
    table.add(key, serialize_binary(message));
  }
  return table.finish();
}

namespace {

std::uint32_t in_byte_order(std::uint32_t value, bool foreign) {
  return foreign ? __builtin_bswap32(value) : value;
}

// A length enters the checksum as a fixed-size integer in the file's byte order.
std::uint32_t extend_with_length(std::uint32_t crc, std::uint64_t length, bool wide, bool foreign) {
  char bytes[8];
  const std::size_t count = wide ? 8 : 4;
  for (std::size_t i = 0; i < count; ++i) {
    bytes[foreign ? count - 1 - i : i] = static_cast<char>(length >> (8 * i));
  }
  return extend_crc32c(crc, std::string_view(bytes, count));
}

bool is_wide(std::uint64_t length) { return length > std::numeric_limits<std::uint32_t>::max(); }

[[noreturn]] void bad_strings(std::string_view rule, const Shape& shape, std::string_view bytes) {
  throw data_loss(rule, " Details: ", shape.num_elements(), " elements in ", bytes.size(),
                  " bytes.");
}

void check_count(const Shape& shape, std::string_view bytes) {
  if (static_cast<std::uint64_t>(shape.num_elements()) > bytes.size()) {
    bad_strings("Every string must have a length.", shape, bytes);
  }
}

}  // namespace

Tensor decode_strings(const Shape& shape, std::string_view bytes, bool foreign_byte_order,
                      std::uint32_t& crc) {
  check_count(shape, bytes);
  Cursor cursor(bytes);
  crc = 0;
  std::vector<std::uint64_t> lengths(static_cast<std::size_t>(shape.num_elements()));
  for (std::uint64_t& length : lengths) {
    length = cursor.varint64();
    crc = extend_with_length(crc, length, is_wide(length), foreign_byte_order);
  }
  const std::string_view stored = cursor.bytes(4);
  if (!cursor.ok()) bad_strings("The lengths of strings must fit the tensor.", shape, bytes);
  if (in_byte_order(read_uint32(stored.data()), foreign_byte_order) != mask_crc(crc)) {
    bad_strings("The checksum of the strings' lengths must match.", shape, bytes);
  }
  crc = extend_crc32c(crc, stored);
  crc = extend_crc32c(crc, bytes.substr(cursor.position()));
  Tensor tensor(DType::kString, shape);
  auto out = tensor.mutable_values<std::string>().begin();
  for (const std::uint64_t length : lengths) *out++ = cursor.bytes(length);
  if (!cursor.ok() || !cursor.at_end()) {
    bad_strings("The strings must fill the tensor's bytes.", shape, bytes);
  }
  return tensor;
}

Tensor decode_variants(const Shape& shape, std::string_view bytes, bool foreign_byte_order,
                       std::uint32_t& crc) {
  check_count(shape, bytes);
  Cursor cursor(bytes);
  crc = 0;
  Tensor tensor(DType::kVariant, shape);
  for (Variant& element : tensor.mutable_values<Variant>()) {
    const std::uint64_t length = cursor.varint64();
    const std::string_view value = cursor.bytes(length);
    const std::string_view stored = cursor.bytes(4);
    if (!cursor.ok()) bad_strings("The variants must fit the tensor's bytes.", shape, bytes);
    crc = extend_with_length(crc, length, true, foreign_byte_order);
    crc = extend_crc32c(crc, value);
    if (in_byte_order(read_uint32(stored.data()), foreign_byte_order) != mask_crc(crc)) {
      bad_strings("The checksum of a variant must match.", shape, bytes);
    }
    crc = extend_crc32c(crc, stored);
    pb::VariantTensorDataProto message;
    parse_binary(message, value, "VariantTensorDataProto", "a bundle");
    element.value = std::make_shared<OpaqueVariant>(message.type_name(), std::string(value));
  }
  if (!cursor.at_end()) bad_strings("The variants must fill the tensor's bytes.", shape, bytes);
  return tensor;
}

namespace {

EncodedTensor append_strings(const Tensor& tensor, OutputFile& out) {
  const auto values = tensor.values<std::string>();
  EncodedTensor encoded;
  std::string lengths;
  for (const std::string& value : values) {
    append_varint(lengths, value.size());
    encoded.crc = extend_with_length(encoded.crc, value.size(), is_wide(value.size()), false);
  }
  std::string checksum;
  append_uint32(checksum, mask_crc(encoded.crc));
  encoded.crc = extend_crc32c(encoded.crc, checksum);
  out.append(lengths);
  out.append(checksum);
  encoded.size_bytes = static_cast<std::int64_t>(lengths.size() + checksum.size());
  for (const std::string& value : values) {
    out.append(value);
    encoded.crc = extend_crc32c(encoded.crc, value);
    encoded.size_bytes += static_cast<std::int64_t>(value.size());
  }
  return encoded;
}

EncodedTensor append_variants(const Tensor& tensor, OutputFile& out) {
  EncodedTensor encoded;
  for (const Variant& element : tensor.values<Variant>()) {
    const auto* opaque = dynamic_cast<const OpaqueVariant*>(element.value.get());
    if (opaque == nullptr) {
      throw unimplemented("This variant value cannot be written. Details: a ",
                          element.value ? element.value->type_name() : "null", ".");
    }
    const std::string& value = opaque->bytes();
    std::string length, checksum;
    append_varint(length, value.size());
    encoded.crc = extend_with_length(encoded.crc, value.size(), true, false);
    encoded.crc = extend_crc32c(encoded.crc, value);
    append_uint32(checksum, mask_crc(encoded.crc));
    encoded.crc = extend_crc32c(encoded.crc, checksum);
    for (const std::string& piece : {length, value, checksum}) {
      out.append(piece);
      encoded.size_bytes += static_cast<std::int64_t>(piece.size());
    }
  }
  return encoded;
}

}  // namespace

EncodedTensor append_tensor(const Tensor& tensor, OutputFile& out) {
  if (tensor.dtype() == DType::kString) return append_strings(tensor, out);
  if (tensor.dtype() == DType::kVariant) return append_variants(tensor, out);
  if (dtype_size(tensor.dtype()) == 0) {
    throw unimplemented("A tensor of this dtype cannot be saved. Details: ", tensor.dtype(), ".");
  }
  const std::string_view bytes(static_cast<const char*>(tensor.raw_data()), tensor.size_bytes());
  out.append(bytes);
  return {.size_bytes = static_cast<std::int64_t>(bytes.size()), .crc = crc32c(bytes)};
}

Tensor byte_swapped(DType dtype, const Shape& shape, std::string_view bytes) {
  Tensor tensor(dtype, shape);
  const bool is_complex = dtype == DType::kComplex64 || dtype == DType::kComplex128;
  const std::size_t unit = dtype_size(dtype) / (is_complex ? 2 : 1);
  auto* out = static_cast<char*>(tensor.mutable_raw_data());
  for (std::size_t i = 0; i + unit <= bytes.size(); i += unit) {
    std::reverse_copy(bytes.data() + i, bytes.data() + i + unit, out + i);
  }
  return tensor;
}

}  // namespace hub
