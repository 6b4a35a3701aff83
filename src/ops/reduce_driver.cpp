#include "ops/reduce_driver.h"

#include <algorithm>
#include <array>

#include "graph/shape_rules.h"

namespace hub {

namespace {

// Elements that one accumulator takes in before partial results are joined pairwise.
constexpr std::int64_t kRowChunk = 8192;
constexpr std::int64_t kMinBlockRows = 128;
constexpr std::int64_t kMaxBlocks = 1024;
constexpr std::int64_t kTileColumns = 1024;
constexpr std::int64_t kTileRows = 256;
constexpr std::size_t kMaxAccSize = 16;
constexpr double kElementNs = 0.3;

struct Axis {
  std::int64_t size;
  std::int64_t stride;
};

// The axes as few as possible: neighbours of one kind are merged, those of size 1 left out.
struct Layout {
  std::vector<Axis> kept;     // outer ones, without the innermost axis
  std::vector<Axis> reduced;  // likewise
  bool inner_is_reduced = true;
  std::int64_t inner = 1;  // size of the innermost axis, of stride 1
  std::int64_t kept_count = 1;
  std::int64_t reduced_count = 1;

  Layout(const Shape& shape, const std::vector<bool>& is_reduced) {
    struct Piece {
      std::int64_t size;
      bool reduced;
    };
    std::vector<Piece> pieces;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const bool gone = is_reduced[static_cast<std::size_t>(axis)];
      if (shape.dim(axis) == 1) continue;
      if (!pieces.empty() && pieces.back().reduced == gone) {
        pieces.back().size *= shape.dim(axis);
      } else {
        pieces.push_back({shape.dim(axis), gone});
      }
    }
    if (!pieces.empty()) {
      inner_is_reduced = pieces.back().reduced;
      inner = pieces.back().size;
      pieces.pop_back();
    }
    std::int64_t stride = inner;
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
      (piece->reduced ? reduced : kept).push_back({piece->size, stride});
      (piece->reduced ? reduced_count : kept_count) *= piece->size;
      stride *= piece->size;
    }
    // Columns of one row, where nothing is reduced.
    if (!inner_is_reduced && reduced.empty()) reduced.push_back({1, inner});
  }
};

