// Ragged tensors: ranges, sparse ones, and rows gathered.

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/ragged.h"
#include "ops/sparse_tensor.h"
#include "ops/wide.h"

namespace hub {
namespace {

template <class T>
std::int64_t range_size(T start, T limit, T delta) {
  if (delta == 0) throw invalid_argument("RaggedRange: a delta must not be 0.");
  if ((delta > 0 && limit < start) || (delta < 0 && limit > start)) return 0;
  if constexpr (std::is_integral_v<T>) {
    const auto from = static_cast<std::uint64_t>(std::min(start, limit));
    const std::uint64_t distance = static_cast<std::uint64_t>(std::max(start, limit)) - from;
    const std::uint64_t step =
        delta > 0 ? static_cast<std::uint64_t>(delta) : 0 - static_cast<std::uint64_t>(delta);
    const std::uint64_t size = distance / step + (distance % step != 0 ? 1 : 0);
    return static_cast<std::int64_t>(std::min<std::uint64_t>(size, std::uint64_t{1} << 62));
  } else {
    const double size = std::ceil(std::abs((limit - start) / delta));
    if (!(size < 9e18)) {
      throw invalid_argument("RaggedRange: a row is too long. Details: ", size, " values.");
    }
    return static_cast<std::int64_t>(size);
  }
}

void ragged_range(KernelContext& context) {
  std::int64_t rows = -1;
  for (int i = 0; i < 3; ++i) {
    const Tensor& input = context.input(i);
    if (input.rank() > 1) {
      throw invalid_argument(
          "RaggedRange: starts, limits and deltas must be scalars or vectors. Details: input ", i,
          " has shape ", input.shape(), ".");
    }
    if (input.rank() == 0) continue;
    if (rows >= 0 && rows != input.dim(0)) {
      throw invalid_argument("RaggedRange: starts, limits and deltas must have one size. Details: ",
                             rows, " and ", input.dim(0), ".");
    }
    rows = input.dim(0);
  }
  if (rows < 0) rows = 1;
  dispatch(TypeList<float, double, std::int32_t, std::int64_t>{}, context.output_dtype(1),
           [&]<class T>() {
             const auto at = [&](int i, std::int64_t row) {
               return context.input(i).data<T>()[context.input(i).rank() == 0 ? 0 : row];
             };
             Splits splits{0};
             for (std::int64_t row = 0; row < rows; ++row) {
               splits.push_back(add_or_throw(splits.back(),
                                             range_size(at(0, row), at(1, row), at(2, row)),
                                             "RaggedRange: the number of values"));
             }
             output_splits(context, 0, splits);
             T* to = context.output(1, Shape{splits.back()}).template mutable_data<T>();
             for (std::int64_t row = 0; row < rows; ++row) {
               const auto r = static_cast<std::size_t>(row);
               T value = at(0, row);
               for (std::int64_t k = splits[r]; k < splits[r + 1]; ++k) {
                 *to++ = value;
                 if constexpr (std::is_integral_v<T>) {
                   __builtin_add_overflow(value, at(2, row), &value);
                 } else {
                   value += at(2, row);  // one after the other: so the values round as TensorFlow's
                 }
               }
             }
           });
}

Shapes ragged_range_shape(ShapeContext& c) {
  std::int64_t rows = -1;
  bool all_scalars = true;
  for (int i = 0; i < 3; ++i) {
    const PartialShape input = c.at_most_rank(i, 1);
    all_scalars = all_scalars && input.rank() == 0;
    if (input.rank() == 1) rows = merge_dims(rows, input.dim(0), "RaggedRange: the sizes");
  }
  if (all_scalars) rows = 1;
  return {PartialShape{rows < 0 ? -1 : rows + 1}, PartialShape{-1}};
}

// Coordinates of the flat values' rows, and the widest row of each level.
void ragged_tensor_to_sparse(KernelContext& context) {
  const int levels = context.num_inputs() - 1;
  const Tensor& values = context.input(levels);
  if (values.rank() < 1) {
    throw invalid_argument("RaggedTensorToSparse: the values must have a rank of at least 1.");
  }
  const std::vector<Splits> nested = nested_splits_input(context, 0, levels, values.dim(0));
  const std::int64_t rank = levels + values.rank();
  const std::int64_t inner = row_size(values);
  std::vector<std::int64_t> shape{static_cast<std::int64_t>(nested[0].size()) - 1};
  for (const Splits& splits : nested) {
    std::int64_t widest = 0;
    for (std::size_t i = 1; i < splits.size(); ++i)
      widest = std::max(widest, splits[i] - splits[i - 1]);
    shape.push_back(widest);
  }
  for (int k = 1; k < values.rank(); ++k) shape.push_back(values.dim(k));

  Tensor& indices = context.output(0, Shape{values.num_elements(), rank});
  std::int64_t* to = indices.mutable_data<std::int64_t>();
  std::vector<std::size_t> row(static_cast<std::size_t>(levels), 0);  // of each level
  for (std::int64_t i = 0; i < values.dim(0); ++i) {
    std::int64_t place = i;
    for (std::size_t level = nested.size(); level-- > 0;) {
      while (nested[level][row[level] + 1] <= place) ++row[level];
      to[level + 1] = place - nested[level][row[level]];
      place = static_cast<std::int64_t>(row[level]);
    }
    to[0] = place;
    for (std::int64_t k = 0; k < inner; ++k) {
      std::int64_t* entry = to + k * rank;
      std::copy_n(to, levels + 1, entry);
      std::int64_t rest = k;
      for (int axis = values.rank() - 1; axis >= 1; --axis) {
        entry[levels + axis] = rest % values.dim(axis);
        rest /= values.dim(axis);
      }
    }
    to += inner * rank;
  }
  context.set_output(1, values.reshaped(Shape{values.num_elements()}));
  output_vector(context, 2, shape);
}

Shapes ragged_tensor_to_sparse_shape(ShapeContext& c) {
  const int levels = c.num_inputs() - 1;
  const PartialShape values = c.at_least_rank(levels, 1);
  for (int i = 0; i < levels; ++i) c.with_rank(i, 1);
  std::int64_t rank = -1;
  std::int64_t count = -1;
  if (values.has_rank()) {
    rank = levels + values.rank();
    if (const auto known = values.as_shape()) count = known->num_elements();
  }
  return {PartialShape{count, rank}, PartialShape{count}, PartialShape{rank}};
}

struct RowSlice {
  std::int64_t begin;
  std::int64_t end;
};

class RaggedGatherKernel final : public Kernel {
 public:
  explicit RaggedGatherKernel(const KernelInit& init)
      : levels_(static_cast<int>(init.attr<std::int64_t>("PARAMS_RAGGED_RANK"))),
        output_levels_(static_cast<int>(init.attr<std::int64_t>("OUTPUT_RAGGED_RANK"))) {}

