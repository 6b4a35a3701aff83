// CropAndResize and its gradients.

#include <algorithm>
#include <optional>

#include "ops/elements.h"
#include "ops/image_resize.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

// Where the rows (or columns) of a crop lie in the picture: single precision, but for crops of
// one row.
struct CropAxis {
  CropAxis(float begin, float end, std::int64_t in, std::int64_t crop)
      : last(static_cast<float>(in - 1)),
        count(crop),
        first(begin * last),
        step(crop > 1 ? (end - begin) * last / static_cast<float>(crop - 1) : 0.0F),
        middle(static_cast<float>(0.5 * static_cast<double>(begin + end) *
                                  static_cast<double>(in - 1))) {}

  // None outside of the picture.
  std::optional<float> position(std::int64_t i) const {
    const float at = count > 1 ? first + static_cast<float>(i) * step : middle;
    if (!(at >= 0 && at <= last)) return std::nullopt;
    return at;
  }

  float last;
  std::int64_t count;
  float first;
  float step;
  float middle;
};

// A position between two pixels.
struct Between {
  explicit Between(float position)
      : lower(static_cast<std::int64_t>(std::floor(position))),
        upper(static_cast<std::int64_t>(std::ceil(position))),
        share(position - static_cast<float>(lower)) {}
  std::int64_t lower;
  std::int64_t upper;
  float share;
};

std::int64_t nearest(float position) { return static_cast<std::int64_t>(std::round(position)); }

// The boxes and their pictures, checked.
struct Boxes {
  std::int64_t count;
  const float* corners;  // y1, x1, y2, x2
  const std::int32_t* images;

  CropAxis rows(std::int64_t box, std::int64_t height, std::int64_t crop) const {
    return {corners[box * 4], corners[box * 4 + 2], height, crop};
  }
  CropAxis columns(std::int64_t box, std::int64_t width, std::int64_t crop) const {
    return {corners[box * 4 + 1], corners[box * 4 + 3], width, crop};
  }
};

Boxes boxes_of(const KernelContext& c, int boxes_input, int index_input, std::int64_t batch) {
  const Tensor& boxes = c.input(boxes_input);
  const Tensor& index = c.input(index_input);
  if (boxes.rank() != 2 || index.rank() != 1 || index.dim(0) != boxes.dim(0) ||
      (boxes.dim(1) != 4 && boxes.num_elements() != 0)) {
    throw invalid_argument(c.node().op_name,
                           ": boxes must have shape [boxes, 4], box_ind one number for each. "
                           "Details: the shapes are ",
                           boxes.shape(), " and ", index.shape(), ".");
  }
  for (const std::int32_t image : index.values<std::int32_t>()) {
    if (image < 0 || image >= batch) {
      throw out_of_range(c.node().op_name, ": box_ind must be in [0, ", batch,
                         "), the pictures. Details: it holds ", image, ".");
    }
  }
  return {boxes.dim(0), boxes.data<float>(), index.data<std::int32_t>()};
}

void check_finite(const KernelContext& c, const Tensor& boxes) {
  if (!std::ranges::all_of(boxes.values<float>(), [](float x) { return std::isfinite(x); })) {
    throw invalid_argument(c.node().op_name, ": the boxes must be finite.");
  }
}

void check_positive_sides(const KernelContext& c, const Tensor& images, std::string_view what) {
  if (images.dim(1) <= 0 || images.dim(2) <= 0) {
    throw invalid_argument(c.node().op_name, ": ", what,
                           " must not be empty. Details: its shape is ", images.shape(), ".");
  }
}

enum class CropMethod : std::uint8_t { kBilinear, kNearest };

CropMethod crop_method(const KernelInit& init) {
  return init.attr<std::string>("method") == "nearest" ? CropMethod::kNearest
                                                       : CropMethod::kBilinear;
}

class CropKernel final : public Kernel {
 public:
  explicit CropKernel(const KernelInit& init)
      : method_(crop_method(init)), outside_(init.attr<float>("extrapolation_value")) {}

  void compute(KernelContext& c) const override {
    check_rank(c, 0, 4, "the image");
    const Tensor& images = c.input(0);
    check_positive_sides(c, images, "the image");
    check_rank(c, 1, 2, "boxes");
    check_rank(c, 2, 1, "box_ind");
    const ImageSize crop = size_input(c, 3, "the crop's size");
    const Boxes boxes = boxes_of(c, 1, 2, images.dim(0));
    check_finite(c, c.input(1));
    Tensor& result = c.output(0, Shape{boxes.count, crop.height, crop.width, images.dim(3)});
    if (result.num_elements() == 0) return;
    dispatch(PictureTypes{}, images.dtype(),
             [&]<class T>() { crop_all<T>(c, images, boxes, crop, result); });
  }

