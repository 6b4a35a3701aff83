#pragma once

// Where the pixels of a resized picture lie in the original one.

#include <cmath>
#include <cstdint>
#include <vector>

#include "ops/image_size.h"

namespace hub {

// TensorFlow's rules, all in single precision:
//   legacy          pixel i of the result lies at i * in / out
//   align_corners   at i * (in - 1) / (out - 1)
//   half_pixel      at (i + 0.5) * in / out - 0.5
struct ResizeRule {
  bool align_corners = false;
  bool half_pixel = false;

  explicit ResizeRule(const KernelInit& init)
      : align_corners(init.attr<bool>("align_corners")),
        half_pixel(init.has_attr("half_pixel_centers") && init.attr<bool>("half_pixel_centers")) {}

  float scale(std::int64_t in, std::int64_t out) const {
    return align_corners && in > 1 && out > 1
               ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
               : static_cast<float>(in) / static_cast<float>(out);
  }
  float position(std::int64_t i, float scale) const {
    const auto pixel = static_cast<float>(i);
    return half_pixel ? (pixel + 0.5F) * scale - 0.5F : pixel * scale;
  }
};

// The sizes of a resize, checked.
struct Resize {
  std::int64_t batch;
  ImageSize in;   // of the original
  ImageSize out;  // of the resized
  std::int64_t channels;
  float height_scale;
  float width_scale;

  // Of the op that resizes input 0 to the size in input 1. Errors: INVALID_ARGUMENT.
  static Resize forward(const KernelContext& context, const ResizeRule& rule);
  // Of the op that takes the gradient in input 0 back to a picture like input 1.
  static Resize backward(const KernelContext& context, const ResizeRule& rule);

  Shape resized_shape() const { return {batch, out.height, out.width, channels}; }
  Shape original_shape() const { return {batch, in.height, in.width, channels}; }
};

// A pixel of the result between two of the original.
struct Neighbours {
  std::int32_t lower;
  std::int32_t upper;
  float share;  // of the upper one
};
std::vector<Neighbours> neighbours_of(const ResizeRule& rule, std::int64_t out, std::int64_t in,
                                      float scale);

// The rows of a gradient of which something goes to one row of the original: [begin, end).
struct RowRange {
  std::int32_t begin = 0;
  std::int32_t end = 0;
  void add(std::int64_t row) {
    if (begin == end) begin = static_cast<std::int32_t>(row);
    end = static_cast<std::int32_t>(row + 1);
  }
};

}  // namespace hub
