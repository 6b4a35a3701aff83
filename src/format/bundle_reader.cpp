#include <algorithm>
#include <bit>
#include <complex>

#include "base/checked.h"
#include "base/errors.h"
#include "format/bundle_items.h"
#include "format/bundle_values.h"
#include "format/checkpoint_v1.h"
#include "format/crc32c.h"
#include "format/proto_convert.h"
#include "format/table.h"
#include "tensor/buffers.h"

namespace hub {

namespace {

std::string five_digits(int number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 5) digits.insert(0, 5 - digits.size(), '0');
  return digits;
}

// The alignment that the elements' C++ type needs.
std::size_t element_alignment(DType dtype) {
  if (dtype == DType::kComplex64) return alignof(std::complex<float>);
  if (dtype == DType::kComplex128) return alignof(std::complex<double>);
  return dtype_size(dtype);
}

std::string key_context(std::string_view key) {
  if (!is_slice_key(key)) return cat("in key \"", printable(key), "\"");
  return cat("in the slice with key ", printable(key));
}

}  // namespace

std::string bundle_index_path(std::string_view prefix) { return cat(prefix, ".index"); }

std::string bundle_data_path(std::string_view prefix, int shard, int num_shards) {
  return cat(prefix, ".data-", five_digits(shard), "-of-", five_digits(num_shards));
}

BundleReader::BundleReader(std::string prefix, Checksums checksums, CheckpointVersion version)
    : prefix_(std::move(prefix)), checksums_(checksums) {
  const std::string path = bundle_index_path(prefix_);
  if (version == CheckpointVersion::kV1 || !path_exists(path)) tables_ = matching_files(prefix_);
  if (!tables_.empty()) {
    read_tables();
    return;
  }
  if (version == CheckpointVersion::kV1) {
    throw not_found("No checkpoint's file matches. Details: the pattern is \"", printable(prefix_),
                    "\".");
  }
  const auto index = MappedFile::open(path);
  with_context([&] { read_index(index->bytes(), path); }, [&] { return cat("in ", path); });
}

BundleReader::~BundleReader() = default;

void BundleReader::read_index(std::string_view bytes, std::string_view place) {
  // Each key is kept whole, but stored without what it shares with the one before. Names in
  // real bundles expand to a few times the file.
  constexpr std::uint64_t kMaxExpansion = 64;
  constexpr std::uint64_t kAlwaysAllowed = std::uint64_t{1} << 20;
  const std::uint64_t max_key_bytes = kAlwaysAllowed + kMaxExpansion * bytes.size();
  read_table(bytes, place, [&](std::string_view key, std::string_view value) {
    if (!has_header_) {
      if (!key.empty()) throw data_loss("The first key of a bundle must be its header.");
      has_header_ = true;
      read_header(value);
      return;
    }
    key_bytes_ += key.size();
    if (key_bytes_ > max_key_bytes) {
      throw data_loss("The keys of a bundle are too long. Details: more than ", max_key_bytes,
                      " bytes in an index of ", bytes.size(), ".");
    }
    with_context([&] { read_entry(key, value); }, [&] { return key_context(key); });
  });
  if (!has_header_) throw data_loss("A bundle must have a header.");
  list_keys();
}

void BundleReader::list_keys() {
  for (const Item& item : items_) {
    if (!is_slice_key(item.key)) keys_.push_back(item.key);
  }
}

void BundleReader::read_header(std::string_view value) {
  pb::BundleHeaderProto header;
  parse_binary(header, value, "BundleHeaderProto", "the index");
  check_bundle_version(header.version());
  if (header.endianness() != pb::BundleHeaderProto::LITTLE &&
      header.endianness() != pb::BundleHeaderProto::BIG) {
    throw data_loss("A bundle must be little or big endian. Details: got the number ",
                    static_cast<int>(header.endianness()), ".");
  }
  constexpr int kMaxShards = 99999;  // names have five digits
  if (header.num_shards() <= 0 || header.num_shards() > kMaxShards) {
    throw data_loss("A bundle must have between 1 and ", kMaxShards, " shards. Details: got ",
                    header.num_shards(), ".");
  }
  num_shards_ = header.num_shards();
  foreign_byte_order_ = header.endianness() == pb::BundleHeaderProto::BIG;
  shards_ = std::make_unique<Shard[]>(static_cast<std::size_t>(num_shards_));
}

