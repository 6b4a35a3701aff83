// FakeQuantWithMinMax*: rounds floats to the values that a quantized tensor can hold.

#include <algorithm>
#include <cmath>

#include "graph/op.h"
#include "ops/array_shape_rules.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// The integers of the quantized tensor.
struct QuantLevels {
  float lowest;
  float highest;

  explicit QuantLevels(const KernelInit& init) {
    const auto bits = init.attr<std::int64_t>("num_bits");
    if (bits < 2 || bits > 16) {
      throw invalid_argument(init.op(), ": num_bits must be in [2, 16]. Details: it is ", bits,
                             ".");
    }
    lowest = init.attr<bool>("narrow_range") ? 1 : 0;
    highest = static_cast<float>((1 << bits) - 1);
  }
};

// The range moved a little, so that zero is one of the values.
struct QuantRange {
  float min;
  float max;
  float scale;
  float inverse;  // from the range asked for: at ties it differs from 1 / scale
  bool empty;     // min and max are 0: the result is 0, the gradient passes whole

  QuantRange(float wanted_min, float wanted_max, const QuantLevels& levels)
      : scale((wanted_max - wanted_min) / (levels.highest - levels.lowest)),
        inverse((levels.highest - levels.lowest) / (wanted_max - wanted_min)),
        empty(wanted_min == 0 && wanted_max == 0) {
    const float exact_zero = levels.lowest - wanted_min / scale;
    float zero = levels.lowest;  // also for a NaN
    if (exact_zero > levels.highest) {
      zero = levels.highest;
    } else if (exact_zero >= levels.lowest) {
      zero = std::round(exact_zero);
    }
    min = (levels.lowest - zero) * scale;
    max = (levels.highest - zero) * scale;
  }
};

// TensorFlow divides where min and max are scalar tensors, and multiplies elsewhere.
enum class Scaling { kDivide, kMultiply };

// Column 0 of `count` rows of `stride` floats. In this order of min and max a NaN stays.
template <Scaling kScaling>
void quantize(const QuantRange& range, const float* from, float* to, std::int64_t count,
              std::int64_t stride) {
  if (range.empty) {
    for (std::int64_t i = 0; i < count; ++i) to[i * stride] = 0;
    return;
  }
  const auto in_steps = [&range](float x) {
    return kScaling == Scaling::kDivide ? x / range.scale : x * range.inverse;
  };
  const float zero = std::floor(in_steps(-range.min) + 0.5f);
  for (std::int64_t i = 0; i < count; ++i) {
    const float clamped = std::max(std::min(from[i * stride], range.max), range.min);
    to[i * stride] = std::floor(in_steps(clamped - range.min) - zero + 0.5f) * range.scale;
  }
}

struct RangeGradient {
  double min = 0;
  double max = 0;
};

// The gradient passes inside of the range; outside it goes to the border that was met. A mask
// is a factor, as in TensorFlow: infinity outside gives NaN.
RangeGradient quantize_gradient(const QuantRange& range, const float* gradients,
                                const float* inputs, float* to, std::int64_t count,
                                std::int64_t stride) {
  RangeGradient sums;
  for (std::int64_t i = 0; i < count; ++i) {
    const float gradient = gradients[i * stride];
    const float x = inputs[i * stride];
    if (range.empty) {
      to[i * stride] = gradient;
      continue;
    }
    to[i * stride] = gradient * (x >= range.min && x <= range.max ? 1.0f : 0.0f);
    sums.min += static_cast<double>(gradient * (x < range.min ? 1.0f : 0.0f));
    sums.max += static_cast<double>(gradient * (x > range.max ? 1.0f : 0.0f));
  }
  return sums;
}

void check_gradient(std::string_view op, const Tensor& gradients, const Tensor& inputs) {
  if (gradients.shape() != inputs.shape()) {
    throw invalid_argument(op, ": gradients and inputs must have one shape. Details: ",
                           gradients.shape(), " and ", inputs.shape(), ".");
  }
}

class FakeQuantArgsKernel final : public Kernel {
 public:
  explicit FakeQuantArgsKernel(const KernelInit& init)
      : range_(init.attr<float>("min"), init.attr<float>("max"), QuantLevels(init)) {
    if (!(init.attr<float>("min") < init.attr<float>("max"))) {
      throw invalid_argument(init.op(),
                             ": min must be less than max. Details: ", init.attr<float>("min"),
                             " and ", init.attr<float>("max"), ".");
    }
  }

