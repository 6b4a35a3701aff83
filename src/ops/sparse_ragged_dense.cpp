// Ragged tensors padded to dense ones.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/ragged.h"
#include "ops/tensor_list.h"

namespace hub {
namespace {

// The shape that is asked for and the values' own, as far as they say it. Errors:
// INVALID_ARGUMENT where they contradict.
PartialShape combined_shape(int ragged_rank, const PartialShape& asked,
                            const PartialShape& values) {
  if (!values.has_rank()) return asked;
  const int rank = ragged_rank + values.rank();
  if (asked.has_rank() && asked.rank() != rank) {
    throw invalid_argument("RaggedTensorToTensor: shape must have rank ", rank, ". Details: it is ",
                           asked, ".");
  }
  PartialShape inner = PartialShape::unknown_dims(ragged_rank + 1);
  for (int k = 1; k < values.rank(); ++k) inner = concatenate(inner, PartialShape{values.dim(k)});
  return inner.merge_with(asked);
}

// A default fits where it broadcasts to a row of the values.
void check_default(const PartialShape& default_value, const PartialShape& values) {
  if (!default_value.has_rank() || !values.has_rank()) return;
  if (default_value.rank() >= values.rank()) {
    throw invalid_argument(
        "RaggedTensorToTensor: default_value must have a lower rank than the values. Details: ",
        default_value, " and ", values, ".");
  }
}

enum class Partition : std::uint8_t { kFirstDimSize, kValueRowIds, kRowSplits };

Partition partition_of(const std::string& name) {
  if (name == "FIRST_DIM_SIZE") return Partition::kFirstDimSize;
  if (name == "VALUE_ROWIDS") return Partition::kValueRowIds;
  if (name == "ROW_SPLITS") return Partition::kRowSplits;
  throw invalid_argument("RaggedTensorToTensor: unknown kind of row partition. Details: \"",
                         printable(name), "\".");
}

// A row of the values goes to this row of the result; -1: it is cut off.
using Places = std::vector<std::int64_t>;

class RaggedTensorToTensorKernel final : public Kernel {
 public:
  explicit RaggedTensorToTensorKernel(const KernelInit& init) {
    for (const std::string& name : init.attr<AttrList>("row_partition_types").strings) {
      partitions_.push_back(partition_of(name));
    }
    if (static_cast<int>(partitions_.size()) != init.num_inputs() - 3) {
      throw invalid_argument("RaggedTensorToTensor: each row partition needs its kind. Details: ",
                             partitions_.size(), " kinds, ", init.num_inputs() - 3, " tensors.");
    }
    has_size_ = partitions_[0] == Partition::kFirstDimSize;
    if (has_size_ && partitions_.size() < 2) {
      throw invalid_argument("RaggedTensorToTensor: FIRST_DIM_SIZE needs VALUE_ROWIDS after it.");
    }
  }

  void compute(KernelContext& context) const override {
    const Tensor& values = context.input(1);
    const int levels = static_cast<int>(partitions_.size()) - (has_size_ ? 1 : 0);
    if (values.rank() < 1) {
      throw invalid_argument("RaggedTensorToTensor: the values must have a rank of at least 1.");
    }
    check_default(context.input(2).shape(), values.shape());
    const PartialShape asked =
        combined_shape(levels, partial_shape_input(context, 0), values.shape());
    const std::int64_t first = first_dimension(context);
    std::vector<std::int64_t> sizes(asked.dims().begin(), asked.dims().end());
    if (sizes[0] < 0) sizes[0] = first;
    for (int k = 1; k <= levels; ++k) {
      std::int64_t& size = sizes[static_cast<std::size_t>(k)];
      if (size < 0) size = widest_row(context, k - 1);
    }
    const Shape shape(sizes);
    std::int64_t stride = 1;
    for (int k = 1; k <= levels; ++k) stride *= shape.dim(k);
    Places places;
    for (int k = 1; k <= levels; ++k) {
      const std::int64_t above = stride;
      stride = shape.dim(k) > 0 ? stride / shape.dim(k) : 0;
      const auto rows = k == 1 ? first : static_cast<std::int64_t>(places.size());
      const auto parent_of = [&](std::int64_t row) {
        if (row < 0 || row >= rows) {
          throw invalid_argument("RaggedTensorToTensor: a row is out of bounds. Details: level ",
                                 k - 1, ", row ", row, " is not in [0, ", rows, ").");
        }
        if (k > 1) return places[static_cast<std::size_t>(row)];
        return row < shape.dim(0) ? row * above : -1;
      };
      places = inner_places(context, k - 1, parent_of, stride, shape.dim(k));
    }
    write(context, places, shape);
  }

