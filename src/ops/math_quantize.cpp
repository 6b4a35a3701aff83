// Floats to quantized integers and back.

#include <cmath>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/quantize.h"

namespace hub {
namespace {

enum class Mode : std::uint8_t { kMinCombined, kMinFirst, kScaled };

Mode mode_attr(const KernelInit& init) {
  const auto& mode = init.attr<std::string>("mode");
  return mode == "SCALED"      ? Mode::kScaled
         : mode == "MIN_FIRST" ? Mode::kMinFirst
                               : Mode::kMinCombined;
}

// The input's slices, each with a bound in inputs 1 and 2.
Slices slices_of(const KernelContext& c, std::int64_t axis) {
  const Slices slices(c.node().op_name, c.input(0).shape(), axis);
  for (const int bound : {1, 2}) {
    if (c.input(bound).num_elements() != slices.count) {
      throw invalid_argument(c.node().op_name,
                             ": the range needs a bound for each slice of the axis. ",
                             "Details: axis ", axis, " has ", slices.count, " slices, input ",
                             bound, " has shape ", c.input(bound).shape(), ".");
    }
  }
  return slices;
}

// The end of the range of T as a float; narrow ranges leave the lowest number out.
template <class T>
float lowest_output(bool narrow) {
  return static_cast<float>(static_cast<int>(std::numeric_limits<T>::lowest()) + (narrow ? 1 : 0));
}

class QuantizeKernel final : public Kernel {
 public:
  explicit QuantizeKernel(const KernelInit& init)
      : mode_(mode_attr(init)),
        half_to_even_(init.attr<std::string>("round_mode") == "HALF_TO_EVEN"),
        narrow_(init.attr<bool>("narrow_range")),
        axis_(init.attr<std::int64_t>("axis")),
        minimum_range_(init.attr<float>("ensure_minimum_range")) {
    if (half_to_even_ && mode_ != Mode::kScaled) {
      throw invalid_argument("QuantizeV2: the round mode HALF_TO_EVEN needs the mode SCALED.");
    }
  }

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const Slices slices = slices_of(c, axis_);
    if (slices.count != 1 && mode_ == Mode::kMinFirst) {
      throw unimplemented("QuantizeV2: the mode MIN_FIRST has no axis. Details: axis ", axis_, ".");
    }
    const Shape bounds = axis_ < 0 ? Shape{} : Shape{slices.count};
    Tensor& y = c.output(0, x.shape());
    float* lows = c.output(1, bounds).mutable_data<float>();
    float* highs = c.output(2, bounds).mutable_data<float>();
    const auto* from = x.data<float>();
    dispatch(QuantizedTypes{}, y.dtype(), [&]<class T>() {
      T* to = y.mutable_data<T>();
      for (std::int64_t slice = 0; slice < slices.count; ++slice) {
        QuantizedRange range =
            adjusted(c.input(1).data<float>()[slice], c.input(2).data<float>()[slice]);
        const float scale = scale_to<T>(range);
        const LinearQuantizer<T> linear(range);
        slices.for_each_run(slice, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            to[i] =
                mode_ == Mode::kMinFirst ? linear(from[i]) : quantized<T>(from[i], range, scale);
          }
        });
        lows[slice] = range.low;
        highs[slice] = range.high;
      }
    });
  }

 private:
  // The range that holds zero and is not too narrow.
  QuantizedRange adjusted(float low, float high) const {
    if (high < low) {
      throw invalid_argument(
          "QuantizeV2: the range's end must not lie before its start. Details: [", low, ", ", high,
          "].");
    }
    QuantizedRange range{std::min(0.0f, low), 0};
    const float margin = std::max(1.0f, std::max(std::fabs(low), std::fabs(high))) * minimum_range_;
    range.high = std::max(0.0f, std::max(high, range.low + margin));
    return range;
  }

  // Integers for one unit of the range, which SCALED makes symmetric about zero.
  template <class T>
  float scale_to(QuantizedRange& range) const {
    if (mode_ != Mode::kScaled) {
      const double steps = static_cast<double>(std::numeric_limits<T>::max()) -
                           static_cast<double>(std::numeric_limits<T>::lowest());
      return static_cast<float>(steps / (range.high - range.low));
    }
    const float lowest = lowest_output<T>(narrow_);
    const auto highest = static_cast<float>(std::numeric_limits<T>::max());
    constexpr float kUnbounded = std::numeric_limits<float>::max();
    const float low_scale = lowest * range.low > 0 ? lowest / range.low : kUnbounded;
    const float high_scale = highest * range.high > 0 ? highest / range.high : kUnbounded;
    const float scale = std::min(low_scale, high_scale);
    range = {lowest / scale, highest / scale};
    return scale;
  }

  template <class T>
  T quantized(float x, QuantizedRange range, float scale) const {
    const float inside = std::max(std::min(x, range.high), range.low);
    if (mode_ == Mode::kScaled) {
      const float steps = inside * scale;
      return static_cast<T>(half_to_even_ ? std::rint(steps) : std::round(steps));
    }
    const float steps = (inside - range.low) * scale;
    if constexpr (std::is_signed_v<T>) {
      return static_cast<T>(
          std::round(steps + static_cast<float>(std::numeric_limits<T>::lowest())));
    } else {
      return static_cast<T>(steps + 0.5f);
    }
  }

  Mode mode_;
  bool half_to_even_, narrow_;
  std::int64_t axis_;
  float minimum_range_;
};

