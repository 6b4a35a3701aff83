// QuantizedMatMul: the product of the integers that the bytes stand for.

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/matmul.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes quantized_mat_mul_shapes(ShapeContext& c) {
  const PartialShape a = c.with_rank(0, 2);
  const PartialShape b = c.with_rank(1, 2);
  for (int i = 2; i < 6; ++i) c.with_rank(i, 0);
  const int outer_a = c.attr<bool>("transpose_a") ? 1 : 0;
  const int outer_b = c.attr<bool>("transpose_b") ? 0 : 1;
  merge_dims(a.dim(1 - outer_a), b.dim(1 - outer_b), "QuantizedMatMul: the inner dimensions");
  return {PartialShape{a.dim(outer_a), b.dim(outer_b)}, PartialShape::scalar(),
          PartialShape::scalar()};
}

// What the numbers of a quantized matrix mean.
struct Range {
  float min;
  float max;

  Range(const KernelContext& ctx, int min_input, int max_input)
      : min(ctx.input(min_input).scalar<float>()), max(ctx.input(max_input).scalar<float>()) {
    if (ctx.input(min_input).rank() != 0 || ctx.input(max_input).rank() != 0 || !(max > min)) {
      throw invalid_argument(
          "QuantizedMatMul: a range must be two scalars, the first the smaller. "
          "Details: ",
          min, " and ", max, ".");
    }
  }

  // The integer that means 0, also where the range does not reach that far.
  template <class T>
  std::int32_t zero() const {
    constexpr double kSteps = 256;
    const double range = static_cast<double>(max - min) * (kSteps / (kSteps - 1));
    const double offset = -std::round(static_cast<double>(min) * (kSteps / range));
    // A range far from 0 would have an offset that no integer holds.
    const double clamped = std::clamp(offset, -1e9, 1e9);
    return static_cast<std::int32_t>(clamped) + std::numeric_limits<T>::lowest();
  }
  float one_level() const { return (max - min) / 255; }
};

// The bytes less the one that means 0.
Tensor centred(KernelContext& ctx, const Tensor& x, const Range& range) {
  Tensor result = ctx.temporary(kInt32, x.shape());
  dispatch(TypeList<std::uint8_t, std::int8_t>{}, x.dtype(), [&]<class T>() {
    const std::int32_t zero = range.zero<T>();
    const T* from = x.data<T>();
    auto* to = result.mutable_data<std::int32_t>();
    for (std::int64_t i = 0; i < x.num_elements(); ++i) to[i] = from[i] - zero;
  });
  return result;
}

class QuantizedMatMulKernel final : public Kernel {
 public:
  explicit QuantizedMatMulKernel(const KernelInit& init)
      : a_side_{init.attr<bool>("transpose_a")}, b_side_{init.attr<bool>("transpose_b")} {}

  void compute(KernelContext& ctx) const override {
    const Tensor& a = ctx.input(0);
    const Tensor& b = ctx.input(1);
    const Range a_range(ctx, 2, 3);
    const Range b_range(ctx, 4, 5);
    if (a.rank() != 2 || b.rank() != 2 ||
        a.dim(a_side_.transposed ? 0 : 1) != b.dim(b_side_.transposed ? 1 : 0)) {
      throw invalid_argument(
          "QuantizedMatMul: both inputs must be matrices with equal inner "
          "dimensions. Details: ",
          a.shape(), " and ", b.shape(), ".");
    }
    if (ctx.output_dtype(0) != DType::kQint32) {
      throw unimplemented("QuantizedMatMul: there is no kernel for results of dtype ",
                          ctx.output_dtype(0), ".");
    }
    MatrixProducts products = {
        {a.dim(a_side_.transposed ? 1 : 0), a.dim(a_side_.transposed ? 0 : 1),
         b.dim(b_side_.transposed ? 0 : 1)},
        {0},
        {0}};
    Tensor product = ctx.output(0, Shape{products.shape.m, products.shape.n}).bit_cast(kInt32);
    multiply_matrices(ctx, matmul_, centred(ctx, a, a_range), a_side_, centred(ctx, b, b_range),
                      b_side_, std::move(products), product);
    using Limits = std::numeric_limits<std::int32_t>;
    const float level = a_range.one_level() * b_range.one_level();
    *ctx.output(1, Shape{}).mutable_data<float>() = level * static_cast<float>(Limits::lowest());
    *ctx.output(2, Shape{}).mutable_data<float>() = level * static_cast<float>(Limits::max());
  }

 private:
  const MatrixSide a_side_;
  const MatrixSide b_side_;
  dnn::Matmul matmul_;
};

constexpr OpDef kOps[] = {
    {.name = "QuantizedMatMul",
     .inputs = "a: T1, b: T2, min_a: float, max_a: float, min_b: float, max_b: float",
     .outputs = "out: Toutput, min_out: float, max_out: float",
     .attrs = "T1: quantizedtype; T2: quantizedtype; Toutput: quantizedtype = qint32; "
              "transpose_a: bool = false; transpose_b: bool = false; "
              "Tactivation: quantizedtype = quint8",
     .shape = quantized_mat_mul_shapes,
     .kernel = make_kernel<QuantizedMatMulKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily linalg_quantized_ops() { return kOps; }

}  // namespace hub