  void compute(KernelContext& ctx) const override {
    const bool gradient = ctx.num_inputs() == 2;
    const Tensor& first = ctx.input(0);
    if (gradient) check_gradient(ctx.node().op_name, first, ctx.input(1));
    const float* from = first.data<float>();
    const float* inputs = gradient ? ctx.input(1).data<float>() : nullptr;
    float* to = ctx.output(0, first.shape()).mutable_data<float>();
    ctx.parallel_for(first.num_elements(), 2, [&](std::int64_t begin, std::int64_t end) {
      if (gradient) {
        quantize_gradient(range_, from + begin, inputs + begin, to + begin, end - begin, 1);
      } else {
        quantize<Scaling::kMultiply>(range_, from + begin, to + begin, end - begin, 1);
      }
    });
  }

 private:
  QuantRange range_;
};

// The ranges that inputs first_input and first_input + 1 give: one, or one for each channel.
std::vector<QuantRange> read_ranges(const KernelContext& ctx, const QuantLevels& levels,
                                    const Shape& inputs, int first_input, bool per_channel) {
  const Tensor& min = ctx.input(first_input);
  const Tensor& max = ctx.input(first_input + 1);
  if (per_channel && inputs.rank() == 0) {
    throw invalid_argument(ctx.node().op_name, ": the inputs must have at least one dimension.");
  }
  const Shape expected = per_channel ? Shape{inputs.dim(inputs.rank() - 1)} : Shape{};
  if (min.shape() != expected || max.shape() != expected) {
    throw invalid_argument(ctx.node().op_name, ": min and max must have shape ", expected,
                           ". Details: ", min.shape(), " and ", max.shape(), ".");
  }
  std::vector<QuantRange> ranges;
  for (std::int64_t i = 0; i < min.num_elements(); ++i) {
    ranges.emplace_back(min.data<float>()[i], max.data<float>()[i], levels);
  }
  return ranges;
}

// min and max are inputs: scalars, or one pair for each channel (the last axis).
template <bool kPerChannel>
class FakeQuantVarsKernel final : public Kernel {
 public:
  explicit FakeQuantVarsKernel(const KernelInit& init) : levels_(init) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& inputs = ctx.input(0);
    const std::vector<QuantRange> ranges =
        read_ranges(ctx, levels_, inputs.shape(), 1, kPerChannel);
    const auto channels = static_cast<std::int64_t>(ranges.size());
    const float* from = inputs.data<float>();
    float* to = ctx.output(0, inputs.shape()).mutable_data<float>();
    if (inputs.num_elements() == 0) return;
    const std::int64_t rows = inputs.num_elements() / channels;
    ctx.parallel_for(rows, 2.0 * static_cast<double>(channels),
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t c = 0; c < channels; ++c) {
                         const std::int64_t first = begin * channels + c;
                         quantize<kPerChannel ? Scaling::kMultiply : Scaling::kDivide>(
                             ranges[static_cast<std::size_t>(c)], from + first, to + first,
                             end - begin, channels);
                       }
                     });
  }

 private:
  QuantLevels levels_;
};

template <bool kPerChannel>
class FakeQuantVarsGradientKernel final : public Kernel {
 public:
  explicit FakeQuantVarsGradientKernel(const KernelInit& init) : levels_(init) {}

  void compute(KernelContext& ctx) const override {
    const Tensor& gradients = ctx.input(0);
    const Tensor& inputs = ctx.input(1);
    check_gradient(ctx.node().op_name, gradients, inputs);
    const std::vector<QuantRange> ranges =
        read_ranges(ctx, levels_, inputs.shape(), 2, kPerChannel);
    const auto channels = static_cast<std::int64_t>(ranges.size());
    float* to = ctx.output(0, inputs.shape()).mutable_data<float>();
    const Shape sums_shape = kPerChannel ? Shape{channels} : Shape{};
    float* min_sums = ctx.output(1, sums_shape).mutable_data<float>();
    float* max_sums = ctx.output(2, sums_shape).mutable_data<float>();
    const std::int64_t rows = channels == 0 ? 0 : inputs.num_elements() / channels;
    ctx.parallel_for(
        channels, 2.0 * static_cast<double>(rows), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t c = begin; c < end; ++c) {
            const RangeGradient sums =
                quantize_gradient(ranges[static_cast<std::size_t>(c)], gradients.data<float>() + c,
                                  inputs.data<float>() + c, to + c, rows, channels);
            min_sums[c] = static_cast<float>(sums.min);
            max_sums[c] = static_cast<float>(sums.max);
          }
        });
  }

 private:
  QuantLevels levels_;
};

