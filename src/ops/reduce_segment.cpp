// Segment reductions: rows of `data` with one id become one row. Sorted ids (SegmentSum...)
// and ids in any order (UnsortedSegmentSum...), of which negative ones are left out.

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/kernels/row_loops.h"
#include "ops/segments.h"

namespace hub {
namespace {

Shapes segment_shape(ShapeContext& c) {
  const PartialShape data = c.at_least_rank(0, 1);
  c.with_rank(1, 1);
  return {with_first_dim(-1, data)};
}

enum class Reduction { kSum, kMean, kProd, kMax, kMin };

// Mean and order need the sign; sums and products do not.
constexpr bool is_signed_work(Reduction r) { return r != Reduction::kSum && r != Reduction::kProd; }

template <class T>
using Unsigned = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                             std::type_identity<T>>::type;

template <class T, Reduction kReduction>
void join_rows(T* acc, const T* x, std::int64_t n) {
  if constexpr (kReduction == Reduction::kSum || kReduction == Reduction::kMean) {
    using U = Unsigned<T>;
    join_row<U, AddRow<U>>(reinterpret_cast<U*>(acc), reinterpret_cast<const U*>(x), n);
  } else if constexpr (kReduction == Reduction::kProd) {
    join_row<T, MultiplyRow<T>>(acc, x, n);
  } else if constexpr (kReduction == Reduction::kMax) {
    join_row<T, LargestOfRows<T>>(acc, x, n);
  } else {
    join_row<T, SmallestOfRows<T>>(acc, x, n);
  }
}

template <class T>
void divide_row(T* acc, std::int64_t count, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      acc[j] = T(static_cast<float>(acc[j]) / static_cast<float>(T(static_cast<float>(count))));
    } else if constexpr (std::is_integral_v<T>) {
      const T divisor = static_cast<T>(count);
      // The count may wrap to 0 or -1 in a small type.
      if (divisor == 0) {
        throw invalid_argument("SegmentMean: ", count, " rows in one segment are too many for ",
                               dtype_of<T>, ".");
      }
      using U = Unsigned<T>;
      const bool negates = static_cast<std::int64_t>(divisor) == -1;  // the lowest one wraps
      acc[j] = static_cast<T>(negates ? static_cast<T>(U(0) - static_cast<U>(acc[j]))
                                      : acc[j] / divisor);
    } else {
      acc[j] /= static_cast<T>(static_cast<float>(count));
    }
  }
}

// A segment that has no rows, where ids are sorted: 0, and 1 for products.
template <class T, Reduction kReduction>
T sorted_gap() {
  return kReduction == Reduction::kProd ? T(1) : T(0);
}

// Consecutive rows of one segment.
struct Segment {
  std::int64_t id;
  std::int64_t begin;
  std::int64_t end;
};

std::vector<Segment> find_segments(const std::vector<std::int64_t>& ids) {
  std::vector<Segment> segments;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    if (segments.empty() || segments.back().id != ids[i]) segments.push_back({ids[i], row, row});
    segments.back().end = row + 1;
  }
  return segments;
}

template <class T, Reduction kReduction>
void reduce_segments(KernelContext& ctx, const T* x, const std::vector<Segment>& segments,
                     std::int64_t width, T* y) {
  const auto count = static_cast<std::int64_t>(segments.size());
  const std::int64_t rows = segments.back().end;
  const double cost = 0.5 * static_cast<double>(rows * width) / static_cast<double>(count) + 5;
  ctx.parallel_for(count, cost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Segment& segment = segments[static_cast<std::size_t>(i)];
      const std::int64_t gap = i == 0 ? 0 : segments[static_cast<std::size_t>(i - 1)].id + 1;
      std::fill(y + gap * width, y + segment.id * width, sorted_gap<T, kReduction>());
      T* acc = y + segment.id * width;
      std::copy_n(x + segment.begin * width, width, acc);
      for (std::int64_t row = segment.begin + 1; row < segment.end; ++row) {
        join_rows<T, kReduction>(acc, x + row * width, width);
      }
      if constexpr (kReduction == Reduction::kMean) {
        divide_row(acc, segment.end - segment.begin, width);
      }
    }
  });
}

