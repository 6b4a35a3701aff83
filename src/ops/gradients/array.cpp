// Gradients of ops that move values about.

#include "base/errors.h"
#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

Gradients identity(GradientContext& c) { return pass_on(c); }

Gradients identity_n(GradientContext& c) {
  Gradients result;
  for (int i = 0; i < c.num_outputs(); ++i)
    result.push_back(is_differentiable(c.output(i).dtype()) ? c.dy(i) : Output());
  return result;
}

Gradients prevent_gradient(GradientContext& c) {
  throw unimplemented("PreventGradient: the graph's author forbids a gradient here. Details: ",
                      c.attr<std::string>("message"), ".");
}

Gradients reshape_back(GradientContext& c) {
  return c.pad({reshape(c.dy(), shape_of(c.input(0)))});
}

Gradients transpose_back(GradientContext& c) {
  return {transpose(c.dy(), op("InvertPermutation", {c.input(1)})), {}};
}

Gradients conjugate_transpose(GradientContext& c) {
  return {op("ConjugateTranspose", {c.dy(), op("InvertPermutation", {c.input(1)})}), {}};
}

Gradients pack_back(GradientContext& c) {
  const Operation parts =
      c.many("Unpack", {c.dy()},
             {{"num", c.attr<std::int64_t>("N")}, {"axis", c.attr<std::int64_t>("axis")}});
  Gradients result;
  for (int i = 0; i < c.num_inputs(); ++i) result.push_back(parts.output(i));
  return result;
}

std::vector<Input> all_dys(GradientContext& c) {
  std::vector<Input> result;
  for (int i = 0; i < c.num_outputs(); ++i) result.emplace_back(c.dy(i));
  return result;
}

Gradients unpack_back(GradientContext& c) {
  return {pack(all_dys(c), static_cast<int>(c.attr<std::int64_t>("axis")))};
}

// Slices of the gradient for the inputs first..first+count-1 that were joined along `axis`.
Gradients split_among(GradientContext& c, int first, int count, const Output& axis) {
  Gradients result = c.pad({});
  if (count == 1) {
    result[static_cast<std::size_t>(first)] = c.dy();
    return result;
  }
  std::vector<Input> inputs;
  for (int i = 0; i < count; ++i) inputs.emplace_back(c.input(first + i));
  const Operation shapes = c.many("ShapeN", inputs, {{"out_type", DType::kInt32}});
  const Output place = op("FloorMod", {cast(axis, DType::kInt32), rank_of(c.input(first))});
  std::vector<Input> offsets = {place};
  for (int i = 0; i < count; ++i) offsets.emplace_back(shapes.output(i));
  const Operation begins = c.many("ConcatOffset", offsets, {{"N", count}});
  for (int i = 0; i < count; ++i) {
    result[static_cast<std::size_t>(first + i)] =
        op("Slice", {c.dy(), begins.output(i), shapes.output(i)});
  }
  return result;
}

Gradients concat_back(GradientContext& c) {
  return split_among(c, 1, c.num_inputs() - 1, c.input(0));
}

Gradients concat_v2_back(GradientContext& c) {
  const int count = c.num_inputs() - 1;
  return split_among(c, 0, count, c.input(count));
}

Output joined(GradientContext& c, const Output& axis) {
  if (c.num_outputs() == 1) return c.dy();
  std::vector<Input> parts = all_dys(c);
  parts.emplace_back(axis);
  return op("ConcatV2", parts, {{"N", c.num_outputs()}});
}

Gradients split_back(GradientContext& c) { return {{}, joined(c, c.input(0))}; }
Gradients split_v_back(GradientContext& c) { return c.pad({joined(c, c.input(2))}); }

Gradients slice_back(GradientContext& c) {
  const DType dtype = c.dtype(1);
  const Output column = pack({rank_of(c.input(0)), make_scalar<std::int32_t>(1)});
  const Output before = reshape(c.input(1), column);
  const Output rest = op(
      "Sub", {op("Sub", {shape_of(c.input(0), dtype), shape_of(c.output(), dtype)}), c.input(1)});
  return {op("Pad", {c.dy(), concat({before, reshape(rest, column)}, 1)}), {}, {}};
}