 private:
  template <class T>
  void crop_all(KernelContext& c, const Tensor& images, const Boxes& boxes, const ImageSize& crop,
                Tensor& result) const {
    const std::int64_t channels = images.dim(3);
    const std::int64_t row_size = crop.width * channels;
    const std::int64_t image_size = images.dim(1) * images.dim(2) * channels;
    c.parallel_for(boxes.count * crop.height, static_cast<double>(row_size) * 3,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const std::int64_t box = row / crop.height;
                       const auto y =
                           boxes.rows(box, images.dim(1), crop.height).position(row % crop.height);
                       float* to = result.mutable_data<float>() + row * row_size;
                       if (!y) {
                         std::fill_n(to, row_size, outside_);
                         continue;
                       }
                       const T* image = images.data<T>() + boxes.images[box] * image_size;
                       const CropAxis columns = boxes.columns(box, images.dim(2), crop.width);
                       crop_row(image, images, *y, columns, to);
                     }
                   });
  }

  template <class T>
  void crop_row(const T* image, const Tensor& images, float y, const CropAxis& columns,
                float* to) const {
    const std::int64_t channels = images.dim(3);
    const std::int64_t row_size = images.dim(2) * channels;
    const Between rows(y);
    const T* top = image + rows.lower * row_size;
    const T* bottom = image + rows.upper * row_size;
    const T* closest = image + nearest(y) * row_size;
    for (std::int64_t i = 0; i < columns.count; ++i, to += channels) {
      const auto x = columns.position(i);
      if (!x) {
        std::fill_n(to, channels, outside_);
        continue;
      }
      if (method_ == CropMethod::kNearest) {
        const T* pixel = closest + nearest(*x) * channels;
        for (std::int64_t k = 0; k < channels; ++k) to[k] = static_cast<float>(pixel[k]);
        continue;
      }
      const Between at(*x);
      const std::int64_t left = at.lower * channels;
      const std::int64_t right = at.upper * channels;
      for (std::int64_t k = 0; k < channels; ++k) {
        const float upper = mix(top[left + k], top[right + k], at.share);
        const float lower = mix(bottom[left + k], bottom[right + k], at.share);
        to[k] = mix(upper, lower, rows.share);
      }
    }
  }

  template <class T>
  static float mix(T a, T b, float share) {
    return static_cast<float>(a) + (static_cast<float>(b) - static_cast<float>(a)) * share;
  }

  CropMethod method_;
  float outside_;
};

// The boxes of a picture are taken in their order, whatever the number of threads.
class CropGradImageKernel final : public Kernel {
 public:
  explicit CropGradImageKernel(const KernelInit& init) : method_(crop_method(init)) {}

  void compute(KernelContext& c) const override {
    check_rank(c, 0, 4, "the gradient");
    const Tensor& grads = c.input(0);
    check_positive_sides(c, grads, "the gradient");
    const std::vector<std::int64_t> size = integer_vector(c, 3, "image_size");
    if (c.input(3).rank() != 1 || size.size() != 4 || size[0] < 0 || size[1] <= 0 || size[2] <= 0 ||
        size[3] != grads.dim(3)) {
      throw invalid_argument(
          "CropAndResizeGradImage: image_size must be four numbers that fit the "
          "gradient. Details: [",
          join(size), "] for a gradient of shape ", grads.shape(), ".");
    }
    const Boxes boxes = boxes_of(c, 1, 2, size[0]);
    check_count(c, boxes, grads);
    Tensor& result = c.output(0, Shape(size));
    zero_tensor(c, result);
    if (result.num_elements() == 0) return;
    dispatch(TypeList<float, Half, double>{}, result.dtype(),
             [&]<class T>() { add_all<T>(c, grads, boxes, result); });
  }

  static void check_count(const KernelContext& c, const Boxes& boxes, const Tensor& grads) {
    if (grads.dim(0) != boxes.count) {
      throw invalid_argument(c.node().op_name,
                             ": there must be a gradient for each box. Details: ", grads.dim(0),
                             " for ", boxes.count, ".");
    }
  }

