// SparseSegment*: rows of `data` picked by indices, and reduced by sorted segment ids: what
// tf.nn.embedding_lookup_sparse runs on. And their gradients.

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/kernels/row_loops.h"
#include "ops/segments.h"

namespace hub {
namespace {

void check_index_shapes(ShapeContext& c) {
  const PartialShape indices = c.with_rank(1, 1);
  indices.merge_with(c.with_rank(2, 1));
}

Shapes sparse_segment_shape(ShapeContext& c) {
  const PartialShape data = c.at_least_rank(0, 1);
  check_index_shapes(c);
  return {with_first_dim(-1, data)};
}

Shapes sparse_segment_counted_shape(ShapeContext& c) {
  const PartialShape data = c.at_least_rank(0, 1);
  check_index_shapes(c);
  return {with_first_dim(dim_from_input(c, 3), data)};
}

Shapes sparse_segment_grad_v2_shape(ShapeContext& c) {
  const PartialShape grad = c.at_least_rank(0, 1);
  check_index_shapes(c);
  c.with_rank(3, 0);
  return {with_first_dim(-1, grad), PartialShape{-1}};
}

enum class Combiner { kSum, kMean, kSqrtN };

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T>
using Accumulator = std::conditional_t<kIsHalf<T>, float, T>;

template <class T>
void add_row(Accumulator<T>* acc, const T* x, std::int64_t n) {
  if constexpr (kIsHalf<T>) {
    for (std::int64_t j = 0; j < n; ++j) acc[j] += static_cast<float>(x[j]);
  } else {
    join_row<T, AddRow<T>>(acc, x, n);
  }
}

// acc / divisor, as T.
template <class T>
void finish_row(const Accumulator<T>* acc, double divisor, std::int64_t n, T* y) {
  if constexpr (std::is_integral_v<T>) {
    std::copy_n(acc, n, y);  // sums only
  } else {
    const auto by = static_cast<Accumulator<T>>(divisor);
    for (std::int64_t j = 0; j < n; ++j) y[j] = static_cast<T>(acc[j] / by);
  }
}

double divisor_of(Combiner combiner, std::int64_t count) {
  if (combiner == Combiner::kSum) return 1;
  const auto n = static_cast<double>(count);
  return combiner == Combiner::kMean ? n : std::sqrt(n);
}

// Asks for the beginning of a row that will be read soon.
template <class T>
void prefetch_row(const T* row, std::int64_t width) {
  constexpr std::int64_t kLine = 64;
  const auto bytes =
      std::min<std::int64_t>(width * static_cast<std::int64_t>(sizeof(T)), 8 * kLine);
  const auto* start = reinterpret_cast<const char*>(row);
  for (std::int64_t offset = 0; offset < bytes; offset += kLine) __builtin_prefetch(start + offset);
}

struct Lookup {
  const std::vector<std::int64_t>& indices;
  const std::vector<std::int64_t>& begins;  // of each segment in `indices`, and the end
  std::int64_t width;
  Combiner combiner;
};

// Segments [begin, end); one without rows is 0.
template <class T>
void reduce_lookups(const T* data, const Lookup& lookup, std::int64_t begin, std::int64_t end,
                    T* y) {
  constexpr std::int64_t kAhead = 12;
  const auto total = static_cast<std::int64_t>(lookup.indices.size());
  const auto row_of = [&](std::int64_t i) {
    return data + lookup.indices[static_cast<std::size_t>(i)] * lookup.width;
  };
  std::vector<Accumulator<T>> acc(static_cast<std::size_t>(lookup.width));
  for (std::int64_t segment = begin; segment < end; ++segment) {
    const std::int64_t first = lookup.begins[static_cast<std::size_t>(segment)];
    const std::int64_t last = lookup.begins[static_cast<std::size_t>(segment) + 1];
    std::fill(acc.begin(), acc.end(), Accumulator<T>(0));
    for (std::int64_t i = first; i < last; ++i) {
      if (i + kAhead < total) prefetch_row(row_of(i + kAhead), lookup.width);
      add_row<T>(acc.data(), row_of(i), lookup.width);
    }
    const std::int64_t count = std::max<std::int64_t>(last - first, 1);
    finish_row<T>(acc.data(), divisor_of(lookup.combiner, count), lookup.width,
                  y + segment * lookup.width);
  }
}

std::vector<std::int64_t> checked_indices(std::string_view op, const Tensor& tensor,
                                          std::int64_t limit) {
  if (tensor.rank() != 1) {
    throw invalid_argument(op, ": the indices must be a vector. Details: their shape is ",
                           tensor.shape(), ".");
  }
  std::vector<std::int64_t> indices = integer_elements(tensor);
  for (const std::int64_t index : indices) {
    if (index >= 0 && index < limit) continue;
    throw invalid_argument(op, ": indices must be in [0, ", limit, "). Details: got ", index, ".");
  }
  return indices;
}

using SumTypes = Join<Floats, UnsignedIntegers>;

template <Combiner kCombiner, bool kCounted, class Types>
void compute_sparse_segments(KernelContext& ctx) {
  const Tensor& data = ctx.input(0);
  const std::string_view op = ctx.node().op_name;
  if (data.rank() < 1) throw invalid_argument(op, ": the data must have rank 1 or more.");
  const auto indices = checked_indices(op, ctx.input(1), data.dim(0));
  const auto ids = sorted_segment_ids(op, ctx.input(2), static_cast<std::int64_t>(indices.size()));
  std::int64_t rows =
      ids.empty() ? 0 : add_or_throw<std::int64_t>(ids.back(), 1, "The number of segments");
  if constexpr (kCounted) {
    const std::int64_t count = segment_count(op, ctx.input(3), "the number of segments");
    if (rows > count) {
      throw invalid_argument(op, ": ids must be less than the number of segments. Details: id ",
                             rows - 1, " of ", count, " segments.");
    }
    rows = count;
  }
  Tensor& y = ctx.output(0, data.shape().with_dim(0, rows));
  if (y.num_elements() == 0) return;
  std::vector<std::int64_t> begins;
  begins.reserve(static_cast<std::size_t>(rows) + 1);
  for (std::size_t i = 0; i < ids.size(); ++i)
    begins.resize(std::max(begins.size(), static_cast<std::size_t>(ids[i]) + 1),
                  static_cast<std::int64_t>(i));
  begins.resize(static_cast<std::size_t>(rows) + 1, static_cast<std::int64_t>(ids.size()));
  const Lookup lookup = {indices, begins, y.num_elements() / rows, kCombiner};
  const double cost = 0.4 * static_cast<double>(lookup.width) *
                      static_cast<double>(ids.size() + 1) / static_cast<double>(rows);
  dispatch(Types{}, wrapping_dtype(data.dtype()), [&]<class T>() {
    ctx.parallel_for(rows, cost, [&](std::int64_t begin, std::int64_t end) {
      reduce_lookups(elements_as<T>(data), lookup, begin, end, mutable_elements_as<T>(y));
    });
  });
}

struct GradientRows {
  std::vector<std::int64_t> targets;  // row of the output for each lookup
  std::vector<std::int64_t> ids;      // row of the gradient
  std::vector<double> scales;         // for each row of the gradient
};

std::vector<double> gradient_scales(const std::vector<std::int64_t>& ids, std::int64_t segments,
                                    Combiner combiner) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(segments), 0);
  for (const std::int64_t id : ids) ++counts[static_cast<std::size_t>(id)];
  std::vector<double> scales(counts.size());
  std::transform(counts.begin(), counts.end(), scales.begin(), [&](std::int64_t count) {
    return 1 / divisor_of(combiner, std::max<std::int64_t>(count, 1));
  });
  return scales;
}

