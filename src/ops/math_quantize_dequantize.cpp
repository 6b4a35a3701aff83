// Floats rounded to what a quantized integer could hold, and the gradient of that.

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/quantize.h"
#include "ops/wide.h"

namespace hub {
namespace {

void check_bound(const KernelContext& c, int input, std::int64_t axis, std::int64_t slices) {
  const Shape& shape = c.input(input).shape();
  const bool fits =
      axis == -1 ? shape.num_elements() == 1 : shape.rank() == 1 && shape.num_elements() == slices;
  if (!fits) {
    throw invalid_argument(c.node().op_name,
                           ": the range needs a bound for each slice of the axis. ",
                           "Details: axis ", axis, " has ", slices, " slices, input ", input,
                           " has shape ", shape, ".");
  }
}

// How numbers of a range are rounded. The range changes at the side that does not decide the
// scale, so that zero is exact.
template <class T>
struct Rounding {
  T low, high, scale, inverse_scale;

  Rounding(T range_low, T range_high, bool is_signed, bool narrow, int bits)
      : low(range_low), high(range_high) {
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    const auto lowest = static_cast<T>(is_signed ? (narrow ? 1 - half : -half) : 0);
    const auto highest = static_cast<T>(is_signed ? half - 1 : (std::int64_t{1} << bits) - 1);
    constexpr T kUnbounded = std::numeric_limits<T>::max();
    const T low_scale = lowest * low > 0 ? lowest / low : kUnbounded;
    const T high_scale = highest * high > 0 ? highest / high : kUnbounded;
    if (low_scale < high_scale) {
      scale = low_scale;
      inverse_scale = low / lowest;
      high = highest * inverse_scale;
    } else {
      scale = high_scale;
      inverse_scale = high / highest;
      low = lowest * inverse_scale;
    }
  }
};

class QuantizeAndDequantizeKernel final : public Kernel {
 public:
  explicit QuantizeAndDequantizeKernel(const KernelInit& init)
      : is_signed_(init.attr<bool>("signed_input")), range_given_(init.attr<bool>("range_given")) {
    if (init.has_attr("num_bits")) bits_ = init.attr<std::int64_t>("num_bits");
    if (bits_) check_bits(init.op(), *bits_);
    if (init.has_attr("narrow_range")) narrow_ = init.attr<bool>("narrow_range");
    if (init.has_attr("round_mode")) half_up_ = init.attr<std::string>("round_mode") == "HALF_UP";
    if (init.has_attr("axis")) axis_ = init.attr<std::int64_t>("axis");
    if (axis_ < -1) {
      throw invalid_argument(init.op(), ": the axis must be >= -1. Details: got ", axis_, ".");
    }
    if (init.has_attr("input_min")) {
      attr_range_ = {init.attr<float>("input_min"), init.attr<float>("input_max")};
    }
  }

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const Slices slices(c.node().op_name, x.shape(), axis_);
    std::int64_t bits = bits_.value_or(0);
    if (!bits_) {
      bits = integer_scalar(c, 3, "num_bits");
      check_bits(c.node().op_name, bits);
    }
    if (range_given_ && !attr_range_) {
      check_bound(c, 1, axis_, slices.count);
      check_bound(c, 2, axis_, slices.count);
    }
    Tensor& y = c.output_in_place(0, 0, x.shape());
    dispatch(Floats{}, x.dtype(), [&]<class T>() {
      for (std::int64_t slice = 0; slice < slices.count; ++slice) {
        const auto [low, high] = range<T>(c, slices, slice);
        const Rounding<Wide<T>> rounding(low, high, is_signed_, narrow_, static_cast<int>(bits));
        slices.for_each_run(slice, [&](std::int64_t begin, std::int64_t end) {
          round<T>(x.data<T>() + begin, y.mutable_data<T>() + begin, end - begin, rounding);
        });
      }
    });
  }

 private:
  void check_bits(std::string_view op, std::int64_t bits) const {
    const int limit = is_signed_ ? 62 : 63;
    if (bits <= 0 || bits >= limit) {
      throw invalid_argument(op, ": num_bits must be in [1, ", limit, "). Details: got ", bits,
                             ".");
    }
  }

  template <class T>
  std::pair<Wide<T>, Wide<T>> range(const KernelContext& c, const Slices& slices,
                                    std::int64_t slice) const {
    if (!range_given_) return extremes(c.input(0).data<T>(), slices, slice);
    Wide<T> low, high;
    if (attr_range_) {
      low = attr_range_->first;
      high = attr_range_->second;
    } else {
      low = static_cast<Wide<T>>(c.input(1).data<T>()[slice]);
      high = static_cast<Wide<T>>(c.input(2).data<T>()[slice]);
    }
    if (low > high) {
      throw invalid_argument(c.node().op_name, ": the range's end must not lie before its start. ",
                             "Details: [", low, ", ", high, "].");
    }
    return {low, high};
  }

