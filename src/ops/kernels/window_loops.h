#pragma once

// Walks over windows of volumes (an image is a volume of depth 1).

#include <array>
#include <cstdint>

#include "ops/onednn_conv.h"

namespace hub {

inline std::int64_t pixels(const std::array<std::int64_t, 3>& dims) {
  return dims[0] * dims[1] * dims[2];
}

inline std::array<std::int64_t, 3> position(std::int64_t pixel,
                                            const std::array<std::int64_t, 3>& dims) {
  return {pixel / (dims[1] * dims[2]), pixel / dims[2] % dims[1], pixel % dims[2]};
}

// Calls f(tap, input pixel) for each tap of the window at `output` that lies in the input.
template <class F>
void each_tap(const dnn::ConvShape& s, const std::array<std::int64_t, 3>& output, F&& f) {
  std::array<std::int64_t, 3> tap, in;
  for (tap[0] = 0; tap[0] < s.kernel[0]; ++tap[0]) {
    in[0] = output[0] * s.stride[0] - s.before[0] + tap[0] * s.dilation[0];
    if (in[0] < 0) continue;
    if (in[0] >= s.input[0]) break;
    for (tap[1] = 0; tap[1] < s.kernel[1]; ++tap[1]) {
      in[1] = output[1] * s.stride[1] - s.before[1] + tap[1] * s.dilation[1];
      if (in[1] < 0) continue;
      if (in[1] >= s.input[1]) break;
      for (tap[2] = 0; tap[2] < s.kernel[2]; ++tap[2]) {
        in[2] = output[2] * s.stride[2] - s.before[2] + tap[2] * s.dilation[2];
        if (in[2] < 0) continue;
        if (in[2] >= s.input[2]) break;
        f((tap[0] * s.kernel[1] + tap[1]) * s.kernel[2] + tap[2],
          (in[0] * s.input[1] + in[1]) * s.input[2] + in[2]);
      }
    }
  }
}

// Calls f(tap, output pixel) for each window that has a tap at the input pixel.
template <class F>
void each_window(const dnn::ConvShape& s, const std::array<std::int64_t, 3>& input, F&& f) {
  std::array<std::int64_t, 3> tap, out;
  const auto find = [&](std::size_t axis) {
    const std::int64_t offset = input[axis] + s.before[axis] - tap[axis] * s.dilation[axis];
    if (offset < 0 || offset % s.stride[axis] != 0) return false;
    out[axis] = offset / s.stride[axis];
    return out[axis] < s.output[axis];
  };
  for (tap[0] = 0; tap[0] < s.kernel[0]; ++tap[0]) {
    if (!find(0)) continue;
    for (tap[1] = 0; tap[1] < s.kernel[1]; ++tap[1]) {
      if (!find(1)) continue;
      for (tap[2] = 0; tap[2] < s.kernel[2]; ++tap[2]) {
        if (!find(2)) continue;
        f((tap[0] * s.kernel[1] + tap[1]) * s.kernel[2] + tap[2],
          (out[0] * s.output[1] + out[1]) * s.output[2] + out[2]);
      }
    }
  }
}

}  // namespace hub
