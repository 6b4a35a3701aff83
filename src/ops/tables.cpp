// Lookup tables: the immutable HashTable, and the ops that work on any table.

#include <mutex>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/table.h"
#include "ops/table_rows.h"
#include "ops/table_shapes.h"
#include "ops/update_functions.h"

namespace hub {

// --- what all tables have ---

void LookupTable::initialize(const Tensor&, const Tensor&) {
  throw invalid_argument("A table's initialisation needs an immutable table. Details: it is a ",
                         kind(), ".");
}

void LookupTable::insert(const Tensor&, const Tensor&) {
  throw unimplemented("A ", kind(), " cannot be changed: there is no insertion.");
}

void LookupTable::remove(const Tensor&) {
  throw unimplemented("A ", kind(), " cannot be changed: there is no removal.");
}

void LookupTable::import(const Tensor&, const Tensor&) {
  throw unimplemented("A ", kind(), " cannot be changed: there is no import.");
}

std::shared_ptr<LookupTable> LookupTable::of_input(KernelContext& context) {
  std::shared_ptr<LookupTable> table;
  const Tensor& handle = context.input(0);
  if (handle.dtype() == DType::kResource) {
    table = context.resource<LookupTable>(0);
  } else {
    if (handle.dtype() != DType::kString || handle.num_elements() != 2) {
      throw invalid_argument(context.node().op_name,
                             ": a table's handle must be two strings. Details: got ",
                             handle.dtype(), " ", handle.shape(), ".");
    }
    const std::string* names = handle.data<std::string>();
    table = context.resources().find<LookupTable>(names[0], names[1]);
  }
  if (table == nullptr || table->is_destroyed()) {
    throw not_found(context.node().op_name, ": there is no such table, or it was destroyed.");
  }
  return table;
}

TableHandleKernel::Name TableHandleKernel::table_name(const KernelInit& init) {
  const auto& shared_name = init.attr<std::string>("shared_name");
  const auto& container = init.attr<std::string>("container");
  if (!shared_name.empty()) return {container, cat("table ", shared_name)};
  if (init.attr<bool>("use_node_name_sharing")) return {container, cat("table ", init.name())};
  // Of this node alone, whichever plan it runs in.
  return {container, cat("table of node ", init.name())};
}

void TableHandleKernel::set_handle(const KernelInit& init, const Name& name,
                                   const std::shared_ptr<LookupTable>& table) {
  if (table->key_dtype() != init.attr<DType>("key_dtype") ||
      table->value_dtype() != init.attr<DType>("value_dtype")) {
    throw invalid_argument(
        init.op(), ": tables of one name must have the same dtypes. Details: there is one from ",
        table->key_dtype(), " to ", table->value_dtype(), ".");
  }
  if (init.output_dtype(0) == DType::kResource) {
    handle_ = Tensor(DType::kResource, Shape{});
    *handle_.mutable_data<ResourceHandle>() = {name.container, name.name, table};
  } else {
    handle_ = strings({name.container, name.name});
  }
}

void check_keys(const LookupTable& table, const Tensor& keys) {
  const int key_rank = table.key_shape().rank();
  const bool fits = keys.dtype() == table.key_dtype() && keys.rank() >= key_rank &&
                    keys.shape().slice(keys.rank() - key_rank, keys.rank()) == table.key_shape();
  if (!fits) {
    throw invalid_argument(
        "Keys must have the table's key dtype, and its key shape at the end. Details: keys are ",
        keys.dtype(), " ", keys.shape(), ", the table's ", table.key_dtype(), " ",
        table.key_shape(), ".");
  }
}

namespace {

// [keys without the key shape] + [value shape].
Shape value_shape_for(const LookupTable& table, const Shape& keys) {
  const Shape outer = keys.slice(0, keys.rank() - table.key_shape().rank());
  std::vector<std::int64_t> dims(outer.dims().begin(), outer.dims().end());
  dims.insert(dims.end(), table.value_shape().dims().begin(), table.value_shape().dims().end());
  return Shape(dims);
}

}  // namespace

void check_entries(const LookupTable& table, const Tensor& keys, const Tensor& values) {
  check_keys(table, keys);
  const Shape expected = value_shape_for(table, keys.shape());
  if (values.dtype() != table.value_dtype() || !(values.shape() == expected)) {
    throw invalid_argument("There must be one value for each key. Details: values are ",
                           values.dtype(), " ", values.shape(), ", expected ", table.value_dtype(),
                           " ", expected, ".");
  }
}

namespace {

// Filled once, then read by any number of threads without a lock.
template <class Key>
class HashTable final : public LookupTable {
 public:
  explicit HashTable(DType value_dtype)
      : LookupTable(dtype_of<Key>, value_dtype, Shape{}, Shape{}) {}

