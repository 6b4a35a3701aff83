// Counting: how often a number occurs, or how many lie in a bin; where numbers belong in a
// sorted row.

#include <algorithm>
#include <cmath>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// The number of bins, a scalar >= 0 in input `input`.
std::int64_t bins_input(const KernelContext& c, int input) {
  if (c.input(input).rank() != 0) {
    throw invalid_argument(c.node().op_name, ": size must be a scalar. Details: its shape is ",
                           c.input(input).shape(), ".");
  }
  const std::int64_t bins = integer_scalar(c, input, "size");
  if (bins < 0) {
    throw invalid_argument(c.node().op_name, ": size must not be negative. Details: ", bins, ".");
  }
  return bins;
}

// Counts values into rows of bins. With no weights each value counts as one; binary counters
// only say whether a value occurs. Values beyond the last bin are left out.
template <class Value, class Weight>
class Counter {
 public:
  Counter(const KernelContext& c, Tensor& counts, std::int64_t bins, const Tensor& weights,
          bool binary)
      : op_(c.node().op_name),
        counts_(counts.mutable_data<Weight>()),
        bins_(bins),
        weights_(weights.num_elements() > 0 ? weights.data<Weight>() : nullptr),
        binary_(binary) {
    std::fill_n(counts_, counts.num_elements(), Weight(0));
  }

  // `i` says which weight belongs to the value.
  void count(std::int64_t row, Value value, std::int64_t i) {
    if (value < 0) {
      throw invalid_argument(op_, ": the values must not be negative. Details: ", value, ".");
    }
    if (value >= bins_) return;
    Weight& bin = counts_[row * bins_ + value];
    if (binary_) {
      bin = Weight(1);
    } else {
      bin = static_cast<Weight>(bin + (weights_ != nullptr ? weights_[i] : Weight(1)));
    }
  }

 private:
  std::string_view op_;
  Weight* counts_;
  std::int64_t bins_;
  const Weight* weights_;
  bool binary_;
};

using WeightTypes = TypeList<std::int32_t, std::int64_t, float, double>;

void compute_bincount(KernelContext& c) {
  const Tensor& values = c.input(0);
  const Tensor& weights = c.input(2);
  const std::int64_t bins = bins_input(c, 1);
  if (weights.num_elements() != 0 && weights.num_elements() != values.num_elements()) {
    throw invalid_argument("Bincount: there must be a weight for each value, or none. Details: ",
                           values.num_elements(), " values, ", weights.num_elements(), " weights.");
  }
  Tensor& counts = c.output(0, Shape{bins});
  dispatch(WeightTypes{}, weights.dtype(), [&]<class Weight>() {
    Counter<std::int32_t, Weight> counter(c, counts, bins, weights, false);
    std::int64_t i = 0;
    for (const std::int32_t value : values.values<std::int32_t>()) counter.count(0, value, i++);
  });
}

class DenseBincountKernel final : public Kernel {
 public:
  explicit DenseBincountKernel(const KernelInit& init)
      : binary_(init.attr<bool>("binary_output")) {}

  void compute(KernelContext& c) const override {
    const Tensor& values = c.input(0);
    const Tensor& weights = c.input(2);
    const std::int64_t bins = bins_input(c, 1);
    if (values.rank() > 2) {
      throw invalid_argument("DenseBincount: the input must have rank <= 2. Details: its shape is ",
                             values.shape(), ".");
    }
    if (weights.num_elements() != 0 && weights.shape() != values.shape()) {
      throw invalid_argument("DenseBincount: the weights must be empty or have the input's shape. ",
                             "Details: ", weights.shape(), " and ", values.shape(), ".");
    }
    if (values.rank() == 0) {  // nothing is counted, as in TensorFlow
      c.output(0, Shape{0});
      return;
    }
    const std::int64_t row = values.dim(values.rank() - 1);
    Tensor& counts = c.output(0, values.rank() == 1 ? Shape{bins} : Shape{values.dim(0), bins});
    dispatch(Indices{}, values.dtype(), [&]<class Value>() {
      dispatch(WeightTypes{}, weights.dtype(), [&]<class Weight>() {
        Counter<Value, Weight> counter(c, counts, bins, weights, binary_);
        std::int64_t i = 0;
        for (const Value value : values.values<Value>()) {
          counter.count(i / row, value, i);
          ++i;
        }
      });
    });
  }

 private:
  bool binary_;
};

class SparseBincountKernel final : public Kernel {
 public:
  explicit SparseBincountKernel(const KernelInit& init)
      : binary_(init.attr<bool>("binary_output")) {}

