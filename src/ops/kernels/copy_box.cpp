// copy_box: strided copies of any number of axes. Axes that lie behind one another on both
// sides are joined; what remains ends in one of three inner loops: whole rows, square blocks
// (where the two sides run along different axes: transposes), or single elements.

#include <algorithm>
#include <complex>
#include <cstring>
#include <utility>
#include <vector>

#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/kernels/streaming.h"
#include "ops/kernels/transpose_tiles.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// Elements a side of the blocks that a transpose is cut into: a block's lines stay in the cache
// until they are used up.
constexpr std::int64_t kBlock = 64;
// Rows of a strip that is written past the caches, 16 columns after 16 columns: what is read stays
// in the last of the caches.
constexpr std::int64_t kStreamedRows = 4096;

// Without axes of one element, and with neighbours joined where they are one run.
std::vector<CopyAxis> joined_axes(std::span<const CopyAxis> axes) {
  std::vector<CopyAxis> joined;
  for (const CopyAxis& axis : axes) {
    if (axis.size == 1) continue;
    if (!joined.empty() && joined.back().from == axis.from * axis.size &&
        joined.back().to == axis.to * axis.size) {
      joined.back() = {joined.back().size * axis.size, axis.from, axis.to};
    } else {
      joined.push_back(axis);
    }
  }
  return joined;
}

// Counts through the outer axes, keeping the offsets of both sides.
class Odometer {
 public:
  Odometer(std::span<const CopyAxis> axes, std::int64_t item)
      : axes_(axes), position_(axes.size()) {
    for (std::size_t i = axes.size(); i-- > 0;) {
      position_[i] = item % axes[i].size;
      item /= axes[i].size;
      from_ += position_[i] * axes[i].from;
      to_ += position_[i] * axes[i].to;
    }
  }
  std::int64_t from() const { return from_; }
  std::int64_t to() const { return to_; }
  void advance() {
    for (std::size_t i = axes_.size(); i-- > 0;) {
      from_ += axes_[i].from;
      to_ += axes_[i].to;
      if (++position_[i] < axes_[i].size) return;
      from_ -= axes_[i].size * axes_[i].from;
      to_ -= axes_[i].size * axes_[i].to;
      position_[i] = 0;
    }
  }

 private:
  std::span<const CopyAxis> axes_;
  std::vector<std::int64_t> position_;
  std::int64_t from_ = 0;
  std::int64_t to_ = 0;
};

std::int64_t item_count(std::span<const CopyAxis> axes) {
  std::int64_t count = 1;
  for (const CopyAxis& axis : axes) count *= axis.size;
  return count;
}

template <class T>
void copy_row(const T* from, T* to, std::int64_t count) {
  if constexpr (std::is_trivially_copyable_v<T>) {
    constexpr std::int64_t kShort = 32 / static_cast<std::int64_t>(sizeof(T));
    if (count > kShort) {
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
      return;
    }
  }
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
}

template <class T>
void copy_line(const T* from, T* to, const CopyAxis& axis) {
  if (axis.from == 1 && axis.to == 1) return copy_row(from, to, axis.size);
  if (axis.from == 0 && axis.to == 1) {
    std::fill_n(to, axis.size, *from);
    return;
  }
  for (std::int64_t i = 0; i < axis.size; ++i) to[i * axis.to] = from[i * axis.from];
}

// Square tiles of as many elements a side as 16 bytes hold, transposed in registers: each round
// zips row i with row i + n / 2.
template <class T>
inline constexpr int kVectorTile = static_cast<int>(16 / sizeof(T));

template <class T>
struct VectorOf {
  using Type [[gnu::vector_size(16)]] = T;
};

template <int kOffset, class Vector, int... kLanes>
Vector zip(Vector a, Vector b, std::integer_sequence<int, kLanes...>) {
  constexpr int kSide = sizeof...(kLanes);
  return __builtin_shufflevector(a, b, (kLanes / 2 + kLanes % 2 * kSide + kOffset)...);
}