// Where combination `index` of these axes (innermost first) begins.
std::int64_t offset_of(const std::vector<Axis>& axes, std::int64_t index) {
  std::int64_t offset = 0;
  for (const Axis& axis : axes) {
    offset += index % axis.size * axis.stride;
    index /= axis.size;
  }
  return offset;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

class Reducer {
 public:
  Reducer(KernelContext& context, const ReduceLoops& loops, const Tensor& input,
          const Layout& layout, Tensor& output)
      : context_(context),
        loops_(loops),
        layout_(layout),
        x_(static_cast<const std::byte*>(input.raw_data())),
        y_(static_cast<std::byte*>(output.mutable_raw_data())) {}

  void run() {
    if (!layout_.inner_is_reduced) {
      reduce_columns();
    } else if (layout_.reduced.empty() && layout_.inner <= kRowChunk) {
      reduce_short_rows();
    } else {
      reduce_long_rows();
    }
  }

 private:
  const std::byte* x(std::int64_t element) const {
    return x_ + static_cast<std::size_t>(element) * loops_.input_size;
  }
  std::byte* y(std::int64_t element) const {
    return y_ + static_cast<std::size_t>(element) * loops_.output_size;
  }
  std::byte* acc(std::byte* base, std::int64_t element) const {
    return base + static_cast<std::size_t>(element) * loops_.acc_size;
  }

  // [kept, reduced]: each row becomes an element at once.
  void reduce_short_rows() {
    const std::int64_t n = layout_.inner;
    context_.parallel_for(layout_.kept_count, kElementNs * static_cast<double>(n) + 2,
                          [&](std::int64_t begin, std::int64_t end) {
                            alignas(64) std::array<std::byte, kTileRows * kMaxAccSize> accs;
                            for (std::int64_t row = begin; row < end; row += kTileRows) {
                              const std::int64_t count = std::min(kTileRows, end - row);
                              loops_.rows(x(row * n), count, n, accs.data());
                              loops_.finish(accs.data(), count, n, y(row));
                            }
                          });
  }

  // Innermost axis reduced, and long or with others: an output is cut into groups of about
  // kRowChunk elements, whose results are joined pairwise.
  void reduce_long_rows() {
    const std::int64_t n = layout_.inner;
    const std::int64_t chunks = ceil_div(n, kRowChunk);
    const std::int64_t segments = layout_.reduced_count * chunks;
    const std::int64_t per_group = std::max<std::int64_t>(1, kRowChunk / n);
    const std::int64_t groups = ceil_div(segments, per_group);
    Tensor partial = context_.temporary(DType::kUint8, partial_shape(layout_.kept_count, groups));
    auto* accs = static_cast<std::byte*>(partial.mutable_raw_data());
    const double cost = kElementNs * static_cast<double>(std::min(n, kRowChunk) * per_group) + 5;
    context_.parallel_for(
        layout_.kept_count * groups, cost, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t base = offset_of(layout_.kept, unit / groups);
            const std::int64_t first = unit % groups * per_group;
            const std::int64_t last = std::min(first + per_group, segments);
            loops_.fill(acc(accs, unit), 1);
            for (std::int64_t segment = first; segment < last; ++segment) {
              const std::int64_t start = segment % chunks * kRowChunk;
              alignas(16) std::array<std::byte, kMaxAccSize> one;
              loops_.rows(x(base + offset_of(layout_.reduced, segment / chunks) + start), 1,
                          std::min(kRowChunk, n - start), one.data());
              loops_.combine(acc(accs, unit), one.data(), 1);
            }
          }
        });
    join_partials(accs, layout_.kept_count, groups, 1, n * layout_.reduced_count);
  }

  // Innermost axis kept: rows of `inner` accumulators; blocks of rows are joined pairwise.
  void reduce_columns() {
    const std::int64_t width = layout_.inner;
    const std::int64_t rows = layout_.reduced_count;
    const std::int64_t block_rows = std::max(kMinBlockRows, ceil_div(rows, kMaxBlocks));
    const std::int64_t blocks = ceil_div(rows, block_rows);
    const std::int64_t tiles = ceil_div(width, kTileColumns);
    Tensor partial;
    std::byte* accs = nullptr;
    if (blocks > 1) {
      partial =
          context_.temporary(DType::kUint8, partial_shape(layout_.kept_count * blocks, width));
      accs = static_cast<std::byte*>(partial.mutable_raw_data());
    }
    const double cost = kElementNs * static_cast<double>(std::min(block_rows, rows) *
                                                         std::min(width, kTileColumns)) +
                        10;
    context_.parallel_for(
        layout_.kept_count * blocks * tiles, cost, [&](std::int64_t begin, std::int64_t end) {
          alignas(64) std::array<std::byte, kTileColumns * kMaxAccSize> tile;
          for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t column = unit % tiles * kTileColumns;
            const std::int64_t columns = std::min(kTileColumns, width - column);
            const std::int64_t block = unit / tiles % blocks;
            const std::int64_t group = unit / tiles / blocks;
            std::byte* to =
                blocks > 1 ? acc(accs, (group * blocks + block) * width + column) : tile.data();
            reduce_block(offset_of(layout_.kept, group) + column, block * block_rows,
                         std::min((block + 1) * block_rows, rows), columns, to);
            if (blocks == 1) loops_.finish(to, columns, rows, y(group * width + column));
          }
        });
    if (blocks > 1) join_partials(accs, layout_.kept_count, blocks, width, rows);
  }

  // Rows [begin, end) of the reduced combinations, which start at `base`.
  void reduce_block(std::int64_t base, std::int64_t begin, std::int64_t end, std::int64_t columns,
                    std::byte* to) {
    loops_.fill(to, columns);
    const Axis& inner = layout_.reduced.front();
    while (begin < end) {
      const std::int64_t first = begin % inner.size;
      const std::int64_t count = std::min(inner.size - first, end - begin);
      const std::int64_t start = base + offset_of(layout_.reduced, begin);
      if (columns < kNarrow && inner.stride == columns && count >= 2 * kFold) {
        reduce_narrow(start, count, columns, to);
      } else {
        loops_.columns(x(start), count, inner.stride, columns, to);
      }
      begin += count;
    }
  }

  // Few columns: kFold rows side by side fill the vectors; then these are joined.
  void reduce_narrow(std::int64_t start, std::int64_t count, std::int64_t columns, std::byte* to) {
    alignas(64) std::array<std::byte, kNarrow * kFold * kMaxAccSize> wide;
    const std::int64_t width = columns * kFold;
    loops_.fill(wide.data(), width);
    const std::int64_t folded = count / kFold;
    loops_.columns(x(start), folded, width, width, wide.data());
    for (std::int64_t i = 0; i < kFold; ++i)
      loops_.combine(to, acc(wide.data(), i * columns), columns);
    const std::int64_t done = folded * kFold;
    loops_.columns(x(start + done * columns), count - done, columns, columns, to);
  }

  // [groups, blocks, width] accumulators to [groups, width] results.
  void join_partials(std::byte* accs, std::int64_t groups, std::int64_t blocks, std::int64_t width,
                     std::int64_t count) {
    context_.parallel_for(
        groups, static_cast<double>(blocks * width), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t group = begin; group < end; ++group) {
            std::byte* first = acc(accs, group * blocks * width);
            for (std::int64_t left = blocks; left > 1;) {
              const std::int64_t half = (left + 1) / 2;
              loops_.combine(first, acc(first, half * width), (left - half) * width);
              left = half;
            }
            loops_.finish(first, width, count, y(group * width));
          }
        });
  }

  Shape partial_shape(std::int64_t rows, std::int64_t columns) const {
    return Shape{rows, columns, static_cast<std::int64_t>(loops_.acc_size)};
  }

  static constexpr std::int64_t kNarrow = 16;
  static constexpr std::int64_t kFold = 16;

  KernelContext& context_;
  const ReduceLoops& loops_;
  const Layout& layout_;
  const std::byte* x_;
  std::byte* y_;
};

