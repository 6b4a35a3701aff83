// TopK, InTopK and NthElement, over the last axis.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/segments.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// [all dimensions but the last, last].
PartialShape with_last_dim(const PartialShape& shape, std::int64_t last) {
  if (!shape.has_rank()) return {};
  return concatenate(sub_shape(shape, 0, shape.rank() - 1), PartialShape{last});
}

void check_enough(const PartialShape& input, std::int64_t wanted) {
  const std::int64_t size = input.dim(input.rank() - 1);
  if (!input.has_rank() || size < 0 || size >= wanted) return;
  throw invalid_argument("The last dimension must be at least ", wanted, ". Details: the shape is ",
                         input, ".");
}

Shapes top_k_shapes(ShapeContext& c, std::int64_t k) {
  const PartialShape input = c.at_least_rank(0, 1);
  if (k >= 0) check_enough(input, k);
  return Shapes(2, with_last_dim(input, k));
}

Shapes top_k_shape(ShapeContext& c) { return top_k_shapes(c, c.attr<std::int64_t>("k")); }

Shapes top_k_v2_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const auto k = c.input_as_int(1);
  if (k && *k < 0) throw invalid_argument("TopK: k must not be negative. Details: got ", *k, ".");
  return top_k_shapes(c, k.value_or(-1));
}

Shapes in_top_k_shape(ShapeContext& c) {
  const PartialShape predictions = c.with_rank(0, 2);
  const PartialShape targets = c.with_rank(1, 1);
  return {PartialShape{merge_dims(predictions.dim(0), targets.dim(0), "The numbers of examples")}};
}

Shapes nth_element_shape(ShapeContext& c) {
  const PartialShape input = c.at_least_rank(0, 1);
  c.with_rank(1, 0);
  const auto n = c.input_as_int(1);
  if (n && *n < 0)
    throw invalid_argument("NthElement: n must not be negative. Details: got ", *n, ".");
  if (n) check_enough(input, *n + 1);
  return {sub_shape(input, 0, -1)};
}

// Half precision is compared as float.
template <class T>
auto comparable(T value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return value;
  } else {
    return static_cast<float>(value);
  }
}

template <class T>
bool is_nan(T value) {
  const auto number = comparable(value);
  return number != number;
}

// The k <= n best of x as indices, larger first and of equal ones the first first. Unsorted
// results come as TensorFlow's heap has them.
template <class T>
void find_top(const T* x, std::int64_t n, std::int64_t k, bool sorted,
              std::vector<std::int64_t>& best) {
  best.clear();
  if (k == 0) return;
  const auto better = [x](std::int64_t a, std::int64_t b) {
    const auto left = comparable(x[a]);
    const auto right = comparable(x[b]);
    return left > right || (!(left < right) && a < b);
  };
  if (k == 1) {  // NaN never wins, unless there is nothing else
    std::int64_t first = 0;
    while (first + 1 < n && is_nan(x[first])) ++first;
    for (std::int64_t i = first + 1; i < n; ++i) {
      if (comparable(x[i]) > comparable(x[first])) first = i;
    }
    best.push_back(first);
    return;
  }
  if (k == n) {
    best.resize(static_cast<std::size_t>(n));
    std::iota(best.begin(), best.end(), 0);
    // With NaN there is no order: a stable sort stays within bounds all the same.
    if (std::any_of(x, x + n, is_nan<T>)) {
      std::stable_sort(best.begin(), best.end(), [x](std::int64_t a, std::int64_t b) {
        return comparable(x[a]) > comparable(x[b]);
      });
    } else {
      std::sort(best.begin(), best.end(), better);
    }
    return;
  }
  // The first k + 1 make a heap whose front is the worst. Each step is TensorFlow's.
  best.resize(static_cast<std::size_t>(k) + 1);
  std::iota(best.begin(), best.end(), 0);
  std::make_heap(best.begin(), best.end(), better);
  std::pop_heap(best.begin(), best.end(), better);
  best.pop_back();
  for (std::int64_t i = k + 1; i < n; ++i) {
    if (!better(i, best.front())) continue;
    std::pop_heap(best.begin(), best.end(), better);
    best.back() = i;
    std::push_heap(best.begin(), best.end(), better);
  }
  if (sorted) std::sort_heap(best.begin(), best.end(), better);
}

