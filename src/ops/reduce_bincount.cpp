// RaggedBincount: how often (or with what total weight) each number occurs in each ragged row.

#include <algorithm>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/segments.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes ragged_bincount_shape(ShapeContext& c) { return {PartialShape{-1, dim_from_input(c, 2)}}; }

std::vector<std::int64_t> checked_splits(const Tensor& tensor, std::int64_t num_values) {
  std::vector<std::int64_t> splits = integer_elements(tensor);
  if (splits.empty() || splits.front() != 0 || splits.back() != num_values) {
    throw invalid_argument(
        "RaggedBincount: the splits must begin with 0 and end with the number of values. Details: ",
        splits.empty() ? std::string("there are none") : cat(splits.front(), " to ", splits.back()),
        ", for ", num_values, " values.");
  }
  return splits;
}

class RaggedBincountKernel final : public Kernel {
 public:
  explicit RaggedBincountKernel(const KernelInit& init)
      : binary_(init.attr<bool>("binary_output")) {}

  void compute(KernelContext& ctx) const override {
    const std::vector<std::int64_t> values = integer_elements(ctx.input(1));
    const std::vector<std::int64_t> splits =
        checked_splits(ctx.input(0), static_cast<std::int64_t>(values.size()));
    const std::int64_t size = segment_count("RaggedBincount", ctx.input(2), "size");
    const Tensor& weights = ctx.input(3);
    if (weights.num_elements() != 0 && weights.num_elements() != ctx.input(1).num_elements()) {
      throw invalid_argument(
          "RaggedBincount: there must be one weight for each value, or none. Details: ",
          weights.num_elements(), " weights for ", values.size(), " values.");
    }
    if (const auto low = std::ranges::find_if(values, [](std::int64_t v) { return v < 0; });
        low != values.end()) {
      throw invalid_argument("RaggedBincount: values must not be negative. Details: got ", *low,
                             ".");
    }
    Tensor& y = ctx.output(0, Shape{static_cast<std::int64_t>(splits.size()) - 1, size});
    std::ranges::fill(y.mutable_bytes(), std::byte{0});
    dispatch(TypeList<std::int32_t, std::int64_t, float, double>{}, y.dtype(), [&]<class T>() {
      const T* weight = weights.num_elements() == 0 ? nullptr : weights.data<T>();
      count(values, splits, size, weight, y.mutable_data<T>());
    });
  }

 private:
  template <class T>
  void count(const std::vector<std::int64_t>& values, const std::vector<std::int64_t>& splits,
             std::int64_t size, const T* weight, T* y) const {
    std::size_t row_end = 0;  // the split that ends the value's row
    for (std::size_t i = 0; i < values.size(); ++i) {
      while (static_cast<std::int64_t>(i) >= splits[row_end]) ++row_end;
      if (values[i] >= size) continue;
      T& bin = y[(static_cast<std::int64_t>(row_end) - 1) * size + values[i]];
      if (binary_) {
        bin = T(1);
      } else {
        bin = wrapping_sum(bin, weight == nullptr ? T(1) : weight[i]);
      }
    }
  }

  template <class T>
  static T wrapping_sum(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    } else {
      return a + b;
    }
  }

  const bool binary_;
};

constexpr OpDef kOps[] = {
    {.name = "RaggedBincount",
     .inputs = "splits: int64, values: Tidx, size: Tidx, weights: T",
     .outputs = "output: T",
     .attrs = "Tidx: {int32, int64}; T: {int32, int64, float, double}; binary_output: bool = false",
     .shape = ragged_bincount_shape,
     .kernel = make_kernel<RaggedBincountKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily reduce_bincount_ops() { return kOps; }

}  // namespace hub
