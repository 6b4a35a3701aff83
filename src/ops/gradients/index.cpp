// Gradients of ops that pick and place by index.

#include "base/errors.h"
#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

// Rows that were gathered along the first axis: each index gets its slice.
void give_rows(GradientContext& c, const Output& params_shape) {
  const Output size = expand(size_of(c.input(1)), 0);
  const Output shape = cast(params_shape, DType::kInt32);
  const Output values = reshape(c.dy(), concat({size, slice(shape, 1)}));
  c.give_slices(0, {values, reshape(c.input(1), size), params_shape});
}

Gradients gather_v1(GradientContext& c) {
  give_rows(c, shape_of(c.input(0)));
  return c.pad({});
}

Gradients resource_gather(GradientContext& c) {
  give_rows(c, op("VariableShape", {c.input(0)}, {{"out_type", DType::kInt32}}));
  return c.pad({});
}

// Each batch's indices moved to its part of the flattened rows.
Output flat_batch_indices(const Output& indices, const Output& sizes, int batch_dims) {
  const DType dtype = indices.dtype();
  const Output shape = cast(sizes, dtype);
  const Output rank = rank_of(indices);
  Output result = indices;
  Output step = ones_like(element(shape, 0));
  const Output one = step;
  for (int dim = batch_dims; dim > 0; --dim) {
    step = op("Mul", {step, element(shape, dim)});
    const Output count = element(shape, dim - 1);
    const Output starts = op("Mul", {range(zeros_like(one), count, one), step});
    const Output ones = op("Fill", {expand(op("Sub", {rank, dim}), 0), 1});
    std::vector<Input> parts(static_cast<std::size_t>(dim - 1), ints({1}));
    parts.emplace_back(expand(cast(count, DType::kInt32), 0));
    parts.emplace_back(ones);
    result = op("AddV2", {result, reshape(starts, concat(parts))});
  }
  return result;
}

// From the parameters' axes to: the batch axes, the gathered one, the others.
Output gathered_first(const Output& rank, const Output& axis, int batch_dims) {
  std::vector<std::int32_t> batches;
  for (int i = 0; i < batch_dims; ++i) batches.push_back(i);
  return concat(
      {make_tensor<std::int32_t>(Shape{batch_dims}, std::span<const std::int32_t>(batches)),
       expand(axis, 0), range(make_scalar<std::int32_t>(batch_dims), axis),
       range(op("AddV2", {axis, 1}), rank)});
}

// The gathered axes as one, put after the batch axes; summed by row, and put back.
Output along_axis(GradientContext& c, int batch_dims) {
  const Output shape = shape_of(c.input(0));
  const Output rank = rank_of(c.input(0));
  const Output axis = op("FloorMod", {cast(c.input(2), DType::kInt32), rank});
  const Output order = gathered_first(rank, axis, batch_dims);
  const Output index_shape = slice(shape_of(c.input(1)), batch_dims);
  const Output gathered = expand(op("Prod", {index_shape, ints({0})}), 0);
  const Output before = op("Slice", {shape, ints({0}), expand(axis, 0)});
  const Output after = op("Slice", {shape, expand(op("AddV2", {axis, 1}), 0), ints({-1})});
  const Output values = reshape(c.dy(), concat({before, gathered, after}));
  const Output ordered = transpose(values, order);
  const Output sizes = gather(shape, order);
  Output rows = gather(shape, axis);
  Output indices = c.input(1);
  Output flat = ordered;
  if (batch_dims > 0) {
    rows = op("Mul", {rows, op("Prod", {slice(sizes, 0, batch_dims), ints({0})})});
    indices = flat_batch_indices(indices, sizes, batch_dims);
    flat = reshape(ordered, concat({expand(size_of(indices), 0), slice(sizes, batch_dims + 1)}));
  }
  const Output sums = op("UnsortedSegmentSum", {flat, reshape(indices, ints({-1})), rows});
  // TensorFlow leaves the rows' number open, which shows where there are no batches.
  const Output result_shape =
      batch_dims == 0
          ? sizes
          : concat({slice(sizes, 0, batch_dims), ints({-1}), slice(sizes, batch_dims + 1)});
  return transpose(reshape(sums, result_shape), op("InvertPermutation", {order}));
}

