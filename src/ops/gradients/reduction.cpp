// Gradients of reductions, scans and segments.

#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

// A reduction's output or gradient with the reduced axes as ones.
Output with_axes(const GradientContext& c, const Output& reduced) {
  if (c.attr<bool>("keep_dims")) return reduced;
  return reshape(reduced, reduced_shape(shape_of(c.input(0)), c.input(1)));
}

Output broadcast_back(GradientContext& c) {
  return op("BroadcastTo", {with_axes(c, c.dy()), shape_of(c.input(0))});
}

Gradients sum_gradient(GradientContext& c) { return {broadcast_back(c), {}}; }

Gradients mean(GradientContext& c) {
  const Output shape = shape_of(c.input(0));
  const Output kept = reduced_shape(shape, c.input(1));
  const Output ratio = op("FloorDiv", {op("Prod", {shape, ints({0})}),
                                       op("Maximum", {op("Prod", {kept, ints({0})}), 1})});
  return {broadcast_back(c) / cast(ratio, c.dtype(0)), {}};
}

Gradients extremum(GradientContext& c) {
  const Output y = with_axes(c, c.output());
  const Output is_selected = cast(op("Equal", {y, c.input(0)}), c.dtype(0));
  const Output count = sum(is_selected, c.input(1), true);
  return {is_selected / count * with_axes(c, c.dy()), {}};
}

// Products of all others, exact also with zeros: of those before times of those after.
Gradients product(GradientContext& c) {
  const Output x = c.input(0);
  const Output shape = shape_of(x);
  const Output dy = broadcast_back(c);
  const Output rank = rank_of(x);
  const Output flat = reshape(cast(c.input(1), DType::kInt32), ints({-1}));
  const Output reduced = op("FloorMod", {op("AddV2", {flat, rank}), rank});
  const Output others = op("ListDiff", {range(make_scalar<std::int32_t>(0), rank), reduced},
                           {{"out_idx", DType::kInt32}});
  const Output order = concat({reduced, others});
  const Output rows = op("Prod", {gather(shape, reduced), ints({0})});
  const Output columns = op("Prod", {gather(shape, others), ints({0})});
  const Output permuted = transpose(x, order);
  const Output flat_x = reshape(permuted, pack({rows, columns}));
  const Output before = op("Cumprod", {flat_x, 0}, {{"exclusive", true}});
  const Output after = op("Cumprod", {flat_x, 0}, {{"exclusive", true}, {"reverse", true}});
  const Output partial = reshape(conj(before) * conj(after), shape_of(permuted));
  const Output dx = dy * transpose(partial, op("InvertPermutation", {order}));
  return {reshape(dx, shape), {}};
}

Gradients euclidean_norm(GradientContext& c) {
  return {c.input(0) / (with_axes(c, c.output()) / with_axes(c, c.dy())), {}};
}

Output scan(const GradientContext& c, std::string_view type, const Output& x, bool reverse) {
  return op(type, {x, c.input(1)},
            {{"exclusive", c.attr<bool>("exclusive")}, {"reverse", reverse}});
}

Gradients cumsum(GradientContext& c) {
  return {scan(c, "Cumsum", c.dy(), !c.attr<bool>("reverse")), {}};
}

Gradients cumprod(GradientContext& c) {
  const bool reverse = c.attr<bool>("reverse");
  const Output products = scan(c, "Cumprod", c.input(0), reverse);
  const Output sums = scan(c, "Cumsum", products * c.dy(), !reverse);
  return {op("DivNoNan", {sums, c.input(0)}), {}};
}

double lowest(DType dtype) {
  switch (dtype) {
    case DType::kFloat16: return -65504;
    case DType::kBfloat16: return -3.3895313892515355e38;
    case DType::kFloat32: return -3.4028234663852886e38;
    default: return -1.7976931348623157e308;
  }
}

Gradients cumulative_logsumexp(GradientContext& c) {
  const bool reverse = c.attr<bool>("reverse");
  const auto part = [&](const Output& log) {
    return exp(scan(c, "CumulativeLogsumexp", log - c.output(), !reverse) + c.input(0));
  };
  const Output least = scalar(c, c.dtype(0), lowest(c.dtype(0)));
  const Output dy = c.dy();
  const Output positive = where(op("Greater", {dy, 0.0}), op("Log", {dy}), least);
  const Output negative = where(op("Less", {dy, 0.0}), op("Log", {-dy}), least);
  return {part(positive) - part(negative), {}};
}

