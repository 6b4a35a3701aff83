// Unique elements or slices, and the difference of two lists.

#include <algorithm>
#include <bit>
#include <functional>
#include <string_view>

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using UniqueTypes = Join<RealNumbers, TypeList<bool, std::string>>;

// Equal elements have equal hashes: 0 and -0 are one; a NaN equals nothing.
template <class T>
std::uint64_t hash_element(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return std::hash<std::string_view>{}(value);
  } else {
    std::uint64_t bits;
    if constexpr (std::is_same_v<T, double>) {
      bits = std::bit_cast<std::uint64_t>(value == 0 ? 0.0 : value);
    } else if constexpr (std::is_integral_v<T>) {
      bits = static_cast<std::uint64_t>(value);
    } else {
      const auto number = static_cast<float>(value);
      bits = std::bit_cast<std::uint32_t>(number == 0 ? 0.0f : number);
    }
    bits *= 0x9E3779B97F4A7C15U;
    return bits ^ (bits >> 32);
  }
}

template <class T>
bool equal_elements(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<float>(a) == static_cast<float>(b);
  } else {
    return a == b;
  }
}

// Slices of one axis: slice i is [outer][i][inner].
template <class T>
struct Slices {
  const T* data;
  std::int64_t outer;
  std::int64_t count;
  std::int64_t inner;

  const T& at(std::int64_t o, std::int64_t slice, std::int64_t i) const {
    return data[(o * count + slice) * inner + i];
  }
  std::uint64_t hash(std::int64_t slice) const {
    std::uint64_t hashed = 0;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) {
        hashed = (hashed ^ hash_element(at(o, slice, i))) * 0xD6E8FEB86659FD93U;
      }
    }
    return hashed ^ (hashed >> 32);
  }
  static bool equal(const Slices& a, std::int64_t slice_a, const Slices& b, std::int64_t slice_b) {
    for (std::int64_t o = 0; o < a.outer; ++o) {
      for (std::int64_t i = 0; i < a.inner; ++i) {
        if (!equal_elements(a.at(o, slice_a, i), b.at(o, slice_b, i))) return false;
      }
    }
    return true;
  }
};

// The first of equal slices, by open addressing.
template <class T>
class FirstSlices {
 public:
  explicit FirstSlices(const Slices<T>& slices)
      : slices_(slices),
        places_(std::bit_ceil(static_cast<std::size_t>(slices.count) * 2 + 1), kFree) {}

  // The slice that was inserted before and is equal, else -1.
  std::int64_t find(const Slices<T>& from, std::int64_t slice) const {
    return places_[place_of(from, slice)];
  }
  // The same, inserting the slice where there is none; then it is its own first.
  std::int64_t insert(std::int64_t slice) {
    std::int64_t& place = places_[place_of(slices_, slice)];
    if (place == kFree) place = slice;
    return place;
  }

 private:
  static constexpr std::int64_t kFree = -1;

  std::size_t place_of(const Slices<T>& from, std::int64_t slice) const {
    const std::size_t mask = places_.size() - 1;
    std::size_t place = static_cast<std::size_t>(from.hash(slice)) & mask;
    while (places_[place] != kFree && !Slices<T>::equal(slices_, places_[place], from, slice)) {
      place = (place + 1) & mask;
    }
    return place;
  }

  Slices<T> slices_;
  std::vector<std::int64_t> places_;
};

Shapes unique_shape(ShapeContext& c) {
  Shapes shapes = {vector_shape(-1), c.input(0)};
  if (c.num_outputs() == 3) shapes.push_back(vector_shape(-1));
  return shapes;
}

Shapes unique_v1_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  return unique_shape(c);
}

Shapes unique_v2_shape(ShapeContext& c) {
  const PartialShape& input = c.input(0);
  c.with_rank(1, 1);
  PartialShape result;
  std::int64_t slices = -1;
  const auto axis = constant_integers(c, 1);
  if (axis && axis->size() == 1 && input.has_rank()) {
    const int a = normalized_axis(axis->front(), input.rank());
    result = replace_dim(input, a, -1);
    slices = input.dim(a);
  } else if (axis && axis->empty()) {
    slices = c.with_rank(0, 1).dim(0);
    result = vector_shape(-1);
  } else if (input.has_rank()) {
    result = PartialShape::unknown_dims(input.rank());
  }
  Shapes shapes = {std::move(result), vector_shape(slices)};
  if (c.num_outputs() == 3) shapes.push_back(vector_shape(-1));
  return shapes;
}

// The axis: input 1 where there is one, else the only axis of a vector.
int unique_axis(const KernelContext& ctx) {
  const Tensor& input = ctx.input(0);
  if (ctx.num_inputs() == 2) {
    const Tensor& axis = ctx.input(1);
    if (axis.rank() != 1 || axis.num_elements() > 1) {
      throw invalid_argument(
          "Unique: the axis must be a vector of at most one element. Details: its shape is ",
          axis.shape(), ".");
    }
    if (axis.num_elements() == 1) return checked_axis(integer_at(axis, 0), input.rank(), "Unique");
  }
  if (input.rank() != 1) {
    throw invalid_argument(
        "Unique: without an axis the input must be a vector. Details: its shape is ", input.shape(),
        ".");
  }
  return 0;
}

