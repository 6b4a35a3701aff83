// RaggedCross: all combinations of the features in a row, as text or as hashes.

#include <algorithm>
#include <limits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/feature_cross.h"
#include "ops/kernel.h"
#include "ops/ragged.h"

namespace hub {
namespace {

Error wrong_rank(std::string_view kind, const Shape& shape) {
  return invalid_argument("RaggedCross: inputs must have rank 2. Details: a ", kind,
                          " one has shape ", shape, ".");
}

class RaggedCrossKernel final : public Kernel {
 public:
  explicit RaggedCrossKernel(const KernelInit& init)
      : ragged_(init.input_range("ragged_values")),
        ragged_splits_(init.input_range("ragged_row_splits")),
        sparse_indices_(init.input_range("sparse_indices")),
        sparse_values_(init.input_range("sparse_values")),
        sparse_shapes_(init.input_range("sparse_shape")),
        dense_(init.input_range("dense_inputs")),
        order_(init.attr<std::string>("input_order")),
        hashing_(init) {
    if (ragged_.count != ragged_splits_.count || sparse_indices_.count != sparse_values_.count) {
      throw invalid_argument("RaggedCross: each feature needs its values and its rows.");
    }
    const auto counted = [&](char kind) {
      return static_cast<int>(std::ranges::count(order_, kind));
    };
    if (counted('R') != ragged_.count || counted('S') != sparse_values_.count ||
        counted('D') != dense_.count ||
        static_cast<int>(order_.size()) != ragged_.count + sparse_values_.count + dense_.count) {
      throw invalid_argument(
          "RaggedCross: input_order must name each input, by R, S or D. Details: \"",
          printable(order_), "\" for ", ragged_.count, ", ", sparse_values_.count, " and ",
          dense_.count, ".");
    }
  }

  void compute(KernelContext& context) const override {
    const std::vector<Features> features = read(context);
    const std::size_t rows = features.empty() ? 0 : features[0].splits.size() - 1;
    const Splits splits = cross_counts(features, rows, "RaggedCross");
    Tensor& result = context.output(0, Shape{splits.back()});
    output_splits(context, 1, splits);
    for (std::size_t row = 0; row < rows; ++row) {
      cross_row(features, row, splits[row], splits[row + 1], hashing_, result);
    }
  }

 private:
  std::vector<Features> read(const KernelContext& context) const {
    std::vector<Features> features;
    int ragged = 0;
    int sparse = 0;
    int dense = 0;
    for (const char kind : order_) {
      features.push_back(kind == 'R'   ? read_ragged(context, ragged++)
                         : kind == 'S' ? read_sparse(context, sparse++)
                                       : read_dense(context, dense++));
      if (features.back().splits.size() != features[0].splits.size()) {
        throw invalid_argument("RaggedCross: inputs must have one number of rows. Details: ",
                               features[0].splits.size() - 1, " and ",
                               features.back().splits.size() - 1, ".");
      }
    }
    return features;
  }

  Features read_ragged(const KernelContext& context, int i) const {
    const Tensor& values = context.input(ragged_.begin + i);
    if (values.rank() != 1) throw wrong_rank("ragged", values.shape());
    return {&values, nested_splits_input(context, ragged_splits_.begin + i, 1, values.dim(0))[0]};
  }

  // The indices are taken to be in order.
  Features read_sparse(const KernelContext& context, int i) const {
    const Tensor& indices = context.input(sparse_indices_.begin + i);
    const Tensor& values = context.input(sparse_values_.begin + i);
    const Tensor& shape = context.input(sparse_shapes_.begin + i);
    if (indices.rank() != 2 || indices.dim(1) != 2 || values.rank() != 1 || shape.rank() != 1 ||
        shape.dim(0) != 2 || indices.dim(0) != values.dim(0)) {
      throw wrong_rank("sparse", indices.shape());
    }
    const std::int64_t rows = shape.data<std::int64_t>()[0];
    const std::int64_t count = values.dim(0);
    // Rows without features take memory, too; other inputs say how many there can be.
    if (rows < 0 || rows > std::numeric_limits<std::int32_t>::max()) {
      throw invalid_argument("RaggedCross: the number of rows is out of range. Details: ", rows,
                             ".");
    }
    Splits splits{0};
    std::int64_t at = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      while (at < count && indices.data<std::int64_t>()[at * 2] <= row) ++at;
      splits.push_back(at);
    }
    return {&values, std::move(splits)};
  }

  Features read_dense(const KernelContext& context, int i) const {
    const Tensor& values = context.input(dense_.begin + i);
    if (values.rank() != 2) throw wrong_rank("dense", values.shape());
    return {&values, dense_rows(values)};
  }

  ArgRange ragged_;
  ArgRange ragged_splits_;
  ArgRange sparse_indices_;
  ArgRange sparse_values_;
  ArgRange sparse_shapes_;
  ArgRange dense_;
  std::string order_;
  CrossHashing hashing_;
};

Shapes ragged_cross_shape(ShapeContext& c) {
  std::int64_t rows = -1;
  const ArgRange splits = c.input_range("ragged_row_splits");
  for (int i = splits.begin; i < splits.begin + splits.count; ++i) {
    const std::int64_t size = c.with_rank(i, 1).dim(0);
    if (rows < 0 && size > 0) rows = size - 1;
  }
  const ArgRange dense = c.input_range("dense_inputs");
  for (int i = dense.begin; i < dense.begin + dense.count; ++i) {
    const std::int64_t size = c.with_rank(i, 2).dim(0);
    if (rows < 0) rows = size;
  }
  return {PartialShape{-1}, PartialShape{rows < 0 ? -1 : rows + 1}};
}

constexpr OpDef kOps[] = {
    {.name = "RaggedCross",
     .inputs = "ragged_values: ragged_values_types, ragged_row_splits: ragged_splits_types, "
               "sparse_indices: Nsparse * int64, sparse_values: sparse_values_types, "
               "sparse_shape: Nsparse * int64, dense_inputs: dense_types",
     .outputs = "output_values: out_values_type, output_row_splits: out_row_splits_type",
     .attrs = "Nsparse: int >= 0; input_order: string; hashed_output: bool; "
              "num_buckets: int >= 0; hash_key: int; "
              "ragged_values_types: list({int64, string}) >= 0; "
              "ragged_splits_types: list({int32, int64}) >= 0; "
              "sparse_values_types: list({int64, string}) >= 0; "
              "dense_types: list({int64, string}) >= 0; out_values_type: {int64, string}; "
              "out_row_splits_type: {int32, int64}",
     .shape = ragged_cross_shape,
     .kernel = make_kernel<RaggedCrossKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_ragged_cross_ops() { return kOps; }

}  // namespace hub
