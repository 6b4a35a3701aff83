#pragma once

// Private to this layer: how a bundle's data files and index encode values.

#include <string>
#include <string_view>

#include "base/file.h"
#include "format/bundle_index.h"
#include "format/proto/tensor_bundle.pb.h"
#include "format/tensor_bundle.h"

namespace hub {

TensorSlice read_tensor_slice(const tf1hub::format::TensorSliceProto& message);
void write_tensor_slice(const TensorSlice& slice, tf1hub::format::TensorSliceProto& message);
// Errors: INVALID_ARGUMENT for a version that readers like this one must not read.
void check_bundle_version(const tf1hub::format::VersionDef& version);
// Errors: INVALID_ARGUMENT for a shape that is none.
BundleEntry read_bundle_entry(const tf1hub::format::BundleEntryProto& message);
void write_bundle_entry(const BundleEntry& entry, tf1hub::format::BundleEntryProto& message);

// Strings: all lengths as varints, a masked checksum of the lengths, all bytes. `crc` becomes
// the (unmasked) checksum of the whole. Errors: DATA_LOSS.
Tensor decode_strings(const Shape& shape, std::string_view bytes, bool foreign_byte_order,
                      std::uint32_t& crc);
// Variants: for each its length as a varint, its bytes and a masked running checksum.
Tensor decode_variants(const Shape& shape, std::string_view bytes, bool foreign_byte_order,
                       std::uint32_t& crc);

// Appends the tensor's file form; gives its size and (unmasked) checksum.
struct EncodedTensor {
  std::int64_t size_bytes = 0;
  std::uint32_t crc = 0;
};
EncodedTensor append_tensor(const Tensor& tensor, OutputFile& out);

// A copy with the bytes of each number reversed.
Tensor byte_swapped(DType dtype, const Shape& shape, std::string_view bytes);

}  // namespace hub