template <class T>
void transpose_vector_tile(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride) {
  constexpr int kSide = kVectorTile<T>;
  using Lanes = std::make_integer_sequence<int, kSide>;
  using Vector = typename VectorOf<T>::Type;
  Vector rows[kSide];  // std::array would lose the vector's size
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) std::memcpy(&rows[i], from + i * from_stride, sizeof(Vector));
#pragma GCC unroll 4
  for (int round = 1; round < kSide; round *= 2) {
    Vector zipped[kSide];
#pragma GCC unroll 8
    for (int i = 0; i < kSide / 2; ++i) {
      zipped[2 * i] = zip<0>(rows[i], rows[i + kSide / 2], Lanes{});
      zipped[2 * i + 1] = zip<kSide / 2>(rows[i], rows[i + kSide / 2], Lanes{});
    }
    std::copy_n(zipped, kSide, rows);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) std::memcpy(to + i * to_stride, &rows[i], sizeof(Vector));
}

// to[c * to_stride + r] = from[r * from_stride + c] for a block.
template <class T>
void transpose_block(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride,
                     std::int64_t rows, std::int64_t columns) {
  std::int64_t whole_rows = 0;
  std::int64_t whole_columns = 0;
  if constexpr (std::is_integral_v<T>) {
    constexpr std::int64_t kSide = kVectorTile<T>;
    whole_rows = rows / kSide * kSide;
    whole_columns = columns / kSide * kSide;
    for (std::int64_t c = 0; c < whole_columns; c += kSide) {
      for (std::int64_t r = 0; r < whole_rows; r += kSide) {
        transpose_vector_tile(from + r * from_stride + c, from_stride, to + c * to_stride + r,
                              to_stride);
      }
    }
  }
  const auto copy = [&](std::int64_t first_row, std::int64_t first_column) {
    for (std::int64_t c = first_column; c < columns; ++c) {
      for (std::int64_t r = first_row; r < rows; ++r)
        to[c * to_stride + r] = from[r * from_stride + c];
    }
  };
  if (whole_rows < rows) copy(whole_rows, 0);
  rows = whole_rows;
  if (whole_columns < columns) copy(0, whole_columns);
}

// What all blocks of a transpose have in common. `rows` is the axis along which `to` is contiguous,
// `columns` that of `from`.
struct Transpose {
  CopyAxis rows;
  CopyAxis columns;
  TransposeTiles tiles;  // null where there are none for the elements
  bool streams;
};

// A strip of `columns` columns, over all rows: in tiles, and what they leave in blocks.
template <class T>
void transpose_strip(const Transpose& t, const T* from, T* to, std::int64_t columns) {
  std::int64_t tiled_rows = 0;
  std::int64_t tiled_columns = 0;
  if constexpr (std::is_same_v<T, std::uint32_t>) {
    if (t.tiles != nullptr) {
      tiled_rows = t.rows.size / kTransposeTile * kTransposeTile;
      tiled_columns = columns / kTransposeTile * kTransposeTile;
      const std::int64_t step = t.streams ? kStreamedRows : kBlock;
      for (std::int64_t r = 0; r < tiled_rows; r += step) {
        t.tiles(from + r * t.rows.from, t.rows.from, to + r, t.columns.to,
                std::min(step, tiled_rows - r), tiled_columns, t.streams);
      }
    }
  }
  const auto in_blocks = [&](std::int64_t row, std::int64_t first, std::int64_t count) {
    if (count == 0) return;
    for (std::int64_t r = row; r < t.rows.size; r += kBlock) {
      transpose_block(from + r * t.rows.from + first, t.rows.from, to + first * t.columns.to + r,
                      t.columns.to, std::min(kBlock, t.rows.size - r), count);
    }
  };
  in_blocks(tiled_rows, 0, tiled_columns);
  in_blocks(0, tiled_columns, columns - tiled_columns);
}

