#include <filesystem>
#include <unordered_map>

#include "base/errors.h"
#include "format/bundle_values.h"
#include "format/crc32c.h"
#include "format/proto_convert.h"
#include "format/table.h"

namespace hub {

BundleWriter::BundleWriter(std::string prefix, const FileSystem& files)
    : prefix_(std::move(prefix)), files_(files) {
  const std::string suffix = cat(".tmp", random_hex(8));
  data_path_ = bundle_data_path(prefix_, 0, 1) + suffix;
  index_path_ = bundle_index_path(prefix_) + suffix;
  const auto directory = std::filesystem::path(prefix_).parent_path();
  if (!directory.empty()) files_.create_directories(directory.string());
  data_ = files_.create(data_path_);
}

BundleWriter::~BundleWriter() {
  std::error_code ignored;
  if (!data_path_.empty()) std::filesystem::remove(data_path_, ignored);
  if (!index_path_.empty()) std::filesystem::remove(index_path_, ignored);
}

void BundleWriter::add(std::string_view key, const Tensor& tensor) {
  if (key.empty()) throw invalid_argument("The key of a tensor must not be empty.");
  with_context(
      [&] {
        if (entries_.contains(key)) throw invalid_argument("A key must be added once.");
        const EncodedTensor encoded = append_tensor(tensor, *data_);
        BundleEntry entry;
        entry.dtype = tensor.dtype();
        entry.shape = tensor.shape();
        entry.offset = size_bytes_;
        entry.size_bytes = encoded.size_bytes;
        entry.masked_crc32c = mask_crc(encoded.crc);
        size_bytes_ += encoded.size_bytes;
        entries_.emplace(std::string(key), std::move(entry));
      },
      [&] { return cat("while saving key \"", printable(key), "\""); });
}

void BundleWriter::add_slice(std::string_view full_key, const Shape& full_shape,
                             const TensorSlice& slice, const Tensor& tensor) {
  const Shape part_shape = slice_shape(resolve_slice(slice, full_shape));
  if (!(part_shape == tensor.shape())) {
    throw invalid_argument("A tensor must have its slice's shape. Details: ", tensor.shape(),
                           " for ", slice, " of ", full_shape, ".");
  }
  if (part_shape == full_shape) return add(full_key, tensor);
  if (full_key.empty()) throw invalid_argument("The key of a tensor must not be empty.");
  const auto found = entries_.find(full_key);
  if (found != entries_.end() &&
      (found->second.slices.empty() || found->second.dtype != tensor.dtype() ||
       !(found->second.shape == full_shape))) {
    throw invalid_argument("Slices of a key must agree on dtype and shape. Details: \"",
                           printable(full_key), "\" has ", found->second.dtype, " ",
                           found->second.shape, ", got ", tensor.dtype(), " ", full_shape, ".");
  }
  add(slice_key(full_key, slice), tensor);
  BundleEntry& full = entries_[std::string(full_key)];
  full.dtype = tensor.dtype();
  full.shape = full_shape;
  full.slices.push_back(slice);
}

void BundleWriter::finish() {
  data_->sync();
  data_->close();
  const auto index = files_.create(index_path_);
  index->append(bundle_index(entries_, 1));
  index->sync();
  index->close();
  files_.rename(data_path_, bundle_data_path(prefix_, 0, 1));
  data_path_.clear();
  files_.rename(index_path_, bundle_index_path(prefix_));
  index_path_.clear();
}

namespace {

// The bundles read so far, as one.
class Merge {
 public:
  void add(const std::string& prefix) {
    const std::string path = bundle_index_path(prefix);
    const auto index = MappedFile::open(path);
    int shards_here = 0;
    with_context(
        [&] {
          read_table(index->bytes(), path, [&](std::string_view key, std::string_view value) {
            if (key.empty()) {
              shards_here = add_header(value);
              return;
            }
            add_entry(prefix, shards_here, std::string(key), value);
          });
        },
        [&] { return cat("while merging ", path); });
  }

  void finish(const std::string& prefix, const FileSystem& files) const {
    for (const auto& [path, shard] : shards_) {
      files.rename(path, bundle_data_path(prefix, shard, num_shards_));
    }
    write_file_atomically(bundle_index_path(prefix), bundle_index(entries_, num_shards_),
                          IfExists::kReplace, files);
  }

 private:
  int add_header(std::string_view value) {
    pb::BundleHeaderProto header;
    parse_binary(header, value, "BundleHeaderProto", "the index");
    if (header.endianness() != pb::BundleHeaderProto::LITTLE ||
        header.version().producer() != kBundleVersion) {
      throw invalid_argument("Bundles to merge must have one byte order and version.");
    }
    num_shards_ += header.num_shards();
    return header.num_shards();
  }

  void add_entry(const std::string& prefix, int shards_here, std::string key,
                 std::string_view value) {
    pb::BundleEntryProto message;
    parse_binary(message, value, "BundleEntryProto", "the index");
    BundleEntry entry = read_bundle_entry(message);
    const auto found = entries_.find(key);
    if (found == entries_.end()) {
      const auto path = bundle_data_path(prefix, entry.shard, shards_here);
      entry.shard = shards_.emplace(path, static_cast<int>(shards_.size())).first->second;
      entries_.emplace(std::move(key), std::move(entry));
      return;
    }
    BundleEntry& before = found->second;
    if (before.slices.empty() || entry.slices.empty() || before.dtype != entry.dtype ||
        !(before.shape == entry.shape)) {
      throw invalid_argument("A key must be in one of the merged bundles. Details: \"",
                             printable(key), "\" is in two.");
    }
    before.slices.insert(before.slices.end(), entry.slices.begin(), entry.slices.end());
  }

  int num_shards_ = 0;
  BundleEntries entries_;
  std::unordered_map<std::string, int> shards_;  // data file -> its number in the whole
};

}  // namespace

void merge_bundles(const std::vector<std::string>& prefixes, const std::string& merged_prefix,
                   const FileSystem& files) {
  Merge merge;
  for (const std::string& prefix : prefixes) merge.add(prefix);
  merge.finish(merged_prefix, files);
  for (const std::string& prefix : prefixes) files.remove_all(bundle_index_path(prefix));
}

}  // namespace hub