template <Reduction kReduction, class Types>
void compute_segments(KernelContext& ctx) {
  const Tensor& data = ctx.input(0);
  const std::string_view op = ctx.node().op_name;
  if (data.rank() < 1) throw invalid_argument(op, ": the data must have rank 1 or more.");
  const auto ids = sorted_segment_ids(op, ctx.input(1), data.dim(0));
  const std::int64_t rows =
      ids.empty() ? 0 : add_or_throw<std::int64_t>(ids.back(), 1, "The number of segments");
  Tensor& y = ctx.output(0, data.shape().with_dim(0, rows));
  if (y.num_elements() == 0) return;
  const std::int64_t width = y.num_elements() / rows;
  const auto segments = find_segments(ids);
  const DType dtype = is_signed_work(kReduction) ? data.dtype() : wrapping_dtype(data.dtype());
  dispatch(Types{}, dtype, [&]<class T>() {
    reduce_segments<T, kReduction>(ctx, elements_as<T>(data), segments, width,
                                   mutable_elements_as<T>(y));
  });
}

// What an unsorted segment starts from: the lowest and highest finite numbers, not infinity.
template <class T, Reduction kReduction>
T unsorted_start() {
  using Wide = std::conditional_t<std::is_arithmetic_v<T>, T, float>;
  if constexpr (kReduction == Reduction::kMax || kReduction == Reduction::kMin) {
    constexpr bool kIsMax = kReduction == Reduction::kMax;
    if constexpr (std::is_same_v<T, Half>) {
      return Half::from_bits(kIsMax ? 0xFBFF : 0x7BFF);
    } else if constexpr (std::is_same_v<T, BFloat16>) {
      return BFloat16::from_bits(kIsMax ? 0xFF7F : 0x7F7F);
    } else {
      return kIsMax ? std::numeric_limits<Wide>::lowest() : std::numeric_limits<Wide>::max();
    }
  } else {
    return sorted_gap<T, kReduction>();
  }
}

void check_prefix(std::string_view op, const Tensor& data, const Tensor& ids) {
  if (ids.rank() <= data.rank() && data.shape().slice(0, ids.rank()) == ids.shape()) return;
  throw invalid_argument(op, ": the data's shape must start with that of the ids. Details: ",
                         data.shape(), " and ", ids.shape(), ".");
}

template <Reduction kReduction, class Types>
void compute_unsorted(KernelContext& ctx) {
  const Tensor& data = ctx.input(0);
  const Tensor& id_tensor = ctx.input(1);
  const std::string_view op = ctx.node().op_name;
  check_prefix(op, data, id_tensor);
  const std::int64_t count = segment_count(op, ctx.input(2), "the number of segments");
  const Shape rest = data.shape().slice(id_tensor.rank(), data.rank());
  const std::int64_t width = rest.num_elements();
  Tensor& y = ctx.output(0, rest.with_inserted(0, count));
  const std::vector<std::int64_t> ids = integer_elements(id_tensor);
  if (data.num_elements() > 0) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < count) continue;
      throw invalid_argument(op, ": ids must be less than the number of segments. Details: id ", i,
                             " is ", ids[i], ", of ", count, " segments.");
    }
  }
  if (y.num_elements() == 0) return;
  const DType dtype = is_signed_work(kReduction) ? data.dtype() : wrapping_dtype(data.dtype());
  dispatch(Types{}, dtype, [&]<class T>() {
    const T* x = elements_as<T>(data);
    T* out = mutable_elements_as<T>(y);
    // Each thread takes some columns of all rows: so every sum runs in the rows' order.
    constexpr std::int64_t kColumns = 64;
    const std::int64_t blocks = (width + kColumns - 1) / kColumns;
    const double cost = static_cast<double>((count + static_cast<std::int64_t>(ids.size())) *
                                            std::min(width, kColumns));
    ctx.parallel_for(blocks, cost, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t first = begin * kColumns;
      const std::int64_t columns = std::min(end * kColumns, width) - first;
      for (std::int64_t row = 0; row < count; ++row) {
        std::fill_n(out + row * width + first, columns, unsorted_start<T, kReduction>());
      }
      for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] < 0) continue;
        join_rows<T, kReduction>(out + ids[i] * width + first,
                                 x + static_cast<std::int64_t>(i) * width + first, columns);
      }
    });
  });
}