Attrs masks(const GradientContext& c) {
  return c.attrs({"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"});
}

Gradients strided_slice_back(GradientContext& c) {
  const Output shape = shape_of(c.input(0), c.dtype(1));
  return c.pad(
      {op("StridedSliceGrad", {shape, c.input(1), c.input(2), c.input(3), c.dy()}, masks(c))});
}

Gradients strided_slice_grad(GradientContext& c) {
  return {
      {}, {}, {}, {}, op("StridedSlice", {c.dy(), c.input(1), c.input(2), c.input(3)}, masks(c))};
}

Gradients strided_slice_update(GradientContext& c) {
  const Output part = op("StridedSlice", {c.dy(), c.input(1), c.input(2), c.input(3)}, masks(c));
  const Output rest = op("TensorStridedSliceUpdate",
                         {c.dy(), c.input(1), c.input(2), c.input(3), zeros_like(part)}, masks(c));
  return {rest, {}, {}, {}, unbroadcast(part, c.input(4), part)};
}

Gradients pad_back(GradientContext& c) {
  const Output begin = op("StridedSlice", {c.input(1), ints({0, 0}), ints({0, 1}), ints({1, 1})},
                          {{"begin_mask", 1}, {"end_mask", 1}, {"shrink_axis_mask", 2}});
  return c.pad({op("Slice", {c.dy(), begin, shape_of(c.input(0), c.dtype(1))})});
}

Gradients tile_back(GradientContext& c) {
  const Output shape = shape_of(c.input(0), c.dtype(1));
  const Output parts = reshape(transpose(pack({c.input(1), shape}), ints({1, 0})), ints({-1}));
  const Output axes = range(make_scalar<std::int32_t>(0), size_of(parts), 2);
  return {sum(reshape(c.dy(), parts), axes), {}};
}

Gradients broadcast_to(GradientContext& c) {
  return {unbroadcast(c.dy(), c.input(0), c.output()), {}};
}

Gradients reverse_v2(GradientContext& c) { return {op("ReverseV2", {c.dy(), c.input(1)}), {}}; }
Gradients reverse_v1(GradientContext& c) { return {op("Reverse", {c.dy(), c.input(1)}), {}}; }

Gradients reverse_sequence(GradientContext& c) {
  return {op("ReverseSequence", {c.dy(), c.input(1)}, c.attrs({"batch_dim", "seq_dim"})), {}};
}

template <const char* kOp>
Gradients blocks_nd(GradientContext& c) {
  return {op(kOp, {c.dy(), c.input(1), c.input(2)}), {}, {}};
}
template <const char* kOp>
Gradients blocks(GradientContext& c) {
  return {op(kOp, {c.dy(), c.input(1)}, c.attrs({"block_size"})), {}};
}
template <const char* kOp>
Gradients depth(GradientContext& c) {
  return {op(kOp, {c.dy()}, c.attrs({"block_size", "data_format"}))};
}
constexpr char kBatchToSpaceND[] = "BatchToSpaceND";
constexpr char kSpaceToBatchND[] = "SpaceToBatchND";
constexpr char kBatchToSpace[] = "BatchToSpace";
constexpr char kSpaceToBatch[] = "SpaceToBatch";
constexpr char kDepthToSpace[] = "DepthToSpace";
constexpr char kSpaceToDepth[] = "SpaceToDepth";

template <const char* kOp>
Gradients mirror(GradientContext& c) {
  return {op(kOp, {c.dy(), c.input(1)}, c.attrs({"mode"})), {}};
}
constexpr char kMirrorPadGrad[] = "MirrorPadGrad";
constexpr char kMirrorPad[] = "MirrorPad";

Gradients roll_back(GradientContext& c) {
  return {op("Roll", {c.dy(), op("Neg", {c.input(1)}), c.input(2)}), {}, {}};
}

Gradients fill(GradientContext& c) {
  return {{}, sum(c.dy(), range(make_scalar<std::int32_t>(0), rank_of(c.dy())))};
}

template <const char* kOp>
Gradients check_numerics(GradientContext& c) {
  return {op(kOp, {c.dy()},
             {{"message", "Not a number (NaN) or infinity (Inf) values detected in gradient. " +
                              c.attr<std::string>("message")}})};
}
constexpr char kCheckNumerics[] = "CheckNumerics";
constexpr char kCheckNumericsV2[] = "CheckNumericsV2";

