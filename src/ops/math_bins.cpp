// Where numbers belong: among boundaries, in bins of equal width, in a sorted row.

#include <algorithm>
#include <cmath>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// The number of boundaries at or below each value: a number on a boundary belongs to the bucket
// above.
template <class T>
void find_buckets(KernelContext& c, const T* values, std::span<const float> boundaries,
                  std::int32_t* buckets) {
  using Common = std::common_type_t<T, float>;
  c.parallel_for(c.input(0).num_elements(), 10, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto value = static_cast<Common>(values[i]);
      const auto above = std::upper_bound(boundaries.begin(), boundaries.end(), value);
      buckets[i] = static_cast<std::int32_t>(above - boundaries.begin());
    }
  });
}

using BucketizedTypes = TypeList<std::int32_t, std::int64_t, float, double>;

void check_sorted(const KernelContext& c, std::span<const float> boundaries) {
  if (!std::ranges::is_sorted(boundaries)) {
    throw invalid_argument(c.node().op_name,
                           ": the boundaries must be sorted. Details: ", join(boundaries), ".");
  }
}

// tf.contrib's: the boundaries are an input of any shape.
void compute_input_boundaries(KernelContext& c) {
  const Tensor& x = c.input(0);
  const auto boundaries = c.input(1).values<float>();
  check_sorted(c, boundaries);
  auto* buckets = c.output(0, x.shape()).mutable_data<std::int32_t>();
  dispatch(BucketizedTypes{}, x.dtype(),
           [&]<class T>() { find_buckets(c, x.data<T>(), boundaries, buckets); });
}

// Each feature's values among its own boundaries; what lies above all of them is in the last
// bucket.
void compute_boosted_trees(KernelContext& c) {
  const int features = c.num_inputs() / 2;
  for (int i = 0; i < features; ++i) {
    const Tensor& x = c.input(i);
    const Tensor& boundaries = c.input(features + i);
    if (x.rank() != 1 || boundaries.rank() != 1) {
      throw invalid_argument(
          "BoostedTreesBucketize: values and boundaries must be vectors. Details: the shapes of "
          "feature ",
          i, " are ", x.shape(), " and ", boundaries.shape(), ".");
    }
    const auto sorted = boundaries.values<float>();
    check_sorted(c, sorted);
    const std::int64_t last = std::max<std::int64_t>(boundaries.dim(0) - 1, 0);
    auto* buckets = c.output(i, x.shape()).mutable_data<std::int32_t>();
    for (const float value : x.values<float>()) {
      const std::int64_t below = std::ranges::lower_bound(sorted, value) - sorted.begin();
      *buckets++ = static_cast<std::int32_t>(std::min(below, last));
    }
  }
}

Shapes boosted_trees_shape(ShapeContext& c) {
  Shapes shapes;
  for (int i = 0; i < c.num_outputs(); ++i) {
    shapes.push_back(c.with_rank(i, 1));
    c.with_rank(c.num_outputs() + i, 1);
  }
  return shapes;
}

class BucketizeKernel final : public Kernel {
 public:
  explicit BucketizeKernel(const KernelInit& init)
      : boundaries_(init.attr<AttrList>("boundaries").floats) {
    if (!std::ranges::is_sorted(boundaries_)) {
      throw invalid_argument(
          "Bucketize: the boundaries must be sorted. Details: ", join(boundaries_), ".");
    }
  }

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    auto* buckets = c.output(0, x.shape()).mutable_data<std::int32_t>();
    dispatch(BucketizedTypes{}, x.dtype(),
             [&]<class T>() { find_buckets<T>(c, x.data<T>(), boundaries_, buckets); });
  }

 private:
  std::vector<float> boundaries_;
};

// The bins' common edge arithmetic: values below the range go to the first, above to the last.
template <class T, class Count>
void count_in_bins(const Tensor& values, T low, T high, std::int64_t bins, Count* counts) {
  std::fill_n(counts, bins, Count{0});
  // Floats are subtracted in their own precision, integers where nothing overflows.
  using Exact = std::conditional_t<std::is_integral_v<T>, double, T>;
  const auto above = [&](T value) {
    return static_cast<double>(static_cast<Exact>(value) - static_cast<Exact>(low));
  };
  const double width = above(high) / static_cast<double>(bins);
  const auto last = static_cast<double>(bins - 1);
  for (const T value : values.values<T>()) {
    if (value != value) {
      throw invalid_argument("HistogramFixedWidth: the values must not hold NaN.");
    }
    const double bin = std::min(above(std::max(value, low)) / width, last);
    // The quotient of two infinities is NaN.
    ++counts[bin >= 0 ? static_cast<std::int64_t>(bin) : 0];
  }
}

