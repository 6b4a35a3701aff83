// MutableDenseHashTable: keys and values in buckets, as TensorFlow lays them out, since an
// export (a checkpoint) holds the buckets as they are.

#include <mutex>
#include <shared_mutex>

#include "base/checked.h"
#include "ops/elements.h"
#include "ops/hash64.h"
#include "ops/kernel.h"
#include "ops/table.h"
#include "ops/table_rows.h"
#include "ops/table_shapes.h"

namespace hub {
namespace {

struct DenseOptions {
  std::int64_t initial_buckets = 0;
  float max_load_factor = 0;
};

// A key is a scalar or a vector of `key_width` elements.
template <class Key>
class DenseTable final : public LookupTable {
 public:
  DenseTable(DType value_dtype, const Shape& value_shape, const Tensor& empty_key,
             const Tensor& deleted_key, const DenseOptions& options)
      : LookupTable(dtype_of<Key>, value_dtype, empty_key.shape(), value_shape),
        key_width_(empty_key.num_elements()),
        value_width_(value_shape.num_elements()),
        empty_key_(empty_key.clone()),
        deleted_key_(deleted_key.clone()),
        options_(options) {
    if (same_key(empty_key_.data<Key>(), deleted_key_.data<Key>())) {
      throw invalid_argument("A dense table's empty and deleted keys must differ.");
    }
    allocate(options.initial_buckets);
  }

  std::string_view kind() const override { return "dense table"; }
  std::int64_t size() const override {
    const std::shared_lock lock(mutex_);
    return entries_;
  }

  void find(KernelContext& context, const Tensor& keys, const Tensor& default_value,
            Tensor& values) const override {
    const std::shared_lock lock(mutex_);
    const std::int64_t count = number_of_keys(keys);
    const Key* key = keys.data<Key>();
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i, key += key_width_) {
      check_key(key);
      rows[static_cast<std::size_t>(i)] = find_bucket(key, context.node().op_name).found;
    }
    // A default for each key counts by the first, as in TensorFlow.
    fill_rows({&values_, &default_value, false, value_width_}, rows.data(), 0, count, values);
  }

  void export_to(KernelContext& context) const override {
    const std::shared_lock lock(mutex_);
    context.set_output(0, keys_.clone());
    context.set_output(1, values_.clone());
  }

  void insert(const Tensor& keys, const Tensor& values) override {
    const std::unique_lock lock(mutex_);
    const std::int64_t count = number_of_keys(keys);
    // As if all keys were new ones.
    std::int64_t buckets = buckets_;
    while (static_cast<float>(entries_ + count) >
           static_cast<float>(buckets) * options_.max_load_factor) {
      buckets = mul_or_throw<std::int64_t>(buckets, 2, "A table's number of buckets");
    }
    if (buckets != buckets_) rehash(buckets);
    for (std::int64_t i = 0; i < count; ++i) {
      const Key* key = keys.data<Key>() + i * key_width_;
      check_key(key);
      put(key, element_at(values, i * value_width_));
    }
  }

  void remove(const Tensor& keys) override {
    const std::unique_lock lock(mutex_);
    for (std::int64_t i = 0; i < number_of_keys(keys); ++i) {
      const Key* key = keys.data<Key>() + i * key_width_;
      check_key(key);
      const std::int64_t bucket = find_bucket(key, "removal").found;
      if (bucket < 0) continue;
      std::copy_n(deleted_key_.data<Key>(), key_width_, mutable_key(bucket));
      --entries_;
    }
  }

  // Takes buckets as an export gave them.
  void import(const Tensor& keys, const Tensor& values) override {
    const std::unique_lock lock(mutex_);
    const std::int64_t buckets = keys.dim(0);
    if (buckets == 0) throw invalid_argument("A dense table has at least one bucket.");
    keys_ = keys.clone();
    values_ = values.clone();
    buckets_ = buckets;
    entries_ = 0;
    for (std::int64_t i = 0; i < buckets; ++i) entries_ += is_free(stored_key(i)) ? 0 : 1;
  }

  void check_import(const Tensor& keys, const Tensor& values) const override {
    const bool keys_fit =
        keys.dtype() == key_dtype() && keys.rank() == 2 && keys.dim(1) == key_width_;
    const bool values_fit = values.dtype() == value_dtype() && values.rank() == 2 &&
                            values.dim(1) == value_width_ && values.dim(0) == keys.shape().dim(0);
    if (!keys_fit || !values_fit) {
      throw invalid_argument("A dense table's import must be as its export. Details: keys are ",
                             keys.dtype(), " ", keys.shape(), ", values ", values.dtype(), " ",
                             values.shape(), "; a key has ", key_width_, " elements, a value ",
                             value_width_, ".");
    }
  }