 private:
  template <class T>
  void add_all(KernelContext& c, const Tensor& grads, const Boxes& boxes, Tensor& result) const {
    const std::int64_t image_size = result.num_elements() / result.dim(0);
    const std::int64_t crop_size = grads.dim(1) * grads.dim(2) * grads.dim(3);
    c.parallel_for(result.dim(0), static_cast<double>(grads.num_elements()) * 5,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t box = 0; box < boxes.count; ++box) {
                       const std::int64_t image = boxes.images[box];
                       if (image < begin || image >= end) continue;
                       add_box(grads, grads.data<float>() + box * crop_size, boxes, box, result,
                               result.mutable_data<T>() + image * image_size);
                     }
                   });
  }

  template <class T>
  void add_box(const Tensor& grads, const float* grad, const Boxes& boxes, std::int64_t box,
               const Tensor& result, T* image) const {
    const std::int64_t channels = grads.dim(3);
    const std::int64_t row_size = result.dim(2) * channels;
    const CropAxis rows = boxes.rows(box, result.dim(1), grads.dim(1));
    const CropAxis columns = boxes.columns(box, result.dim(2), grads.dim(2));
    for (std::int64_t i = 0; i < grads.dim(1); ++i) {
      const auto y = rows.position(i);
      for (std::int64_t j = 0; j < grads.dim(2); ++j, grad += channels) {
        const auto x = columns.position(j);
        if (!x || !y) continue;
        if (method_ == CropMethod::kNearest) {
          T* pixel = image + nearest(*y) * row_size + nearest(*x) * channels;
          for (std::int64_t k = 0; k < channels; ++k) add(pixel[k], grad[k]);
        } else {
          add_mixed(grad, channels, Between(*y), Between(*x), row_size, image);
        }
      }
    }
  }

  template <class T>
  static void add(T& sum, float value) {
    sum = wrapping_add(sum, static_cast<T>(value));
  }

  template <class T>
  static void add_mixed(const float* grad, std::int64_t channels, const Between& y,
                        const Between& x, std::int64_t row_size, T* image) {
    T* top = image + y.lower * row_size;
    T* bottom = image + y.upper * row_size;
    const std::int64_t left = x.lower * channels;
    const std::int64_t right = x.upper * channels;
    for (std::int64_t k = 0; k < channels; ++k) {
      const float upper = (1 - y.share) * grad[k];
      add(top[left + k], (1 - x.share) * upper);
      add(top[right + k], x.share * upper);
      const float lower = y.share * grad[k];
      add(bottom[left + k], (1 - x.share) * lower);
      add(bottom[right + k], x.share * lower);
    }
  }

  CropMethod method_;
};

// The gradient to one box.
template <class T>
class BoxGradient {
 public:
  BoxGradient(const Tensor& grads, const Tensor& images, const Boxes& boxes, std::int64_t box)
      : channels_(grads.dim(3)),
        crop_height_(grads.dim(1)),
        crop_width_(grads.dim(2)),
        last_row_(static_cast<float>(images.dim(1) - 1)),
        last_column_(static_cast<float>(images.dim(2) - 1)),
        height_ratio_(ratio(last_row_, crop_height_)),
        width_ratio_(ratio(last_column_, crop_width_)),
        row_size_(images.dim(2) * channels_),
        grad_(grads.data<float>() + box * crop_height_ * crop_width_ * channels_),
        image_(images.data<T>() + boxes.images[box] * images.dim(1) * row_size_),
        corners_(boxes.corners + box * 4) {}

  // Unlike the forward op, this one multiplies by the ratio of the sizes.
  void add(float* sums) const {
    const float height_step = crop_height_ > 1 ? (corners_[2] - corners_[0]) * height_ratio_ : 0;
    const float width_step = crop_width_ > 1 ? (corners_[3] - corners_[1]) * width_ratio_ : 0;
    for (std::int64_t i = 0; i < crop_height_; ++i) {
      const float y = position(i, crop_height_, corners_[0], corners_[2], last_row_, height_step);
      if (!(y >= 0 && y <= last_row_)) continue;
      for (std::int64_t j = 0; j < crop_width_; ++j) {
        const float x =
            position(j, crop_width_, corners_[1], corners_[3], last_column_, width_step);
        if (!(x >= 0 && x <= last_column_)) continue;
        add_pixel(i, j, Between(y), Between(x), sums);
      }
    }
  }

 private:
  static float ratio(float last, std::int64_t crop) {
    return crop > 1 ? last / static_cast<float>(crop - 1) : 0.0F;
  }
  static float position(std::int64_t i, std::int64_t count, float begin, float end, float last,
                        float step) {
    if (count > 1) return begin * last + static_cast<float>(i) * step;
    return static_cast<float>(0.5 * static_cast<double>(begin + end) * static_cast<double>(last));
  }

  void add_pixel(std::int64_t i, std::int64_t j, const Between& y, const Between& x,
                 float* sums) const {
    const T* top = image_ + y.lower * row_size_;
    const T* bottom = image_ + y.upper * row_size_;
    const float* grad = grad_ + (i * crop_width_ + j) * channels_;
    for (std::int64_t k = 0; k < channels_; ++k) {
      const auto top_left = static_cast<float>(top[x.lower * channels_ + k]);
      const auto top_right = static_cast<float>(top[x.upper * channels_ + k]);
      const auto bottom_left = static_cast<float>(bottom[x.lower * channels_ + k]);
      const auto bottom_right = static_cast<float>(bottom[x.upper * channels_ + k]);
      const float down =
          ((1 - x.share) * (bottom_left - top_left) + x.share * (bottom_right - top_right)) *
          grad[k];
      const float right =
          ((1 - y.share) * (top_right - top_left) + y.share * (bottom_right - bottom_left)) *
          grad[k];
      add_axis(down, i, crop_height_, last_row_, height_ratio_, sums[0], sums[2]);
      add_axis(right, j, crop_width_, last_column_, width_ratio_, sums[1], sums[3]);
    }
  }

