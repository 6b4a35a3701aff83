// Gradients of ops on sparse and ragged tensors: to their values.

#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

Gradients reorder(GradientContext& c) {
  const Output count = element(shape_of(c.input(0)), 0);
  const Output numbers = range(make_scalar<std::int32_t>(0), count);
  const Operation ordered = c.many("SparseReorder", {c.input(0), numbers, c.input(2)});
  return {{}, gather(c.dy(1), op("InvertPermutation", {ordered.output(1)})), {}};
}

Gradients add(GradientContext& c) {
  const Operation parts = c.many("SparseAddGrad", {c.dy(1), c.input(0), c.input(3), c.output(0)});
  return {{}, parts.output(0), {}, {}, parts.output(1), {}, {}};
}

Gradients dense_add(GradientContext& c) {
  return {{}, op("GatherNd", {c.dy(), c.input(0)}), {}, c.dy()};
}

Gradients reduce_sum(GradientContext& c) {
  const Output shape = c.input(2);
  const Output kept = reduced_shape(shape, c.input(3));
  const Output scale = op("FloorDiv", {shape, cast(kept, DType::kInt64)});
  const Output places = op("FloorDiv", {c.input(0), scale});
  return {{}, op("GatherNd", {reshape(c.dy(), kept), places}), {}, {}};
}

Gradients slice_back(GradientContext& c) {
  return c.pad({{}, op("SparseSliceGrad", {c.dy(1), c.input(0), c.input(3), c.output(0)})});
}

Output column(const Output& indices, int k) {
  return op("StridedSlice", {indices, ints({0, k}), ints({0, k + 1}), ints({1, 1})},
            {{"begin_mask", 1}, {"end_mask", 1}, {"shrink_axis_mask", 2}});
}

Gradients dense_mat_mul(GradientContext& c) {
  const bool adjoint_a = c.attr<bool>("adjoint_a");
  const bool adjoint_b = c.attr<bool>("adjoint_b");
  const Output b = c.input(3);
  Output db = op("SparseTensorDenseMatMul", {c.input(0), c.input(1), c.input(2), c.dy()},
                 {{"adjoint_a", !adjoint_a}});
  if (adjoint_b) db = conj(transpose(db, ints({1, 0})));
  const Output rows = column(c.input(0), 0);
  const Output columns = column(c.input(0), 1);
  const Output of_y = gather(c.dy(), adjoint_a ? columns : rows);
  const Output of_b =
      gather(adjoint_b ? transpose(b, ints({1, 0})) : b, adjoint_a ? rows : columns);
  const Output b_part = adjoint_b ? of_b : conj(of_b);
  const Output y_part = adjoint_a ? conj(of_y) : of_y;
  const Output right = adjoint_a ? (adjoint_b ? conj(of_b) : of_b) : b_part;
  return {{}, sum(y_part * right, -1), {}, db};
}

Gradients dense_product(GradientContext& c) {
  const bool is_product = c.node().op_name == "SparseDenseCwiseMul";
  const Output y = c.input(3);
  const Output x_shape = c.input(2);
  const Output y_shape = shape_of(y, DType::kInt64);
  const Output added = expand(op("Sub", {size_of(x_shape), size_of(y_shape)}), 0);
  const Output padded = concat({filled(added, DType::kInt64, 1), y_shape});
  const Output scaled = op("FloorDiv", {c.input(0), op("FloorDiv", {x_shape, padded})});
  const Output places = op("Slice", {scaled, concat({ints({0}), added}), ints({-1, -1})});
  const Output values = op("GatherNd", {y, places});
  const Output dx = is_product ? c.dy() * values : c.dy() / values;
  const Output dy = is_product ? c.dy() * c.input(1) : c.dy() * (-c.input(1) / square(values));
  const Output total = op("SparseTensorDenseAdd", {places, dy, y_shape, zeros_like(y)});
  return {{}, dx, {}, total};
}

Gradients softmax(GradientContext& c) {
  const Output y = c.output();
  const Output sums = op("SparseReduceSum", {c.input(0), y * c.dy(), c.input(2), ints({-1})},
                         {{"keep_dims", true}});
  const Output rest = op("SparseDenseCwiseAdd", {c.input(0), c.dy(), c.input(2), -sums});
  return {{}, rest * y, {}};
}

Gradients fill_empty_rows(GradientContext& c) {
  const Operation parts = c.many("SparseFillEmptyRowsGrad", {c.output(3), c.dy(1)});
  return {{}, parts.output(0), {}, parts.output(1)};
}

Output total(const Output& x) { return sum(x, range(make_scalar<std::int32_t>(0), rank_of(x))); }

Gradients to_dense(GradientContext& c) {
  const Output values = op("GatherNd", {c.dy(), c.input(0)});
  return {{}, {}, values, total(c.dy()) - total(values)};
}