Gradients segment_sum(GradientContext& c) { return {gather(c.dy(), c.input(1)), {}}; }

Gradients segment_mean(GradientContext& c) {
  const Output ids = c.input(1);
  const Output ones_after = op("Fill", {expand(rank_of(c.input(0)) - 1.0, 0), 1});
  const Output ones = filled(concat({shape_of(ids), ones_after}), c.dtype(0), 1);
  return {gather(c.dy() / op("SegmentSum", {ones, ids}), ids), {}};
}

Gradients segment_extremum(GradientContext& c) {
  const Output x = c.input(0);
  const Output ids = c.input(1);
  const Output is_selected = op("Equal", {x, gather(c.output(), ids)});
  const Output count = op("SegmentSum", {cast(is_selected, c.dtype(0)), ids});
  return {where(is_selected, gather(c.dy() / count, ids), zeros_like(x)), {}};
}

// No zero: divided by the element. One zero: only it has a gradient, the product of the others.
// More: nothing has.
Gradients segment_product(GradientContext& c) {
  const Output x = c.input(0);
  const Output ids = c.input(1);
  const Output is_zero = op("Equal", {x, 0.0});
  const Output zeros = op("SegmentSum", {cast(is_zero, DType::kInt32), ids});
  const Output dy = where(op("Greater", {zeros, 1}), zeros_like(c.dy()), c.dy());
  const Output non_zero = where(is_zero, ones_like(x), x);
  const Output product = op("SegmentProd", {non_zero, ids});
  const Output partial = where(is_zero, gather(product, ids), gather(c.output(), ids) / non_zero);
  return {gather(dy, ids) * partial, {}};
}

// Rows by id; negative ids stand for rows of zeros.
struct DroppingGather {
  Output clipped;
  Output ids;
  Output is_kept(const Output& rows) const {
    const Output kept = op("GreaterEqual", {ids, zeros_like(ids)});
    const Output shape = shape_of(kept);
    const Output ones = op("Fill", {expand(op("Sub", {rank_of(rows), rank_of(kept)}), 0), 1});
    const Output broad = reshape(kept, concat({shape, ones}));
    return op("LogicalAnd", {broad, op("OnesLike", {op("Equal", {rows, rows})})});
  }
  Output operator()(const Output& table) const {
    const Output rows = gather(table, clipped);
    return where(is_kept(rows), rows, zeros_like(rows));
  }
};

DroppingGather dropping(const Output& ids) { return {op("Maximum", {ids, zeros_like(ids)}), ids}; }

Gradients unsorted_segment_sum(GradientContext& c) {
  return {dropping(c.input(1))(c.dy()), {}, {}};
}

Gradients unsorted_segment_extremum(GradientContext& c) {
  const DroppingGather rows = dropping(c.input(1));
  const Output outputs = rows(c.output());
  const Output is_selected =
      op("LogicalAnd", {op("Equal", {c.input(0), outputs}), rows.is_kept(outputs)});
  const Output count =
      op("UnsortedSegmentSum", {cast(is_selected, c.dtype(0)), c.input(1), c.input(2)});
  const Output shares = rows(c.dy() / count);
  return {where(is_selected, shares, zeros_like(shares)), {}, {}};
}

Gradients unsorted_segment_product(GradientContext& c) {
  const Output x = c.input(0);
  const Output ids = c.input(1);
  const DroppingGather rows = dropping(ids);
  const Output is_zero = op("Equal", {x, 0.0});
  const Output zeros = op("UnsortedSegmentSum", {cast(is_zero, DType::kInt32), ids, c.input(2)});
  const Output dy = where(op("Greater", {zeros, 1}), zeros_like(c.dy()), c.dy());
  const Output product =
      op("UnsortedSegmentProd", {where(is_zero, ones_like(x), x), ids, c.input(2)});
  const Output partial =
      where(is_zero, gather(product, rows.clipped), gather(c.output(), rows.clipped) / x);
  return {rows(dy) * partial, {}, {}};
}

