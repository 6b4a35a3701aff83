#pragma once

// Sparse tensors among a kernel's inputs: checks, orders of entries, moving values about.

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {

inline void check_rank(const KernelContext& context, int input, int rank, std::string_view what) {
  if (context.input(input).rank() != rank) {
    throw invalid_argument(context.node().op_name, ": ", what, " must have rank ", rank,
                           ". Details: its shape is ", context.input(input).shape(), ".");
  }
}

inline void check_sizes(const KernelContext& context, std::int64_t a, std::int64_t b,
                        std::string_view what) {
  if (a != b) {
    throw invalid_argument(context.node().op_name, ": ", what, " must agree. Details: ", a, " and ",
                           b, ".");
  }
}

// Three inputs that are a sparse tensor. Its indices may lie anywhere (see `check_index`).
struct SparseInput {
  const std::int64_t* index = nullptr;  // [count, rank]
  const Tensor* values = nullptr;       // [count]
  std::span<const std::int64_t> shape;  // [rank], each >= 0
  std::int64_t count = 0;
  std::int64_t rank = 0;

  std::span<const std::int64_t> coordinates(std::int64_t entry) const {
    return {index + entry * rank, static_cast<std::size_t>(rank)};
  }
};

// Errors: INVALID_ARGUMENT for ranks and sizes that do not fit, and a negative dimension.
inline SparseInput sparse_input(const KernelContext& context, int indices, int values, int shape,
                                std::string_view what) {
  check_rank(context, indices, 2, cat(what, "indices"));
  check_rank(context, values, 1, cat(what, "values"));
  check_rank(context, shape, 1, cat(what, "shape"));
  SparseInput sparse;
  sparse.index = context.input(indices).data<std::int64_t>();
  sparse.values = &context.input(values);
  sparse.shape = context.input(shape).values<std::int64_t>();
  sparse.count = context.input(indices).dim(0);
  sparse.rank = context.input(indices).dim(1);
  check_sizes(context, sparse.count, sparse.values->dim(0), "the numbers of indices and values");
  check_sizes(context, sparse.rank, context.input(shape).dim(0),
              "the coordinates of an index and the size of the shape");
  for (const std::int64_t size : sparse.shape) {
    if (size < 0) {
      throw invalid_argument(context.node().op_name,
                             ": a dimension must not be negative. Details: the shape is [",
                             join(sparse.shape, ","), "].");
    }
  }
  return sparse;
}

// Errors: INVALID_ARGUMENT for an entry that is outside of the shape.
inline void check_index(const KernelContext& context, const SparseInput& sparse,
                        std::int64_t entry) {
  for (std::int64_t k = 0; k < sparse.rank; ++k) {
    const std::int64_t index = sparse.index[entry * sparse.rank + k];
    const std::int64_t size = sparse.shape[static_cast<std::size_t>(k)];
    if (index < 0 || index >= size) {
      throw invalid_argument(context.node().op_name,
                             ": an index is out of bounds. Details: indices[", entry, ",", k,
                             "] = ", index, " is not in [0, ", size, ").");
    }
  }
}

// Entries sorted by their coordinates along `axes`; equal ones stay as they came.
inline std::vector<std::int64_t> sorted_entries(const std::int64_t* index, std::int64_t count,
                                                std::int64_t rank,
                                                std::span<const std::int64_t> axes) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) {
    for (const std::int64_t axis : axes) {
      const std::int64_t left = index[a * rank + axis];
      const std::int64_t right = index[b * rank + axis];
      if (left != right) return left < right;
    }
    return false;
  });
  return order;
}

// to[first + i] = from[entries[i]], for tensors of one dtype, whatever it is.
inline void gather_values(const Tensor& from, std::span<const std::int64_t> entries, Tensor& to,
                          std::int64_t first = 0) {
  dispatch_by_size(from.dtype(), [&]<class T>() {
    const T* source = static_cast<const T*>(from.raw_data());
    T* target = static_cast<T*>(to.mutable_raw_data()) + first;
    for (std::size_t i = 0; i < entries.size(); ++i) target[i] = source[entries[i]];
  });
}

// Sets output `i` to an int64 vector.
inline void output_vector(KernelContext& context, int i, std::span<const std::int64_t> values) {
  Tensor& result = context.output(i, Shape{static_cast<std::int64_t>(values.size())});
  std::ranges::copy(values, result.mutable_data<std::int64_t>());
}

}  // namespace hub
