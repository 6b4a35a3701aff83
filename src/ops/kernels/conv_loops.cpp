#include "ops/kernels/conv_loops.h"

#include <algorithm>
#include <type_traits>

#include "ops/channels.h"
#include "ops/kernels/window_loops.h"

namespace hub {
namespace {

using dnn::ConvShape;

// Integers wrap: their arithmetic is that of unsigned numbers.
template <class T>
using Arithmetic = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                               std::type_identity<T>>::type;

template <class T>
T multiply_add(T sum, T a, T b) {
  using A = Arithmetic<T>;
  return static_cast<T>(static_cast<A>(sum) + static_cast<A>(a) * static_cast<A>(b));
}

// y += x * filter, for one tap of one pixel.
template <class T>
void add_tap(const ConvShape& s, const T* x, const T* filter, T* y) {
  const std::int64_t depth = s.in_channels / s.groups;
  const std::int64_t width = s.out_channels / s.groups;
  if (depth == 1 && width == 1) {
    for_channels(s.out_channels,
                 [=](std::int64_t i) { y[i] = multiply_add(y[i], x[i], filter[i]); });
    return;
  }
  for (std::int64_t group = 0; group < s.groups; ++group) {
    for (std::int64_t i = 0; i < depth; ++i) {
      const T value = x[group * depth + i];
      const T* weights = filter + i * s.out_channels + group * width;
      T* sums = y + group * width;
      for_channels(width,
                   [=](std::int64_t j) { sums[j] = multiply_add(sums[j], value, weights[j]); });
    }
  }
}

// dx += filter * dy, for one tap of one pixel.
template <class T>
void add_tap_backward(const ConvShape& s, const T* dy, const T* filter, T* dx) {
  const std::int64_t depth = s.in_channels / s.groups;
  const std::int64_t width = s.out_channels / s.groups;
  if (depth == 1 && width == 1) {
    for_channels(s.out_channels,
                 [=](std::int64_t i) { dx[i] = multiply_add(dx[i], dy[i], filter[i]); });
    return;
  }
  for (std::int64_t group = 0; group < s.groups; ++group) {
    for (std::int64_t i = 0; i < depth; ++i) {
      const T* weights = filter + i * s.out_channels + group * width;
      const T* gradients = dy + group * width;
      T sum = dx[group * depth + i];
      for (std::int64_t j = 0; j < width; ++j) sum = multiply_add(sum, gradients[j], weights[j]);
      dx[group * depth + i] = sum;
    }
  }
}

// df += x * dy, for one tap of one pixel.
template <class T>
void add_tap_filter(const ConvShape& s, const T* x, const T* dy, T* df) {
  const std::int64_t depth = s.in_channels / s.groups;
  const std::int64_t width = s.out_channels / s.groups;
  if (depth == 1 && width == 1) {
    for_channels(s.out_channels, [=](std::int64_t i) { df[i] = multiply_add(df[i], x[i], dy[i]); });
    return;
  }
  for (std::int64_t group = 0; group < s.groups; ++group) {
    for (std::int64_t i = 0; i < depth; ++i) {
      const T value = x[group * depth + i];
      const T* gradients = dy + group * width;
      T* sums = df + i * s.out_channels + group * width;
      for_channels(width,
                   [=](std::int64_t j) { sums[j] = multiply_add(sums[j], value, gradients[j]); });
    }
  }
}

double tap_ns(const ConvShape& s) {
  return 0.3 * static_cast<double>(s.in_channels / s.groups) * static_cast<double>(s.out_channels);
}

std::int64_t filter_tap_size(const ConvShape& s) {
  return s.in_channels / s.groups * s.out_channels;
}

}  // namespace

dnn::ConvShape as_volume(const dnn::ConvShape& shape) {
  if (shape.spatial_dims == 3) return shape;
  dnn::ConvShape volume = shape;
  volume.spatial_dims = 3;
  for (auto* dims :
       {&volume.input, &volume.kernel, &volume.output, &volume.stride, &volume.dilation}) {
    *dims = {1, (*dims)[0], (*dims)[1]};
  }
  volume.before = {0, shape.before[0], shape.before[1]};
  return volume;
}

template <class T>
void conv_forward_loops(KernelContext& c, const ConvShape& shape, const T* x, const T* filter,
                        T* y) {
  const ConvShape s = as_volume(shape);
  const std::int64_t out_pixels = pixels(s.output);
  const std::int64_t tap_size = filter_tap_size(s);
  const double cost_ns = tap_ns(s) * static_cast<double>(pixels(s.kernel));
  c.parallel_for(s.batch * out_pixels, cost_ns, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* image = x + i / out_pixels * pixels(s.input) * s.in_channels;
      T* result = y + i * s.out_channels;
      std::fill_n(result, s.out_channels, T{});
      each_tap(s, position(i % out_pixels, s.output), [&](std::int64_t tap, std::int64_t pixel) {
        add_tap(s, image + pixel * s.in_channels, filter + tap * tap_size, result);
      });
    }
  });
}