// y[target] += gradient[id] * scale, over columns [first, first + columns). In half precision
// each step is rounded.
template <class T>
void add_gradients(const T* gradient, const GradientRows& rows, std::int64_t width,
                   std::int64_t first, std::int64_t columns, T* y) {
  for (std::size_t i = 0; i < rows.ids.size(); ++i) {
    const T scale =
        T(static_cast<Accumulator<T>>(rows.scales[static_cast<std::size_t>(rows.ids[i])]));
    const T* from = gradient + rows.ids[i] * width + first;
    T* to = y + rows.targets[i] * width + first;
    for (std::int64_t j = 0; j < columns; ++j) {
      to[j] = wrapping_add(to[j], wrapping_multiply(from[j], scale));
    }
  }
}

void fill_gradient(KernelContext& ctx, const Tensor& gradient, const GradientRows& rows,
                   Tensor& y) {
  std::ranges::fill(y.mutable_bytes(), std::byte{0});
  if (y.num_elements() == 0) return;
  const std::int64_t width = y.num_elements() / y.dim(0);
  constexpr std::int64_t kColumns = 64;
  const std::int64_t blocks = (width + kColumns - 1) / kColumns;
  const double cost =
      static_cast<double>(rows.ids.size()) * static_cast<double>(std::min(width, kColumns));
  dispatch(Floats{}, y.dtype(), [&]<class T>() {
    const T* from = gradient.data<T>();
    T* to = y.mutable_data<T>();
    ctx.parallel_for(blocks, cost, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t first = begin * kColumns;
      add_gradients(from, rows, width, first, std::min(end * kColumns, width) - first, to);
    });
  });
}