// Each patch element adds to the pixel that it came from: their numbers are cut out as the
// pixels were; 0 is the padding.
Gradients extract_image_patches(GradientContext& c) {
  const Output shape = shape_of(c.input(0), DType::kInt64);
  const Output out_shape = shape_of(c.output(), DType::kInt64);
  const Output batch = element(shape, 0);
  const Output rows = element(shape, 1);
  const Output columns = element(shape, 2);
  const Output channels = element(shape, 3);
  const auto& sizes = c.attr<AttrList>("ksizes").ints;
  const Output one = ones_like(batch);
  const Output pixels = op("Mul", {rows, columns});
  const Output numbers = cast(range(one, op("AddV2", {pixels, one}), one), DType::kFloat64);
  const Output patches =
      op("ExtractImagePatches", {reshape(numbers, pack({one, rows, columns, one}))},
         c.attrs({"ksizes", "strides", "rates", "padding"}));
  const Output ids = op("Sub", {reshape(cast(patches, DType::kInt64), ints({-1})), one});
  const Output split = reshape(c.dy(), pack({batch, element(out_shape, 1), element(out_shape, 2),
                                             make_scalar<std::int64_t>(sizes[1]),
                                             make_scalar<std::int64_t>(sizes[2]), channels}));
  const Output ordered = transpose(split, ints({1, 2, 3, 4, 0, 5}));
  const Output flat =
      reshape(ordered, pack({make_scalar<std::int64_t>(-1), op("Mul", {batch, channels})}));
  const Output sums = op("UnsortedSegmentSum", {flat, ids, pixels});
  return {transpose(reshape(sums, pack({rows, columns, batch, channels})), ints({2, 0, 1, 3}))};
}

constexpr GradientRule kRules[] = {
    {"Identity", identity},
    {"RefIdentity", identity},
    {"Snapshot", identity},
    {"PlaceholderWithDefault", identity},
    {"Print", identity},
    {"EnsureShape", identity},
    {"QuantizeAndDequantize", identity},
    {"QuantizeAndDequantizeV2", identity},
    {"QuantizeAndDequantizeV3", identity},
    {"IdentityN", identity_n},
    {"PreventGradient", prevent_gradient},
    {"Reshape", reshape_back},
    {"ExpandDims", reshape_back},
    {"Squeeze", reshape_back},
    {"Transpose", transpose_back},
    {"ConjugateTranspose", conjugate_transpose},
    {"Pack", pack_back},
    {"Unpack", unpack_back},
    {"Concat", concat_back},
    {"ConcatV2", concat_v2_back},
    {"Split", split_back},
    {"SplitV", split_v_back},
    {"Slice", slice_back},
    {"StridedSlice", strided_slice_back},
    {"StridedSliceGrad", strided_slice_grad},
    {"TensorStridedSliceUpdate", strided_slice_update},
    {"Pad", pad_back},
    {"PadV2", pad_back},
    {"Tile", tile_back},
    {"BroadcastTo", broadcast_to},
    {"Reverse", reverse_v1},
    {"ReverseV2", reverse_v2},
    {"ReverseSequence", reverse_sequence},
    {"SpaceToBatchND", blocks_nd<kBatchToSpaceND>},
    {"BatchToSpaceND", blocks_nd<kSpaceToBatchND>},
    {"SpaceToBatch", blocks<kBatchToSpace>},
    {"BatchToSpace", blocks<kSpaceToBatch>},
    {"SpaceToDepth", depth<kDepthToSpace>},
    {"DepthToSpace", depth<kSpaceToDepth>},
    {"MirrorPad", mirror<kMirrorPadGrad>},
    {"MirrorPadGrad", mirror<kMirrorPad>},
    {"Roll", roll_back},
    {"Fill", fill},
    {"CheckNumerics", check_numerics<kCheckNumerics>},
    {"CheckNumericsV2", check_numerics<kCheckNumericsV2>},
    {"ExtractImagePatches", extract_image_patches},
};

}  // namespace

GradientRules array_gradients() { return kRules; }

}  // namespace hub