void top_k(KernelContext& ctx, std::int64_t k, bool sorted) {
  const Tensor& x = ctx.input(0);
  const std::string_view op = ctx.node().op_name;
  if (x.rank() < 1) throw invalid_argument(op, ": the input must have rank 1 or more.");
  const std::int64_t n = x.dim(x.rank() - 1);
  if (k < 0 || k > n) {
    throw invalid_argument(op, ": k must be in [0, ", n, "]. Details: got ", k, " for a shape of ",
                           x.shape(), ".");
  }
  const DType index_type = ctx.output_dtype(1);
  if (index_type == DType::kInt16 && n > std::numeric_limits<std::int16_t>::max()) {
    throw invalid_argument(op, ": indices of this input do not fit in ", index_type,
                           ". Details: the last dimension is ", n, ".");
  }
  const Shape shape = x.shape().with_dim(x.rank() - 1, k);
  Tensor& values = ctx.output(0, shape);
  Tensor& indices = ctx.output(1, shape);
  if (values.num_elements() == 0) return;
  const std::int64_t rows = values.num_elements() / k;
  const double cost = static_cast<double>(n) * (k == 1 ? 1 : 3) + 50.0 * static_cast<double>(k);
  dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
    dispatch(TypeList<std::int16_t, std::int32_t, std::int64_t>{}, index_type, [&]<class Index>() {
      const T* in = x.data<T>();
      T* value = values.mutable_data<T>();
      Index* index = indices.mutable_data<Index>();
      ctx.parallel_for(rows, cost, [&](std::int64_t begin, std::int64_t end) {
        std::vector<std::int64_t> best;
        for (std::int64_t row = begin; row < end; ++row) {
          find_top(in + row * n, n, k, sorted, best);
          for (std::int64_t j = 0; j < k; ++j) {
            const std::int64_t i = best[static_cast<std::size_t>(j)];
            value[row * k + j] = in[row * n + i];
            index[row * k + j] = static_cast<Index>(i);
          }
        }
      });
    });
  });
}

class TopKKernel final : public Kernel {
 public:
  explicit TopKKernel(const KernelInit& init)
      : k_(init.attr<std::int64_t>("k")), sorted_(init.attr<bool>("sorted")) {}
  void compute(KernelContext& ctx) const override { top_k(ctx, k_, sorted_); }

 private:
  const std::int64_t k_;
  const bool sorted_;
};

class TopKV2Kernel final : public Kernel {
 public:
  explicit TopKV2Kernel(const KernelInit& init) : sorted_(init.attr<bool>("sorted")) {}
  void compute(KernelContext& ctx) const override {
    top_k(ctx, segment_count(ctx.node().op_name, ctx.input(1), "k"), sorted_);
  }

 private:
  const bool sorted_;
};

// Whether fewer than k classes are more probable than the target. Where this cannot be said
// (a target that is no class, a number that is not finite), it is not.
bool target_is_in_top(const float* predictions, std::int64_t classes, std::int64_t target,
                      std::int64_t k) {
  if (target < 0 || target >= classes) return false;
  const float wanted = predictions[target];
  std::int64_t better = 0;
  for (std::int64_t i = 0; i < classes; ++i) {
    if (!std::isfinite(predictions[i])) return false;
    if (predictions[i] > wanted) ++better;
  }
  return better < k;
}

void in_top_k(KernelContext& ctx, std::int64_t k) {
  const Tensor& predictions = ctx.input(0);
  const Tensor& targets = ctx.input(1);
  const std::string_view op = ctx.node().op_name;
  if (predictions.rank() != 2 || targets.rank() != 1 || predictions.dim(0) != targets.dim(0)) {
    throw invalid_argument(
        op, ": predictions must be [examples, classes] and targets [examples]. Details: ",
        predictions.shape(), " and ", targets.shape(), ".");
  }
  const std::vector<std::int64_t> target = integer_elements(targets);
  const std::int64_t classes = predictions.dim(1);
  Tensor& y = ctx.output(0, targets.shape());
  const float* in = predictions.data<float>();
  bool* out = y.mutable_data<bool>();
  ctx.parallel_for(
      y.num_elements(), static_cast<double>(classes), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          out[i] =
              target_is_in_top(in + i * classes, classes, target[static_cast<std::size_t>(i)], k);
        }
      });
}

