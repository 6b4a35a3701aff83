#include "ops/image_size.h"

namespace hub {

Shapes sized_images_shape(ShapeContext& c, std::int64_t batch, int size_input,
                          std::int64_t channels) {
  merge_dims(c.with_rank(size_input, 1).dim(0), 2, "The length of the size");
  const PartialShape size = c.input_as_shape(size_input);
  if (!size.has_rank() || size.rank() != 2) return {PartialShape{batch, -1, -1, channels}};
  return {PartialShape{batch, size.dim(0), size.dim(1), channels}};
}

Shapes resized_images_shape(ShapeContext& c) {
  const PartialShape images = c.with_rank(0, 4);
  return sized_images_shape(c, images.dim(0), 1, images.dim(3));
}

Shapes original_images_shape(ShapeContext& c) { return {c.input(1)}; }

ImageSize size_input(const KernelContext& context, int input, std::string_view what) {
  const std::vector<std::int64_t> size = integer_vector(context, input, what);
  if (context.input(input).rank() != 1 || size.size() != 2) {
    throw invalid_argument(context.node().op_name, ": ", what,
                           " must be a vector of two. Details: its shape is ",
                           context.input(input).shape(), ".");
  }
  if (size[0] <= 0 || size[1] <= 0) {
    throw invalid_argument(context.node().op_name, ": ", what, " must be positive. Details: it is ",
                           size[0], " by ", size[1], ".");
  }
  return {size[0], size[1]};
}

void check_rank(const KernelContext& context, int input, int rank, std::string_view what) {
  if (context.input(input).rank() != rank) {
    throw invalid_argument(context.node().op_name, ": ", what, " must have rank ", rank,
                           ". Details: the shape is ", context.input(input).shape(), ".");
  }
}

float float_scalar(const KernelContext& context, int input, std::string_view what) {
  check_rank(context, input, 0, what);
  return context.input(input).scalar<float>();
}

}  // namespace hub