Gradients gather_v2(GradientContext& c) {
  auto batch_dims = static_cast<int>(c.attr<std::int64_t>("batch_dims"));
  if (batch_dims < 0) {
    if (!c.shape(1).has_rank()) {
      throw unimplemented(
          "GatherV2: its gradient with negative batch_dims needs the rank of the "
          "indices.");
    }
    batch_dims += c.shape(1).rank();
  }
  const Tensor* axis = c.constant(2);
  const bool is_first =
      axis != nullptr && (axis->dtype() == DType::kInt64 ? axis->data<std::int64_t>()[0] == 0
                                                         : axis->data<std::int32_t>()[0] == 0);
  return is_first && batch_dims == 0 ? gather_v1(c) : Gradients{along_axis(c, batch_dims), {}, {}};
}

Gradients nd_rows(GradientContext& c, const Output& shape) {
  const PartialShape& indices = c.shape(1);
  if (indices.has_rank() && indices.rank() == 2 && indices.dim(1) == 1) {
    c.give_slices(0, {c.dy(), squeeze(c.input(1), {-1}), shape});
    return c.pad({});
  }
  return {op("ScatterNd", {c.input(1), c.dy(), shape}), {}};
}

Gradients gather_nd(GradientContext& c) { return nd_rows(c, shape_of(c.input(0), c.dtype(1))); }

Gradients resource_gather_nd(GradientContext& c) {
  return nd_rows(c, op("VariableShape", {c.input(0)}, {{"out_type", c.dtype(1)}}));
}

Output picked(const Output& x, const Output& indices) { return op("GatherNd", {x, indices}); }

Gradients scatter_nd(GradientContext& c) { return {{}, picked(c.dy(), c.input(0)), {}}; }

Gradients scatter_update(GradientContext& c) {
  const Output rest = op("TensorScatterUpdate", {c.dy(), c.input(1), zeros_like(c.input(2))});
  return {rest, {}, picked(c.dy(), c.input(1))};
}

Gradients scatter_add(GradientContext& c) { return {c.dy(), {}, picked(c.dy(), c.input(1))}; }
Gradients scatter_sub(GradientContext& c) { return {c.dy(), {}, -picked(c.dy(), c.input(1))}; }

// All that equal the result share its gradient.
Gradients scatter_extremum(GradientContext& c) {
  const Output x = c.input(0);
  const Output indices = c.input(1);
  const Output y = c.input(2);
  const Output of_x = cast(op("Equal", {x, c.output()}), c.dtype(0));
  const Output of_y = cast(op("Equal", {y, picked(c.output(), indices)}), c.dtype(0));
  const Output count = of_x + op("ScatterNd", {indices, of_y, shape_of(x, indices.dtype())});
  return {c.dy() * of_x / count, {}, picked(c.dy() / count, indices) * of_y};
}

Gradients dynamic_partition(GradientContext& c) {
  const auto count = c.attr<std::int64_t>("num_partitions");
  const Output shape = shape_of(c.input(1));
  const Output total = op("Prod", {shape, ints({0})});
  const Output places = reshape(range(make_scalar<std::int32_t>(0), total), shape);
  const Operation parts =
      c.many("DynamicPartition", {places, c.input(1)}, {{"num_partitions", count}});
  std::vector<Input> inputs;
  for (int i = 0; i < count; ++i) inputs.emplace_back(parts.output(i));
  for (int i = 0; i < count; ++i) inputs.emplace_back(c.dy(i));
  const Output joined = op("ParallelDynamicStitch", inputs, {{"N", count}, {"T", c.dtype(0)}});
  return {reshape(joined, shape_of(c.input(0))), {}};
}

Gradients dynamic_stitch(GradientContext& c) {
  const int count = c.num_inputs() / 2;
  Gradients result = c.pad({});
  for (int i = 0; i < count; ++i)
    result[static_cast<std::size_t>(count + i)] = gather(c.dy(), c.input(i));
  return result;
}

constexpr GradientRule kRules[] = {
    {"Gather", gather_v1},
    {"GatherV2", gather_v2},
    {"GatherNd", gather_nd},
    {"ResourceGather", resource_gather},
    {"ResourceGatherNd", resource_gather_nd},
    {"ScatterNd", scatter_nd},
    {"TensorScatterUpdate", scatter_update},
    {"TensorScatterAdd", scatter_add},
    {"TensorScatterSub", scatter_sub},
    {"TensorScatterMax", scatter_extremum},
    {"TensorScatterMin", scatter_extremum},
    {"ScatterNdNonAliasingAdd", scatter_add},
    {"DynamicPartition", dynamic_partition},
    {"DynamicStitch", dynamic_stitch},
    {"ParallelDynamicStitch", dynamic_stitch},
};

}  // namespace

GradientRules index_gradients() { return kRules; }

}  // namespace hub