Shapes args_gradient_shape(ShapeContext& c) { return {c.input(0).merge_with(c.input(1))}; }

Shapes vars_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.with_rank(2, 0);
  return {c.input(0)};
}

Shapes vars_gradient_shape(ShapeContext& c) {
  c.with_rank(2, 0);
  c.with_rank(3, 0);
  return {c.input(0).merge_with(c.input(1)), Shape{}, Shape{}};
}

// The inputs' shape with the channels that min and max say.
PartialShape with_channels(ShapeContext& c, PartialShape inputs, int first_input) {
  const PartialShape min = c.with_rank(first_input, 1);
  const PartialShape max = c.with_rank(first_input + 1, 1);
  std::int64_t channels = merge_dims(min.dim(0), max.dim(0), "The lengths of min and max");
  if (!inputs.has_rank()) return inputs;
  if (inputs.rank() == 0)
    throw invalid_argument(c.node().op_name, ": the inputs must have at least one dimension.");
  channels = merge_dims(inputs.dim(inputs.rank() - 1), channels,
                        "The channels and the length of min and max");
  return replace_dim(inputs, -1, channels);
}

Shapes channels_shape(ShapeContext& c) { return {with_channels(c, c.input(0), 1)}; }

Shapes channels_gradient_shape(ShapeContext& c) {
  PartialShape inputs = with_channels(c, c.input(0).merge_with(c.input(1)), 2);
  const std::int64_t channels = inputs.has_rank() ? inputs.dim(inputs.rank() - 1) : -1;
  return {std::move(inputs), vector_shape(channels), vector_shape(channels)};
}

constexpr OpDef kOps[] = {
    {.name = "FakeQuantWithMinMaxArgs",
     .inputs = "inputs: float",
     .outputs = "outputs: float",
     .attrs = "min: float = -6.0; max: float = 6.0; num_bits: int = 8; narrow_range: bool = false",
     .shape = unchanged_shape,
     .kernel = make_kernel<FakeQuantArgsKernel>},
    {.name = "FakeQuantWithMinMaxArgsGradient",
     .inputs = "gradients: float, inputs: float",
     .outputs = "backprops: float",
     .attrs = "min: float = -6.0; max: float = 6.0; num_bits: int = 8; narrow_range: bool = false",
     .shape = args_gradient_shape,
     .kernel = make_kernel<FakeQuantArgsKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "FakeQuantWithMinMaxVars",
     .inputs = "inputs: float, min: float, max: float",
     .outputs = "outputs: float",
     .attrs = "num_bits: int = 8; narrow_range: bool = false",
     .shape = vars_shape,
     .kernel = make_kernel<FakeQuantVarsKernel<false>>},
    {.name = "FakeQuantWithMinMaxVarsGradient",
     .inputs = "gradients: float, inputs: float, min: float, max: float",
     .outputs = "backprops_wrt_input: float, backprop_wrt_min: float, backprop_wrt_max: float",
     .attrs = "num_bits: int = 8; narrow_range: bool = false",
     .shape = vars_gradient_shape,
     .kernel = make_kernel<FakeQuantVarsGradientKernel<false>>,
     .differentiable = Differentiable::kRefused},
    {.name = "FakeQuantWithMinMaxVarsPerChannel",
     .inputs = "inputs: float, min: float, max: float",
     .outputs = "outputs: float",
     .attrs = "num_bits: int = 8; narrow_range: bool = false",
     .shape = channels_shape,
     .kernel = make_kernel<FakeQuantVarsKernel<true>>},
    {.name = "FakeQuantWithMinMaxVarsPerChannelGradient",
     .inputs = "gradients: float, inputs: float, min: float, max: float",
     .outputs = "backprops_wrt_input: float, backprop_wrt_min: float, backprop_wrt_max: float",
     .attrs = "num_bits: int = 8; narrow_range: bool = false",
     .shape = channels_gradient_shape,
     .kernel = make_kernel<FakeQuantVarsGradientKernel<true>>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily fake_quant_ops() { return kOps; }

}  // namespace hub
