// How often each value occurs in each row, as a sparse matrix.

#include <algorithm>
#include <map>
#include <vector>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes counts_shape(PartialShape rank) {
  const std::int64_t columns = rank.has_rank() ? rank.rank() : -1;
  return {PartialShape{-1, columns}, PartialShape{-1}, PartialShape{columns}};
}

Shapes dense_counts_shape(ShapeContext& c) { return counts_shape(c.at_most_rank(0, 2)); }

Shapes sparse_counts_shape(ShapeContext& c) {
  c.with_rank(0, 2);
  const PartialShape size = c.with_rank(2, 1);
  const std::int64_t columns = size.dim(0);
  return {PartialShape{-1, columns}, PartialShape{-1}, PartialShape{columns}};
}

Shapes ragged_counts_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  return {PartialShape{-1, 2}, PartialShape{-1}, PartialShape{2}};
}

struct CountOptions {
  explicit CountOptions(const KernelInit& init)
      : least(init.attr<std::int64_t>("minlength")),
        most(init.attr<std::int64_t>("maxlength")),
        binary(init.attr<bool>("binary_output")) {}
  std::int64_t least, most;  // how many columns; -1: as many as there are
  bool binary;
};

template <class Weight>
class Counts {
 public:
  Counts(std::int64_t rows, const CountOptions& options)
      : options_(options), rows_(static_cast<std::size_t>(rows)) {}

  void add(std::int64_t row, std::int64_t value, Weight weight) {
    if (options_.most >= 0 && value >= options_.most) return;
    Weight& count = rows_[static_cast<std::size_t>(row)][value];
    count = options_.binary ? Weight{1} : static_cast<Weight>(count + weight);
    largest_ = std::max(largest_, value);
  }

  // `one_row`: the counts are a vector.
  void write(KernelContext& c, bool one_row) const {
    std::int64_t entries = 0;
    for (const auto& row : rows_) entries += static_cast<std::int64_t>(row.size());
    const std::int64_t rank = one_row ? 1 : 2;
    auto* indices = c.output(0, Shape{entries, rank}).mutable_data<std::int64_t>();
    auto* values = c.output(1, Shape{entries}).template mutable_data<Weight>();
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      for (const auto& [value, count] : rows_[row]) {
        if (!one_row) *indices++ = static_cast<std::int64_t>(row);
        *indices++ = value;
        *values++ = count;
      }
    }
    auto* shape = c.output(2, Shape{rank}).mutable_data<std::int64_t>();
    if (!one_row) *shape++ = static_cast<std::int64_t>(rows_.size());
    *shape = options_.most >= 0 ? options_.most : std::max(largest_ + 1, options_.least);
  }

 private:
  CountOptions options_;
  std::vector<std::map<std::int64_t, Weight>> rows_;
  std::int64_t largest_ = 0;
};

using WeightTypes = TypeList<std::int32_t, std::int64_t, float, double>;

// Calls body.operator()<Weight>(value(i), weight(i)) with functions of the position.
template <class Body>
void dispatch_counts(KernelContext& c, const Tensor& values, const Tensor& weights, Body&& body) {
  const bool weighted = weights.num_elements() > 0;
  if (weighted && !(weights.shape() == values.shape())) {
    throw invalid_argument(c.node().op_name,
                           ": weights must have the values' shape, or no elements. Details: ",
                           weights.shape(), " and ", values.shape(), ".");
  }
  dispatch(WeightTypes{}, weights.dtype(), [&]<class Weight>() {
    dispatch(Indices{}, values.dtype(), [&]<class T>() {
      const T* from = values.data<T>();
      if (std::any_of(from, from + values.num_elements(), [](T value) { return value < 0; })) {
        throw invalid_argument(c.node().op_name, ": values must not be negative.");
      }
      const Weight* weight = weights.data<Weight>();
      body.template operator()<Weight>(
          [=](std::int64_t i) { return static_cast<std::int64_t>(from[i]); },
          [=](std::int64_t i) { return weighted ? weight[i] : Weight{1}; });
    });
  });
}

class DenseCountsKernel final : public Kernel {
 public:
  explicit DenseCountsKernel(const KernelInit& init) : options_(init) {}
  void compute(KernelContext& c) const override {
    const Tensor& values = c.input(0);
    if (values.rank() < 1 || values.rank() > 2 || (values.rank() == 2 && values.dim(0) == 0)) {
      throw invalid_argument("DenseCountSparseOutput: values must be a vector, or a matrix with ",
                             "rows. Details: their shape is ", values.shape(), ".");
    }
    const bool one_row = values.rank() == 1;
    const std::int64_t rows = one_row ? 1 : values.dim(0);
    const std::int64_t columns = values.dim(values.rank() - 1);
    dispatch_counts(c, values, c.input(1), [&]<class Weight>(auto value, auto weight) {
      Counts<Weight> counts(rows, options_);
      for (std::int64_t i = 0; i < rows * columns; ++i)
        counts.add(i / columns, value(i), weight(i));
      counts.write(c, one_row);
    });
  }

