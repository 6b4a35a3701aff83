// Quantized integers under another range: 32-bit sums to 8 bits.

#include <cmath>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/quantize.h"

namespace hub {
namespace {

QuantizedRange range_input(const KernelContext& c, int low, int high) {
  for (const int i : {low, high}) {
    if (c.input(i).num_elements() != 1) {
      throw invalid_argument(c.node().op_name,
                             ": the bounds of a range must be scalars. Details: input ", i,
                             " has shape ", c.input(i).shape(), ".");
    }
  }
  return {*c.input(low).data<float>(), *c.input(high).data<float>()};
}

void set_range(KernelContext& c, int output, QuantizedRange range) {
  *c.output(output, Shape{}).mutable_data<float>() = range.low;
  *c.output(output + 1, Shape{}).mutable_data<float>() = range.high;
}

// The range of the numbers that occur, stretched to hold zero at its low end.
template <class T>
QuantizedRange used_range(const Tensor& x, QuantizedRange range) {
  T least = std::numeric_limits<T>::max();
  T most = std::numeric_limits<T>::lowest();
  for (const T value : x.values<T>()) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  return {std::min(0.0f, dequantized(least, range)), dequantized(most, range)};
}

QuantizedRange used_range(const Tensor& x, QuantizedRange range) {
  QuantizedRange used{};
  dispatch(QuantizedTypes{}, x.dtype(), [&]<class T>() { used = used_range<T>(x, range); });
  return used;
}

// 32 to 8 bits, in fixed point with 16 bits after the point.
void requantize_32_to_8(const std::int32_t* from, std::int64_t count, QuantizedRange old_range,
                        QuantizedRange new_range, std::uint8_t* to) {
  constexpr int kShift = 16;
  constexpr double kOne = 1 << kShift;
  const float old_width = old_range.high - old_range.low;
  const float new_width = new_range.high - new_range.low;
  const bool empty = new_width == 0;
  const float inverse = empty ? 0 : static_cast<float>(255.0 / new_width);
  const auto middle = static_cast<float>((old_range.low + old_range.high) / 2.0);
  const auto fixed = [](double x) { return static_cast<std::int64_t>(x); };
  const std::int64_t scale = empty ? 0 : fixed(255.0 * kOne * old_width / new_width);
  const std::int64_t old_offset =
      fixed(static_cast<double>(middle * inverse * static_cast<float>(kOne)));
  const std::int64_t new_offset = empty ? 0 : fixed(kOne * (new_range.low * 255.0) / new_width);
  const std::int64_t offset = old_offset - new_offset + (1 << (kShift - 1));
  for (std::int64_t i = 0; i < count; ++i) {
    const auto product = static_cast<std::int64_t>(
        static_cast<std::uint64_t>(std::int64_t{from[i]}) * static_cast<std::uint64_t>(scale));
    const std::int64_t steps = ((product >> 32) + offset) >> kShift;
    to[i] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(steps, 0, 255));
  }
}

void requantize(KernelContext& c, const Tensor& x, QuantizedRange old_range,
                QuantizedRange new_range) {
  Tensor& y = c.output(0, x.shape());
  if (storage_dtype(x.dtype()) == DType::kInt32 && storage_dtype(y.dtype()) == DType::kUint8) {
    return requantize_32_to_8(x.data<std::int32_t>(), x.num_elements(), old_range, new_range,
                              y.mutable_data<std::uint8_t>());
  }
  dispatch(QuantizedTypes{}, x.dtype(), [&]<class From>() {
    dispatch(QuantizedTypes{}, y.dtype(), [&]<class To>() {
      const Dequantizer<From> dequantize(old_range);
      const LinearQuantizer<To> quantize(new_range);
      const From* from = x.data<From>();
      To* to = y.mutable_data<To>();
      for (std::int64_t i = 0; i < x.num_elements(); ++i) to[i] = quantize(dequantize(from[i]));
    });
  });
}

void compute_requantize(KernelContext& c) {
  const QuantizedRange old_range = range_input(c, 1, 2);
  const QuantizedRange new_range = range_input(c, 3, 4);
  if (!(new_range.low <= 0) || !(new_range.high >= new_range.low)) {
    throw invalid_argument(
        "Requantize: the requested range must start at 0 or below and end after ",
        "that. Details: [", new_range.low, ", ", new_range.high, "].");
  }
  requantize(c, c.input(0), old_range, new_range);
  set_range(c, 1, new_range);
}

void compute_requantization_range(KernelContext& c) {
  set_range(c, 0, used_range(c.input(0), range_input(c, 1, 2)));
}

void compute_quantize_down(KernelContext& c) {
  const QuantizedRange range = range_input(c, 1, 2);
  const QuantizedRange used = used_range(c.input(0), range);
  requantize(c, c.input(0), range, used);
  set_range(c, 1, used);
}

Shapes requantize_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) c.with_rank(i, 0);
  return {c.input(0), PartialShape::scalar(), PartialShape::scalar()};
}

Shapes requantization_range_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) c.with_rank(i, 0);
  return scalar_shape(c);
}

constexpr OpDef kOps[] = {
    {.name = "Requantize",
     .inputs = "input: Tinput, input_min: float, input_max: float, requested_output_min: float, "
               "requested_output_max: float",
     .outputs = "output: out_type, output_min: float, output_max: float",
     .attrs = "Tinput: quantizedtype; out_type: quantizedtype",
     .shape = requantize_shape,
     .kernel = kernel_function<compute_requantize>,
     .differentiable = Differentiable::kRefused},
    {.name = "RequantizationRange",
     .inputs = "input: Tinput, input_min: float, input_max: float",
     .outputs = "output_min: float, output_max: float",
     .attrs = "Tinput: quantizedtype",
     .shape = requantization_range_shape,
     .kernel = kernel_function<compute_requantization_range>,
     .differentiable = Differentiable::kRefused},
    {.name = "QuantizeDownAndShrinkRange",
     .inputs = "input: Tinput, input_min: float, input_max: float",
     .outputs = "output: out_type, output_min: float, output_max: float",
     .attrs = "Tinput: quantizedtype; out_type: quantizedtype",
     .shape = requantize_shape,
     .kernel = kernel_function<compute_quantize_down>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily math_requantize_ops() { return kOps; }

}  // namespace hub