  static void add_axis(float slope, std::int64_t i, std::int64_t count, float last, float ratio,
                       float& begin, float& end) {
    if (count > 1) {
      const float share = static_cast<float>(i) * ratio;
      begin += slope * (last - share);
      end += slope * share;
    } else {
      const double half = static_cast<double>(slope) * 0.5 * static_cast<double>(last);
      begin = static_cast<float>(static_cast<double>(begin) + half);
      end = static_cast<float>(static_cast<double>(end) + half);
    }
  }

  std::int64_t channels_;
  std::int64_t crop_height_;
  std::int64_t crop_width_;
  float last_row_;
  float last_column_;
  float height_ratio_;
  float width_ratio_;
  std::int64_t row_size_;
  const float* grad_;
  const T* image_;
  const float* corners_;
};

void compute_grad_boxes(KernelContext& c) {
  check_rank(c, 0, 4, "the gradient");
  check_rank(c, 1, 4, "the image");
  const Tensor& grads = c.input(0);
  const Tensor& images = c.input(1);
  check_positive_sides(c, grads, "the gradient");
  check_positive_sides(c, images, "the image");
  if (images.dim(3) != grads.dim(3)) {
    throw invalid_argument(
        "CropAndResizeGradBoxes: the image and the gradient must have as many "
        "channels. Details: ",
        images.dim(3), " and ", grads.dim(3), ".");
  }
  const Boxes boxes = boxes_of(c, 2, 3, images.dim(0));
  CropGradImageKernel::check_count(c, boxes, grads);
  Tensor& result = c.output(0, Shape{boxes.count, 4});
  std::ranges::fill(result.mutable_values<float>(), 0.0F);
  if (result.num_elements() == 0) return;
  dispatch(PictureTypes{}, images.dtype(), [&]<class T>() {
    const double cost = static_cast<double>(grads.num_elements() / boxes.count) * 5;
    c.parallel_for(boxes.count, cost, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t box = begin; box < end; ++box) {
        BoxGradient<T>(grads, images, boxes, box).add(result.mutable_data<float>() + box * 4);
      }
    });
  });
}

Shapes crop_shape(ShapeContext& c) {
  const PartialShape images = c.with_rank(0, 4);
  const PartialShape boxes = c.with_rank(1, 2);
  const PartialShape index = c.with_rank(2, 1);
  merge_dims(boxes.dim(1), 4, "The size of a box");
  return sized_images_shape(c, merge_dims(boxes.dim(0), index.dim(0), "The numbers of boxes"), 3,
                            images.dim(3));
}

Shapes crop_grad_image_shape(ShapeContext& c) {
  const PartialShape shape = c.input_as_shape(3);
  if (!shape.has_rank()) return {PartialShape::unknown_dims(4)};
  if (shape.rank() != 4) {
    throw invalid_argument(
        "CropAndResizeGradImage: image_size must hold four numbers. Details: ", shape.rank(), ".");
  }
  return {shape};
}

Shapes crop_grad_boxes_shape(ShapeContext& c) { return {c.input(2)}; }

constexpr OpDef kOps[] = {
    {.name = "CropAndResize",
     .inputs = "image: T, boxes: float, box_ind: int32, crop_size: int32",
     .outputs = "crops: float",
     .attrs = "T: {uint8, uint16, int8, int16, int32, int64, half, float, double}; "
              "method: {'bilinear', 'nearest'} = 'bilinear'; extrapolation_value: float = 0.0",
     .shape = crop_shape,
     .kernel = make_kernel<CropKernel>},
    {.name = "CropAndResizeGradBoxes",
     .inputs = "grads: float, image: T, boxes: float, box_ind: int32",
     .outputs = "output: float",
     .attrs = "T: {uint8, uint16, int8, int16, int32, int64, half, float, double}; "
              "method: {'bilinear'} = 'bilinear'",
     .shape = crop_grad_boxes_shape,
     .kernel = kernel_function<compute_grad_boxes>,
     .differentiable = Differentiable::kRefused},
    {.name = "CropAndResizeGradImage",
     .inputs = "grads: float, boxes: float, box_ind: int32, image_size: int32",
     .outputs = "output: T",
     .attrs = "T: {float, half, double}; method: {'bilinear', 'nearest'} = 'bilinear'",
     .shape = crop_grad_image_shape,
     .kernel = make_kernel<CropGradImageKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_crop_ops() { return kOps; }

}  // namespace hub