  void compute(KernelContext& c) const override {
    const std::int64_t bins = bins_input(c, 3);
    check_inputs(c);
    const Tensor& indices = c.input(0);
    const Tensor& values = c.input(1);
    const auto dense = c.input(2).values<std::int64_t>();
    const bool is_vector = dense.size() == 1;
    Tensor& counts = c.output(0, is_vector ? Shape{bins} : Shape{dense[0], bins});
    const auto* rows = indices.data<std::int64_t>();
    const std::int64_t rank = indices.dim(1);
    dispatch(Indices{}, values.dtype(), [&]<class Value>() {
      dispatch(WeightTypes{}, c.input(4).dtype(), [&]<class Weight>() {
        Counter<Value, Weight> counter(c, counts, bins, c.input(4), binary_);
        std::int64_t i = 0;
        for (const Value value : values.values<Value>()) {
          counter.count(is_vector ? 0 : rows[i * rank], value, i);
          ++i;
        }
      });
    });
  }

 private:
  static void check_inputs(const KernelContext& c) {
    const Tensor& indices = c.input(0);
    const Tensor& values = c.input(1);
    const Tensor& dense = c.input(2);
    const Tensor& weights = c.input(4);
    const bool ranks_fit = indices.rank() == 2 && values.rank() == 1 && dense.rank() == 1;
    if (!ranks_fit || indices.dim(0) != values.dim(0) || indices.dim(1) != dense.dim(0) ||
        dense.dim(0) == 0) {
      throw invalid_argument(
          "SparseBincount: the sparse input must be indices [n,r], values [n] and a ",
          "dense shape [r]. Details: ", indices.shape(), ", ", values.shape(), " and ",
          dense.shape(), ".");
    }
    if (weights.num_elements() != 0 && weights.num_elements() != values.num_elements()) {
      throw invalid_argument("SparseBincount: there must be a weight for each value, or none. ",
                             "Details: ", values.num_elements(), " values, ",
                             weights.num_elements(), " weights.");
    }
    const auto sizes = dense.values<std::int64_t>();
    const auto* index = indices.data<std::int64_t>();
    for (std::int64_t i = 0; i < indices.num_elements(); ++i) {
      const std::int64_t size = sizes[static_cast<std::size_t>(i) % sizes.size()];
      if (index[i] < 0 || index[i] >= size) {
        throw invalid_argument(
            "SparseBincount: an index lies outside of the dense shape. Details: ", index[i],
            " in a dimension of ", size, ".");
      }
    }
  }

  bool binary_;
};

// The size as far as it is known; one that cannot be is refused.
std::int64_t known_bins(ShapeContext& c, int input) {
  c.with_rank(input, 0);
  const auto bins = c.input_as_int(input);
  if (!bins) return -1;
  if (*bins < 0 && c.input_value(input) != nullptr) {
    throw invalid_argument(c.node().op_name, ": size must not be negative. Details: ", *bins, ".");
  }
  return std::max<std::int64_t>(*bins, -1);
}

Shapes bincount_shape(ShapeContext& c) { return {PartialShape{known_bins(c, 1)}}; }

Shapes dense_bincount_shape(ShapeContext& c) {
  const std::int64_t bins = known_bins(c, 1);
  const PartialShape values = c.at_most_rank(0, 2);
  if (!values.has_rank()) return {PartialShape{}};
  if (values.rank() == 0) return {PartialShape{0}};
  if (values.rank() == 1) return {PartialShape{bins}};
  return {PartialShape{values.dim(0), bins}};
}

Shapes sparse_bincount_shape(ShapeContext& c) {
  const std::int64_t bins = known_bins(c, 3);
  const PartialShape dense = c.input_as_shape(2);
  if (!dense.has_rank() || dense.rank() == 0) return {PartialShape{}};
  if (dense.rank() == 1) return {PartialShape{bins}};
  return {PartialShape{dense.dim(0), bins}};
}

constexpr OpDef kOps[] = {
    {.name = "Bincount",
     .inputs = "arr: int32, size: int32, weights: T",
     .outputs = "bins: T",
     .attrs = "T: {int32, int64, float, double}",
     .shape = bincount_shape,
     .kernel = kernel_function<compute_bincount>,
     .differentiable = Differentiable::kRefused},
    {.name = "DenseBincount",
     .inputs = "input: Tidx, size: Tidx, weights: T",
     .outputs = "output: T",
     .attrs = "Tidx: {int32, int64}; T: {int32, int64, float, double}; binary_output: bool = false",
     .shape = dense_bincount_shape,
     .kernel = make_kernel<DenseBincountKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseBincount",
     .inputs = "indices: int64, values: Tidx, dense_shape: int64, size: Tidx, weights: T",
     .outputs = "output: T",
     .attrs = "Tidx: {int32, int64}; T: {int32, int64, float, double}; binary_output: bool = false",
     .shape = sparse_bincount_shape,
     .kernel = make_kernel<SparseBincountKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily math_bincount_ops() { return kOps; }

}  // namespace hub
