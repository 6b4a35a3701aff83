#pragma once

// Rows of a tensor picked by index: the heart of embeddings.

#include <cstring>
#include <string>

#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {

// `batches` blocks of `rows` rows of `row` elements each; out of each block, `count` rows.
struct GatherRows {
  std::int64_t batches = 1;
  std::int64_t rows = 0;
  std::int64_t row = 0;
  std::int64_t count = 0;
};

// Errors: INVALID_ARGUMENT for an index outside of [0, rows).
template <class Index>
void check_indices(const Index* indices, std::int64_t count, std::int64_t rows,
                   std::string_view op) {
  for (std::int64_t i = 0; i < count; ++i) {
    const Index index = indices[i];
    if (index < 0 || static_cast<std::int64_t>(index) >= rows) {
      throw invalid_argument(op, ": an index is out of range. Details: indices[", i,
                             "] = ", static_cast<std::int64_t>(index), " is not in [0, ", rows,
                             ").");
    }
  }
}

// Copies the rows of `params` that `indices` (int32 or int64) name to `result`.
inline void gather_rows(KernelContext& context, const Tensor& params, const Tensor& indices,
                        const GatherRows& sizes, Tensor& result) {
  const std::int64_t total = sizes.batches * sizes.count;
  dispatch(Indices{}, indices.dtype(), [&]<class Index>() {
    const Index* index = indices.data<Index>();
    check_indices(index, total, sizes.rows, context.node().op_name);
    if (sizes.row == 0 || total == 0) return;
    const auto from_row = [&](std::int64_t i) {
      const std::int64_t batch = sizes.batches == 1 ? 0 : i / sizes.count;
      return (batch * sizes.rows + static_cast<std::int64_t>(index[i])) * sizes.row;
    };
    if (const std::size_t size = dtype_size(params.dtype()); size != 0) {
      const auto* from = static_cast<const std::byte*>(params.raw_data());
      auto* to = static_cast<std::byte*>(result.mutable_raw_data());
      const std::size_t bytes = size * static_cast<std::size_t>(sizes.row);
      // Rows of a large table come from memory: ask for them some time ahead.
      constexpr std::int64_t kAhead = 8;
      context.parallel_for(
          total, 5.0 + static_cast<double>(bytes) / 8, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
              if (i + kAhead < end)
                __builtin_prefetch(from + static_cast<std::size_t>(from_row(i + kAhead)) * size);
              std::memcpy(to + static_cast<std::size_t>(i) * bytes,
                          from + static_cast<std::size_t>(from_row(i)) * size, bytes);
            }
          });
      return;
    }
    dispatch_by_size(params.dtype(), [&]<class T>() {
      const T* from = params.data<T>();
      T* to = result.mutable_data<T>();
      for (std::int64_t i = 0; i < total; ++i) {
        std::copy_n(from + from_row(i), sizes.row, to + i * sizes.row);
      }
    });
  });
}

}  // namespace hub
