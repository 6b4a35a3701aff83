// Gradients of Fourier transforms.

#include <numbers>

#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

// How many numbers are transformed together.
Output transform_size(const Output& x, int rank, DType dtype) {
  return cast(op("Prod", {slice(shape_of(x), -rank), ints({0})}), dtype);
}

template <const char* kOp, int kRank, bool kForward>
Gradients fourier(GradientContext& c) {
  const Output dy = c.dy();
  const Output size = transform_size(dy, kRank, real_dtype(dy.dtype()));
  const Output factor = kForward ? size : op("Reciprocal", {size});
  return {op(kOp, {dy}) * cast(factor, dy.dtype())};
}
constexpr char kFft[] = "FFT";
constexpr char kFft2[] = "FFT2D";
constexpr char kFft3[] = "FFT3D";
constexpr char kIfft[] = "IFFT";
constexpr char kIfft2[] = "IFFT2D";
constexpr char kIfft3[] = "IFFT3D";

// 1, -1, 1, -1...
Output alternating(const Output& length, DType dtype) {
  const Output numbers = range(make_scalar<std::int32_t>(0), length);
  return cast(op("Sub", {1, op("Mul", {2, op("FloorMod", {numbers, 2})})}), dtype);
}

Output last_columns(const Output& x, bool last) {
  return last ? op("StridedSlice", {x, ints({0, -1}), ints({0, 0}), ints({1, 1})},
                   {{"ellipsis_mask", 1}, {"end_mask", 2}})
              : op("StridedSlice", {x, ints({0, 0}), ints({0, 1}), ints({1, 1})},
                   {{"ellipsis_mask", 1}});
}

template <int kRank>
Gradients real_fourier(GradientContext& c) {
  const Output dy = c.dy();
  const DType dtype = dy.dtype();
  const Output shape = shape_of(c.input(0));
  const Output width = element(shape, -1);
  const Output length = element(c.input(1), -1);
  const Output is_even = cast(op("Sub", {1, op("FloorMod", {length, 2})}), dtype);
  Output first = last_columns(dy, false);
  Output last = last_columns(dy, true);
  if constexpr (kRank == 2) {
    const Output height = element(shape, -2);
    const Output numbers = range(make_scalar<std::int32_t>(0), height);
    const Output products =
        cast(op("Mul", {expand(numbers, 0), expand(numbers, 1)}), real_dtype(dtype));
    const Output angle = -2 * std::numbers::pi * products / cast(height, real_dtype(dtype));
    const Output turns = exp(op("Complex", {zeros_like(angle), angle}, {{"Tout", dtype}}));
    first = matmul(turns, conj(first));
    last = matmul(turns, conj(last));
  }
  const Output extra = first + is_even * last * alternating(width, dtype);
  const DType real = real_dtype(dtype);
  const Output size = transform_size(c.input(0), kRank, real);
  const Output back = op(kRank == 1 ? "IRFFT" : "IRFFT2D", {dy, c.input(1)}, {{"Treal", real}});
  return {0.5 * (back * size + op("Real", {extra}, {{"Tout", real}})), {}};
}

template <int kRank>
Gradients inverse_real_fourier(GradientContext& c) {
  const Output dy = c.dy();
  const DType real = dy.dtype();
  const DType dtype = c.dtype(0);
  const Output is_odd = op("FloorMod", {element(c.input(1), -1), 2});
  const Output width = element(shape_of(c.input(0)), -1);
  const Output count = op("AddV2", {op("Sub", {width, 2}), is_odd});
  const Output mask =
      concat({filled(ones_like(expand(width, 0)), real, 1), filled(expand(count, 0), real, 2),
              filled(expand(op("Sub", {1, is_odd}), 0), real, 1)});
  const Output factor = op("Reciprocal", {transform_size(dy, kRank, real)});
  const Output forward =
      op(kRank == 1 ? "RFFT" : "RFFT2D", {dy, c.input(1)}, {{"Tcomplex", dtype}});
  return {forward * cast(factor * mask, dtype), {}};
}

constexpr GradientRule kRules[] = {
    {"FFT", fourier<kIfft, 1, true>},
    {"FFT2D", fourier<kIfft2, 2, true>},
    {"FFT3D", fourier<kIfft3, 3, true>},
    {"IFFT", fourier<kFft, 1, false>},
    {"IFFT2D", fourier<kFft2, 2, false>},
    {"IFFT3D", fourier<kFft3, 3, false>},
    {"RFFT", real_fourier<1>},
    {"RFFT2D", real_fourier<2>},
    {"IRFFT", inverse_real_fourier<1>},
    {"IRFFT2D", inverse_real_fourier<2>},
};

}  // namespace

GradientRules fourier_gradients() { return kRules; }

}  // namespace hub
