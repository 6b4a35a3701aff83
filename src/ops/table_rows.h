#pragma once

// What tables that keep their values as rows of a tensor share.

#include <algorithm>

#include "ops/key_index.h"
#include "ops/table.h"
#include "tensor/dispatch.h"

namespace hub {

// The stored row of each key, or its default.
struct RowSource {
  const Tensor* stored = nullptr;
  const Tensor* fallback = nullptr;
  bool fallback_per_key = false;
  std::int64_t width = 1;  // elements of a row
};

// Writes rows [begin, begin + count) of `values`: the stored ones, or where `rows` has -1 the
// fallback.
inline void fill_rows(const RowSource& source, const std::int64_t* rows, std::int64_t begin,
                      std::int64_t count, Tensor& values) {
  dispatch_by_size(values.dtype(), [&]<class T>() {
    const auto* stored = static_cast<const T*>(source.stored->raw_data());
    const auto* fallback = static_cast<const T*>(source.fallback->raw_data());
    T* to = static_cast<T*>(values.mutable_raw_data()) + begin * source.width;
    for (std::int64_t i = 0; i < count; ++i, to += source.width) {
      const T* from = rows[i] >= 0
                          ? stored + rows[i] * source.width
                          : fallback + (source.fallback_per_key ? (begin + i) * source.width : 0);
      std::copy_n(from, source.width, to);
    }
  });
}

template <class Key>
void find_rows(KernelContext& context, const KeyIndex<Key>& index, const Tensor& keys,
               const RowSource& source, Tensor& values) {
  const Key* key = keys.data<Key>();
  context.parallel_for(keys.num_elements(), KeyIndex<Key>::kIsString ? 60.0 : 15.0,
                       [&](std::int64_t begin, std::int64_t end) {
                         constexpr std::int64_t kBlock = 256;
                         std::int64_t rows[kBlock];
                         for (std::int64_t i = begin; i < end; i += kBlock) {
                           const std::int64_t count = std::min(kBlock, end - i);
                           index.find_many(key + i, count, rows);
                           fill_rows(source, rows, i, count, values);
                         }
                       });
}

// Sets outputs 0 and 1 to all keys and their rows, in the order of the rows.
template <class Key>
void export_rows(KernelContext& context, const KeyIndex<Key>& index, const Tensor& stored,
                 const Shape& value_shape) {
  Tensor& keys = context.output(0, Shape{index.size()});
  Tensor& values = context.output(1, value_shape.with_inserted(0, index.size()));
  std::vector<std::int64_t> rows;
  index.for_each([&](auto, std::int64_t row) { rows.push_back(row); });
  std::ranges::sort(rows);
  Key* to = keys.mutable_data<Key>();
  index.for_each([&](auto key, std::int64_t row) {
    to[std::ranges::lower_bound(rows, row) - rows.begin()] = Key(key);
  });
  fill_rows({&stored, &stored, false, value_shape.num_elements()}, rows.data(), 0, index.size(),
            values);
}

// Makes `make.operator()<Key>()` for a table's key dtype. Errors: UNIMPLEMENTED for another.
template <class Make>
std::shared_ptr<LookupTable> make_table(DType key_dtype, Make&& make) {
  std::shared_ptr<LookupTable> table;
  dispatch(TypeList<std::string, std::int64_t, std::int32_t>{}, key_dtype,
           [&]<class Key>() { table = make.template operator()<Key>(); });
  return table;
}

// What the attributes of a table op say. Errors: INVALID_ARGUMENT for a partial value_shape.
struct TableTypes {
  DType key_dtype;
  DType value_dtype;
  Shape value_shape;
  explicit TableTypes(const KernelInit& init);
};

// A table op's handle: a resource handle, or for ops of the first version two strings.
// Errors: INVALID_ARGUMENT where the table has other types.
Tensor table_handle(const TableName& name, const std::shared_ptr<LookupTable>& table,
                    const TableTypes& types, bool as_resource);

// A table that all nodes of its name share; `kMake` gives a new one.
template <std::shared_ptr<LookupTable> (*kMake)(const TableTypes&)>
class NamedTableKernel final : public Kernel {
 public:
  explicit NamedTableKernel(const KernelInit& init) {
    const TableName name(init);
    const TableTypes types(init);
    const auto table = init.resources().find_or_create<LookupTable>(name.container, name.name,
                                                                    [&] { return kMake(types); });
    handle_ = table_handle(name, table, types, init.output_dtype(0) == DType::kResource);
  }
  void compute(KernelContext& context) const override { context.set_output(0, handle_); }

 private:
  Tensor handle_;
};

// A new table at each run, which lives as long as its handle.
template <std::shared_ptr<LookupTable> (*kMake)(const TableTypes&)>
class AnonymousTableKernel final : public Kernel {
 public:
  explicit AnonymousTableKernel(const KernelInit& init) : types_(init) {}
  void compute(KernelContext& context) const override {
    context.output(0, Shape{}).mutable_data<ResourceHandle>()->resource = kMake(types_);
  }

 private:
  TableTypes types_;
};

}  // namespace hub