 private:
  int partition_input(int level) const { return 3 + level + (has_size_ ? 1 : 0); }
  Partition partition(int level) const {
    return partitions_[static_cast<std::size_t>(partition_input(level) - 3)];
  }

  std::int64_t first_dimension(const KernelContext& context) const {
    if (has_size_) {
      const std::int64_t size = integer_scalar(context, 3, "the first dimension");
      if (size < 0) {
        throw invalid_argument(
            "RaggedTensorToTensor: the first dimension is out of range. Details: ", size, ".");
      }
      // Nothing but this number asks for the memory of rows without values.
      constexpr std::int64_t kPlainSize = std::int64_t{1} << 24;
      constexpr std::int64_t kMostPerRow = 1024;
      if (size > kPlainSize && size / kMostPerRow > context.input(4).num_elements()) {
        throw resource_exhausted(
            "RaggedTensorToTensor: most of so many rows have no values. Details: ", size, " rows, ",
            context.input(4).num_elements(), " row ids.");
      }
      return size;
    }
    if (partitions_[0] == Partition::kValueRowIds) {
      throw invalid_argument("RaggedTensorToTensor: VALUE_ROWIDS need FIRST_DIM_SIZE before them.");
    }
    return static_cast<std::int64_t>(splits_input(context, 3).size()) - 1;
  }

  std::vector<std::int64_t> row_ids(const KernelContext& context, int level) const {
    return integer_vector(context, partition_input(level), "VALUE_ROWIDS");
  }

  std::int64_t widest_row(const KernelContext& context, int level) const {
    std::int64_t widest = 0;
    if (partition(level) == Partition::kRowSplits) {
      const Splits splits = splits_input(context, partition_input(level));
      for (std::size_t i = 1; i < splits.size(); ++i)
        widest = std::max(widest, splits[i] - splits[i - 1]);
      return widest;
    }
    const std::vector<std::int64_t> ids = row_ids(context, level);
    std::int64_t length = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      length = i > 0 && ids[i] == ids[i - 1] ? length + 1 : 1;
      widest = std::max(widest, length);
    }
    return widest;
  }

  // Where the rows of the next level go: side by side in their parent's place.
  template <class ParentOf>
  Places inner_places(const KernelContext& context, int level, ParentOf&& parent_of,
                      std::int64_t stride, std::int64_t width) const {
    Places places;
    const auto place = [&](std::int64_t parent, std::int64_t column) {
      places.push_back(parent >= 0 && column < width ? parent + column * stride : -1);
    };
    if (partition(level) == Partition::kRowSplits) {
      const Splits splits = splits_input(context, partition_input(level));
      check_row_count(context, splits.back());
      for (std::size_t i = 0; i + 1 < splits.size(); ++i) {
        const std::int64_t parent = parent_of(static_cast<std::int64_t>(i));
        for (std::int64_t k = 0; k < splits[i + 1] - splits[i]; ++k) place(parent, k);
      }
      return places;
    }
    const std::vector<std::int64_t> ids = row_ids(context, level);
    std::int64_t column = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      column = i > 0 && ids[i] == ids[i - 1] ? column + 1 : 0;
      place(parent_of(ids[i]), column);
    }
    return places;
  }