template <class T>
void unique(KernelContext& ctx, int axis) {
  const Tensor& input = ctx.input(0);
  const Shape& shape = input.shape();
  const Slices<T> slices{input.data<T>(), shape.slice(0, axis).num_elements(), shape.dim(axis),
                         shape.slice(axis + 1, shape.rank()).num_elements()};
  FirstSlices<T> seen(slices);
  std::vector<std::int64_t> firsts;  // of each unique slice
  std::vector<std::int64_t> counts;
  std::vector<std::int64_t> numbers(
      static_cast<std::size_t>(slices.count));  // of firsts among the unique ones
  Tensor& indices = ctx.output(1, Shape{slices.count});
  for (std::int64_t i = 0; i < slices.count; ++i) {
    const std::int64_t first = seen.insert(i);
    if (first == i) {
      numbers[static_cast<std::size_t>(i)] = static_cast<std::int64_t>(firsts.size());
      firsts.push_back(i);
      counts.push_back(0);
    }
    const std::int64_t number = numbers[static_cast<std::size_t>(first)];
    ++counts[static_cast<std::size_t>(number)];
    set_integer(indices, i, number);
  }
  const auto count = static_cast<std::int64_t>(firsts.size());
  T* result = ctx.output(0, shape.with_dim(axis, count)).template mutable_data<T>();
  for (std::int64_t o = 0; o < slices.outer; ++o) {
    for (const std::int64_t first : firsts)
      result = std::copy_n(&slices.data[(o * slices.count + first) * slices.inner], slices.inner,
                           result);
  }
  if (ctx.num_outputs() < 3) return;
  Tensor& sizes = ctx.output(2, Shape{count});
  for (std::int64_t i = 0; i < count; ++i)
    set_integer(sizes, i, counts[static_cast<std::size_t>(i)]);
}

void compute_unique(KernelContext& ctx) {
  const int axis = unique_axis(ctx);
  dispatch(UniqueTypes{}, ctx.input(0).dtype(), [&]<class T>() { unique<T>(ctx, axis); });
}

Shapes list_diff_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(1, 1);
  return {vector_shape(-1), vector_shape(-1)};
}

template <class T>
void list_diff(KernelContext& ctx) {
  const Slices<T> x{ctx.input(0).data<T>(), 1, ctx.input(0).num_elements(), 1};
  const Slices<T> y{ctx.input(1).data<T>(), 1, ctx.input(1).num_elements(), 1};
  FirstSlices<T> excluded(y);
  for (std::int64_t i = 0; i < y.count; ++i) excluded.insert(i);
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < x.count; ++i) {
    if (excluded.find(x, i) < 0) kept.push_back(i);
  }
  const auto count = static_cast<std::int64_t>(kept.size());
  T* values = ctx.output(0, Shape{count}).template mutable_data<T>();
  Tensor& indices = ctx.output(1, Shape{count});
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = x.data[kept[static_cast<std::size_t>(i)]];
    set_integer(indices, i, kept[static_cast<std::size_t>(i)]);
  }
}

void compute_list_diff(KernelContext& ctx) {
  if (ctx.input(0).rank() != 1 || ctx.input(1).rank() != 1) {
    throw invalid_argument("ListDiff: x and y must be vectors. Details: their shapes are ",
                           ctx.input(0).shape(), " and ", ctx.input(1).shape(), ".");
  }
  dispatch(UniqueTypes{}, ctx.input(0).dtype(), [&]<class T>() { list_diff<T>(ctx); });
}

constexpr OpDef kOps[] = {
    {.name = "Unique",
     .inputs = "x: T",
     .outputs = "y: T, idx: out_idx",
     .attrs = "T: type; out_idx: {int32, int64} = int32",
     .shape = unique_v1_shape,
     .kernel = kernel_function<compute_unique>,
     .differentiable = Differentiable::kRefused},
    {.name = "UniqueV2",
     .inputs = "x: T, axis: Taxis",
     .outputs = "y: T, idx: out_idx",
     .attrs = "T: type; Taxis: {int32, int64} = int64; out_idx: {int32, int64} = int32",
     .shape = unique_v2_shape,
     .kernel = kernel_function<compute_unique>,
     .differentiable = Differentiable::kRefused},
    {.name = "UniqueWithCounts",
     .inputs = "x: T",
     .outputs = "y: T, idx: out_idx, count: out_idx",
     .attrs = "T: type; out_idx: {int32, int64} = int32",
     .shape = unique_v1_shape,
     .kernel = kernel_function<compute_unique>,
     .differentiable = Differentiable::kRefused},
    {.name = "UniqueWithCountsV2",
     .inputs = "x: T, axis: Taxis",
     .outputs = "y: T, idx: out_idx, count: out_idx",
     .attrs = "T: type; Taxis: {int32, int64} = int64; out_idx: {int32, int64} = int32",
     .shape = unique_v2_shape,
     .kernel = kernel_function<compute_unique>,
     .differentiable = Differentiable::kRefused},
    {.name = "ListDiff",
     .inputs = "x: T, y: T",
     .outputs = "out: T, idx: out_idx",
     .attrs = "T: type; out_idx: {int32, int64} = int32",
     .shape = list_diff_shape,
     .kernel = kernel_function<compute_list_diff>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily array_unique_ops() { return kOps; }

}  // namespace hub
