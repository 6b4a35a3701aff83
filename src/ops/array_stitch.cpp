// DynamicPartition and its inverse, DynamicStitch.

#include <algorithm>

#include "base/checked.h"
#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {
namespace {

Shapes partition_shape(ShapeContext& c) {
  const PartialShape& data = c.input(0);
  const PartialShape& partitions = c.input(1);
  const auto count = static_cast<std::size_t>(c.num_outputs());
  if (!partitions.has_rank()) return Shapes(count);
  if (!data.has_rank()) return Shapes(count);
  c.at_least_rank(0, partitions.rank());
  (void)sub_shape(data, 0, partitions.rank()).merge_with(partitions);
  return Shapes(count,
                concatenate(vector_shape(-1), sub_shape(data, partitions.rank(), data.rank())));
}

void check_starts_with(std::string_view op, const Shape& data, const Shape& start) {
  const bool fits = data.rank() >= start.rank() && data.slice(0, start.rank()) == start;
  if (!fits) {
    throw invalid_argument(op,
                           ": data's shape must begin with that of its indices. Details: ", data,
                           " and ", start, ".");
  }
}

// [n, rest...]
Shape with_rows(std::int64_t rows, const Shape& slice) { return slice.with_inserted(0, rows); }

void compute_partition(KernelContext& ctx) {
  const Tensor& data = ctx.input(0);
  const Tensor& partitions = ctx.input(1);
  check_starts_with("DynamicPartition", data.shape(), partitions.shape());
  const auto values = partitions.values<std::int32_t>();
  const int count = ctx.num_outputs();
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(count), 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] >= count) {
      throw invalid_argument("DynamicPartition: partitions must be in [0, ", count,
                             "). Details: element ", i, " is ", values[i], ".");
    }
    ++sizes[static_cast<std::size_t>(values[i])];
  }
  const Shape slice = data.shape().slice(partitions.rank(), data.rank());
  const std::int64_t slice_size = slice.num_elements();
  std::vector<Tensor*> parts;
  for (int i = 0; i < count; ++i) {
    parts.push_back(&ctx.output(i, with_rows(sizes[static_cast<std::size_t>(i)], slice)));
  }
  std::vector<std::int64_t> done(static_cast<std::size_t>(count), 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto part = static_cast<std::size_t>(values[i]);
    copy_elements(data.dtype(), element_at(data, static_cast<std::int64_t>(i) * slice_size),
                  element_at(*parts[part], done[part]++ * slice_size), slice_size);
  }
}

// The greatest index + 1 where all are constants.
std::int64_t known_rows(const ShapeContext& c, ArgRange indices) {
  std::int64_t rows = 0;
  for (int i = indices.begin; i < indices.begin + indices.count; ++i) {
    const Tensor* value = c.input_value(i);
    if (value == nullptr) return -1;
    for (const std::int32_t index : value->values<std::int32_t>()) {
      rows = std::max<std::int64_t>(rows, std::int64_t{index} + 1);
    }
  }
  return rows;
}

Shapes stitch_shape(ShapeContext& c) {
  const ArgRange indices = c.input_range("indices");
  const ArgRange data = c.input_range("data");
  PartialShape slice;
  for (int i = 0; i < indices.count; ++i) {
    const PartialShape& index_shape = c.input(indices.begin + i);
    const PartialShape& data_shape = c.input(data.begin + i);
    if (!index_shape.has_rank() || !data_shape.has_rank()) continue;
    c.at_least_rank(data.begin + i, index_shape.rank());
    (void)sub_shape(data_shape, 0, index_shape.rank()).merge_with(index_shape);
    slice = slice.merge_with(sub_shape(data_shape, index_shape.rank(), data_shape.rank()));
  }
  return {concatenate(vector_shape(known_rows(c, indices)), slice)};
}

class StitchKernel final : public Kernel {
 public:
  explicit StitchKernel(const KernelInit& init)
      : indices_(init.input_range("indices")), data_(init.input_range("data")) {}

  void compute(KernelContext& ctx) const override {
    const Shape slice = slice_shape(ctx);
    const std::int64_t rows = count_rows(ctx);
    Tensor& merged = ctx.output(0, with_rows(rows, slice));
    zero_tensor(ctx, merged);  // rows that no index names
    const std::int64_t size = slice.num_elements();
    for (int i = 0; i < indices_.count; ++i) {
      const auto indices = ctx.input(indices_.begin + i).values<std::int32_t>();
      const Tensor& data = ctx.input(data_.begin + i);
      for (std::size_t k = 0; k < indices.size(); ++k) {
        copy_elements(merged.dtype(), element_at(data, static_cast<std::int64_t>(k) * size),
                      element_at(merged, indices[k] * size), size);
      }
    }
  }

 private:
  // What one index stands for. Errors: INVALID_ARGUMENT where the data disagree.
  Shape slice_shape(const KernelContext& ctx) const {
    Shape slice;
    for (int i = 0; i < indices_.count; ++i) {
      const Shape& index_shape = ctx.input(indices_.begin + i).shape();
      const Shape& data_shape = ctx.input(data_.begin + i).shape();
      check_starts_with(ctx.node().op_name, data_shape, index_shape);
      Shape rest = data_shape.slice(index_shape.rank(), data_shape.rank());
      if (i > 0 && rest != slice) {
        throw invalid_argument(ctx.node().op_name,
                               ": all data must hold slices of one shape. Details: ", slice,
                               " and ", rest, ".");
      }
      slice = std::move(rest);
    }
    return slice;
  }

  std::int64_t count_rows(const KernelContext& ctx) const {
    std::int64_t rows = 0;
    for (int i = 0; i < indices_.count; ++i) {
      for (const std::int32_t index : ctx.input(indices_.begin + i).values<std::int32_t>()) {
        if (index < 0) {
          throw invalid_argument(ctx.node().op_name, ": indices must be >= 0. Details: got ", index,
                                 ".");
        }
        rows = std::max<std::int64_t>(rows, std::int64_t{index} + 1);
      }
    }
    return rows;
  }

  ArgRange indices_;
  ArgRange data_;
};

constexpr OpDef kOps[] = {
    {.name = "DynamicPartition",
     .inputs = "data: T, partitions: int32",
     .outputs = "outputs: num_partitions * T",
     .attrs = "num_partitions: int >= 1; T: type",
     .shape = partition_shape,
     .kernel = kernel_function<compute_partition>},
    {.name = "DynamicStitch",
     .inputs = "indices: N * int32, data: N * T",
     .outputs = "merged: T",
     .attrs = "N: int >= 1; T: type",
     .shape = stitch_shape,
     .kernel = make_kernel<StitchKernel>},
    {.name = "ParallelDynamicStitch",
     .inputs = "indices: N * int32, data: N * T",
     .outputs = "merged: T",
     .attrs = "N: int >= 1; T: type",
     .shape = stitch_shape,
     .kernel = make_kernel<StitchKernel>},
};

}  // namespace

OpFamily array_stitch_ops() { return kOps; }

}  // namespace hub