// The result where there is nothing to reduce, but results to give.
void fill_empty(const ReduceLoops& loops, Tensor& output) {
  alignas(16) std::array<std::byte, kMaxAccSize> one;
  loops.fill(one.data(), 1);
  auto* to = static_cast<std::byte*>(output.mutable_raw_data());
  for (std::int64_t i = 0; i < output.num_elements(); ++i) {
    loops.finish(one.data(), 1, 0, to + static_cast<std::size_t>(i) * loops.output_size);
  }
}

}  // namespace

Shapes reduction_shape(ShapeContext& c) {
  const PartialShape& input = c.input(0);
  const bool keep_dims = c.attr<bool>("keep_dims");
  const Tensor* axes = c.input_value(1);
  if (!input.has_rank()) return {PartialShape{}};
  if (axes == nullptr)
    return {keep_dims ? PartialShape::unknown_dims(input.rank()) : PartialShape{}};
  std::vector<bool> reduced(static_cast<std::size_t>(input.rank()), false);
  const Tensor flat = axes->reshaped(Shape{axes->num_elements()});
  for (std::int64_t i = 0; i < flat.num_elements(); ++i) {
    const std::int64_t axis =
        flat.dtype() == kInt32 ? flat.data<std::int32_t>()[i] : flat.data<std::int64_t>()[i];
    reduced[static_cast<std::size_t>(normalized_axis(axis, input.rank()))] = true;
  }
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < input.rank(); ++axis) {
    if (!reduced[static_cast<std::size_t>(axis)]) {
      dims.push_back(input.dim(axis));
    } else if (keep_dims) {
      dims.push_back(1);
    }
  }
  return {PartialShape(std::move(dims))};
}

ReduceAxes reduce_axes(const KernelContext& context, const Shape& input, int axes_input) {
  const Tensor& tensor = context.input(axes_input);
  const Tensor flat = tensor.reshaped(Shape{tensor.num_elements()});
  ReduceAxes axes;
  axes.reduced.assign(static_cast<std::size_t>(input.rank()), false);
  for (std::int64_t i = 0; i < flat.num_elements(); ++i) {
    const std::int64_t value =
        flat.dtype() == kInt32 ? flat.data<std::int32_t>()[i] : flat.data<std::int64_t>()[i];
    const int axis = checked_axis(value, input.rank(), context.node().op_name);
    auto reduced = axes.reduced[static_cast<std::size_t>(axis)];
    if (reduced) {
      throw invalid_argument(context.node().op_name,
                             ": an axis may be reduced once only. Details: axis ", value,
                             " is given twice.");
    }
    reduced = true;
  }
  std::vector<std::int64_t> kept, ones;
  for (int axis = 0; axis < input.rank(); ++axis) {
    const bool reduced = axes.reduced[static_cast<std::size_t>(axis)];
    if (reduced && input.dim(axis) != 1) axes.trivial = false;
    if (!reduced) kept.push_back(input.dim(axis));
    ones.push_back(reduced ? 1 : input.dim(axis));
  }
  axes.kept = Shape(kept);
  axes.kept_as_ones = Shape(ones);
  return axes;
}

void reduce(KernelContext& context, const ReduceLoops& loops, const Tensor& input,
            const std::vector<bool>& reduced, Tensor& output) {
  HUB_ASSERT(loops.acc_size <= kMaxAccSize);
  if (output.num_elements() == 0) return;
  if (input.num_elements() == 0) return fill_empty(loops, output);
  const Layout layout(input.shape(), reduced);
  Reducer(context, loops, input, layout, output).run();
}

}  // namespace hub