Gradients ragged_to_sparse(GradientContext& c) {
  Gradients result = c.pad({});
  result.back() = reshape(c.dy(1), shape_of(c.input(c.num_inputs() - 1)));
  return result;
}

Gradients ragged_to_variant(GradientContext& c) {
  const int last = c.num_inputs() - 1;
  const Input splits = last == 0 ? Input(make_vector<std::int64_t>({})) : Input(c.input(0));
  Gradients result = c.pad({});
  result.back() = op("RaggedTensorToVariantGradient", {c.dy(), splits, shape_of(c.input(last))},
                     {{"Tvalues", c.dtype(last)}});
  return result;
}

Gradients ragged_from_variant(GradientContext& c) {
  const PartialShape& shape = c.shape(0);
  const bool is_batch =
      shape.has_rank() ? shape.rank() == 1 : c.attr<std::int64_t>("output_ragged_rank") > 0;
  std::vector<Input> inputs;
  for (int i = 0; i + 1 < c.num_outputs(); ++i) inputs.emplace_back(c.output(i));
  inputs.emplace_back(c.dy(c.num_outputs() - 1));
  return {op("RaggedTensorToVariant", inputs,
             {{"batched_input", is_batch}, {"RAGGED_RANK", c.num_outputs() - 1}})};
}

// Where each element of the dense tensor came from: the numbers of the values are laid out as
// the values were; -1 is the default.
Gradients ragged_to_dense(GradientContext& c) {
  const Output values = c.input(1);
  const Output fallback = c.input(2);
  const auto& types = c.attr<AttrList>("row_partition_types").strings;
  int ragged_rank = 0;
  for (const std::string& type : types) ragged_rank += type == "FIRST_DIM_SIZE" ? 0 : 1;
  const Output dy = c.dy();
  const Output outer = slice(shape_of(dy), 0, 1 + ragged_rank);
  const Output count = element(shape_of(values), 0);
  std::vector<Input> inputs = {outer, range(make_scalar<std::int32_t>(0), count),
                               make_scalar<std::int32_t>(-1)};
  for (int i = 3; i < c.num_inputs(); ++i) inputs.emplace_back(c.input(i));
  const Output indices = op("RaggedTensorToTensor", inputs,
                            c.attrs({"row_partition_types", "num_row_partition_tensors"}));
  const Output is_value = op("GreaterEqual", {indices, 0});
  const Output flat = reshape(indices, ints({-1}));
  const Output rows = reshape(dy, concat({shape_of(flat), slice(shape_of(values), 1)}));
  // Negative numbers add to nothing.
  const Output d_values = op("UnsortedSegmentSum", {rows, flat, count});
  const Output inner = op("Fill", {expand(op("Sub", {rank_of(dy), rank_of(is_value)}), 0), 1});
  const Output mask = reshape(is_value, concat({shape_of(is_value), inner}));
  const Output d_default = unbroadcast(where(mask, zeros_like(dy), dy), fallback, dy);
  Gradients result = c.pad({});
  result[1] = d_values;
  result[2] = d_default;
  return result;
}

// Rows are ranges of the inner values.
Gradients ragged_gather(GradientContext& c) {
  const int last = c.num_inputs() - 1;
  Output splits = c.input(0);
  for (int i = 1; i < last - 1; ++i) splits = gather(c.input(i), splits);
  const Output rows = reshape(c.input(last), ints({-1}));
  const Output begins = gather(slice(splits, 0, -1), rows);
  const Output ends = gather(slice(splits, 1), rows);
  const Operation places = c.many("RaggedRange", {begins, ends, ones_like(begins)});
  c.give_slices(last - 1,
                {c.dy(c.num_outputs() - 1), places.output(1), shape_of(c.input(last - 1))});
  return c.pad({});
}

constexpr GradientRule kRules[] = {
    {"SparseReorder", reorder},
    {"SparseAdd", add},
    {"SparseTensorDenseAdd", dense_add},
    {"SparseReduceSum", reduce_sum},
    {"SparseSlice", slice_back},
    {"SparseTensorDenseMatMul", dense_mat_mul},
    {"SparseDenseCwiseMul", dense_product},
    {"SparseDenseCwiseDiv", dense_product},
    {"SparseSoftmax", softmax},
    {"SparseFillEmptyRows", fill_empty_rows},
    {"SparseToDense", to_dense},
    {"RaggedTensorToSparse", ragged_to_sparse},
    {"RaggedTensorToVariant", ragged_to_variant},
    {"RaggedTensorFromVariant", ragged_from_variant},
    {"RaggedTensorToTensor", ragged_to_dense},
    {"RaggedGather", ragged_gather},
};

}  // namespace

GradientRules sparse_gradients() { return kRules; }

}  // namespace hub