template <const char* kOp, const char* kSparseOp>
Gradients sparse_segment(GradientContext& c) {
  const Output shape = shape_of(c.input(0));
  const Output rows = element(shape, 0);
  const bool sparse = c.node().attrs.contains("sparse_gradient") && c.attr<bool>("sparse_gradient");
  if (!sparse) {
    return c.pad({op(kOp, {c.dy(), c.input(1), c.input(2), rows})});
  }
  const Operation parts = c.many(kSparseOp, {c.dy(), c.input(1), c.input(2), rows});
  c.give_slices(0, {parts.output(0), parts.output(1), shape});
  return c.pad({});
}
constexpr char kSum[] = "SparseSegmentSumGrad";
constexpr char kSumV2[] = "SparseSegmentSumGradV2";
constexpr char kMean[] = "SparseSegmentMeanGrad";
constexpr char kMeanV2[] = "SparseSegmentMeanGradV2";
constexpr char kSqrtN[] = "SparseSegmentSqrtNGrad";
constexpr char kSqrtNV2[] = "SparseSegmentSqrtNGradV2";

Gradients top_k(GradientContext& c) {
  const Output x = c.input(0);
  const Output shape = cast(shape_of(x), DType::kInt64);
  const Output indices = c.output(1);
  const Output k = gather(shape_of(indices), op("Sub", {size_of(shape_of(indices)), 1}));
  const Output flat = reshape(indices, pack({make_scalar<std::int32_t>(-1), k}));
  const Output width = gather(shape, op("Sub", {size_of(shape), 1}));
  const Output rows = cast(element(shape_of(flat), 0), DType::kInt64);
  const Output starts =
      op("Mul", {range(make_scalar<std::int64_t>(0), rows, make_scalar<std::int64_t>(1)), width});
  const Output places =
      reshape(op("AddV2", {cast(flat, DType::kInt64), expand(starts, -1)}), ints({-1}));
  const Output total = reshape(op("Prod", {shape, ints({0})}), ints({1}));
  const Output scattered =
      op("ScatterNd", {expand(places, -1), reshape(c.dy(), ints({-1})), total});
  return c.pad({reshape(scattered, shape)});
}

Gradients nth_element(GradientContext& c) {
  const Output is_selected = cast(op("Equal", {expand(c.output(), -1), c.input(0)}), c.dtype(0));
  const Output count = sum(is_selected, -1, true);
  return {is_selected / count * expand(c.dy(), -1), {}};
}

constexpr GradientRule kRules[] = {
    {"Sum", sum_gradient},
    {"Mean", mean},
    {"Max", extremum},
    {"Min", extremum},
    {"Prod", product},
    {"EuclideanNorm", euclidean_norm},
    {"Cumsum", cumsum},
    {"Cumprod", cumprod},
    {"CumulativeLogsumexp", cumulative_logsumexp},
    {"SegmentSum", segment_sum},
    {"SegmentMean", segment_mean},
    {"SegmentMax", segment_extremum},
    {"SegmentMin", segment_extremum},
    {"SegmentProd", segment_product},
    {"UnsortedSegmentSum", unsorted_segment_sum},
    {"UnsortedSegmentMax", unsorted_segment_extremum},
    {"UnsortedSegmentMin", unsorted_segment_extremum},
    {"UnsortedSegmentProd", unsorted_segment_product},
    {"SparseSegmentSum", sparse_segment<kSum, kSumV2>},
    {"SparseSegmentSumWithNumSegments", sparse_segment<kSum, kSumV2>},
    {"SparseSegmentMean", sparse_segment<kMean, kMeanV2>},
    {"SparseSegmentMeanWithNumSegments", sparse_segment<kMean, kMeanV2>},
    {"SparseSegmentSqrtN", sparse_segment<kSqrtN, kSqrtNV2>},
    {"SparseSegmentSqrtNWithNumSegments", sparse_segment<kSqrtN, kSqrtNV2>},
    {"TopK", top_k},
    {"TopKV2", top_k},
    {"NthElement", nth_element},
};

}  // namespace

GradientRules reduction_gradients() { return kRules; }

}  // namespace hub