  // What the splits count must be there, before memory is taken for it.
  void check_row_count(const KernelContext& context, std::int64_t rows) const {
    std::int64_t most = context.input(1).dim(0);
    for (int i = 4; i < context.num_inputs(); ++i)
      most = std::max(most, context.input(i).num_elements());
    if (rows > most) {
      throw invalid_argument(
          "RaggedTensorToTensor: the row splits go past the rows below. Details: ", rows, " of ",
          most, ".");
    }
  }

  static void write(KernelContext& context, const Places& places, const Shape& shape) {
    const Tensor& values = context.input(1);
    if (static_cast<std::int64_t>(places.size()) > values.dim(0)) {
      throw invalid_argument(
          "RaggedTensorToTensor: the row partitions go past the values. Details: ", places.size(),
          " rows, ", values.dim(0), " values.");
    }
    Tensor& result = context.output(0, shape);
    fill_default(context, context.input(2), values.shape().slice(1, values.rank()), result);
    const std::int64_t inner = row_size(values);
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (places[i] < 0) continue;
      copy_elements(values.dtype(), element_at(values, static_cast<std::int64_t>(i) * inner),
                    element_at(result, places[i] * inner), inner);
    }
  }

  static void fill_default(KernelContext& context, const Tensor& value, const Shape& row,
                           Tensor& result) {
    if (value.num_elements() == 1) {
      fill_tensor(context, value.raw_data(), result);
      return;
    }
    const int skipped = row.rank() - value.rank();
    for (int k = 0; k < value.rank(); ++k) {
      if (value.dim(k) != 1 && value.dim(k) != row.dim(skipped + k)) {
        throw invalid_argument(
            "RaggedTensorToTensor: default_value must broadcast to a row. Details: ", value.shape(),
            " to ", row, ".");
      }
    }
    const std::int64_t inner = row.num_elements();
    if (inner == 0) return;
    for (std::int64_t i = 0; i < result.num_elements(); ++i) {
      std::int64_t rest = i % inner;
      std::int64_t from = 0;
      std::int64_t step = 1;
      for (int k = value.rank() - 1; k >= 0; --k) {
        const std::int64_t index = rest % row.dim(skipped + k);
        rest /= row.dim(skipped + k);
        if (value.dim(k) != 1) from += index * step;
        step *= value.dim(k);
      }
      copy_elements(value.dtype(), element_at(value, from), element_at(result, i), 1);
    }
  }

  std::vector<Partition> partitions_;
  bool has_size_ = false;
};

Shapes ragged_tensor_to_tensor_shape(ShapeContext& c) {
  const auto& names = c.attr<AttrList>("row_partition_types").strings;
  if (names.empty()) throw invalid_argument("RaggedTensorToTensor: there is no row partition.");
  const bool has_size = partition_of(names[0]) == Partition::kFirstDimSize;
  const PartialShape values = c.at_least_rank(1, 1);
  check_default(c.input(2), values);
  const bool is_vector = c.input(0).rank() == 1;
  const PartialShape asked = is_vector ? c.input_as_shape(0) : PartialShape();
  if (!is_vector && c.input(0).rank() != 0) return {PartialShape()};
  return {combined_shape(static_cast<int>(names.size()) - (has_size ? 1 : 0), asked, values)};
}

constexpr OpDef kOps[] = {
    {.name = "RaggedTensorToTensor",
     .inputs = "shape: Tshape, values: T, default_value: T, "
               "row_partition_tensors: num_row_partition_tensors * Tindex",
     .outputs = "result: T",
     .attrs = "T: type; Tindex: {int64, int32}; Tshape: {int64, int32}; "
              "num_row_partition_tensors: int >= 1; row_partition_types: list(string)",
     .shape = ragged_tensor_to_tensor_shape,
     .kernel = make_kernel<RaggedTensorToTensorKernel>},
};

}  // namespace

OpFamily sparse_ragged_dense_ops() { return kOps; }

}  // namespace hub
