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

// Makes `make.operator()<Key>()` for a table's key dtype. Errors: UNIMPLEMENTED for another.
template <class Make>
std::shared_ptr<LookupTable> make_table(DType key_dtype, Make&& make) {
  std::shared_ptr<LookupTable> table;
  dispatch(TypeList<std::string, std::int64_t, std::int32_t>{}, key_dtype,
           [&]<class Key>() { table = make.template operator()<Key>(); });
  return table;
}

}  // namespace hub