void BundleReader::read_entry(std::string_view key, std::string_view value) {
  pb::BundleEntryProto message;
  parse_binary(message, value, "BundleEntryProto", "the index");
  BundleEntry entry = read_bundle_entry(message);
  if (entry.shard < 0 || entry.shard >= num_shards_) {
    throw data_loss("A tensor's shard must be one of the bundle's. Details: shard ", entry.shard,
                    " of ", num_shards_, ".");
  }
  if (entry.offset < 0 || entry.size_bytes < 0) {
    throw data_loss("A tensor's offset and size must be >= 0. Details: offset ", entry.offset,
                    ", size ", entry.size_bytes, ".");
  }
  items_.emplace_back(std::string(key), std::move(entry));
}

const BundleReader::Item* BundleReader::find_item(std::string_view key) const {
  const auto found =
      std::lower_bound(items_.begin(), items_.end(), key,
                       [](const Item& item, std::string_view wanted) { return item.key < wanted; });
  return found != items_.end() && found->key == key ? &*found : nullptr;
}

const BundleReader::Item& BundleReader::item(std::string_view key) const {
  if (const Item* found = find_item(key)) return *found;
  throw not_found("Key ", printable(key), " not found in checkpoint")
      .add_context(cat("in ", tables_.empty() ? bundle_index_path(prefix_) : prefix_));
}

const BundleEntry* BundleReader::find(std::string_view key) const {
  const Item* found = find_item(key);
  return found ? &found->entry : nullptr;
}

const BundleEntry& BundleReader::entry(std::string_view key) const { return item(key).entry; }

std::shared_ptr<const MappedFile> BundleReader::shard(int index) const {
  Shard& shard = shards_[static_cast<std::size_t>(index)];
  std::call_once(shard.opened, [&] {
    shard.file = MappedFile::open(tables_.empty() ? bundle_data_path(prefix_, index, num_shards_)
                                                  : tables_[static_cast<std::size_t>(index)]);
  });
  return shard.file;
}

void BundleReader::check_item(const Item& item, const MappedFile& file) const {
  const BundleEntry& entry = item.entry;
  if (!dtype_is_known(static_cast<int>(entry.dtype)) || entry.dtype == DType::kResource) {
    throw unimplemented("A tensor of this dtype cannot be read. Details: the number ",
                        static_cast<int>(entry.dtype), ".");
  }
  const std::uint64_t available = file.bytes().size();
  const auto offset = static_cast<std::uint64_t>(entry.offset);
  const auto size = static_cast<std::uint64_t>(entry.size_bytes);
  if (offset > available || size > available - offset) {
    throw out_of_range("The data file ends too early. Details: ", size, " bytes at offset ", offset,
                       " of ", available, ".");
  }
  const std::size_t element_bytes = dtype_size(entry.dtype);
  if (element_bytes == 0) return;
  const auto wanted = checked_mul(static_cast<std::uint64_t>(entry.shape.num_elements()),
                                  static_cast<std::uint64_t>(element_bytes));
  if (wanted != size) {
    throw data_loss("A tensor's size must match its shape. Details: ", entry.dtype, " ",
                    entry.shape, " in ", size, " bytes.");
  }
}

namespace {

[[noreturn]] void wrong_checksum(const BundleEntry& entry, std::uint32_t crc) {
  throw data_loss("A tensor's checksum must match its bytes. Details: ", entry.size_bytes,
                  " bytes at offset ", entry.offset, " have the masked checksum ", mask_crc(crc),
                  ", the index says ", entry.masked_crc32c, ".");
}

// The checksum of a part of a file. Larger parts are read, not touched in the mapping: a
// tensor that is only checked must not count as memory in use.
std::uint32_t crc_of_file(const MappedFile& file, std::uint64_t offset, std::uint64_t size) {
  constexpr std::uint64_t kTouched = 4096;
  constexpr std::uint64_t kChunk = std::uint64_t{256} << 10;
  if (size <= kTouched || !file.file().is_regular()) {
    return crc32c(file.bytes().substr(offset, size));
  }
  std::uint32_t crc = 0;
  const auto buffer = std::make_unique_for_overwrite<char[]>(std::min(size, kChunk));
  while (size > 0) {
    const std::uint64_t count = std::min(size, kChunk);
    file.file().read_at(offset, buffer.get(), count);
    crc = extend_crc32c(crc, std::string_view(buffer.get(), count));
    offset += count;
    size -= count;
  }
  return crc;
}

}  // namespace

