#include "ops/kernels/depthwise.h"

#include <algorithm>
#include <limits>

#include "ops/kernels/gemm.h"
#include "ops/kernels/vector.h"

namespace hub {
namespace {

// Eight channels, or one.
struct EightChannels {
  using Value = Vector<float>::type;
  static constexpr std::int64_t kCount = Vector<float>::kLanes;
  static Value load(const float* from) { return Vector<float>::load(from); }
  static void store(float* to, const Value& v) { Vector<float>::store(to, v); }
  static Value multiply_add(const Value& a, const Value& b, const Value& c) {
    return gemm::multiply_add_vector<float>(a, b, c);
  }
};
struct OneChannel {
  using Value = float;
  static constexpr std::int64_t kCount = 1;
  static Value load(const float* from) { return *from; }
  static void store(float* to, Value v) { *to = v; }
  static Value multiply_add(Value a, Value b, Value c) { return gemm::multiply_add(a, b, c); }
};

struct Range {
  std::int64_t begin;
  std::int64_t end;
};

// The taps along an axis that fall on the input, for the window that starts at `first`.
Range taps_inside(std::int64_t first, std::int64_t size, std::int64_t kernel,
                  std::int64_t dilation) {
  const std::int64_t begin = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
  const std::int64_t end = first >= size ? 0 : (size - first + dilation - 1) / dilation;
  return {std::min(begin, kernel), std::clamp<std::int64_t>(end, begin, kernel)};
}

// One row of a result.
struct Row {
  std::int64_t channels;
  std::int64_t tap_step;    // in elements, from a tap to the next one in x
  std::int64_t tap_row;     // ... in y
  std::int64_t pixel_step;  // ... from a window to the next one in x
  std::int64_t kernel_width;
  Range taps_y;
  const float* x;  // where the window of the row's first pixel starts; may lie before the data
  const float* filter;
  const float* bias;  // may be null
  float lowest;
  float highest;
  float* y;
};

// Adds to the sums of kPixels pixels what one tap gives. `x` is what it sees of the first pixel.
template <class Lanes, int kPixels, int kVectors>
inline void add_tap(const float* x, std::int64_t pixel_step, const float* weights,
                    typename Lanes::Value (&sums)[kPixels][kVectors]) {
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const auto weight = Lanes::load(weights + v * Lanes::kCount);
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      sums[p][v] = Lanes::multiply_add(Lanes::load(x + p * pixel_step + v * Lanes::kCount), weight,
                                       sums[p][v]);
    }
  }
}

// The results of kPixels pixels from `pixel`, and of kVectors vectors of channels from
// `channel`: all of them see the same taps. kWidth is how many these are in x; 0: any number.
template <class Lanes, int kPixels, int kVectors, int kWidth>
inline void windows(const Row& row, std::int64_t pixel, Range taps_x, std::int64_t channel) {
  using Value = typename Lanes::Value;
  Value sums[kPixels][kVectors] = {};
  const std::int64_t first_tap = row.taps_y.begin * row.kernel_width + taps_x.begin;
  const float* weights = row.filter + first_tap * row.channels + channel;
  const float* x = row.x + pixel * row.pixel_step + row.taps_y.begin * row.tap_row +
                   taps_x.begin * row.tap_step + channel;
  for (std::int64_t ky = row.taps_y.begin; ky < row.taps_y.end; ++ky) {
    if constexpr (kWidth > 0) {
#pragma GCC unroll 8
      for (int kx = 0; kx < kWidth; ++kx)
        add_tap<Lanes>(x + kx * row.tap_step, row.pixel_step, weights + kx * row.channels, sums);
    } else {
      for (std::int64_t kx = 0; kx < taps_x.end - taps_x.begin; ++kx)
        add_tap<Lanes>(x + kx * row.tap_step, row.pixel_step, weights + kx * row.channels, sums);
    }
    x += row.tap_row;
    weights += row.kernel_width * row.channels;
  }
  const Value lowest = Value{} + row.lowest, highest = Value{} + row.highest;
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const std::int64_t first = channel + v * Lanes::kCount;
    const Value bias = row.bias != nullptr ? Lanes::load(row.bias + first) : Value{};
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      const Value sum = sums[p][v] + bias;
      const Value floored = sum < lowest ? lowest : sum;  // NaN stays
      Lanes::store(row.y + (pixel + p) * row.channels + first,
                   floored > highest ? highest : floored);
    }
  }
}