 private:
  CountOptions options_;
};

class SparseCountsKernel final : public Kernel {
 public:
  explicit SparseCountsKernel(const KernelInit& init) : options_(init) {}
  void compute(KernelContext& c) const override {
    const Tensor& indices = c.input(0);
    const Tensor& values = c.input(1);
    const std::vector<std::int64_t> size = integer_vector(c, 2, "dense_shape");
    const bool fits = c.input(2).rank() == 1 && (size.size() == 1 || size.size() == 2) &&
                      (size.size() == 1 || size[0] > 0) && values.rank() == 1 &&
                      indices.rank() == 2 && indices.dim(0) == values.dim(0) &&
                      indices.dim(1) == static_cast<std::int64_t>(size.size()) &&
                      std::ranges::all_of(size, [](std::int64_t dim) { return dim >= 0; });
    if (!fits) {
      throw invalid_argument(
          "SparseCountSparseOutput: the input must be a sparse vector or matrix. Details: indices ",
          indices.shape(), ", values ", values.shape(), ", dense_shape [", join(size, ","), "].");
    }
    const bool one_row = size.size() == 1;
    const std::int64_t rows = one_row ? 1 : size[0];
    constexpr std::int64_t kMaxRows = std::int64_t{1} << 31;
    if (rows > kMaxRows)
      throw resource_exhausted("SparseCountSparseOutput: there are too many rows. Details: ", rows,
                               ".");
    const std::int64_t* at = indices.data<std::int64_t>();
    for (std::int64_t i = 0; i < indices.num_elements(); ++i) {
      const std::int64_t limit = size[static_cast<std::size_t>(i) % size.size()];
      if (at[i] < 0 || at[i] >= limit) {
        throw invalid_argument(
            "SparseCountSparseOutput: an index is outside of dense_shape. Details: ", at[i],
            " is not in [0, ", limit, ").");
      }
    }
    dispatch_counts(c, values, c.input(3), [&]<class Weight>(auto value, auto weight) {
      Counts<Weight> counts(rows, options_);
      for (std::int64_t i = 0; i < values.num_elements(); ++i) {
        counts.add(one_row ? 0 : at[2 * i], value(i), weight(i));
      }
      counts.write(c, one_row);
    });
  }

 private:
  CountOptions options_;
};

class RaggedCountsKernel final : public Kernel {
 public:
  explicit RaggedCountsKernel(const KernelInit& init) : options_(init) {}
  void compute(KernelContext& c) const override {
    const Tensor& values = c.input(1);
    const std::vector<std::int64_t> splits = integer_vector(c, 0, "splits");
    const bool fits = splits.size() >= 2 && splits.front() == 0 && values.rank() == 1 &&
                      splits.back() == values.num_elements() && std::ranges::is_sorted(splits);
    if (!fits) {
      throw invalid_argument(
          "RaggedCountSparseOutput: splits must rise from 0 to the number of values. Details: ",
          splits.size(), " splits, values ", values.shape(), ".");
    }
    const auto rows = static_cast<std::int64_t>(splits.size()) - 1;
    dispatch_counts(c, values, c.input(2), [&]<class Weight>(auto value, auto weight) {
      Counts<Weight> counts(rows, options_);
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto r = static_cast<std::size_t>(row);
        for (std::int64_t i = splits[r]; i < splits[r + 1]; ++i) {
          counts.add(row, value(i), weight(i));
        }
      }
      counts.write(c, /*one_row=*/false);
    });
  }

 private:
  CountOptions options_;
};

constexpr OpDef kOps[] = {
    {.name = "DenseCountSparseOutput",
     .inputs = "values: T, weights: output_type",
     .outputs = "output_indices: int64, output_values: output_type, output_dense_shape: int64",
     .attrs = "T: {int32, int64}; minlength: int >= -1 = -1; maxlength: int >= -1 = -1; "
              "binary_output: bool; output_type: {int32, int64, float, double}",
     .shape = dense_counts_shape,
     .kernel = make_kernel<DenseCountsKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "RaggedCountSparseOutput",
     .inputs = "splits: int64, values: T, weights: output_type",
     .outputs = "output_indices: int64, output_values: output_type, output_dense_shape: int64",
     .attrs = "T: {int32, int64}; minlength: int >= -1 = -1; maxlength: int >= -1 = -1; "
              "binary_output: bool; output_type: {int32, int64, float, double}",
     .shape = ragged_counts_shape,
     .kernel = make_kernel<RaggedCountsKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "SparseCountSparseOutput",
     .inputs = "indices: int64, values: T, dense_shape: int64, weights: output_type",
     .outputs = "output_indices: int64, output_values: output_type, output_dense_shape: int64",
     .attrs = "T: {int32, int64}; minlength: int >= -1 = -1; maxlength: int >= -1 = -1; "
              "binary_output: bool; output_type: {int32, int64, float, double}",
     .shape = sparse_counts_shape,
     .kernel = make_kernel<SparseCountsKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily reduce_counts_ops() { return kOps; }

}  // namespace hub