// Sorts and renumbers the targets; their old numbers, each once.
std::vector<std::int64_t> make_targets_unique(std::vector<std::int64_t>& targets) {
  std::vector<std::int64_t> unique(targets);
  std::ranges::sort(unique);
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  for (std::int64_t& target : targets) {
    target = std::lower_bound(unique.begin(), unique.end(), target) - unique.begin();
  }
  return unique;
}

GradientRows gradient_rows(KernelContext& ctx, Combiner combiner, std::int64_t output_rows) {
  const std::string_view op = ctx.node().op_name;
  const Tensor& gradient = ctx.input(0);
  if (gradient.rank() < 1) throw invalid_argument(op, ": the gradient must have rank 1 or more.");
  if (ctx.input(2).shape() != ctx.input(1).shape()) {
    throw invalid_argument(op, ": there must be one segment id for each index. Details: ",
                           ctx.input(2).shape(), " and ", ctx.input(1).shape(), ".");
  }
  GradientRows rows;
  rows.targets = checked_indices(op, ctx.input(1), output_rows);
  rows.ids = integer_elements(ctx.input(2));
  for (const std::int64_t id : rows.ids) {
    if (id >= 0 && id < gradient.dim(0)) continue;
    throw invalid_argument(op, ": segment ids must be rows of the gradient. Details: id ", id,
                           " of ", gradient.dim(0), " rows.");
  }
  rows.scales = gradient_scales(rows.ids, gradient.dim(0), combiner);
  return rows;
}

template <Combiner kCombiner>
void compute_gradient(KernelContext& ctx) {
  const std::int64_t count = segment_count(ctx.node().op_name, ctx.input(3), "output_dim0");
  const GradientRows rows = gradient_rows(ctx, kCombiner, count);
  Tensor& y = ctx.output(0, ctx.input(0).shape().with_dim(0, count));
  fill_gradient(ctx, ctx.input(0), rows, y);
}

template <Combiner kCombiner>
void compute_gradient_v2(KernelContext& ctx) {
  const std::int64_t count = segment_count(ctx.node().op_name, ctx.input(3), "dense_output_dim0");
  GradientRows rows = gradient_rows(ctx, kCombiner, count);
  const std::vector<std::int64_t> unique = make_targets_unique(rows.targets);
  const auto size = static_cast<std::int64_t>(unique.size());
  Tensor& y = ctx.output(0, ctx.input(0).shape().with_dim(0, size));
  fill_gradient(ctx, ctx.input(0), rows, y);
  Tensor& indices = ctx.output(1, Shape{size});
  dispatch(Indices{}, indices.dtype(), [&]<class T>() {
    std::ranges::transform(unique, indices.mutable_data<T>(),
                           [](std::int64_t value) { return static_cast<T>(value); });
  });
}

constexpr std::string_view kInputs = "data: T, indices: Tidx, segment_ids: Tsegmentids";
constexpr std::string_view kSumAttrs =
    "T: realnumbertype; Tidx: {int32, int64} = int32; "
    "Tsegmentids: {int32, int64} = int32; sparse_gradient: bool = false";
constexpr std::string_view kCountedInputs =
    "data: T, indices: Tidx, segment_ids: Tsegmentids, num_segments: Tnumsegments";
constexpr std::string_view kCountedSumAttrs =
    "T: realnumbertype; Tidx: {int32, int64} = int32; "
    "Tnumsegments: {int32, int64} = int32; Tsegmentids: {int32, int64} = int32; "
    "sparse_gradient: bool = false";
constexpr std::string_view kGradInputs =
    "grad: T, indices: Tidx, segment_ids: Tsegmentids, output_dim0: int32";