void compute_histogram(KernelContext& c) {
  const Tensor& values = c.input(0);
  const Tensor& range = c.input(1);
  if (range.rank() != 1 || range.dim(0) != 2) {
    throw invalid_argument(
        "HistogramFixedWidth: value_range must be a vector of two. Details: its ", "shape is ",
        range.shape(), ".");
  }
  if (c.input(2).rank() != 0) {
    throw invalid_argument("HistogramFixedWidth: nbins must be a scalar. Details: its shape is ",
                           c.input(2).shape(), ".");
  }
  const std::int64_t bins = integer_scalar(c, 2, "nbins");
  if (bins <= 0) {
    throw invalid_argument("HistogramFixedWidth: nbins must be positive. Details: ", bins, ".");
  }
  dispatch(TypeList<std::int32_t, std::int64_t, float, double>{}, values.dtype(), [&]<class T>() {
    const T low = range.data<T>()[0];
    const T high = range.data<T>()[1];
    if (!(low < high)) {
      throw invalid_argument("HistogramFixedWidth: value_range must rise. Details: [", low, ", ",
                             high, "].");
    }
    Tensor& counts = c.output(0, Shape{bins});
    dispatch(Indices{}, counts.dtype(), [&]<class Count>() {
      count_in_bins<T>(values, low, high, bins, counts.mutable_data<Count>());
    });
  });
}

Shapes histogram_shape(ShapeContext& c) {
  c.with_rank(1, 1);
  c.with_rank(2, 0);
  const auto bins = c.input_as_int(2);
  if (bins && *bins <= 0 && c.input_value(2) != nullptr) {
    throw invalid_argument("HistogramFixedWidth: nbins must be positive. Details: ", *bins, ".");
  }
  return {PartialShape{bins && *bins > 0 ? *bins : -1}};
}

// For each value of a row its place in the sorted row: before equal numbers, or after them.
template <bool kUpper>
void compute_bound(KernelContext& c) {
  const Tensor& sorted = c.input(0);
  const Tensor& values = c.input(1);
  if (sorted.rank() != 2 || values.rank() != 2 || sorted.dim(0) != values.dim(0)) {
    throw invalid_argument(c.node().op_name, ": sorted_inputs and values must be matrices with as ",
                           "many rows. Details: ", sorted.shape(), " and ", values.shape(), ".");
  }
  Tensor& places = c.output(0, values.shape());
  if (places.dtype() == DType::kInt32 && sorted.dim(1) > std::numeric_limits<std::int32_t>::max()) {
    throw invalid_argument(c.node().op_name, ": the places do not fit int32. Details: rows of ",
                           sorted.dim(1), ".");
  }
  dispatch(RealNumbers{}, sorted.dtype(), [&]<class T>() {
    const auto less = [](T a, T b) { return static_cast<Wide<T>>(a) < static_cast<Wide<T>>(b); };
    dispatch(Indices{}, places.dtype(), [&]<class Place>() {
      const std::int64_t columns = values.dim(1);
      const T* rows = sorted.data<T>();
      const T* wanted = values.data<T>();
      Place* out = places.mutable_data<Place>();
      c.parallel_for(values.num_elements(), 20, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const T* first = rows + i / columns * sorted.dim(1);
          const T* last = first + sorted.dim(1);
          const T* place = kUpper ? std::upper_bound(first, last, wanted[i], less)
                                  : std::lower_bound(first, last, wanted[i], less);
          out[i] = static_cast<Place>(place - first);
        }
      });
    });
  });
}

Shapes bound_shape(ShapeContext& c) {
  const PartialShape sorted = c.with_rank(0, 2);
  const PartialShape values = c.with_rank(1, 2);
  const std::int64_t rows = merge_dims(sorted.dim(0), values.dim(0), "The numbers of rows");
  return {PartialShape{rows, values.dim(1)}};
}

constexpr OpDef kOps[] = {
    {.name = "Bucketize",
     .inputs = "input: T",
     .outputs = "output: int32",
     .attrs = "T: {int32, int64, float, double}; boundaries: list(float)",
     .shape = unchanged_shape,
     .kernel = make_kernel<BucketizeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "BucketizeWithInputBoundaries",
     .inputs = "input: T, boundaries: float",
     .outputs = "output: int32",
     .attrs = "T: {int32, int64, float, double}",
     .shape = unchanged_shape,
     .kernel = kernel_function<compute_input_boundaries>,
     .differentiable = Differentiable::kRefused},
    {.name = "BoostedTreesBucketize",
     .inputs = "float_values: num_features * float, bucket_boundaries: num_features * float",
     .outputs = "buckets: num_features * int32",
     .attrs = "num_features: int >= 0",
     .shape = boosted_trees_shape,
     .kernel = kernel_function<compute_boosted_trees>,
     .differentiable = Differentiable::kRefused},
    {.name = "HistogramFixedWidth",
     .inputs = "values: T, value_range: T, nbins: int32",
     .outputs = "out: dtype",
     .attrs = "T: {int32, int64, float, double}; dtype: {int32, int64} = int32",
     .shape = histogram_shape,
     .kernel = kernel_function<compute_histogram>,
     .differentiable = Differentiable::kRefused},
    {.name = "LowerBound",
     .inputs = "sorted_inputs: T, values: T",
     .outputs = "output: out_type",
     .attrs = "T: type; out_type: {int32, int64} = int32",
     .shape = bound_shape,
     .kernel = kernel_function<compute_bound<false>>,
     .differentiable = Differentiable::kRefused},
    {.name = "UpperBound",
     .inputs = "sorted_inputs: T, values: T",
     .outputs = "output: out_type",
     .attrs = "T: type; out_type: {int32, int64} = int32",
     .shape = bound_shape,
     .kernel = kernel_function<compute_bound<true>>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily math_bins_ops() { return kOps; }

}  // namespace hub