  template <class T>
  static std::pair<Wide<T>, Wide<T>> extremes(const T* x, const Slices& slices,
                                              std::int64_t slice) {
    Wide<T> low = std::numeric_limits<Wide<T>>::infinity();
    Wide<T> high = -low;
    slices.for_each_run(slice, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        low = std::min(low, static_cast<Wide<T>>(x[i]));
        high = std::max(high, static_cast<Wide<T>>(x[i]));
      }
    });
    return {low, high};
  }

  template <class T>
  void round(const T* from, T* to, std::int64_t count, const Rounding<Wide<T>>& rounding) const {
    for (std::int64_t i = 0; i < count; ++i) {
      auto value = static_cast<Wide<T>>(from[i]);
      // The given range need not hold all numbers.
      if (range_given_) value = std::max(std::min(value, rounding.high), rounding.low);
      value *= rounding.scale;
      value = half_up_ ? std::floor(value + Wide<T>(0.5)) : std::rint(value);
      to[i] = static_cast<T>(value * rounding.inverse_scale);
    }
  }

  bool is_signed_, range_given_;
  bool narrow_ = false;
  bool half_up_ = false;
  std::int64_t axis_ = -1;
  std::optional<std::int64_t> bits_;  // an input where it is no attribute
  std::optional<std::pair<float, float>> attr_range_;
};

class QuantizeAndDequantizeGradKernel final : public Kernel {
 public:
  explicit QuantizeAndDequantizeGradKernel(const KernelInit& init)
      : axis_(init.attr<std::int64_t>("axis")) {}

  // Passes the gradient where the input lies in the range; the range gets none.
  void compute(KernelContext& c) const override {
    const Tensor& dy = c.input(0);
    const Tensor& x = c.input(1);
    if (dy.shape() != x.shape()) {
      throw invalid_argument(c.node().op_name, ": gradients and input must have the same shape. ",
                             "Details: ", dy.shape(), " and ", x.shape(), ".");
    }
    const Slices slices(c.node().op_name, x.shape(), axis_);
    for (const int bound : {2, 3}) check_bound(c, bound, axis_, slices.count);
    Tensor& dx = c.output(0, x.shape());
    for (const int i : {1, 2}) {
      Tensor& none = c.output(i, c.input(i + 1).shape());
      std::ranges::fill(none.mutable_bytes(), std::byte{0});
    }
    dispatch(Floats{}, x.dtype(), [&]<class T>() {
      const T* xs = x.data<T>();
      const T* dys = dy.data<T>();
      T* out = dx.mutable_data<T>();
      for (std::int64_t i = 0; i < x.num_elements(); ++i) {
        const std::int64_t slice = i / slices.after % slices.count;
        const auto value = static_cast<Wide<T>>(xs[i]);
        const bool inside = value >= static_cast<Wide<T>>(c.input(2).data<T>()[slice]) &&
                            value <= static_cast<Wide<T>>(c.input(3).data<T>()[slice]);
        out[i] = static_cast<T>(static_cast<Wide<T>>(dys[i]) * (inside ? 1 : 0));
      }
    });
  }

 private:
  std::int64_t axis_;
};

Shapes grad_shape(ShapeContext& c) {
  return {c.input(0).merge_with(c.input(1)), c.input(2), c.input(3)};
}

constexpr OpDef kOps[] = {
    {.name = "QuantizeAndDequantize",
     .inputs = "input: T",
     .outputs = "output: T",
     .attrs = "signed_input: bool = true; num_bits: int = 8; range_given: bool = false; input_min: "
              "float = 0.0; input_max: float = 0.0; T: {bfloat16, half, float, double}",
     .shape = unchanged_shape,
     .kernel = make_kernel<QuantizeAndDequantizeKernel>},
    {.name = "QuantizeAndDequantizeV2",
     .inputs = "input: T, input_min: T, input_max: T",
     .outputs = "output: T",
     .attrs = "signed_input: bool = true; num_bits: int = 8; range_given: bool = false; T: "
              "{bfloat16, half, float, double}; round_mode: {'HALF_TO_EVEN', 'HALF_UP'} = "
              "'HALF_TO_EVEN'; narrow_range: bool = false; axis: int = -1",
     .shape = unchanged_shape,
     .kernel = make_kernel<QuantizeAndDequantizeKernel>},
    {.name = "QuantizeAndDequantizeV3",
     .inputs = "input: T, input_min: T, input_max: T, num_bits: int32",
     .outputs = "output: T",
     .attrs = "signed_input: bool = true; range_given: bool = true; T: {bfloat16, half, float, "
              "double}; narrow_range: bool = false; axis: int = -1",
     .shape = unchanged_shape,
     .kernel = make_kernel<QuantizeAndDequantizeKernel>},
    {.name = "QuantizeAndDequantizeV4",
     .inputs = "input: T, input_min: T, input_max: T",
     .outputs = "output: T",
     .attrs = "signed_input: bool = true; num_bits: int = 8; range_given: bool = false; T: "
              "{bfloat16, half, float, double}; round_mode: {'HALF_TO_EVEN', 'HALF_UP'} = "
              "'HALF_TO_EVEN'; narrow_range: bool = false; axis: int = -1",
     .shape = unchanged_shape,
     .kernel = make_kernel<QuantizeAndDequantizeKernel>},
    {.name = "QuantizeAndDequantizeV4Grad",
     .inputs = "gradients: T, input: T, input_min: T, input_max: T",
     .outputs = "input_backprop: T, input_min_backprop: T, input_max_backprop: T",
     .attrs = "T: {bfloat16, half, float, double}; axis: int = -1",
     .shape = grad_shape,
     .kernel = make_kernel<QuantizeAndDequantizeGradKernel>},
};

}  // namespace

OpFamily math_quantize_dequantize_ops() { return kOps; }

}  // namespace hub