constexpr std::string_view kGradAttrs =
    "T: {bfloat16, half, float, double}; Tidx: {int32, int64} = int32; "
    "Tsegmentids: {int32, int64} = int32";
constexpr std::string_view kGradV2Inputs =
    "grad: T, indices: Tidx, segment_ids: Tsegmentids, dense_output_dim0: int32";
constexpr std::string_view kAttrs =
    "T: {bfloat16, half, float, double}; Tidx: {int32, int64} = int32; "
    "Tsegmentids: {int32, int64} = int32; sparse_gradient: bool = false";
constexpr std::string_view kCountedAttrs =
    "T: {bfloat16, half, float, double}; Tidx: {int32, int64} = int32; "
    "Tnumsegments: {int32, int64} = int32; Tsegmentids: {int32, int64} = int32; "
    "sparse_gradient: bool = false";

constexpr OpDef kOps[] = {
    {.name = "SparseSegmentSum",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kSumAttrs,
     .shape = sparse_segment_shape,
     .kernel = kernel_function<compute_sparse_segments<Combiner::kSum, false, SumTypes>>},
    {.name = "SparseSegmentSumWithNumSegments",
     .inputs = kCountedInputs,
     .outputs = "output: T",
     .attrs = kCountedSumAttrs,
     .shape = sparse_segment_counted_shape,
     .kernel = kernel_function<compute_sparse_segments<Combiner::kSum, true, SumTypes>>},
    {.name = "SparseSegmentSumGrad",
     .inputs = kGradInputs,
     .outputs = "output: T",
     .attrs = kGradAttrs,
     .shape = sparse_segment_counted_shape,
     .kernel = kernel_function<compute_gradient<Combiner::kSum>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseSegmentSumGradV2",
     .inputs = kGradV2Inputs,
     .outputs = "output: T, sorted_unique_indices: Tidx",
     .attrs = kGradAttrs,
     .shape = sparse_segment_grad_v2_shape,
     .kernel = kernel_function<compute_gradient_v2<Combiner::kSum>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseSegmentMean",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kAttrs,
     .shape = sparse_segment_shape,
     .kernel = kernel_function<compute_sparse_segments<Combiner::kMean, false, Floats>>},
    {.name = "SparseSegmentMeanWithNumSegments",
     .inputs = kCountedInputs,
     .outputs = "output: T",
     .attrs = kCountedAttrs,
     .shape = sparse_segment_counted_shape,
     .kernel = kernel_function<compute_sparse_segments<Combiner::kMean, true, Floats>>},
    {.name = "SparseSegmentMeanGrad",
     .inputs = kGradInputs,
     .outputs = "output: T",
     .attrs = kGradAttrs,
     .shape = sparse_segment_counted_shape,
     .kernel = kernel_function<compute_gradient<Combiner::kMean>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseSegmentMeanGradV2",
     .inputs = kGradV2Inputs,
     .outputs = "output: T, sorted_unique_indices: Tidx",
     .attrs = kGradAttrs,
     .shape = sparse_segment_grad_v2_shape,
     .kernel = kernel_function<compute_gradient_v2<Combiner::kMean>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseSegmentSqrtN",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kAttrs,
     .shape = sparse_segment_shape,
     .kernel = kernel_function<compute_sparse_segments<Combiner::kSqrtN, false, Floats>>},
    {.name = "SparseSegmentSqrtNWithNumSegments",
     .inputs = kCountedInputs,
     .outputs = "output: T",
     .attrs = kCountedAttrs,
     .shape = sparse_segment_counted_shape,
     .kernel = kernel_function<compute_sparse_segments<Combiner::kSqrtN, true, Floats>>},
    {.name = "SparseSegmentSqrtNGrad",
     .inputs = kGradInputs,
     .outputs = "output: T",
     .attrs = kGradAttrs,
     .shape = sparse_segment_counted_shape,
     .kernel = kernel_function<compute_gradient<Combiner::kSqrtN>>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseSegmentSqrtNGradV2",
     .inputs = kGradV2Inputs,
     .outputs = "output: T, sorted_unique_indices: Tidx",
     .attrs = kGradAttrs,
     .shape = sparse_segment_grad_v2_shape,
     .kernel = kernel_function<compute_gradient_v2<Combiner::kSqrtN>>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily reduce_sparse_segment_ops() { return kOps; }

}  // namespace hub
