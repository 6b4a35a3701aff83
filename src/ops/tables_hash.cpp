// HashTable: filled once, then only read.

#include <mutex>

#include "ops/kernel.h"
#include "ops/table.h"
#include "ops/table_rows.h"
#include "ops/table_shapes.h"
#include "ops/update_functions.h"

namespace hub {
namespace {

template <class Key>
class HashTable final : public LookupTable {
 public:
  explicit HashTable(DType value_dtype)
      : LookupTable(dtype_of<Key>, value_dtype, Shape{}, Shape{}) {}

  std::string_view kind() const override { return "HashTable"; }
  bool is_immutable() const override { return true; }
  bool is_initialized() const override { return entries() != nullptr; }
  std::int64_t size() const override {
    const auto current = entries();
    return current == nullptr ? 0 : current->index.size();
  }

  void find(KernelContext& context, const Tensor& keys, const Tensor& default_value,
            Tensor& values) const override {
    const auto current = initialized_entries();
    // A default of many values counts by its first, as in TensorFlow.
    find_rows(context, current->index, keys, {&current->values, &default_value, false, 1}, values);
  }

  bool finds_words() const override {
    return std::is_same_v<Key, std::string> && value_dtype() == DType::kInt64;
  }

  void find_words(std::span<const std::string_view> words, std::int64_t fallback,
                  std::int64_t* values) const override {
    if constexpr (std::is_same_v<Key, std::string>) {
      const auto current = initialized_entries();
      const auto* stored = current->values.template data<std::int64_t>();
      current->index.find_many(words.data(), static_cast<std::int64_t>(words.size()), values);
      for (std::int64_t& value : std::span(values, words.size()))
        value = value < 0 ? fallback : stored[value];
    } else {
      LookupTable::find_words(words, fallback, values);
    }
  }

  void export_to(KernelContext& context) const override {
    const auto current = entries();
    if (current == nullptr) throw aborted("A table must be initialised before it is exported.");
    export_rows(context, current->index, current->values, Shape{});
  }

  void initialize(const Tensor& keys, const Tensor& values) override {
    check_entries(*this, keys, values);
    if (keys.num_elements() == 0) {
      throw invalid_argument("A table cannot be initialised with nothing. Details: keys are ",
                             keys.shape(), ".");
    }
    const std::lock_guard lock(initializing_);
    if (const auto current = entries()) {
      // TensorFlow compares no more than the sizes.
      if (current->index.size() == keys.num_elements()) return;
      throw failed_precondition(
          "A table cannot be initialised again with other entries. Details: it has ",
          current->index.size(), ", got ", keys.num_elements(), ".");
    }
    set_entries(make_entries(keys, values));
  }

  void import(const Tensor& keys, const Tensor& values) override { initialize(keys, values); }

  void clear() override { set_entries(nullptr); }

 private:
  // Never changed once they are there.
  struct Entries {
    KeyIndex<Key> index;
    Tensor values;
  };

  static std::shared_ptr<const Entries> make_entries(const Tensor& keys, const Tensor& values) {
    auto made = std::make_shared<Entries>();
    made->values = values;
    made->index.reserve(keys.num_elements());
    const Key* key = keys.data<Key>();
    for (std::int64_t i = 0; i < keys.num_elements(); ++i) {
      const std::int64_t row = made->index.insert(key[i], i);
      if (row != i && !same_value(values, row, i)) {
        throw failed_precondition("A table's key must have one value. Details: the key at ", i,
                                  " is also at ", row, ", with another value.");
      }
    }
    return made;
  }

  static bool same_value(const Tensor& values, std::int64_t a, std::int64_t b) {
    bool same = false;
    dispatch(Join<PlainTypes, TypeList<std::string>>{}, values.dtype(), [&]<class T>() {
      const T* value = values.data<T>();
      if constexpr (!is_half_width<T>) {
        same = value[a] == value[b];
      } else {
        same = static_cast<float>(value[a]) == static_cast<float>(value[b]);
      }
    });
    return same;
  }

  std::shared_ptr<const Entries> initialized_entries() const {
    auto current = entries();
    if (current == nullptr) {
      throw failed_precondition(
          "A table must be initialised before keys are looked up. Details: it is a ", kind(),
          " from ", key_dtype(), " to ", value_dtype(), ".");
    }
    return current;
  }
  std::shared_ptr<const Entries> entries() const {
    const std::lock_guard lock(mutex_);
    return entries_;
  }
  void set_entries(std::shared_ptr<const Entries> entries) {
    const std::lock_guard lock(mutex_);
    entries_ = std::move(entries);
  }

  std::mutex initializing_;
  mutable std::mutex mutex_;  // guards the pointer
  std::shared_ptr<const Entries> entries_;
};

std::shared_ptr<LookupTable> make_hash_table(const TableTypes& types) {
  return make_table(types.key_dtype, [&]<class Key>() -> std::shared_ptr<LookupTable> {
    return std::make_shared<HashTable<Key>>(types.value_dtype);
  });
}

constexpr OpDef kOps[] = {
    {.name = "HashTableV2",
     .outputs = "table_handle: resource",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<NamedTableKernel<make_hash_table>>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .constant_in_session = true},
    {.name = "HashTable",
     .outputs = "table_handle: Ref(string)",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<NamedTableKernel<make_hash_table>>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "AnonymousHashTable",
     .outputs = "table_handle: resource",
     .attrs = "key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<AnonymousTableKernel<make_hash_table>>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
};

}  // namespace

OpFamily table_hash_ops() { return kOps; }

}  // namespace hub