  std::string_view kind() const override { return "HashTable"; }
  bool is_initialized() const override { return initialized_.load(std::memory_order_acquire); }
  std::int64_t size() const override { return is_initialized() ? index_.size() : 0; }

  void find(KernelContext& context, const Tensor& keys, const Tensor& default_value,
            Tensor& values) const override {
    if (!is_initialized()) {
      throw failed_precondition(
          "A table must be initialised before keys are looked up. Details: ", "it is a ", kind(),
          " from ", key_dtype(), " to ", value_dtype(), ".");
    }
    // A default of many values counts by its first, as in TensorFlow.
    find_rows(context, index_, keys, {&values_, &default_value, false, 1}, values);
  }

  void export_to(KernelContext& context) const override {
    if (!is_initialized()) throw aborted("A table must be initialised before it is exported.");
    const Shape shape{index_.size()};
    Tensor& keys = context.output(0, shape);
    Tensor& values = context.output(1, shape);
    // In the order of insertion: rows of repeated keys are left out.
    std::vector<std::int64_t> rows;
    index_.for_each([&](auto, std::int64_t row) { rows.push_back(row); });
    std::ranges::sort(rows);
    index_.for_each([&](auto key, std::int64_t row) {
      keys.mutable_data<Key>()[std::ranges::lower_bound(rows, row) - rows.begin()] = Key(key);
    });
    fill_rows({&values_, &values_, false, 1}, rows.data(), 0, index_.size(), values);
  }

  void initialize(const Tensor& keys, const Tensor& values) override {
    check_entries(*this, keys, values);
    if (keys.num_elements() == 0) {
      throw invalid_argument("A table cannot be initialised with nothing. Details: keys are ",
                             keys.shape(), ".");
    }
    const std::lock_guard lock(mutex_);
    if (is_initialized()) {
      // TensorFlow compares no more than the sizes.
      if (index_.size() == keys.num_elements()) return;
      throw failed_precondition(
          "A table cannot be initialised again with other entries. Details: it has ", index_.size(),
          ", got ", keys.num_elements(), ".");
    }
    KeyIndex<Key> index;
    index.reserve(keys.num_elements());
    const Key* key = keys.data<Key>();
    for (std::int64_t i = 0; i < keys.num_elements(); ++i) {
      const std::int64_t row = index.insert(key[i], i);
      if (row != i && !same_value(values, row, i)) {
        throw failed_precondition("A table's key must have one value. Details: the key at ", i,
                                  " is also at ", row, ", with another value.");
      }
    }
    index_ = std::move(index);
    values_ = values;
    initialized_.store(true, std::memory_order_release);
  }

  void import(const Tensor& keys, const Tensor& values) override { initialize(keys, values); }

 private:
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

  std::mutex mutex_;
  std::atomic<bool> initialized_{false};
  KeyIndex<Key> index_;
  Tensor values_;
};

std::shared_ptr<LookupTable> make_hash_table(DType key_dtype, DType value_dtype) {
  return make_table(key_dtype, [&]<class Key>() -> std::shared_ptr<LookupTable> {
    return std::make_shared<HashTable<Key>>(value_dtype);
  });
}

// --- kernels ---

class HashTableKernel final : public TableHandleKernel {
 public:
  explicit HashTableKernel(const KernelInit& init)
      : TableHandleKernel(init, [&] {
          return make_hash_table(init.attr<DType>("key_dtype"), init.attr<DType>("value_dtype"));
        }) {}
};

// A new table at each run, which lives as long as its handle.
class AnonymousHashTableKernel final : public Kernel {
 public:
  explicit AnonymousHashTableKernel(const KernelInit& init)
      : key_dtype_(init.attr<DType>("key_dtype")), value_dtype_(init.attr<DType>("value_dtype")) {}
  void compute(KernelContext& context) const override {
    Tensor& handle = context.output(0, Shape{});
    handle.mutable_data<ResourceHandle>()->resource = make_hash_table(key_dtype_, value_dtype_);
  }