  void compute(KernelContext& context) const override {
    const Tensor& values = context.input(levels_);
    const Tensor& indices = context.input(levels_ + 1);
    if (values.rank() < 1) {
      throw invalid_argument("RaggedGather: the values must have a rank of at least 1.");
    }
    const std::vector<Splits> nested = nested_splits_input(context, 0, levels_, values.dim(0));
    if (indices.rank() < 1 || indices.rank() - 1 + levels_ != output_levels_) {
      throw invalid_argument(
          "RaggedGather: OUTPUT_RAGGED_RANK must be the rank of the indices - 1 + "
          "PARAMS_RAGGED_RANK. Details: ",
          output_levels_, ", rank ", indices.rank(), ", ", levels_, ".");
    }
    std::vector<Splits> results(static_cast<std::size_t>(output_levels_), Splits{0});
    std::int64_t rows = 1;
    for (int k = 0; k + 1 < indices.rank(); ++k) {
      rows *= indices.dim(k);
      for (std::int64_t i = 1; i <= rows; ++i) {
        results[static_cast<std::size_t>(k)].push_back(i * indices.dim(k + 1));
      }
    }
    const auto outer = static_cast<std::size_t>(indices.rank() - 1);
    const std::vector<RowSlice> slices =
        gather_rows(nested, indices, std::span(results).subspan(outer));
    for (std::size_t i = 0; i < results.size(); ++i) {
      output_splits(context, static_cast<int>(i), results[i]);
    }
    copy_slices(context, values, slices, results.back().back());
  }

