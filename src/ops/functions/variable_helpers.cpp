// Regularisers (tensorflow/contrib/layers/python/layers/regularizers.py) and partitioners
// (tensorflow/python/ops/partitioned_variables.py).

#include <algorithm>
#include <cmath>

#include "hub/variables.h"
#include "ops/functions/function_support.h"

namespace hub {
namespace regularize {
namespace {

void check_scale(double scale) {
  if (!(scale >= 0)) {
    throw value_error(
        "Setting a scale less than 0 on a regularizer is not possible. Details: ", scale, ".");
  }
}

Output no_penalty(const Input&) { return {}; }

Output scaled(std::string_view name, double scale, const Input& weights,
              Output (*penalty)(const Input&)) {
  const Graph graph = graph_of({&weights});
  const NameScope scope(graph, name);
  const Output factor = ops::constant(graph, scale, weights.dtype(), "scale");
  return graph.op("Mul", {factor, penalty(weights)}, {}, scope.name());
}

Output absolute_sum(const Input& weights) {
  return ops::reduce_sum(graph_of({&weights}).op("Abs", {weights}));
}
Output half_squares(const Input& weights) { return ops::l2_loss(weights); }

}  // namespace

Regularizer l1(double scale) {
  check_scale(scale);
  if (scale == 0) return no_penalty;
  return [scale](const Input& w) { return scaled("l1_regularizer", scale, w, absolute_sum); };
}

Regularizer l2(double scale) {
  check_scale(scale);
  if (scale == 0) return no_penalty;
  return [scale](const Input& w) { return scaled("l2_regularizer", scale, w, half_squares); };
}

Regularizer l1_l2(double scale_l1, double scale_l2) {
  check_scale(scale_l1);
  check_scale(scale_l2);
  if (scale_l1 == 0) return l2(scale_l2);
  if (scale_l2 == 0) return l1(scale_l1);
  return sum({l1(scale_l1), l2(scale_l2)});
}

Regularizer sum(std::vector<Regularizer> regularizers) {
  return [regularizers = std::move(regularizers)](const Input& weights) -> Output {
    const Graph graph = graph_of({&weights});
    const NameScope scope(graph, "sum_regularizer");
    std::vector<Input> penalties;
    for (const Regularizer& regularizer : regularizers) {
      if (const Output penalty = regularizer(weights)) penalties.emplace_back(penalty);
    }
    if (penalties.empty()) return {};
    return graph.op("AddN", penalties, {}, scope.name());
  };
}

}  // namespace regularize

namespace partition {
namespace {

std::int64_t element_bytes(DType dtype, std::int64_t string_bytes) {
  return dtype == kString ? string_bytes : static_cast<std::int64_t>(dtype_size(dtype));
}

std::vector<int> along(const Shape& shape, int axis, std::int64_t parts) {
  std::vector<int> result(static_cast<std::size_t>(shape.rank()), 1);
  if (axis < 0 || axis >= shape.rank()) {
    throw value_error("Cannot partition variable along axis ", axis, " when shape is only ", shape,
                      ".");
  }
  result[static_cast<std::size_t>(axis)] = static_cast<int>(parts);
  return result;
}

std::int64_t ceiling_ratio(double a, double b) {
  return static_cast<std::int64_t>(std::ceil(a / b));
}

}  // namespace

Partitioner fixed_size(int shards, int axis) {
  return [=](const Shape& shape, DType) {
    const std::vector<int> check = along(shape, axis, 1);
    return along(shape, axis, std::min<std::int64_t>(shards, shape.dim(axis)));
  };
}

Partitioner variable_axis_size(std::int64_t max_shard_bytes, int axis,
                               std::int64_t bytes_per_string_element,
                               std::optional<int> max_shards) {
  if (max_shard_bytes < 1 || bytes_per_string_element < 1 || (max_shards && *max_shards < 1)) {
    throw value_error("Sizes and numbers of shards must be positive. Details: max_shard_bytes ",
                      max_shard_bytes, ", bytes_per_string_element ", bytes_per_string_element,
                      ".");
  }
  return [=](const Shape& shape, DType dtype) {
    const std::vector<int> check = along(shape, axis, 1);
    const auto length = static_cast<double>(shape.dim(axis));
    const double slice_bytes = static_cast<double>(shape.num_elements()) / length *
                               static_cast<double>(element_bytes(dtype, bytes_per_string_element));
    const double slices =
        std::max(1.0, std::floor(static_cast<double>(max_shard_bytes) / slice_bytes));
    std::int64_t shards = ceiling_ratio(length, slices);
    if (max_shards) shards = std::min<std::int64_t>(shards, *max_shards);
    return along(shape, axis, shards);
  };
}

Partitioner min_max(int max_partitions, int axis, std::int64_t min_slice_bytes,
                    std::int64_t bytes_per_string_element) {
  if (max_partitions < 1 || min_slice_bytes < 1 || bytes_per_string_element < 1) {
    throw value_error("Sizes and numbers of partitions must be positive. Details: max_partitions ",
                      max_partitions, ", min_slice_size ", min_slice_bytes, ".");
  }
  return [=](const Shape& shape, DType dtype) {
    const std::vector<int> check = along(shape, axis, 1);
    const double bytes = static_cast<double>(shape.num_elements()) *
                         static_cast<double>(element_bytes(dtype, bytes_per_string_element));
    const std::int64_t wanted = ceiling_ratio(bytes, static_cast<double>(min_slice_bytes));
    const std::int64_t possible = std::min<std::int64_t>(shape.dim(axis), max_partitions);
    return along(shape, axis, std::max<std::int64_t>(1, std::min(possible, wanted)));
  };
}

}  // namespace partition
}  // namespace hub