void BundleReader::check_checksum(const Item& item, const MappedFile& file) const {
  if (checksums_ == Checksums::kNever) return;
  if (checksums_ == Checksums::kFirstRead && item.verified.load(std::memory_order_acquire)) return;
  const std::uint32_t crc = crc_of_file(file, static_cast<std::uint64_t>(item.entry.offset),
                                        static_cast<std::uint64_t>(item.entry.size_bytes));
  if (mask_crc(crc) != item.entry.masked_crc32c) wrong_checksum(item.entry, crc);
  item.verified.store(true, std::memory_order_release);
}

Tensor BundleReader::decode_item(const Item& item,
                                 const std::shared_ptr<const MappedFile>& file) const {
  const BundleEntry& entry = item.entry;
  check_item(item, *file);
  const auto offset = static_cast<std::size_t>(entry.offset);
  const std::string_view bytes =
      file->bytes().substr(offset, static_cast<std::size_t>(entry.size_bytes));
  if (entry.dtype == DType::kString || entry.dtype == DType::kVariant) {
    const auto decode = entry.dtype == DType::kString ? decode_strings : decode_variants;
    std::uint32_t crc = 0;
    Tensor tensor = decode(entry.shape, bytes, foreign_byte_order_, crc);
    if (checksums_ != Checksums::kNever && mask_crc(crc) != entry.masked_crc32c) {
      wrong_checksum(entry, crc);
    }
    return tensor;
  }
  check_checksum(item, *file);
  if (foreign_byte_order_) return byte_swapped(entry.dtype, entry.shape, bytes);
  const BufferRef mapped = borrow_buffer(bytes.data(), bytes.size(), file,
                                         file->is_mapped() ? Pages::kOfFile : Pages::kOfMemory);
  const Tensor tensor(entry.dtype, entry.shape, mapped);
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  return address % element_alignment(entry.dtype) == 0 ? tensor : tensor.clone();
}

Tensor BundleReader::read_item(const Item& item) const {
  return with_context(
      [&] {
        const auto file = shard(item.entry.shard);
        const bool in_table = !item.table_key.empty();
        return with_context(
            [&] { return in_table ? read_from_table(item, *file) : decode_item(item, file); },
            [&] { return cat("in ", file->path()); });
      },
      [&] { return key_context(item.key); });
}

Tensor BundleReader::read(std::string_view key) const {
  const Item& found = item(key);
  const BundleEntry& entry = found.entry;
  if (entry.slices.empty()) return read_item(found);
  TensorSlice all;
  for (const std::int64_t dim : entry.shape.dims()) all.extents.push_back({0, dim});
  return read_from_slices(key, entry, all);
}

Tensor BundleReader::read_stored(std::string_view key) const { return read_item(item(key)); }

void BundleReader::check_stored_bytes(std::string_view full_key,
                                      const std::vector<TensorSlice>& slices) const {
  std::map<int, std::uint64_t> bytes_of_shard;
  for (const TensorSlice& slice : slices) {
    const BundleEntry& part = entry(slice_key(full_key, slice));
    std::uint64_t& bytes = bytes_of_shard[part.shard];
    bytes += static_cast<std::uint64_t>(part.size_bytes);
    if (bytes > shard(part.shard)->bytes().size()) {
      throw out_of_range("Slices must lie inside the data file. Details: those of shard ",
                         part.shard, " have more bytes than the file.");
    }
  }
}

void BundleReader::verify(std::string_view key) const {
  const Item& found = item(key);
  if (found.entry.slices.empty()) {
    read_item(found);
    return;
  }
  for (const TensorSlice& slice : found.entry.slices) read_stored(slice_key(key, slice));
}

std::vector<std::string> BundleReader::files() const {
  if (!tables_.empty()) return tables_;
  std::vector<std::string> paths = {bundle_index_path(prefix_)};
  for (int i = 0; i < num_shards_; ++i) {
    std::string path = bundle_data_path(prefix_, i, num_shards_);
    if (path_exists(path)) paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace hub