constexpr std::string_view kInputs = "data: T, segment_ids: Tindices";
constexpr std::string_view kNumberAttrs = "T: numbertype; Tindices: {int32, int64}";
constexpr std::string_view kRealAttrs = "T: realnumbertype; Tindices: {int32, int64}";
constexpr std::string_view kUnsortedInputs =
    "data: T, segment_ids: Tindices, num_segments: Tnumsegments";
constexpr std::string_view kUnsortedNumberAttrs =
    "T: numbertype; Tindices: {int32, int64}; Tnumsegments: {int32, int64} = int32";
constexpr std::string_view kUnsortedRealAttrs =
    "T: realnumbertype; Tindices: {int32, int64}; Tnumsegments: {int32, int64} = int32";

constexpr OpDef kOps[] = {
    {.name = "SegmentSum",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kNumberAttrs,
     .shape = segment_shape,
     .kernel = kernel_function<compute_segments<Reduction::kSum, WrappingNumbers>>},
    {.name = "SegmentMean",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kNumberAttrs,
     .shape = segment_shape,
     .kernel = kernel_function<compute_segments<Reduction::kMean, Numbers>>},
    {.name = "SegmentProd",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kNumberAttrs,
     .shape = segment_shape,
     .kernel = kernel_function<compute_segments<Reduction::kProd, WrappingNumbers>>},
    {.name = "SegmentMax",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kRealAttrs,
     .shape = segment_shape,
     .kernel = kernel_function<compute_segments<Reduction::kMax, RealNumbers>>},
    {.name = "SegmentMin",
     .inputs = kInputs,
     .outputs = "output: T",
     .attrs = kRealAttrs,
     .shape = segment_shape,
     .kernel = kernel_function<compute_segments<Reduction::kMin, RealNumbers>>},
    {.name = "UnsortedSegmentSum",
     .inputs = kUnsortedInputs,
     .outputs = "output: T",
     .attrs = "T: numbertype; Tindices: {int16, int32, int64}; "
              "Tnumsegments: {int32, int64} = int32",
     .shape = unsorted_segment_shape,
     .kernel = kernel_function<compute_unsorted<Reduction::kSum, WrappingNumbers>>},
    {.name = "UnsortedSegmentProd",
     .inputs = kUnsortedInputs,
     .outputs = "output: T",
     .attrs = kUnsortedNumberAttrs,
     .shape = unsorted_segment_shape,
     .kernel = kernel_function<compute_unsorted<Reduction::kProd, WrappingNumbers>>},
    {.name = "UnsortedSegmentMax",
     .inputs = kUnsortedInputs,
     .outputs = "output: T",
     .attrs = kUnsortedRealAttrs,
     .shape = unsorted_segment_shape,
     .kernel = kernel_function<compute_unsorted<Reduction::kMax, RealNumbers>>},
    {.name = "UnsortedSegmentMin",
     .inputs = kUnsortedInputs,
     .outputs = "output: T",
     .attrs = kUnsortedRealAttrs,
     .shape = unsorted_segment_shape,
     .kernel = kernel_function<compute_unsorted<Reduction::kMin, RealNumbers>>},
};

}  // namespace

OpFamily reduce_segment_ops() { return kOps; }

}  // namespace hub
