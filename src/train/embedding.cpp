// Embedding lookups (tensorflow/python/ops/embedding_ops.py).

#include "hub/clipping.h"
#include "hub/layers.h"
#include "train/node_support.h"

namespace hub::layers {
namespace {

// Rows longer than `max_norm` are cut to it.
Output clipped(const Output& rows, const Output& ids, const std::optional<double>& max_norm) {
  if (!max_norm) return rows;
  std::vector<int> axes;
  const int first = ids.shape().has_rank() ? ids.shape().rank() : 0;
  for (int i = first; i < rows.shape().rank(); ++i) axes.push_back(i);
  return ops::clip_by_norm(rows, *max_norm, axes);
}

// The rows of one table, or part of one; `name` is the op's.
Output rows_of(const Variable& table, const Output& ids, std::string_view name) {
  const Graph graph = ids.graph();
  const Colocation colocation(graph, table.op());
  if (table.is_resource()) {
    return graph.op("ResourceGather", {table.handle(), ids}, {{"dtype", table.dtype()}}, name);
  }
  return ops::gather(table, ids, 0, name);
}

Output lookup_whole(const Variable& table, const Output& ids, const EmbeddingOptions& options,
                    const NameScope& scope) {
  const Graph graph = ids.graph();
  Output rows;
  {
    const Colocation colocation(graph, table.op());
    rows = clipped(rows_of(table, ids, scope.name()), ids, options.max_norm);
  }
  return ops::identity(rows);
}

struct Assignment {
  Output part;  // which part has the row
  Output row;   // which row of it
};

Assignment by_remainder(const Output& ids, int parts) {
  Assignment result;
  result.part = ops::floor_mod(ids, parts, "mod");
  result.row = ops::floor_div(ids, parts);
  return result;
}

// The first `total % parts` parts have one row more.
Assignment by_range(const Output& ids, int parts, std::int64_t total) {
  const Graph graph = ids.graph();
  const Output all = ops::constant(graph, total, ids.dtype());
  const Output rows = ops::floor_div(all, parts);
  const Output longer = ops::floor_mod(all, parts, "mod");
  const Output in_longer = ops::floor_div(ids, rows + 1);
  const Output shifted = ids - longer;
  const Output in_others = ops::floor_div(shifted, rows);
  Assignment result;
  result.part = ops::maximum(in_longer, in_others);
  const Output is_longer = ops::less(result.part, longer);
  const Output row_of_longer = ops::floor_mod(ids, rows + 1, "mod");
  const Output shifted_again = ids - longer;
  const Output row_of_others = ops::floor_mod(shifted_again, rows, "mod");
  result.row = ops::select(is_longer, row_of_longer, row_of_others);
  return result;
}

Output lookup_parts(const Variable& table, const Output& ids, const EmbeddingOptions& options,
                    const NameScope& scope) {
  const Graph graph = ids.graph();
  const int count = static_cast<int>(table.parts().size());
  const Output flat = ops::reshape(ids, PartialShape{-1});
  const Output places = ops::range(0, ops::size(flat), 1);
  const Assignment where = options.partition_strategy == PartitionStrategy::kMod
                               ? by_remainder(flat, count)
                               : by_range(flat, count, table.shape().dim(0));
  const Output part = ops::cast(where.part, kInt32);
  const Attrs partitions = {{"num_partitions", count}};
  const Operation rows_by_part = graph.op("DynamicPartition", {where.row, part}, partitions);
  const Operation places_by_part = graph.op("DynamicPartition", {places, part}, partitions);
  std::vector<Input> inputs;
  for (int i = 0; i < count; ++i) inputs.emplace_back(places_by_part.output(i));
  std::vector<Output> rows;
  for (int i = 0; i < count; ++i) {
    const Variable& one = table.parts()[static_cast<std::size_t>(i)];
    rows.push_back(rows_of(one, rows_by_part.output(i), {}));
  }
  inputs.insert(inputs.end(), rows.begin(), rows.end());
  const Output stitched =
      graph.op("ParallelDynamicStitch", inputs, {{"N", count}, {"T", table.dtype()}}, scope.name());
  const Output dims = ops::shape(ids);
  Output shape;
  {
    const NameScope concat(graph, "concat");
    std::vector<int> row_dims;
    for (int i = 1; i < table.shape().rank(); ++i)
      row_dims.push_back(static_cast<int>(table.shape().dim(i)));
    const Output rest = ops::constant(graph, int_vector(row_dims), "values_1");
    const Output axis = ops::constant(graph, 0, kInt32, "axis");
    shape = graph.op("ConcatV2", {dims, rest, axis}, {}, concat.name());
  }
  const Output result = ops::reshape(stitched, shape);
  if (!options.max_norm) return result;
  return clipped(result, ids, options.max_norm);
}

// Rows times weights, a weight for each row.
Output weighted_rows(const Output& rows, const Output& weights, Output& shaped) {
  const Graph graph = rows.graph();
  const Output ones_count = ops::expand_dims(ops::rank(rows) - 1, 0);
  Output ones;
  {
    const NameScope scope(graph, "ones");
    ones =
        graph.op("Fill", {ones_count, ops::constant(graph, 1, kInt32, "Const")}, {}, scope.name());
  }
  const Output dims = ops::shape(weights);
  shaped = ops::reshape(weights, ops::concat({dims, ones}, 0));
  if (rows.shape().has_rank()) {
    std::vector<std::int64_t> known(static_cast<std::size_t>(rows.shape().rank()), 1);
    known[0] = -1;
    shaped.set_shape(PartialShape(known));
  }
  return rows * shaped;
}

Output combine_weighted(const Output& rows, const Output& weights, const Output& segments,
                        Combiner combiner, std::string_view name) {
  const Graph graph = rows.graph();
  Output shaped;
  const Output weighted = weighted_rows(rows, weights, shaped);
  if (combiner == Combiner::kSum) return graph.op("SegmentSum", {weighted, segments}, {}, name);
  const Output sums = graph.op("SegmentSum", {weighted, segments});
  if (combiner == Combiner::kMean) {
    const Output totals = graph.op("SegmentSum", {shaped, segments});
    return div_no_nan(sums, totals, name);
  }
  const Output squares = ops::pow(shaped, 2.0);
  const Output totals = graph.op("SegmentSum", {squares, segments});
  return div_no_nan(sums, ops::sqrt(totals), name);
}

std::string_view segment_op(Combiner combiner) {
  switch (combiner) {
    case Combiner::kSum: return "SparseSegmentSum";
    case Combiner::kSqrtN: return "SparseSegmentSqrtN";
    default: return "SparseSegmentMean";
  }
}

// indices[:, 0].
Output first_column(const Output& indices) {
  const Graph graph = indices.graph();
  const NameScope scope(graph, "strided_slice");
  const Output begin = ops::constant(graph, int_vector({0, 0}), "stack");
  const Output end = ops::constant(graph, int_vector({0, 1}), "stack_1");
  const Output step = ops::constant(graph, int_vector({1, 1}), "stack_2");
  return graph.op("StridedSlice", {indices, begin, end, step},
                  {{"begin_mask", 1}, {"end_mask", 1}, {"shrink_axis_mask", 2}}, scope.name());
}

}  // namespace

Output embedding_lookup(const Variable& table, const Output& ids, const EmbeddingOptions& options) {
  const NameScope scope(ids.graph(), name_or(options.name, "embedding_lookup"));
  if (!table.is_partitioned()) return lookup_whole(table, ids, options, scope);
  if (table.parts().size() == 1) return lookup_whole(table.parts()[0], ids, options, scope);
  return lookup_parts(table, ids, options, scope);
}

Output embedding_lookup_sparse(const Variable& table, const SparseValue& ids,
                               const SparseValue& weights, const SparseEmbeddingOptions& options) {
  const Graph graph = ids.values.graph();
  if (weights.values && !weights.values.shape().is_compatible_with(ids.values.shape())) {
    throw value_error("Weights have the places of the ids. Details: shapes ",
                      weights.values.shape(), " and ", ids.values.shape(), ".");
  }
  const NameScope scope(graph, name_or(options.name, "embedding_lookup_sparse"));
  const Output segments = first_column(ids.indices);
  if (!weights.values && !table.is_partitioned() && !table.is_resource() && !options.max_norm) {
    return graph.op(segment_op(options.combiner), {table, ids.values, segments}, {}, scope.name());
  }
  const Operation unique = graph.op("Unique", {ids.values});
  const Output rows = embedding_lookup(
      table, unique.output(0),
      {.partition_strategy = options.partition_strategy, .max_norm = options.max_norm});
  if (weights.values) {
    const Output segments32 = ops::cast(segments, kInt32);
    const Output each = ops::gather(rows, unique.output(1));
    const Output each_weight = ops::cast(weights.values, rows.dtype());
    return combine_weighted(each, each_weight, segments32, options.combiner, scope.name());
  }
  return graph.op(segment_op(options.combiner), {rows, unique.output(1), segments}, {},
                  scope.name());
}

}  // namespace hub::layers