 private:
  DType key_dtype_;
  DType value_dtype_;
};

void compute_find(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  const Tensor& keys = context.input(1);
  const Tensor& default_value = context.input(2);
  check_keys(*table, keys);
  if (default_value.dtype() != table->value_dtype() ||
      context.output_dtype(0) != table->value_dtype()) {
    throw invalid_argument(context.node().op_name,
                           ": the default must have the table's value dtype. Details: it is ",
                           default_value.dtype(), ", the table's ", table->value_dtype(), ".");
  }
  const Shape shape = value_shape_for(*table, keys.shape());
  if (!(default_value.shape() == table->value_shape()) && !(default_value.shape() == shape)) {
    throw invalid_argument(
        context.node().op_name,
        ": the default must be one value, or one for each key. Details: ", "its shape is ",
        default_value.shape(), ", expected ", table->value_shape(), " or ", shape, ".");
  }
  Tensor& values = context.output(0, shape);
  table->find(context, keys, default_value, values);
}

void compute_size(KernelContext& context) {
  const std::int64_t size = LookupTable::of_input(context)->size();
  *context.output(0, Shape{}).mutable_data<std::int64_t>() = size;
}

void compute_insert(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  check_entries(*table, context.input(1), context.input(2));
  table->insert(context.input(1), context.input(2));
}

void compute_import(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  check_entries(*table, context.input(1), context.input(2));
  table->import(context.input(1), context.input(2));
}

void compute_remove(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  check_keys(*table, context.input(1));
  table->remove(context.input(1));
}

void compute_export(KernelContext& context) {
  const auto table = LookupTable::of_input(context);
  if (context.output_dtype(0) != table->key_dtype() ||
      context.output_dtype(1) != table->value_dtype()) {
    throw invalid_argument(
        context.node().op_name,
        ": the outputs must have the table's dtypes. Details: the table is from ",
        table->key_dtype(), " to ", table->value_dtype(), ".");
  }
  table->export_to(context);
}

constexpr OpDef kOps[] = {
    {.name = "HashTableV2",
     .outputs = "table_handle: resource",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<HashTableKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .constant_in_session = true},
    {.name = "HashTable",
     .outputs = "table_handle: Ref(string)",
     .attrs = "container: string = ''; shared_name: string = ''; use_node_name_sharing: bool = "
              "false; key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<HashTableKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "AnonymousHashTable",
     .outputs = "table_handle: resource",
     .attrs = "key_dtype: type; value_dtype: type",
     .shape = table_handle_shape,
     .kernel = make_kernel<AnonymousHashTableKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true},
    {.name = "LookupTableFindV2",
     .inputs = "table_handle: resource, keys: Tin, default_value: Tout",
     .outputs = "values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_find_shape,
     .kernel = kernel_function<compute_find>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableFind",
     .inputs = "table_handle: Ref(string), keys: Tin, default_value: Tout",
     .outputs = "values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_find_shape,
     .kernel = kernel_function<compute_find>,
     .differentiable = Differentiable::kNone,
     .reads_variables_only = true},
    {.name = "LookupTableSizeV2",
     .inputs = "table_handle: resource",
     .outputs = "size: int64",
     .shape = table_size_shape,
     .kernel = kernel_function<compute_size>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableSize",
     .inputs = "table_handle: Ref(string)",
     .outputs = "size: int64",
     .shape = table_size_shape,
     .kernel = kernel_function<compute_size>,
     .differentiable = Differentiable::kNone,
     .reads_variables_only = true},
    {.name = "LookupTableInsertV2",
     .inputs = "table_handle: resource, keys: Tin, values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_insert>,
     .differentiable = Differentiable::kNone,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableInsert",
     .inputs = "table_handle: Ref(string), keys: Tin, values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_insert>,
     .differentiable = Differentiable::kNone,
     .reads_variables_only = true},
    {.name = "LookupTableRemoveV2",
     .inputs = "table_handle: resource, keys: Tin",
     .attrs = "Tin: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_remove>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableImportV2",
     .inputs = "table_handle: resource, keys: Tin, values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_import>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableImport",
     .inputs = "table_handle: Ref(string), keys: Tin, values: Tout",
     .attrs = "Tin: type; Tout: type",
     .shape = table_use_shape,
     .kernel = kernel_function<compute_import>,
     .differentiable = Differentiable::kRefused,
     .reads_variables_only = true},
    {.name = "LookupTableExportV2",
     .inputs = "table_handle: resource",
     .outputs = "keys: Tkeys, values: Tvalues",
     .attrs = "Tkeys: type; Tvalues: type",
     .shape = table_export_shape,
     .kernel = kernel_function<compute_export>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
    {.name = "LookupTableExport",
     .inputs = "table_handle: Ref(string)",
     .outputs = "keys: Tkeys, values: Tvalues",
     .attrs = "Tkeys: type; Tvalues: type",
     .shape = table_export_shape,
     .kernel = kernel_function<compute_export>,
     .differentiable = Differentiable::kRefused,
     .reads_variables_only = true},
};

}  // namespace

OpFamily table_ops() { return kOps; }

}  // namespace hub