template <class T>
void conv_backward_data_loops(KernelContext& c, const ConvShape& shape, const T* filter,
                              const T* dy, T* dx) {
  const ConvShape s = as_volume(shape);
  const std::int64_t in_pixels = pixels(s.input);
  const std::int64_t tap_size = filter_tap_size(s);
  double cost_ns = tap_ns(s) * static_cast<double>(pixels(s.kernel));
  for (const std::int64_t stride : s.stride) cost_ns /= static_cast<double>(stride);
  c.parallel_for(s.batch * in_pixels, cost_ns, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* gradients = dy + i / in_pixels * pixels(s.output) * s.out_channels;
      T* result = dx + i * s.in_channels;
      std::fill_n(result, s.in_channels, T{});
      each_window(s, position(i % in_pixels, s.input), [&](std::int64_t tap, std::int64_t pixel) {
        add_tap_backward(s, gradients + pixel * s.out_channels, filter + tap * tap_size, result);
      });
    }
  });
}

template <class T>
void conv_backward_filter_loops(KernelContext& c, const ConvShape& shape, const T* x, const T* dy,
                                T* filter) {
  const ConvShape s = as_volume(shape);
  const std::int64_t taps = pixels(s.kernel);
  const std::int64_t tap_size = filter_tap_size(s);
  const std::int64_t out_pixels = pixels(s.output);
  const double cost_ns = tap_ns(s) * static_cast<double>(s.batch) * static_cast<double>(out_pixels);
  c.parallel_for(taps, cost_ns, [&](std::int64_t begin, std::int64_t end) {
    std::fill(filter + begin * tap_size, filter + end * tap_size, T{});
    for (std::int64_t image = 0; image < s.batch; ++image) {
      const T* inputs = x + image * pixels(s.input) * s.in_channels;
      const T* gradients = dy + image * out_pixels * s.out_channels;
      for (std::int64_t i = 0; i < out_pixels; ++i) {
        each_tap(s, position(i, s.output), [&](std::int64_t tap, std::int64_t pixel) {
          if (tap < begin || tap >= end) return;
          add_tap_filter(s, inputs + pixel * s.in_channels, gradients + i * s.out_channels,
                         filter + tap * tap_size);
        });
      }
    }
  });
}

template void conv_forward_loops(KernelContext&, const ConvShape&, const float*, const float*,
                                 float*);
template void conv_forward_loops(KernelContext&, const ConvShape&, const double*, const double*,
                                 double*);
template void conv_forward_loops(KernelContext&, const ConvShape&, const std::int32_t*,
                                 const std::int32_t*, std::int32_t*);
template void conv_backward_data_loops(KernelContext&, const ConvShape&, const float*, const float*,
                                       float*);
template void conv_backward_data_loops(KernelContext&, const ConvShape&, const double*,
                                       const double*, double*);
template void conv_backward_data_loops(KernelContext&, const ConvShape&, const std::int32_t*,
                                       const std::int32_t*, std::int32_t*);
template void conv_backward_filter_loops(KernelContext&, const ConvShape&, const float*,
                                         const float*, float*);
template void conv_backward_filter_loops(KernelContext&, const ConvShape&, const double*,
                                         const double*, double*);

}  // namespace hub
