// Cumsum, Cumprod and CumulativeLogsumexp along one axis.

#include <cmath>
#include <limits>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

template <class T>
struct SumScan {
  static T identity() { return T(0); }
  static T join(T total, T x) { return wrapping_add(total, x); }
};

template <class T>
struct ProductScan {
  static T identity() { return T(1); }
  static T join(T total, T x) { return wrapping_multiply(total, x); }
};

template <class T>
struct LogsumexpScan {
  using Wide = std::conditional_t<std::is_floating_point_v<T>, T, float>;
  static T identity() { return T(-std::numeric_limits<Wide>::infinity()); }
  // A NaN counts as if it were the total, as TensorFlow's comparisons have it.
  static T join(T total, T x) {
    const auto a = static_cast<Wide>(total);
    const auto b = static_cast<Wide>(x);
    const Wide smaller = b < a ? b : a;
    const Wide larger = a < b ? b : a;
    if (larger < std::numeric_limits<Wide>::lowest()) return T(larger);
    return T(std::log1p(std::exp(smaller - larger)) + larger);
  }
};

// [outer, n, inner], scanned along n.
struct ScanLayout {
  std::int64_t outer;
  std::int64_t n;
  std::int64_t inner;
  bool exclusive;
  bool reverse;
};

// Columns scanned side by side.
constexpr std::int64_t kColumns = 64;

template <class T, class Op>
void scan_columns(const T* x, T* y, const ScanLayout& layout, std::int64_t columns) {
  T totals[kColumns];
  for (std::int64_t j = 0; j < columns; ++j) totals[j] = Op::identity();
  const std::int64_t step = layout.reverse ? -layout.inner : layout.inner;
  std::int64_t row = layout.reverse ? (layout.n - 1) * layout.inner : 0;
  for (std::int64_t i = 0; i < layout.n; ++i, row += step) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const T joined = Op::join(totals[j], x[row + j]);  // before y, which may be x
      y[row + j] = layout.exclusive ? totals[j] : joined;
      totals[j] = joined;
    }
  }
}

template <class T, class Op>
void scan(KernelContext& ctx, const T* x, T* y, const ScanLayout& layout) {
  const std::int64_t blocks = (layout.inner + kColumns - 1) / kColumns;
  const auto block_size = static_cast<double>(layout.n * std::min(kColumns, layout.inner));
  ctx.parallel_for(layout.outer * blocks, 2 * block_size,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t unit = begin; unit < end; ++unit) {
                       const std::int64_t column = unit % blocks * kColumns;
                       const std::int64_t start = unit / blocks * layout.n * layout.inner + column;
                       scan_columns<T, Op>(x + start, y + start, layout,
                                           std::min(kColumns, layout.inner - column));
                     }
                   });
}

template <template <class> class Op, class Types>
class ScanKernel final : public Kernel {
 public:
  explicit ScanKernel(const KernelInit& init)
      : exclusive_(init.attr<bool>("exclusive")), reverse_(init.attr<bool>("reverse")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const std::string_view op = ctx.node().op_name;
    if (ctx.input(1).rank() != 0) {
      throw invalid_argument(op, ": the axis must be a scalar. Details: its shape is ",
                             ctx.input(1).shape(), ".");
    }
    const int axis = checked_axis(integer_scalar(ctx, 1, "the axis"), x.rank(), op);
    const ScanLayout layout = {x.shape().slice(0, axis).num_elements(), x.dim(axis),
                               x.shape().slice(axis + 1, x.rank()).num_elements(), exclusive_,
                               reverse_};
    Tensor& y = ctx.output_in_place(0, 0, x.shape());
    if (y.num_elements() == 0) return;
    dispatch(Types{}, wrapping_dtype(y.dtype()), [&]<class T>() {
      scan<T, Op<T>>(ctx, elements_as<T>(x), mutable_elements_as<T>(y), layout);
    });
  }

 private:
  const bool exclusive_;
  const bool reverse_;
};

constexpr std::string_view kNumberAttrs =
    "exclusive: bool = false; reverse: bool = false; T: numbertype; "
    "Tidx: {int32, int64} = int32";

constexpr OpDef kOps[] = {
    {.name = "Cumsum",
     .inputs = "x: T, axis: Tidx",
     .outputs = "out: T",
     .attrs = kNumberAttrs,
     .shape = unchanged_shape,
     .kernel = make_kernel<ScanKernel<SumScan, WrappingNumbers>>},
    {.name = "Cumprod",
     .inputs = "x: T, axis: Tidx",
     .outputs = "out: T",
     .attrs = kNumberAttrs,
     .shape = unchanged_shape,
     .kernel = make_kernel<ScanKernel<ProductScan, WrappingNumbers>>},
    {.name = "CumulativeLogsumexp",
     .inputs = "x: T, axis: Tidx",
     .outputs = "out: T",
     .attrs = "exclusive: bool = false; reverse: bool = false; T: {bfloat16, half, float, double}; "
              "Tidx: {int32, int64} = int32",
     .shape = unchanged_shape,
     .kernel = make_kernel<ScanKernel<LogsumexpScan, Floats>>},
};

}  // namespace

OpFamily reduce_scan_ops() { return kOps; }

}  // namespace hub