 private:
  static std::vector<RowSlice> gather_rows(const std::vector<Splits>& nested, const Tensor& indices,
                                           std::span<Splits> results) {
    std::vector<RowSlice> slices;
    const auto rows = static_cast<std::int64_t>(nested[0].size()) - 1;
    for (std::int64_t i = 0; i < indices.num_elements(); ++i) {
      RowSlice slice{integer_at(indices, i), 0};
      if (slice.begin < 0 || slice.begin >= rows) {
        throw invalid_argument("RaggedGather: an index is out of bounds. Details: element ", i,
                               " = ", slice.begin, " is not in [0, ", rows, ").");
      }
      slice.end = slice.begin + 1;
      for (std::size_t level = 0; level < nested.size(); ++level) {
        const std::int64_t* splits = nested[level].data();
        const std::int64_t offset = results[level].back() - splits[slice.begin];
        for (std::int64_t k = slice.begin; k < slice.end; ++k) {
          results[level].push_back(splits[k + 1] + offset);
        }
        slice = {splits[slice.begin], splits[slice.end]};
      }
      if (slice.begin != slice.end) slices.push_back(slice);
    }
    return slices;
  }

  void copy_slices(KernelContext& context, const Tensor& values,
                   const std::vector<RowSlice>& slices, std::int64_t rows) const {
    Tensor& result = context.output(output_levels_, values.shape().with_dim(0, rows));
    const std::int64_t inner = row_size(values);
    std::int64_t row = 0;
    for (const RowSlice& slice : slices) {
      const std::int64_t count = slice.end - slice.begin;
      copy_elements(values.dtype(), element_at(values, slice.begin * inner),
                    element_at(result, row * inner), count * inner);
      row += count;
    }
  }

  int levels_;
  int output_levels_;
};

Shapes ragged_gather_shape(ShapeContext& c) {
  const int levels = c.num_inputs() - 2;
  for (int i = 0; i < levels; ++i) c.with_rank(i, 1);
  const PartialShape values = c.at_least_rank(levels, 1);
  Shapes shapes(static_cast<std::size_t>(c.num_outputs() - 1), PartialShape{-1});
  shapes.push_back(values.has_rank() ? replace_dim(values, 0, -1) : values);
  return shapes;
}

constexpr OpDef kOps[] = {
    {.name = "RaggedRange",
     .inputs = "starts: T, limits: T, deltas: T",
     .outputs = "rt_nested_splits: Tsplits, rt_dense_values: T",
     .attrs = "T: {bfloat16, float, double, int32, int64} = int32; Tsplits: {int32, int64} = int64",
     .shape = ragged_range_shape,
     .kernel = kernel_function<ragged_range>,
     .differentiable = Differentiable::kNone},
    {.name = "RaggedTensorToSparse",
     .inputs = "rt_nested_splits: RAGGED_RANK * Tsplits, rt_dense_values: T",
     .outputs = "sparse_indices: int64, sparse_values: T, sparse_dense_shape: int64",
     .attrs = "RAGGED_RANK: int >= 1; T: type; Tsplits: {int32, int64} = int64",
     .shape = ragged_tensor_to_sparse_shape,
     .kernel = kernel_function<ragged_tensor_to_sparse>},
    {.name = "RaggedGather",
     .inputs = "params_nested_splits: PARAMS_RAGGED_RANK * Tsplits, params_dense_values: Tvalues, "
               "indices: Tindices",
     .outputs = "output_nested_splits: OUTPUT_RAGGED_RANK * Tsplits, output_dense_values: Tvalues",
     .attrs = "Tvalues: type; Tindices: {int32, int64}; Tsplits: {int32, int64} = int64; "
              "PARAMS_RAGGED_RANK: int >= 1; OUTPUT_RAGGED_RANK: int >= 0",
     .shape = ragged_gather_shape,
     .kernel = make_kernel<RaggedGatherKernel>},
};

}  // namespace

OpFamily sparse_ragged_ops() { return kOps; }

}  // namespace hub