class DequantizeKernel final : public Kernel {
 public:
  explicit DequantizeKernel(const KernelInit& init)
      : mode_(mode_attr(init)),
        narrow_(init.attr<bool>("narrow_range")),
        axis_(init.attr<std::int64_t>("axis")) {
    if (init.attr<DType>("dtype") == DType::kBfloat16 && mode_ != Mode::kMinCombined) {
      throw invalid_argument("Dequantize: bfloat16 needs the mode MIN_COMBINED.");
    }
  }

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const Slices slices = slices_of(c, axis_);
    if (slices.count != 1 && mode_ == Mode::kMinFirst) {
      throw unimplemented("Dequantize: the mode MIN_FIRST has no axis. Details: axis ", axis_, ".");
    }
    Tensor& y = c.output(0, x.shape());
    dispatch(TypeList<float, BFloat16>{}, y.dtype(), [&]<class Out>() {
      Out* to = y.mutable_data<Out>();
      dispatch(QuantizedTypes{}, x.dtype(), [&]<class T>() {
        const T* from = x.data<T>();
        for (std::int64_t slice = 0; slice < slices.count; ++slice) {
          const QuantizedRange range{c.input(1).data<float>()[slice],
                                     c.input(2).data<float>()[slice]};
          const auto convert = [&](const auto& value) {
            slices.for_each_run(slice, [&](std::int64_t begin, std::int64_t end) {
              for (std::int64_t i = begin; i < end; ++i) to[i] = static_cast<Out>(value(from[i]));
            });
          };
          dequantize<T>(range, slices.count == 1, convert);
        }
      });
    });
  }

 private:
  // Gives `convert` the function from an integer to its float.
  template <class T, class Convert>
  void dequantize(QuantizedRange range, bool one_slice, const Convert& convert) const {
    const auto highest = static_cast<float>(std::numeric_limits<T>::max());
    const auto lowest = static_cast<float>(std::numeric_limits<T>::lowest());
    if (mode_ == Mode::kMinFirst) {
      convert(Dequantizer<T>(range));
    } else if (mode_ == Mode::kScaled) {
      const float high_scale = range.high / highest;
      const float scale = std::is_unsigned_v<T>
                              ? high_scale
                              : std::max(range.low / lowest_output<T>(narrow_), high_scale);
      // With one range for all, TensorFlow goes from float to int and back: what is rounded to
      // 2^31 becomes -2^31.
      const float wraps = one_slice ? 0x1p31f : std::numeric_limits<float>::infinity();
      convert([=](T x) {
        const auto value = static_cast<float>(x);
        return (value == wraps ? -value : value) * scale;
      });
    } else {
      const float scale = (range.high - range.low) / (highest - lowest);
      const float half_range = std::is_unsigned_v<T> ? 0 : (highest - lowest + 1) / 2;
      convert([=](T x) { return (static_cast<float>(x) + half_range) * scale + range.low; });
    }
  }

  Mode mode_;
  bool narrow_;
  std::int64_t axis_;
};

// The shape of a range's bounds: a scalar, or one bound for each slice of the axis.
PartialShape bounds_shape(ShapeContext& c) {
  const std::int64_t axis = c.attr<std::int64_t>("axis");
  if (axis < 0) return PartialShape::scalar();
  if (axis >= Shape::kMaxRank)
    throw invalid_argument("The axis is too large. Details: ", axis, ".");
  const PartialShape x = c.at_least_rank(0, static_cast<int>(axis) + 1);
  std::int64_t count = x.dim(static_cast<int>(axis));
  count = merge_dims(count, c.with_rank(1, 1).dim(0), "The bounds and the slices of the axis");
  count = merge_dims(count, c.with_rank(2, 1).dim(0), "The bounds and the slices of the axis");
  return PartialShape{count};
}

Shapes quantize_shape(ShapeContext& c) {
  const PartialShape bounds = bounds_shape(c);
  return {c.input(0), bounds, bounds};
}

Shapes dequantize_shape(ShapeContext& c) {
  bounds_shape(c);  // they must fit
  return {c.input(0)};
}

constexpr OpDef kOps[] = {
    {.name = "QuantizeV2",
     .inputs = "input: float, min_range: float, max_range: float",
     .outputs = "output: T, output_min: float, output_max: float",
     .attrs =
         "T: quantizedtype; mode: {'MIN_COMBINED', 'MIN_FIRST', 'SCALED'} = 'MIN_COMBINED'; "
         "round_mode: {'HALF_AWAY_FROM_ZERO', 'HALF_TO_EVEN'} = 'HALF_AWAY_FROM_ZERO'; "
         "narrow_range: bool = false; axis: int = -1; ensure_minimum_range: float = 0.0099999998",
     .shape = quantize_shape,
     .kernel = make_kernel<QuantizeKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "Dequantize",
     .inputs = "input: T, min_range: float, max_range: float",
     .outputs = "output: dtype",
     .attrs = "T: quantizedtype; mode: {'MIN_COMBINED', 'MIN_FIRST', 'SCALED'} = 'MIN_COMBINED'; "
              "narrow_range: bool = false; axis: int = -1; dtype: {bfloat16, float} = float",
     .shape = dequantize_shape,
     .kernel = make_kernel<DequantizeKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily math_quantize_ops() { return kOps; }

}  // namespace hub
