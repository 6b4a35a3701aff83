#pragma once

// What ops on batches of pictures [batch, height, width, channels] share.

#include <cstdint>
#include <string_view>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/lanes.h"
#include "tensor/dispatch.h"

namespace hub {

// The dtypes of pictures that TensorFlow resizes.
using PictureTypes = TypeList<std::uint8_t, std::int8_t, std::int16_t, std::uint16_t, std::int32_t,
                              std::int64_t, Half, BFloat16, float, double>;

// [batch, height, width, channels]: height and width are what input `size_input` holds.
Shapes sized_images_shape(ShapeContext& c, std::int64_t batch, int size_input,
                          std::int64_t channels);
// The pictures of input 0 with the size that input 1 holds.
Shapes resized_images_shape(ShapeContext& c);
// The shape of input 1.
Shapes original_images_shape(ShapeContext& c);

// Calls body(i) for i in [0, count), in groups where reading a T vectorises.
template <class T, std::int64_t kLanes = 32, class Body>
inline void for_pixels(std::int64_t count, Body&& body) {
  if constexpr (std::is_arithmetic_v<T>) {
    for_lanes<kLanes>(count, body);
  } else {
    for (std::int64_t i = 0; i < count; ++i) body(i);
  }
}

struct ImageSize {
  std::int64_t height;
  std::int64_t width;
};

// The two positive numbers of an int32 input. Errors: INVALID_ARGUMENT.
ImageSize size_input(const KernelContext& context, int input, std::string_view what);

// Errors: INVALID_ARGUMENT where the input has another rank.
void check_rank(const KernelContext& context, int input, int rank, std::string_view what);
// The only value of a float input. Errors: INVALID_ARGUMENT where it is no scalar.
float float_scalar(const KernelContext& context, int input, std::string_view what);

}  // namespace hub
