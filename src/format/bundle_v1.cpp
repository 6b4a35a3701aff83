// Checkpoints of version 1, seen as bundles: each file is a shard, and a slice's values are
// looked up in its table when they are wanted.

#include <algorithm>

#include "base/errors.h"
#include "format/bundle_items.h"
#include "format/bundle_values.h"
#include "format/proto/tensor_slices.pb.h"
#include "format/proto_convert.h"
#include "format/table.h"

namespace hub {

namespace {

bool covers(const TensorSlice& resolved, const Shape& shape) {
  return slice_shape(resolved) == shape;
}

// How many elements the lists hold; only that of the tensor's dtype has any.
std::int64_t count_values(const pb::TensorProto& values) {
  return std::int64_t{values.float_val_size()} + values.double_val_size() + values.int_val_size() +
         values.string_val_size() + values.int64_val_size() + values.bool_val_size() +
         values.half_val_size() + values.uint32_val_size() + values.uint64_val_size() +
         values.scomplex_val_size() / 2 + values.dcomplex_val_size() / 2;
}

// Tensors by name, from all files.
struct StoredTensor {
  BundleEntry entry;
  std::vector<int> shards;  // of each slice
};

class MetaReader {
 public:
  void read(int shard, std::string_view value, std::uint64_t file_bytes) {
    pb::SavedTensorSlices message;
    parse_binary(message, value, "SavedTensorSlices", "");
    check_bundle_version(message.meta().versions());
    // Names are kept once for each slice. See read_index for the limit.
    std::uint64_t key_bytes = 0;
    const std::uint64_t max_key_bytes = (std::uint64_t{1} << 20) + 64 * file_bytes;
    for (const auto& tensor : message.meta().tensor()) {
      key_bytes += tensor.name().size() * static_cast<std::uint64_t>(tensor.slice_size());
      if (key_bytes > max_key_bytes) {
        throw data_loss("The names of a checkpoint are too long. Details: more than ",
                        max_key_bytes, " bytes in a file of ", file_bytes, ".");
      }
      with_context([&] { add(shard, tensor); },
                   [&] { return cat("in tensor \"", printable(tensor.name()), "\""); });
    }
  }

  std::map<std::string, StoredTensor>& tensors() { return tensors_; }

 private:
  void add(int shard, const pb::SavedSliceMeta& message) {
    if (is_slice_key(message.name())) {
      throw data_loss("The name of a tensor must not begin with a zero byte.");
    }
    const DType dtype = read_dtype(message.type(), DTypeRule::kAnyone);
    const Shape shape = read_full_shape(message.shape());
    StoredTensor& stored = tensors_[message.name()];
    if (stored.shards.empty()) {
      stored.entry.dtype = dtype;
      stored.entry.shape = shape;
    } else if (stored.entry.dtype != dtype || !(stored.entry.shape == shape)) {
      throw data_loss("The slices of a tensor must agree. Details: ", dtype, " ", shape, " and ",
                      stored.entry.dtype, " ", stored.entry.shape, ".");
    }
    for (const auto& slice : message.slice()) {
      stored.entry.slices.push_back(read_tensor_slice(slice));
      stored.shards.push_back(shard);
      resolve_slice(stored.entry.slices.back(), shape);
    }
  }

  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace

void BundleReader::read_tables() {
  num_shards_ = static_cast<int>(tables_.size());
  shards_ = std::make_unique<Shard[]>(tables_.size());
  MetaReader meta;
  for (int i = 0; i < num_shards_; ++i) {
    const std::string& path = tables_[static_cast<std::size_t>(i)];
    if (is_directory(path)) throw data_loss("A checkpoint must be a file. Details: ", path, ".");
    const auto file = shard(i);
    const auto value = find_in_table(file->bytes(), path, "");
    if (!value)
      throw data_loss("A checkpoint must list its tensors.").add_context(cat("in ", path));
    with_context([&] { meta.read(i, *value, file->bytes().size()); },
                 [&] { return cat("in ", path); });
  }
  for (auto& [name, stored] : meta.tensors()) add_stored(name, stored.entry, stored.shards);
  std::ranges::sort(items_, {}, &Item::key);
  const auto twice = std::ranges::adjacent_find(items_, {}, &Item::key);
  if (twice != items_.end()) {
    throw data_loss("The slices of a tensor must not overlap.").add_context(cat("in ", prefix_));
  }
  list_keys();
}

// A tensor stored whole is one item, as in a bundle.
void BundleReader::add_stored(const std::string& name, BundleEntry& entry,
                              const std::vector<int>& shards) {
  const bool is_whole =
      entry.slices.size() == 1 && covers(resolve_slice(entry.slices[0], entry.shape), entry.shape);
  for (std::size_t i = 0; i < entry.slices.size(); ++i) {
    BundleEntry part;
    part.dtype = entry.dtype;
    part.shape = slice_shape(resolve_slice(entry.slices[i], entry.shape));
    part.shard = shards[i];
    std::string key = slice_key(name, entry.slices[i]);
    Item& item = items_.emplace_back(is_whole ? name : key, std::move(part));
    item.table_key = std::move(key);
  }
  if (!is_whole) items_.emplace_back(name, std::move(entry));
}

Tensor BundleReader::read_from_table(const Item& item, const MappedFile& file) const {
  const BundleEntry& entry = item.entry;
  if (!dtype_is_known(static_cast<int>(entry.dtype)) || entry.dtype == DType::kResource) {
    throw unimplemented("A tensor of this dtype cannot be read. Details: the number ",
                        static_cast<int>(entry.dtype), ".");
  }
  const auto value = find_in_table(file.bytes(), file.path(), item.table_key);
  if (!value) throw data_loss("Each slice that is listed must be in the table.");
  pb::SavedTensorSlices message;
  parse_binary(message, *value, "SavedTensorSlices", "");
  pb::TensorProto& values = *message.mutable_data()->mutable_data();
  if (count_values(values) != entry.shape.num_elements()) {
    throw invalid_argument("A slice must hold its values. Details: ", count_values(values),
                           " values for ", entry.dtype, " ", entry.shape, ".");
  }
  values.clear_tensor_content();
  values.clear_tensor_shape();
  values.set_dtype(static_cast<pb::DataType>(entry.dtype));
  write_shape(entry.shape, *values.mutable_tensor_shape());
  SplatBudget no_repetition({.max_splat_bytes = 0});
  return read_tensor(values, no_repetition);
}

}  // namespace hub
