// DrawBoundingBoxes: the outlines of boxes, drawn on pictures.

#include <algorithm>
#include <array>
#include <limits>

#include "ops/elements.h"
#include "ops/image_size.h"

namespace hub {
namespace {

using Color = std::array<float, 4>;

// Yellow, blue, red, lime, purple, olive, maroon, navy blue, aqua, fuchsia.
constexpr Color kDefaultColors[] = {
    {1, 1, 0, 1},       {0, 0, 1, 1},    {1, 0, 0, 1},    {0, 1, 0, 1}, {0.5F, 0, 0.5F, 1},
    {0.5F, 0.5F, 0, 1}, {0.5F, 0, 0, 1}, {0, 0, 0.5F, 1}, {0, 1, 1, 1}, {1, 0, 1, 1}};

std::vector<Color> colors_of(const KernelContext& c, std::int64_t depth) {
  std::vector<Color> colors;
  if (c.num_inputs() > 2) {
    check_rank(c, 2, 2, "the colors");
    const Tensor& given = c.input(2);
    if (given.dim(1) < depth) {
      throw invalid_argument(c.node().op_name,
                             ": the colors must have as many channels as the images. Details: ",
                             given.dim(1), " for ", depth, ".");
    }
    for (std::int64_t i = 0; i < given.dim(0); ++i) {
      Color& color = colors.emplace_back();
      std::copy_n(given.data<float>() + i * given.dim(1), depth, color.begin());
    }
  }
  if (colors.empty()) {
    colors.assign(std::begin(kDefaultColors), std::end(kDefaultColors));
    if (depth == 1) {
      for (Color& color : colors) color[0] = 1;
    }
  }
  return colors;
}

// A box's sides along one axis, in pixels.
struct Sides {
  Sides(float from, float to, std::int64_t size)
      : begin(pixel(from, size)),
        end(pixel(to, size)),
        first(std::max<std::int64_t>(begin, 0)),
        last(std::min(end, size - 1)),
        visible(begin <= end && begin < size && end >= 0) {}

  // As the processor does, a number that does not fit is the lowest one.
  static std::int64_t pixel(float share, std::int64_t size) {
    constexpr float kLimit = 9223372036854775808.0F;
    const float at = share * static_cast<float>(size - 1);
    return at >= -kLimit && at < kLimit ? static_cast<std::int64_t>(at)
                                        : std::numeric_limits<std::int64_t>::min();
  }

  std::int64_t begin;
  std::int64_t end;
  std::int64_t first;
  std::int64_t last;
  bool visible;
};

template <class T>
void draw_box(const Sides& rows, const Sides& columns, const T* color, const Tensor& images,
              T* image) {
  const std::int64_t depth = images.dim(3);
  const auto draw = [&](std::int64_t y, std::int64_t x) {
    std::copy_n(color, depth, image + (y * images.dim(2) + x) * depth);
  };
  for (const std::int64_t y : {rows.begin, rows.end}) {
    if (y < 0 || y >= images.dim(1)) continue;
    for (std::int64_t x = columns.first; x <= columns.last; ++x) draw(y, x);
  }
  for (const std::int64_t x : {columns.begin, columns.end}) {
    if (x < 0 || x >= images.dim(2)) continue;
    for (std::int64_t y = rows.first; y <= rows.last; ++y) draw(y, x);
  }
}

template <class T>
void draw_all(const Tensor& boxes, const std::vector<Color>& colors, Tensor& images) {
  const float* box = boxes.data<float>();
  const std::int64_t size = images.dim(1) * images.dim(2) * images.dim(3);
  for (std::int64_t i = 0; i < boxes.dim(0); ++i) {
    T* image = images.mutable_data<T>() + i * size;
    for (std::int64_t k = 0; k < boxes.dim(1); ++k, box += 4) {
      const Sides rows(box[0], box[2], images.dim(1));
      const Sides columns(box[1], box[3], images.dim(2));
      if (!rows.visible || !columns.visible) continue;
      const Color& color = colors[static_cast<std::size_t>(k) % colors.size()];
      std::array<T, 4> pixel;
      std::ranges::transform(color, pixel.begin(), [](float x) { return static_cast<T>(x); });
      draw_box(rows, columns, pixel.data(), images, image);
    }
  }
}

void compute_boxes(KernelContext& c) {
  check_rank(c, 0, 4, "the images");
  check_rank(c, 1, 3, "the boxes");
  const Tensor& images = c.input(0);
  const Tensor& boxes = c.input(1);
  const std::int64_t depth = images.dim(3);
  if (boxes.dim(0) != images.dim(0) || boxes.dim(2) != 4) {
    throw invalid_argument(c.node().op_name,
                           ": the boxes must have shape [images, boxes, 4]. Details: ",
                           boxes.shape(), " for ", images.dim(0), " images.");
  }
  if (depth != 1 && depth != 3 && depth != 4) {
    throw invalid_argument(c.node().op_name,
                           ": the images must have 1, 3 or 4 channels. Details: ", depth, ".");
  }
  const std::vector<Color> colors = colors_of(c, depth);
  Tensor& result = c.output(0, images.shape());
  copy_tensor(c, images, result);
  if (result.num_elements() == 0) return;
  dispatch(TypeList<float, Half>{}, images.dtype(),
           [&]<class T>() { draw_all<T>(boxes, colors, result); });
}

Shapes boxes_shape(ShapeContext& c) {
  const PartialShape images = c.with_rank(0, 4);
  const std::int64_t depth = images.dim(3);
  if (depth >= 0 && depth != 1 && depth != 3 && depth != 4) {
    throw invalid_argument(
        "DrawBoundingBoxes: the images must have 1, 3 or 4 channels. Details: ", depth, ".");
  }
  merge_dims(c.with_rank(1, 3).dim(2), 4, "The size of a box");
  return {images};
}

Shapes boxes_v2_shape(ShapeContext& c) { return {c.at_least_rank(0, 3)}; }

constexpr OpDef kOps[] = {
    {.name = "DrawBoundingBoxes",
     .inputs = "images: T, boxes: float",
     .outputs = "output: T",
     .attrs = "T: {float, half} = float",
     .shape = boxes_shape,
     .kernel = kernel_function<compute_boxes>,
     .differentiable = Differentiable::kNone},
    {.name = "DrawBoundingBoxesV2",
     .inputs = "images: T, boxes: float, colors: float",
     .outputs = "output: T",
     .attrs = "T: {float, half} = float",
     .shape = boxes_v2_shape,
     .kernel = kernel_function<compute_boxes>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_boxes_ops() { return kOps; }

}  // namespace hub
