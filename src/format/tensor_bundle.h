#pragma once

// Tensor bundles: the checkpoints of TensorFlow (version 2), an index file and data files.
// docs/formats/tensor_bundle.md describes the bytes.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "format/tensor_slice.h"
#include "hub/tensor.h"

namespace hub {

// "<prefix>.index", "<prefix>.data-00000-of-00001".
std::string bundle_index_path(std::string_view prefix);
std::string bundle_data_path(std::string_view prefix, int shard, int num_shards);

// What the index says of a key. An entry with slices stands for a partitioned variable: it
// has no data of its own, only the full shape.
struct BundleEntry {
  DType dtype = DType::kInvalid;  // may be a number that this library does not know
  Shape shape;
  int shard = 0;
  std::int64_t offset = 0;
  std::int64_t size_bytes = 0;
  std::uint32_t masked_crc32c = 0;
  std::vector<TensorSlice> slices;
};

// When the checksum of a tensor's bytes is compared.
enum class Checksums {
  kFirstRead,  // once for each tensor
  kEachRead,   // as TensorFlow does
  kNever,
};

enum class CheckpointVersion {
  kAny,
  kV1,  // see format/checkpoint_v1.h; the prefix is then a path or a pattern of paths
};

// Reads a bundle, or a checkpoint of version 1. Numbers of bundles are mapped from the file, so
// that a tensor takes memory as it is touched; strings, foreign byte orders and misaligned numbers
// are copied. Any thread may call. Tensors stay valid after the reader is gone.
class BundleReader {
 public:
  // Reads the whole index; data files are opened when they are needed.
  // Errors: NOT_FOUND without an index file; DATA_LOSS for a malformed one, with the place;
  // INVALID_ARGUMENT for a version that readers like this one must not read.
  explicit BundleReader(std::string prefix, Checksums checksums = Checksums::kFirstRead,
                        CheckpointVersion version = CheckpointVersion::kAny);
  ~BundleReader();
  BundleReader(const BundleReader&) = delete;
  BundleReader& operator=(const BundleReader&) = delete;

  const std::string& prefix() const { return prefix_; }
  int num_shards() const { return num_shards_; }

  // Every key but those of slices, sorted. They live as long as the reader.
  const std::vector<std::string_view>& keys() const { return keys_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // Null where there is no such key.
  const BundleEntry* find(std::string_view key) const;
  // Errors: NOT_FOUND.
  const BundleEntry& entry(std::string_view key) const;

  // The whole tensor, put together where it is stored in slices.
  // Errors: NOT_FOUND for an unknown key or a missing data file; OUT_OF_RANGE for a data
  // file that ends too early; DATA_LOSS for a size or checksum that does not match;
  // UNIMPLEMENTED for an unknown dtype. All name the key and the file.
  Tensor read(std::string_view key) const;
  // A part, from whatever parts are stored. Errors: also INVALID_ARGUMENT where the slice
  // does not fit the shape or the stored slices do not cover it.
  Tensor read_slice(std::string_view key, const TensorSlice& slice) const;
  // Compares the checksums of everything stored under the key. Errors: as read().
  void verify(std::string_view key) const;

  // The files that make up the bundle, as far as they exist.
  std::vector<std::string> files() const;

 private:
  struct Item;
  struct Shard;

  void read_index(std::string_view bytes, std::string_view place);
  void read_header(std::string_view value);
  void read_tables();
  void add_stored(const std::string& name, BundleEntry& entry, const std::vector<int>& shards);
  void list_keys();
  void read_entry(std::string_view key, std::string_view value);
  const Item* find_item(std::string_view key) const;
  const Item& item(std::string_view key) const;
  std::shared_ptr<const MappedFile> shard(int index) const;
  Tensor read_item(const Item& item) const;
  Tensor read_from_table(const Item& item, const MappedFile& file) const;
  Tensor decode_item(const Item& item, const std::shared_ptr<const MappedFile>& file) const;
  void check_item(const Item& item, const MappedFile& file) const;
  void check_checksum(const Item& item, const MappedFile& file) const;
  // The tensor under a key that has its own data.
  Tensor read_stored(std::string_view key) const;
  Tensor read_from_slices(std::string_view full_key, const BundleEntry& entry,
                          const TensorSlice& wanted) const;
  void check_stored_bytes(std::string_view full_key, const std::vector<TensorSlice>& slices) const;

  std::string prefix_;
  Checksums checksums_;
  std::vector<std::string> tables_;  // the files of a checkpoint of version 1
  int num_shards_ = 0;
  bool has_header_ = false;
  bool foreign_byte_order_ = false;
  std::vector<Item> items_;  // sorted by key
  std::uint64_t key_bytes_ = 0;
  std::vector<std::string_view> keys_;
  std::unique_ptr<Shard[]> shards_;
};

// Writes a bundle with one data file, with the bytes that TensorFlow writes for the same
// tensors in the same order. The files get their names in finish(); without it they vanish.
class BundleWriter {
 public:
  explicit BundleWriter(std::string prefix, const FileSystem& files = file_system());
  ~BundleWriter();
  BundleWriter(const BundleWriter&) = delete;
  BundleWriter& operator=(const BundleWriter&) = delete;

  // Errors: INVALID_ARGUMENT for an empty or a repeated key; UNIMPLEMENTED for a dtype
  // without a file form (resources).
  void add(std::string_view key, const Tensor& tensor);
  // A part of a partitioned variable; one that covers all of it is stored as a plain tensor.
  // Errors: INVALID_ARGUMENT also where the tensor is not of the slice's shape.
  void add_slice(std::string_view full_key, const Shape& full_shape, const TensorSlice& slice,
                 const Tensor& tensor);
  void finish();

 private:
  std::string prefix_;
  const FileSystem& files_;
  std::string data_path_;
  std::string index_path_;
  std::unique_ptr<OutputFile> data_;
  std::int64_t size_bytes_ = 0;
  std::map<std::string, BundleEntry, std::less<>> entries_;
};

// Makes one bundle of several: the data files are renamed, the indices merged and removed.
// Errors: INVALID_ARGUMENT for a key in two of them (slices of one variable are joined).
void merge_bundles(const std::vector<std::string>& prefixes, const std::string& merged_prefix,
                   const FileSystem& files = file_system());

}  // namespace hub