  void clear() override {
    const std::unique_lock lock(mutex_);
    allocate(options_.initial_buckets);
  }

 private:
  struct Place {
    std::int64_t found = -1;  // the key's bucket
    std::int64_t free = -1;   // the first where it could be put
  };

  // Keys lie along the first axis. Errors: INVALID_ARGUMENT where they lie along more.
  std::int64_t number_of_keys(const Tensor& keys) const {
    const std::int64_t count = keys.rank() == 0 ? 1 : keys.dim(0);
    if (count * key_width_ != keys.num_elements()) {
      throw invalid_argument("A dense table's keys must be a list. Details: their shape is ",
                             keys.shape(), ", a key has ", key_width_, " elements.");
    }
    return count;
  }
  const Key* stored_key(std::int64_t bucket) const {
    return keys_.data<Key>() + bucket * key_width_;
  }
  Key* mutable_key(std::int64_t bucket) { return keys_.mutable_data<Key>() + bucket * key_width_; }
  bool same_key(const Key* a, const Key* b) const { return std::equal(a, a + key_width_, b); }
  bool is_free(const Key* key) const {
    return same_key(key, empty_key_.data<Key>()) || same_key(key, deleted_key_.data<Key>());
  }

  void check_key(const Key* key) const {
    if (is_free(key)) {
      throw invalid_argument("A dense table's empty and deleted keys cannot be used as keys.");
    }
  }

  static std::uint64_t hash_of(const Key& key) {
    if constexpr (std::is_same_v<Key, std::string>) {
      return hash64(key);
    } else {
      return static_cast<std::uint64_t>(key);
    }
  }
  std::uint64_t hash(const Key* key) const {
    if (key_width_ == 1) return hash_of(*key);
    std::uint64_t combined = 0;
    for (std::int64_t i = 0; i < key_width_; ++i) {
      combined ^= hash_of(key[i]) + 0x9e3779b97f4a7800U + (combined << 10) + (combined >> 4);
    }
    return combined;
  }

  // Quadratic probing, up to an empty bucket.
  Place find_bucket(const Key* key, std::string_view op) const {
    const auto mask = static_cast<std::uint64_t>(buckets_ - 1);
    std::uint64_t bucket = hash(key) & mask;
    Place place;
    for (std::uint64_t probes = 1; probes <= mask + 1; ++probes) {
      const auto at = static_cast<std::int64_t>(bucket);
      if (same_key(stored_key(at), key)) {
        place.found = at;
        return place;
      }
      if (place.free < 0 && is_free(stored_key(at))) place.free = at;
      if (same_key(stored_key(at), empty_key_.data<Key>())) return place;
      bucket = (bucket + probes) & mask;
    }
    if (place.free >= 0) return place;
    throw internal_error(op, ": the buckets of a dense table are no hash table.");
  }

  void put(const Key* key, const void* value) {
    const Place place = find_bucket(key, "insertion");
    std::int64_t bucket = place.found;
    if (bucket < 0) {
      bucket = place.free;
      std::copy_n(key, key_width_, mutable_key(bucket));
      ++entries_;
    }
    copy_elements(value_dtype(), value, element_at(values_, bucket * value_width_), value_width_);
  }

  void allocate(std::int64_t buckets) {
    if (buckets < 4 || (buckets & (buckets - 1)) != 0) {
      throw invalid_argument(
          "A dense table's number of buckets must be at least 4 and a power of 2. Details: got ",
          buckets, ".");
    }
    keys_ = Tensor(key_dtype(), Shape{buckets, key_width_});
    values_ = Tensor(value_dtype(), Shape{buckets, value_width_});
    for (std::int64_t i = 0; i < buckets; ++i) {
      std::copy_n(empty_key_.data<Key>(), key_width_, keys_.mutable_data<Key>() + i * key_width_);
    }
    zero_elements(value_dtype(), values_.mutable_raw_data(), values_.num_elements());
    buckets_ = buckets;
    entries_ = 0;
  }

  void rehash(std::int64_t buckets) {
    const Tensor keys = keys_;
    const Tensor values = values_;
    const std::int64_t old_buckets = buckets_;
    allocate(buckets);
    for (std::int64_t i = 0; i < old_buckets; ++i) {
      const Key* key = keys.data<Key>() + i * key_width_;
      if (!is_free(key)) put(key, element_at(values, i * value_width_));
    }
  }

