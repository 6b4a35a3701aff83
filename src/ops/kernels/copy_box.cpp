// copy_box: strided copies of any number of axes. Axes that lie behind one another on both
// sides are joined; what remains ends in one of three inner loops: whole rows, square tiles
// (where the two sides run along different axes: transposes), or single elements.

#include <algorithm>
#include <complex>
#include <cstring>
#include <vector>

#include "ops/elements.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

constexpr std::int64_t kTile = 16;  // elements a side: both sides of a tile stay in the L1 cache

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

// to[c * to_stride + r] = from[r * from_stride + c] for a full tile.
template <class T>
void copy_full_tile(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride) {
  for (std::int64_t c = 0; c < kTile; ++c) {
    T* row = to + c * to_stride;
    for (std::int64_t r = 0; r < kTile; ++r) row[r] = from[r * from_stride + c];
  }
}

template <class T>
void copy_tile(const T* from, const CopyAxis& rows, T* to, const CopyAxis& columns,
               std::int64_t row_count, std::int64_t column_count) {
  if (row_count == kTile && column_count == kTile) {
    return copy_full_tile(from, rows.from, to, columns.to);
  }
  for (std::int64_t c = 0; c < column_count; ++c) {
    for (std::int64_t r = 0; r < row_count; ++r) to[c * columns.to + r] = from[r * rows.from + c];
  }
}

// `rows` is the axis along which `to` is contiguous, `columns` that of `from`.
template <class T>
void copy_transposed(KernelContext& context, std::vector<CopyAxis> outer, const CopyAxis& rows,
                     const CopyAxis& columns, const T* from, T* to) {
  const std::int64_t row_tiles = (rows.size + kTile - 1) / kTile;
  const std::int64_t column_tiles = (columns.size + kTile - 1) / kTile;
  outer.push_back({column_tiles, kTile * columns.from, kTile * columns.to});
  const std::int64_t column_axis = static_cast<std::int64_t>(outer.size()) - 1;
  const double cost =
      static_cast<double>(rows.size * kTile * static_cast<std::int64_t>(sizeof(T))) / 2;
  context.parallel_for(item_count(outer), cost, [&](std::int64_t begin, std::int64_t end) {
    Odometer at(outer, begin);
    for (std::int64_t item = begin; item < end; ++item, at.advance()) {
      const std::int64_t tile = item % outer[static_cast<std::size_t>(column_axis)].size;
      const std::int64_t column_count = std::min(kTile, columns.size - tile * kTile);
      for (std::int64_t r = 0; r < row_tiles; ++r) {
        const std::int64_t row_count = std::min(kTile, rows.size - r * kTile);
        copy_tile(from + at.from() + r * kTile * rows.from, rows,
                  to + at.to() + r * kTile * rows.to, columns, row_count, column_count);
      }
    }
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
  // Tiles pay where the source's contiguous axis is not the result's.
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