template <int kPixels, int kWidth>
void pixels_of_width(const Row& row, std::int64_t pixel, Range taps_x) {
  // Few pixels take several vectors of channels, so that enough sums are under way at a time.
  constexpr int kVectors = kPixels == 1 ? 4 : 1;
  constexpr std::int64_t kLanes = EightChannels::kCount;
  std::int64_t channel = 0;
  for (; channel + kVectors * kLanes <= row.channels; channel += kVectors * kLanes)
    windows<EightChannels, kPixels, kVectors, kWidth>(row, pixel, taps_x, channel);
  for (; channel + kLanes <= row.channels; channel += kLanes)
    windows<EightChannels, kPixels, 1, kWidth>(row, pixel, taps_x, channel);
  for (; channel < row.channels; ++channel)
    windows<OneChannel, kPixels, 1, 0>(row, pixel, taps_x, channel);
}

template <int kPixels>
void pixels(const Row& row, std::int64_t pixel, Range taps_x) {
  if (taps_x.end - taps_x.begin == 3) return pixels_of_width<kPixels, 3>(row, pixel, taps_x);
  return pixels_of_width<kPixels, 0>(row, pixel, taps_x);
}

}  // namespace

bool is_depthwise(const dnn::ConvShape& shape, const dnn::Epilogue& epilogue) {
  return shape.spatial_dims == 2 && shape.groups == shape.in_channels &&
         shape.groups == shape.out_channels && !epilogue.accumulate;
}

double depthwise_row_ns(const dnn::ConvShape& shape) {
  constexpr double kFlopsPerNs = 60;
  return 2.0 * static_cast<double>(shape.output[1] * shape.kernel[0] * shape.kernel[1]) *
         static_cast<double>(shape.out_channels) / kFlopsPerNs;
}

void depthwise_forward(const dnn::ConvShape& shape, const dnn::Epilogue& epilogue, const float* x,
                       const float* filter, const float* bias, float* y, std::int64_t begin,
                       std::int64_t end) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::int64_t channels = shape.out_channels;
  Row row{.channels = channels,
          .tap_step = shape.dilation[1] * channels,
          .tap_row = shape.dilation[0] * shape.input[1] * channels,
          .pixel_step = shape.stride[1] * channels,
          .kernel_width = shape.kernel[1],
          .taps_y = {},
          .x = nullptr,
          .filter = filter,
          .bias = epilogue.bias ? bias : nullptr,
          .lowest = epilogue.activation == dnn::Activation::kNone ? -kInfinity : 0.0f,
          .highest = epilogue.activation == dnn::Activation::kRelu6 ? 6.0f : kInfinity,
          .y = nullptr};
  const auto taps_x = [&](std::int64_t pixel) {
    return taps_inside(pixel * shape.stride[1] - shape.before[1], shape.input[1], shape.kernel[1],
                       shape.dilation[1]);
  };
  const auto is_whole = [&](std::int64_t pixel) {
    const Range taps = taps_x(pixel);
    return taps.begin == 0 && taps.end == shape.kernel[1];
  };
  const std::int64_t width = shape.output[1];
  std::int64_t whole_begin = 0;
  while (whole_begin < width && !is_whole(whole_begin)) ++whole_begin;
  std::int64_t whole_end = width;
  while (whole_end > whole_begin && !is_whole(whole_end - 1)) --whole_end;
  const Range all_taps{0, shape.kernel[1]};
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t image = i / shape.output[0], out_y = i % shape.output[0];
    const std::int64_t first_y = out_y * shape.stride[0] - shape.before[0];
    row.taps_y = taps_inside(first_y, shape.input[0], shape.kernel[0], shape.dilation[0]);
    row.x = x + ((image * shape.input[0] + first_y) * shape.input[1] - shape.before[1]) * channels;
    row.y = y + i * width * channels;
    for (std::int64_t pixel = 0; pixel < whole_begin; ++pixel) pixels<1>(row, pixel, taps_x(pixel));
    std::int64_t pixel = whole_begin;
    for (; pixel + 8 <= whole_end; pixel += 8) pixels<8>(row, pixel, all_taps);
    for (; pixel + 4 <= whole_end; pixel += 4) pixels<4>(row, pixel, all_taps);
    for (; pixel + 2 <= whole_end; pixel += 2) pixels<2>(row, pixel, all_taps);
    for (; pixel < width; ++pixel) pixels<1>(row, pixel, taps_x(pixel));
  }
}

}  // namespace hub