template <class T>
void copy_transposed(KernelContext& context, std::vector<CopyAxis> outer, const CopyAxis& rows,
                     const CopyAxis& columns, const T* from, T* to) {
  const std::int64_t column_blocks = (columns.size + kBlock - 1) / kBlock;
  outer.push_back({column_blocks, kBlock * columns.from, kBlock * columns.to});
  const double cost = static_cast<double>(rows.size * std::min(kBlock, columns.size)) *
                      static_cast<double>(sizeof(T)) / 8;
  Transpose all{rows, columns, nullptr, false};
  if constexpr (std::is_same_v<T, std::uint32_t>) {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    const auto result_bytes =
        static_cast<std::size_t>(item_count(outer) * std::min(kBlock, columns.size) * rows.size) *
        sizeof(T);
    const auto starts_line = [](const CopyAxis& axis) { return axis.to % kLine == 0; };
    static const TransposeTiles fastest = fastest_transpose_tiles();
    all.tiles = fastest;
    all.streams = fastest != nullptr && is_streamed(result_bytes, result_bytes) &&
                  reinterpret_cast<std::uintptr_t>(to) % 64 == 0 && starts_line(columns) &&
                  std::ranges::all_of(outer, starts_line);
  }
  context.parallel_for(item_count(outer), cost, [&](std::int64_t begin, std::int64_t end) {
    Odometer at(outer, begin);
    for (std::int64_t item = begin; item < end; ++item, at.advance()) {
      const std::int64_t column_count =
          std::min(kBlock, columns.size - item % column_blocks * kBlock);
      transpose_strip(all, from + at.from(), to + at.to(), column_count);
    }
    if (all.streams) finish_streaming();
  });
}

// Lines of `inner`, in planes of `middle` so that short lines cost little.
template <class T>
void copy_lines(KernelContext& context, const std::vector<CopyAxis>& outer, const CopyAxis& middle,
                const CopyAxis& inner, const T* from, T* to) {
  const double bytes_per_ns = std::is_trivially_copyable_v<T> ? 4 : 1;
  const double cost =
      static_cast<double>(inner.size * static_cast<std::int64_t>(sizeof(T))) / bytes_per_ns + 1;
  if (outer.empty()) {
    context.parallel_for(middle.size, cost, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        copy_line(from + i * middle.from, to + i * middle.to, inner);
      }
    });
    return;
  }
  const double plane_cost = cost * static_cast<double>(middle.size);
  context.parallel_for(item_count(outer), plane_cost, [&](std::int64_t begin, std::int64_t end) {
    Odometer at(outer, begin);
    for (std::int64_t item = begin; item < end; ++item, at.advance()) {
      const T* plane_from = from + at.from();
      T* plane_to = to + at.to();
      for (std::int64_t i = 0; i < middle.size; ++i) {
        copy_line(plane_from + i * middle.from, plane_to + i * middle.to, inner);
      }
    }
  });
}

// One line that is long enough to be cut for several threads.
template <class T>
void copy_single_line(KernelContext& context, const CopyAxis& axis, const T* from, T* to) {
  const double bytes_per_ns = std::is_trivially_copyable_v<T> ? 4 : 1;
  context.parallel_for(axis.size, static_cast<double>(sizeof(T)) / bytes_per_ns,
                       [&](std::int64_t begin, std::int64_t end) {
                         copy_line(from + begin * axis.from, to + begin * axis.to,
                                   {end - begin, axis.from, axis.to});
                       });
}

template <class T>
void copy_joined(KernelContext& context, std::vector<CopyAxis> axes, const T* from, T* to) {
  if (axes.empty()) {
    *to = *from;
    return;
  }
  const CopyAxis inner = axes.back();
  axes.pop_back();
  if (axes.empty()) return copy_single_line(context, inner, from, to);
  // Blocks pay where the source's contiguous axis is not the result's.
  if (inner.to == 1 && inner.from != 1 && inner.from != 0) {
    const auto columns = std::ranges::find(axes, std::int64_t{1}, &CopyAxis::from);
    if (columns != axes.end() && columns->size >= 4 && inner.size >= 4) {
      const CopyAxis column_axis = *columns;
      axes.erase(columns);
      return copy_transposed(context, std::move(axes), inner, column_axis, from, to);
    }
  }
  const CopyAxis middle = axes.back();
  axes.pop_back();
  copy_lines(context, axes, middle, inner, from, to);
}

}  // namespace

void copy_box(KernelContext& context, DType dtype, std::span<const CopyAxis> axes, const void* from,
              void* to) {
  if (std::ranges::any_of(axes, [](const CopyAxis& axis) { return axis.size == 0; })) return;
  std::vector<CopyAxis> joined = joined_axes(axes);
  dispatch_by_size(dtype, [&]<class T>() {
    copy_joined(context, std::move(joined), static_cast<const T*>(from), static_cast<T*>(to));
  });
}

}  // namespace hub
