// Tables that change: from scalar keys to scalars, or to tensors of one shape.

#include <mutex>
#include <shared_mutex>

#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/table.h"
#include "ops/table_rows.h"
#include "ops/table_shapes.h"

namespace hub {
namespace {

template <class Key>
class MutableTable final : public LookupTable {
 public:
  MutableTable(DType value_dtype, const Shape& value_shape)
      : LookupTable(dtype_of<Key>, value_dtype, Shape{}, value_shape),
        width_(value_shape.num_elements()) {
    reserve(16);
  }

  std::string_view kind() const override { return "mutable table"; }
  std::int64_t size() const override {
    const std::shared_lock lock(mutex_);
    return index_.size();
  }

  void find(KernelContext& context, const Tensor& keys, const Tensor& default_value,
            Tensor& values) const override {
    const std::shared_lock lock(mutex_);
    const bool per_key = default_value.num_elements() == values.num_elements();
    find_rows(context, index_, keys, {&values_, &default_value, per_key, width_}, values);
  }

  void export_to(KernelContext& context) const override {
    const std::shared_lock lock(mutex_);
    export_rows(context, index_, values_, value_shape());
  }

  void insert(const Tensor& keys, const Tensor& values) override {
    const std::unique_lock lock(mutex_);
    insert_locked(keys, values);
  }

  void remove(const Tensor& keys) override {
    const std::unique_lock lock(mutex_);
    for (const Key& key : keys.values<Key>()) {
      const std::int64_t row = index_.erase(key);
      if (row < 0) continue;
      free_rows_.push_back(row);
      zero_elements(value_dtype(), element_at(values_, row * width_), width_);
    }
  }

  void import(const Tensor& keys, const Tensor& values) override {
    const std::unique_lock lock(mutex_);
    clear_locked();
    insert_locked(keys, values);
  }

  void clear() override {
    const std::unique_lock lock(mutex_);
    clear_locked();
  }

 private:
  void clear_locked() {
    index_.clear();
    free_rows_.clear();
    used_rows_ = 0;
  }

  void insert_locked(const Tensor& keys, const Tensor& values) {
    const Key* key = keys.data<Key>();
    for (std::int64_t i = 0; i < keys.num_elements(); ++i) {
      const std::int64_t row = index_.insert(key[i], next_row());
      if (row == next_row()) take_row();
      copy_elements(value_dtype(), element_at(values, i * width_),
                    element_at(values_, row * width_), width_);
    }
  }

  std::int64_t next_row() const { return free_rows_.empty() ? used_rows_ : free_rows_.back(); }
  void take_row() {
    if (!free_rows_.empty()) return free_rows_.pop_back();
    if (++used_rows_ >= capacity_) reserve(capacity_ * 2);
  }

  // There is always a row that is not used.
  void reserve(std::int64_t rows) {
    Tensor grown(value_dtype(), value_shape().with_inserted(0, rows));
    zero_elements(value_dtype(), grown.mutable_raw_data(), rows * width_);
    copy_elements(value_dtype(), values_.raw_data(), grown.mutable_raw_data(), capacity_ * width_);
    values_ = std::move(grown);
    capacity_ = rows;
  }

  const std::int64_t width_;
  mutable std::shared_mutex mutex_;
  KeyIndex<Key> index_;
  Tensor values_;
  std::int64_t capacity_ = 0;
  std::int64_t used_rows_ = 0;
  std::vector<std::int64_t> free_rows_;
};

std::shared_ptr<LookupTable> make_mutable_table(const TableTypes& types) {
  return make_table(types.key_dtype, [&]<class Key>() -> std::shared_ptr<LookupTable> {
    return std::make_shared<MutableTable<Key>>(types.value_dtype, types.value_shape);
  });
}

std::shared_ptr<LookupTable> make_table_of_tensors(const TableTypes& types) {
  if (types.value_shape.rank() != 1) {
    throw invalid_argument("MutableHashTableOfTensors: values must be vectors. Details: their ",
                           "shape is ", types.value_shape, ".");
  }
  return make_mutable_table(types);
}

constexpr OpDef kOps[] = {
    {.name = "MutableHashTableV2",
     .outputs = "table_handle: resource",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<NamedTableKernel<make_mutable_table>>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .constant_in_session = true},
    {.name = "MutableHashTable",
     .outputs = "table_handle: Ref(string)",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<NamedTableKernel<make_mutable_table>>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "AnonymousMutableHashTable",
     .outputs = "table_handle: resource",
     .attrs = "key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<AnonymousTableKernel<make_mutable_table>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "MutableHashTableOfTensorsV2",
     .outputs = "table_handle: resource",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type; value_shape: shape = []",
     .shape = table_handle_shape,
     .kernel = make_kernel<NamedTableKernel<make_table_of_tensors>>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .constant_in_session = true},
    {.name = "MutableHashTableOfTensors",
     .outputs = "table_handle: Ref(string)",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type; value_shape: shape = []",
     .shape = table_handle_shape,
     .kernel = make_kernel<NamedTableKernel<make_table_of_tensors>>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "AnonymousMutableHashTableOfTensors",
     .outputs = "table_handle: resource",
     .attrs = "key_dtype: type; value_dtype: type; value_shape: shape = []",
     .shape = table_handle_shape,
     .kernel = make_kernel<AnonymousTableKernel<make_table_of_tensors>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily table_mutable_ops() { return kOps; }

}  // namespace hub
