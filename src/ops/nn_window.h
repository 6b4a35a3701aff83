#pragma once

// Windows that slide over an image or a volume: the attributes of convolutions and pools,
// and their arithmetic, shared by shape rules and kernels.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/shape_context.h"
#include "ops/kernel.h"

namespace hub {

// kSameCentered is kSame, except that windows which leave gaps between them are centred: the
// first one starts past the edge. TensorFlow's convolutions and pools of volumes do so, though
// not their gradients.
enum class Padding : std::uint8_t { kSame, kSameCentered, kValid, kExplicit };

// Where a tensor's axes are: [batch, spatial..., channels] or [batch, channels, spatial...].
struct ImageLayout {
  int spatial_dims = 2;
  bool channels_first = false;

  int rank() const { return spatial_dims + 2; }
  int channel_axis() const { return channels_first ? 1 : spatial_dims + 1; }
  int spatial_axis(int i) const { return (channels_first ? 2 : 1) + i; }
};

// Sizes, strides, dilations and paddings are below this, so that their sums cannot overflow.
inline constexpr std::int64_t kMaxWindowSize = std::int64_t{1} << 31;

// One spatial axis of a window. `before` and `after` count only for explicit padding.
struct WindowAxis {
  std::int64_t size = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t before = 0;
  std::int64_t after = 0;

  // What the window covers, with its gaps.
  std::int64_t extent() const { return (size - 1) * dilation + 1; }
};

// Steps of a window along an axis, and the padding that they need (negative: see Padding).
struct WindowSteps {
  std::int64_t output = 0;
  std::int64_t before = 0;
  std::int64_t after = 0;
};

// Errors: INVALID_ARGUMENT where the window is much larger than the padded input (a little
// larger, by at most one step in TensorFlow's rounding, gives an empty output).
WindowSteps window_steps(std::string_view op, std::int64_t input, const WindowAxis& axis,
                         Padding padding);

// The attributes of an op with windows, checked. `size` of the axes is that of `ksize`, if
// the op has that; of a convolution it is filled in when the filter is known.
struct WindowAttrs {
  ImageLayout layout;
  Padding padding = Padding::kValid;
  std::array<WindowAxis, 3> axes;  // [spatial_dims] of them
  // Pools: the window over the channels.
  std::int64_t channel_size = 1;
  std::int64_t channel_stride = 1;
};

// Errors: INVALID_ARGUMENT, UNIMPLEMENTED (windows over the batch).
WindowAttrs convolution_attrs(const AttrMap& attrs, std::string_view op, int spatial_dims);
// Reads `ksize` and `strides` where the op has them as attributes.
WindowAttrs pool_attrs(const AttrMap& attrs, std::string_view op, int spatial_dims);
// For ops that take `ksize` and `strides` as inputs.
void set_pool_window(WindowAttrs& attrs, std::string_view op, std::span<const std::int64_t> ksize,
                     std::span<const std::int64_t> strides);

// An output axis of a shape rule: -1 where the input is unknown.
std::int64_t window_output(std::string_view op, std::int64_t input, const WindowAxis& axis,
                           Padding padding);

}  // namespace hub
