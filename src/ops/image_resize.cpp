#include "ops/image_resize.h"

#include <algorithm>
#include <limits>

namespace hub {
namespace {

void check_rule(const KernelContext& context, const ResizeRule& rule) {
  if (rule.align_corners && rule.half_pixel) {
    throw invalid_argument(context.node().op_name,
                           ": align_corners and half_pixel_centers exclude each other.");
  }
}

// Sides and channels, positive and within int32.
void check_sides(const KernelContext& context, const Tensor& images, std::string_view what) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  for (int axis = 1; axis <= 2; ++axis) {
    if (images.dim(axis) <= 0 || images.dim(axis) >= kMost) {
      throw invalid_argument(context.node().op_name, ": the sides of ", what, " must be in [1, ",
                             kMost, "). Details: the shape is ", images.shape(), ".");
    }
  }
}

}  // namespace

Resize Resize::forward(const KernelContext& context, const ResizeRule& rule) {
  check_rule(context, rule);
  check_rank(context, 0, 4, "the images");
  const Tensor& images = context.input(0);
  if (images.dim(3) == 0) {
    throw invalid_argument(context.node().op_name,
                           ": the images must have channels. Details: the shape is ",
                           images.shape(), ".");
  }
  check_sides(context, images, "the images");
  const ImageSize in{images.dim(1), images.dim(2)};
  const ImageSize out = size_input(context, 1, "the size");
  return {images.dim(0),
          in,
          out,
          images.dim(3),
          rule.scale(in.height, out.height),
          rule.scale(in.width, out.width)};
}

Resize Resize::backward(const KernelContext& context, const ResizeRule& rule) {
  check_rule(context, rule);
  check_rank(context, 0, 4, "the gradient");
  check_rank(context, 1, 4, "the original image");
  const Tensor& grads = context.input(0);
  const Tensor& original = context.input(1);
  check_sides(context, grads, "the gradient");
  check_sides(context, original, "the original image");
  const ImageSize in{original.dim(1), original.dim(2)};
  const ImageSize out{grads.dim(1), grads.dim(2)};
  return {grads.dim(0),
          in,
          out,
          grads.dim(3),
          rule.scale(in.height, out.height),
          rule.scale(in.width, out.width)};
}

std::vector<Neighbours> neighbours_of(const ResizeRule& rule, std::int64_t out, std::int64_t in,
                                      float scale) {
  std::vector<Neighbours> result(static_cast<std::size_t>(out));
  for (std::int64_t i = 0; i < out; ++i) {
    const float position = rule.position(i, scale);
    const float below = std::floor(position);
    const auto index = [&](float whole) {
      return static_cast<std::int32_t>(
          std::clamp<std::int64_t>(static_cast<std::int64_t>(whole), 0, in - 1));
    };
    result[static_cast<std::size_t>(i)] = {index(below), index(std::ceil(position)),
                                           position - below};
  }
  return result;
}

}  // namespace hub
