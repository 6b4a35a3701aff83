// Two sparse tensors of one shape, entry by entry: sums, maxima, minima. Both are sorted.

#include <cmath>
#include <compare>
#include <complex>
#include <type_traits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/sparse_tensor.h"
#include "ops/wide.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

// An entry of the union: where it is in a and in b, -1 where it is missing.
struct Pair {
  std::int64_t a;
  std::int64_t b;
};

void check_same_shape(const KernelContext& context, const SparseInput& a, const SparseInput& b) {
  if (!std::ranges::equal(a.shape, b.shape)) {
    throw invalid_argument(context.node().op_name, ": both shapes must be the same. Details: [",
                           join(a.shape, ","), "] and [", join(b.shape, ","), "].");
  }
}

std::vector<Pair> united(const SparseInput& a, const SparseInput& b) {
  std::vector<Pair> pairs;
  pairs.reserve(static_cast<std::size_t>(a.count + b.count));
  std::int64_t i = 0;
  std::int64_t j = 0;
  while (i < a.count && j < b.count) {
    const auto left = a.coordinates(i);
    const auto right = b.coordinates(j);
    const auto order = std::lexicographical_compare_three_way(left.begin(), left.end(),
                                                              right.begin(), right.end());
    if (order < 0) {
      pairs.push_back({i++, -1});
    } else if (order > 0) {
      pairs.push_back({-1, j++});
    } else {
      pairs.push_back({i++, j++});
    }
  }
  while (i < a.count) pairs.push_back({i++, -1});
  while (j < b.count) pairs.push_back({-1, j++});
  return pairs;
}

void output_indices(KernelContext& context, const SparseInput& a, const SparseInput& b,
                    const std::vector<Pair>& pairs) {
  const auto count = static_cast<std::int64_t>(pairs.size());
  std::int64_t* to = context.output(0, Shape{count, a.rank}).mutable_data<std::int64_t>();
  for (const Pair& pair : pairs) {
    to = std::ranges::copy(pair.a >= 0 ? a.coordinates(pair.a) : b.coordinates(pair.b), to).out;
  }
}

// True where |value| >= threshold. NaN is below every threshold.
template <class T>
bool reaches(T value, double threshold) {
  if constexpr (std::is_integral_v<T>) {
    return threshold <= std::abs(static_cast<double>(value));
  } else {
    return threshold <= static_cast<double>(std::abs(value));
  }
}

double real_scalar(const Tensor& tensor) {
  double value = 0;
  dispatch(RealNumbers{}, tensor.dtype(), [&]<class T>() {
    value = static_cast<double>(static_cast<Wide<T>>(tensor.scalar<T>()));
  });
  return value;
}

void sparse_add(KernelContext& context) {
  const SparseInput a = sparse_input(context, 0, 1, 2, "a_");
  const SparseInput b = sparse_input(context, 3, 4, 5, "b_");
  check_rank(context, 6, 0, "thresh");
  check_same_shape(context, a, b);
  if (a.rank == 0) throw invalid_argument("SparseAdd: the shape must have at least one dimension.");
  const double threshold = real_scalar(context.input(6));
  const std::vector<Pair> pairs = united(a, b);
  using Types = TypeList<float, double, std::int8_t, std::int16_t, std::int32_t, std::int64_t,
                         std::complex<float>, std::complex<double>>;
  dispatch(Types{}, a.values->dtype(), [&]<class T>() {
    const T* left = a.values->data<T>();
    const T* right = b.values->data<T>();
    std::vector<T> sums;
    std::vector<Pair> kept;
    for (const Pair& pair : pairs) {
      T sum = pair.a >= 0 ? left[pair.a] : right[pair.b];
      if (pair.a >= 0 && pair.b >= 0) {
        if constexpr (std::is_integral_v<T>) {
          __builtin_add_overflow(sum, right[pair.b], &sum);
        } else {
          sum += right[pair.b];
        }
        // Only what is in both is held against the threshold.
        if (!reaches(sum, threshold)) continue;
      }
      kept.push_back(pair);
      sums.push_back(sum);
    }
    output_indices(context, a, b, kept);
    std::ranges::copy(
        sums, context.output(1, Shape{static_cast<std::int64_t>(sums.size())}).mutable_data<T>());
  });
  output_vector(context, 2, a.shape);
}

Shapes sparse_add_shape(ShapeContext& c) {
  const PartialShape a = c.with_rank(2, 1);
  c.with_rank(0, 2);
  c.with_rank(1, 1);
  c.with_rank(3, 2);
  c.with_rank(4, 1);
  return {PartialShape{-1, a.dim(0)}, PartialShape{-1},
          PartialShape{a.merge_with(c.with_rank(5, 1)).dim(0)}};
}

template <bool kMaximum>
void sparse_extremum(KernelContext& context) {
  const SparseInput a = sparse_input(context, 0, 1, 2, "a_");
  const SparseInput b = sparse_input(context, 3, 4, 5, "b_");
  check_same_shape(context, a, b);
  const std::vector<Pair> pairs = united(a, b);
  output_indices(context, a, b, pairs);
  Tensor& result = context.output(1, Shape{static_cast<std::int64_t>(pairs.size())});
  dispatch(RealNumbers{}, a.values->dtype(), [&]<class T>() {
    const T* left = a.values->data<T>();
    const T* right = b.values->data<T>();
    T* to = result.mutable_data<T>();
    for (const Pair& pair : pairs) {
      const T x = pair.a >= 0 ? left[pair.a] : T{};
      const T y = pair.b >= 0 ? right[pair.b] : T{};
      const auto wide_x = static_cast<Wide<T>>(x);
      const auto wide_y = static_cast<Wide<T>>(y);
      *to++ = (kMaximum ? wide_x < wide_y : wide_y < wide_x) ? y : x;
    }
  });
}

Shapes sparse_extremum_shape(ShapeContext& c) {
  const PartialShape indices = c.with_rank(0, 2);
  c.with_rank(1, 1);
  const PartialShape shape = c.with_rank(2, 1);
  c.with_rank(3, 2);
  c.with_rank(4, 1);
  c.with_rank(5, 1);
  return {
      PartialShape{-1, merge_dims(indices.dim(1), shape.dim(0), "the rank of the sparse tensor")},
      PartialShape{-1}};
}

constexpr OpDef kOps[] = {
    {.name = "SparseAdd",
     .inputs = "a_indices: int64, a_values: T, a_shape: int64, b_indices: int64, b_values: T, "
               "b_shape: int64, thresh: Treal",
     .outputs = "sum_indices: int64, sum_values: T, sum_shape: int64",
     .attrs = "T: numbertype; Treal: realnumbertype",
     .shape = sparse_add_shape,
     .kernel = kernel_function<sparse_add>},
    {.name = "SparseSparseMaximum",
     .inputs = "a_indices: int64, a_values: T, a_shape: int64, b_indices: int64, b_values: T, "
               "b_shape: int64",
     .outputs = "output_indices: int64, output_values: T",
     .attrs = "T: realnumbertype",
     .shape = sparse_extremum_shape,
     .kernel = kernel_function<sparse_extremum<true>>},
    {.name = "SparseSparseMinimum",
     .inputs = "a_indices: int64, a_values: T, a_shape: int64, b_indices: int64, b_values: T, "
               "b_shape: int64",
     .outputs = "output_indices: int64, output_values: T",
     .attrs = "T: numbertype",
     .shape = sparse_extremum_shape,
     .kernel = kernel_function<sparse_extremum<false>>},
};

}  // namespace

OpFamily sparse_merge_ops() { return kOps; }

}  // namespace hub