  const std::int64_t key_width_;
  const std::int64_t value_width_;
  const Tensor empty_key_;
  const Tensor deleted_key_;
  const DenseOptions options_;
  mutable std::shared_mutex mutex_;
  Tensor keys_;    // [buckets, key_width]
  Tensor values_;  // [buckets, value_width]
  std::int64_t buckets_ = 0;
  std::int64_t entries_ = 0;
};

Shapes dense_handle_shape(ShapeContext& c) {
  const PartialShape key = c.at_most_rank(0, 1);
  c.input(1).merge_with(key);
  // No handle fact: an export has other shapes than that of other tables.
  if (c.output_dtype(0) != DType::kResource) return {PartialShape{2}};
  return {PartialShape::scalar()};
}

// What a dense table is made of; the keys are inputs, so it is made at the first run.
class DenseTableMaker {
 public:
  explicit DenseTableMaker(const KernelInit& init) : types_(init) {
    options_.initial_buckets = init.attr<std::int64_t>("initial_num_buckets");
    options_.max_load_factor = init.attr<float>("max_load_factor");
    if (!(options_.max_load_factor > 0 && options_.max_load_factor < 1)) {
      throw invalid_argument(init.op(), ": max_load_factor must be in (0, 1). Details: it is ",
                             options_.max_load_factor, ".");
    }
    if (types_.value_shape.rank() > 1) {
      throw invalid_argument(init.op(), ": a value must be a scalar or a vector. Details: it is ",
                             types_.value_shape, ".");
    }
  }

  const TableTypes& types() const { return types_; }

  std::shared_ptr<LookupTable> make(KernelContext& context) const {
    const Tensor& empty_key = context.input(0);
    const Tensor& deleted_key = context.input(1);
    if (empty_key.rank() > 1 || empty_key.shape() != deleted_key.shape()) {
      throw invalid_argument(context.node().op_name, ": the empty and the deleted key must be ",
                             "scalars or vectors of one shape. Details: ", empty_key.shape(),
                             " and ", deleted_key.shape(), ".");
    }
    return make_table(types_.key_dtype, [&]<class Key>() -> std::shared_ptr<LookupTable> {
      return std::make_shared<DenseTable<Key>>(types_.value_dtype, types_.value_shape, empty_key,
                                               deleted_key, options_);
    });
  }

 private:
  TableTypes types_;
  DenseOptions options_;
};

class DenseTableKernel final : public Kernel {
 public:
  explicit DenseTableKernel(const KernelInit& init)
      : maker_(init), name_(init), is_resource_(init.output_dtype(0) == DType::kResource) {}

  void compute(KernelContext& context) const override {
    const auto table = context.resources().find_or_create<LookupTable>(
        name_.container, name_.name, [&] { return maker_.make(context); });
    context.set_output(0, table_handle(name_, table, maker_.types(), is_resource_));
  }

 private:
  DenseTableMaker maker_;
  TableName name_;
  bool is_resource_;
};

class AnonymousDenseTableKernel final : public Kernel {
 public:
  explicit AnonymousDenseTableKernel(const KernelInit& init) : maker_(init) {}

  void compute(KernelContext& context) const override {
    const auto table = maker_.make(context);
    context.output(0, Shape{}).mutable_data<ResourceHandle>()->resource = table;
  }

 private:
  DenseTableMaker maker_;
};

constexpr OpDef kOps[] = {
    {.name = "MutableDenseHashTableV2",
     .inputs = "empty_key: key_dtype, deleted_key: key_dtype",
     .outputs = "table_handle: resource",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type; value_shape: shape = []; "
              "initial_num_buckets: int = 131072; max_load_factor: float = 0.80000001",
     .shape = dense_handle_shape,
     .kernel = make_kernel<DenseTableKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "MutableDenseHashTable",
     .inputs = "empty_key: key_dtype",
     .outputs = "table_handle: Ref(string)",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type; value_shape: shape = []; "
              "initial_num_buckets: int = 131072; max_load_factor: float = 0.80000001",
     .shape = dense_handle_shape,
     .kernel = make_kernel<DenseTableKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "AnonymousMutableDenseHashTable",
     .inputs = "empty_key: key_dtype, deleted_key: key_dtype",
     .outputs = "table_handle: resource",
     .attrs = "key_dtype: type; value_dtype: type; value_shape: shape = []; initial_num_buckets: "
              "int = 131072; max_load_factor: float = 0.80000001",
     .shape = dense_handle_shape,
     .kernel = make_kernel<AnonymousDenseTableKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily table_dense_ops() { return kOps; }

}  // namespace hub
