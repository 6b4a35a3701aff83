// SparseCross: all combinations of the features in a row, as a sparse tensor.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/feature_cross.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"

namespace hub {
namespace {

class SparseCrossKernel final : public Kernel {
 public:
  explicit SparseCrossKernel(const KernelInit& init)
      : indices_(init.input_range("indices")),
        values_(init.input_range("values")),
        shapes_(init.input_range("shapes")),
        dense_(init.input_range("dense_inputs")),
        only_text_(init.attr<DType>("internal_type") == kString),
        hashing_(init) {
    if (indices_.count != values_.count) {
      throw invalid_argument("SparseCross: each sparse feature needs its values. Details: ",
                             values_.count, " of ", indices_.count, ".");
    }
    const DType wanted = init.attr<bool>("hashed_output") ? kInt64 : kString;
    if (init.output_dtype(1) != wanted) {
      throw invalid_argument("SparseCross: hashes are int64, and texts string. Details: out_type ",
                             init.output_dtype(1), ".");
    }
  }

  void compute(KernelContext& context) const override {
    const std::vector<Features> features = read(context);
    const std::size_t rows = features.empty() ? 0 : features[0].splits.size() - 1;
    const Splits splits = cross_counts(features, rows, "SparseCross");
    Tensor& index = context.output(0, Shape{splits.back(), 2});
    Tensor& result = context.output(1, Shape{splits.back()});
    std::int64_t* at = index.mutable_data<std::int64_t>();
    std::int64_t widest = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      cross_row(features, row, splits[row], splits[row + 1], hashing_, result);
      widest = std::max(widest, splits[row + 1] - splits[row]);
      for (std::int64_t column = 0; column < splits[row + 1] - splits[row]; ++column) {
        *at++ = static_cast<std::int64_t>(row);
        *at++ = column;
      }
    }
    std::int64_t* shape = context.output(2, Shape{2}).mutable_data<std::int64_t>();
    shape[0] = static_cast<std::int64_t>(rows);
    shape[1] = widest;
  }

 private:
  std::vector<Features> read(const KernelContext& context) const {
    std::vector<Features> features;
    for (int i = 0; i < indices_.count; ++i) features.push_back(read_sparse(context, i));
    for (int i = 0; i < dense_.count; ++i) features.push_back(read_dense(context, i));
    for (const Features& feature : features) {
      if (feature.splits.size() != features[0].splits.size()) {
        throw invalid_argument("SparseCross: inputs must have one number of rows. Details: ",
                               features[0].splits.size() - 1, " and ", feature.splits.size() - 1,
                               ".");
      }
      if (only_text_ && !feature.is_text()) {
        throw invalid_argument("SparseCross: with internal_type string all features are text.");
      }
    }
    return features;
  }

  // Entries count as far as their rows are in order.
  Features read_sparse(const KernelContext& context, int i) const {
    const SparseInput sparse = sparse_input(context, indices_.begin + i, values_.begin + i,
                                            shapes_.begin + i, "a feature's ");
    if (sparse.rank != 2) {
      throw invalid_argument("SparseCross: features must have rank 2. Details: feature ", i,
                             " has ", sparse.rank, ".");
    }
    // Rows without features take memory, too.
    if (sparse.shape[0] > std::numeric_limits<std::int32_t>::max()) {
      throw invalid_argument(
          "SparseCross: the number of rows is out of range. Details: ", sparse.shape[0], ".");
    }
    Splits splits{0};
    std::int64_t at = 0;
    for (std::int64_t row = 0; row < sparse.shape[0]; ++row) {
      while (at < sparse.count && sparse.index[at * 2] == row) ++at;
      splits.push_back(at);
    }
    return {sparse.values, std::move(splits)};
  }

  Features read_dense(const KernelContext& context, int i) const {
    check_rank(context, dense_.begin + i, 2, "a dense feature");
    const Tensor& values = context.input(dense_.begin + i);
    return {&values, dense_rows(values)};
  }

  ArgRange indices_;
  ArgRange values_;
  ArgRange shapes_;
  ArgRange dense_;
  bool only_text_;
  CrossHashing hashing_;
};

Shapes sparse_cross_shape(ShapeContext&) {
  return {PartialShape{-1, 2}, PartialShape{-1}, PartialShape{2}};
}

constexpr OpDef kOps[] = {
    {.name = "SparseCross",
     .inputs = "indices: N * int64, values: sparse_types, shapes: N * int64, "
               "dense_inputs: dense_types",
     .outputs = "output_indices: int64, output_values: out_type, output_shape: int64",
     .attrs = "N: int >= 0; hashed_output: bool; num_buckets: int >= 0; hash_key: int; "
              "sparse_types: list({int64, string}) >= 0; dense_types: list({int64, string}) >= 0; "
              "out_type: {int64, string}; internal_type: {int64, string}",
     .shape = sparse_cross_shape,
     .kernel = make_kernel<SparseCrossKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily sparse_cross_ops() { return kOps; }

}  // namespace hub