class InTopKKernel final : public Kernel {
 public:
  explicit InTopKKernel(const KernelInit& init) : k_(init.attr<std::int64_t>("k")) {}
  void compute(KernelContext& ctx) const override { in_top_k(ctx, k_); }

 private:
  const std::int64_t k_;
};

void in_top_k_v2(KernelContext& ctx) {
  const Tensor& k = ctx.input(2);
  if (k.rank() != 0) {
    throw invalid_argument("InTopKV2: k must be a scalar. Details: its shape is ", k.shape(), ".");
  }
  in_top_k(ctx, integer_elements(k)[0]);
}

// NaN is larger than all numbers here, so that there is an order.
template <class T>
bool in_order(T a, T b) {
  return comparable(a) < comparable(b) || (is_nan(b) && !is_nan(a));
}

class NthElementKernel final : public Kernel {
 public:
  explicit NthElementKernel(const KernelInit& init) : reverse_(init.attr<bool>("reverse")) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& x = ctx.input(0);
    const std::int64_t n = segment_count("NthElement", ctx.input(1), "n");
    if (x.rank() < 1) throw invalid_argument("NthElement: the input must have rank 1 or more.");
    const std::int64_t size = x.dim(x.rank() - 1);
    if (n >= size) {
      throw invalid_argument("NthElement: n must be less than the last dimension. Details: n is ",
                             n, ", the shape ", x.shape(), ".");
    }
    const std::int64_t place = reverse_ ? size - 1 - n : n;
    Tensor& y = ctx.output(0, x.shape().slice(0, x.rank() - 1));
    dispatch(RealNumbers{}, x.dtype(), [&]<class T>() {
      const T* in = x.data<T>();
      T* out = y.mutable_data<T>();
      ctx.parallel_for(y.num_elements(), 5.0 * static_cast<double>(size),
                       [&](std::int64_t begin, std::int64_t end) {
                         std::vector<T> row(static_cast<std::size_t>(size));
                         for (std::int64_t i = begin; i < end; ++i) {
                           std::copy_n(in + i * size, size, row.begin());
                           std::nth_element(row.begin(), row.begin() + place, row.end(),
                                            in_order<T>);
                           out[i] = row[static_cast<std::size_t>(place)];
                         }
                       });
    });
  }

 private:
  const bool reverse_;
};

constexpr OpDef kOps[] = {
    {.name = "TopK",
     .inputs = "input: T",
     .outputs = "values: T, indices: int32",
     .attrs = "k: int >= 0; sorted: bool = true; T: realnumbertype",
     .shape = top_k_shape,
     .kernel = make_kernel<TopKKernel>},
    {.name = "TopKV2",
     .inputs = "input: T, k: Tk",
     .outputs = "values: T, indices: index_type",
     .attrs = "sorted: bool = true; T: realnumbertype; Tk: {int16, int32, int64} = int32; "
              "index_type: {int16, int32, int64} = int32",
     .shape = top_k_v2_shape,
     .kernel = make_kernel<TopKV2Kernel>},
    {.name = "InTopK",
     .inputs = "predictions: float, targets: T",
     .outputs = "precision: bool",
     .attrs = "k: int; T: {int32, int64} = int32",
     .shape = in_top_k_shape,
     .kernel = make_kernel<InTopKKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "InTopKV2",
     .inputs = "predictions: float, targets: T, k: T",
     .outputs = "precision: bool",
     .attrs = "T: {int32, int64} = int32",
     .shape = in_top_k_shape,
     .kernel = kernel_function<in_top_k_v2>,
     .differentiable = Differentiable::kRefused},
    {.name = "NthElement",
     .inputs = "input: T, n: int32",
     .outputs = "values: T",
     .attrs = "reverse: bool = false; T: realnumbertype",
     .shape = nth_element_shape,
     .kernel = make_kernel<NthElementKernel>},
};

}  // namespace

OpFamily topk_ops() { return kOps; }

}  // namespace hub
