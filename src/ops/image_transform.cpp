// ImageProjectiveTransform, V2 and V3: each pixel of the result is looked up where a projection
// puts it.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "ops/image_size.h"

namespace hub {
namespace {

enum class FillMode : std::uint8_t { kConstant, kReflect, kWrap, kNearest };

FillMode fill_mode_attr(const KernelInit& init) {
  if (!init.has_attr("fill_mode")) return FillMode::kConstant;
  const std::string& name = init.attr<std::string>("fill_mode");
  if (name == "CONSTANT") return FillMode::kConstant;
  if (name == "REFLECT") return FillMode::kReflect;
  if (name == "WRAP") return FillMode::kWrap;
  if (name == "NEAREST") return FillMode::kNearest;
  throw invalid_argument(init.op(), ": fill_mode must be CONSTANT, REFLECT, WRAP or NEAREST. ",
                         "Details: \"", printable(name), "\".");
}

bool is_bilinear(const KernelInit& init) {
  const std::string& name = init.attr<std::string>("interpolation");
  if (name != "NEAREST" && name != "BILINEAR") {
    throw invalid_argument(init.op(), ": interpolation must be NEAREST or BILINEAR. Details: \"",
                           printable(name), "\".");
  }
  return name == "BILINEAR";
}

// The whole part of x / n.
float quotient(float x, float n) { return std::trunc(x / n); }

// [abcd] continues as dcba|abcd|dcba.
float reflected(float at, float size) {
  if (at >= 0 && at <= size - 1) return at;
  if (size <= 1) return 0;
  const float period = 2 * size;
  if (at < 0) {
    if (at < period) at = period * quotient(-at, period) + at;
    at = at < -size ? at + period : -at - 1;
  } else {
    at -= period * quotient(at, period);
    if (at >= size) at = period - at - 1;
  }
  return std::clamp(at, 0.0F, size - 1);
}

// [abcd] continues as abcd|abcd|abcd.
float wrapped(float at, float size) {
  if (at >= 0 && at <= size - 1) return at;
  if (size <= 1) return 0;
  const float last = size - 1;
  if (at < 0) {
    at += size * (quotient(-at, last) + 1);
  } else {
    at -= size * quotient(at, last);
  }
  return std::clamp(at, 0.0F, last);
}

float mapped(FillMode mode, float at, std::int64_t size) {
  const auto length = static_cast<float>(size);
  switch (mode) {
    case FillMode::kReflect: return reflected(at, length);
    case FillMode::kWrap: return wrapped(at, length);
    case FillMode::kNearest: return std::clamp(at, 0.0F, length - 1);
    case FillMode::kConstant: break;
  }
  return at;
}

struct Place {
  float y;
  float x;
};

// Where `transform` puts a pixel; none at infinity, which is outside of the picture.
std::optional<Place> projected(const float* transform, std::int64_t row, std::int64_t column) {
  const auto y = static_cast<float>(row);
  const auto x = static_cast<float>(column);
  const float depth = transform[6] * x + transform[7] * y + 1.0F;
  if (depth == 0) return std::nullopt;
  const Place place{(transform[3] * x + transform[4] * y + transform[5]) / depth,
                    (transform[0] * x + transform[1] * y + transform[2]) / depth};
  if (!std::isfinite(place.y) || !std::isfinite(place.x)) return std::nullopt;
  return place;
}

template <class T>
T filled(float value) {
  if constexpr (std::is_integral_v<T>) {
    // As the processor does: a number that does not fit is the lowest int64, cut.
    constexpr float kLimit = 9223372036854775808.0F;
    const bool fits = value >= -kLimit && value < kLimit;
    return static_cast<T>(fits ? static_cast<std::int64_t>(value)
                               : std::numeric_limits<std::int64_t>::min());
  } else {
    return static_cast<T>(value);
  }
}

// A picture that has the fill value all around.
template <class T>
struct Picture {
  const T* pixels;
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
  T fill;

  // nullptr outside.
  const T* at(float y, float x) const {
    if (!(y >= 0 && y < static_cast<float>(height) && x >= 0 && x < static_cast<float>(width))) {
      return nullptr;
    }
    return pixels +
           (static_cast<std::int64_t>(y) * width + static_cast<std::int64_t>(x)) * channels;
  }

  void nearest(Place place, T* out) const {
    const T* pixel = at(std::round(place.y), std::round(place.x));
    for (std::int64_t k = 0; k < channels; ++k) out[k] = pixel != nullptr ? pixel[k] : fill;
  }

  void bilinear(Place place, T* out) const {
    const float top = std::floor(place.y);
    const float left = std::floor(place.x);
    const float bottom = top + 1;
    const float right = left + 1;
    const T* corners[4] = {at(top, left), at(top, right), at(bottom, left), at(bottom, right)};
    const auto value = [&](int corner, std::int64_t k) {
      return static_cast<float>(corners[corner] != nullptr ? corners[corner][k] : fill);
    };
    for (std::int64_t k = 0; k < channels; ++k) {
      const float upper = (right - place.x) * value(0, k) + (place.x - left) * value(1, k);
      const float lower = (right - place.x) * value(2, k) + (place.x - left) * value(3, k);
      out[k] = filled<T>((bottom - place.y) * upper + (place.y - top) * lower);
    }
  }
};

class ProjectiveKernel final : public Kernel {
 public:
  explicit ProjectiveKernel(const KernelInit& init)
      : bilinear_(is_bilinear(init)), fill_mode_(fill_mode_attr(init)) {}

  void compute(KernelContext& c) const override {
    check_rank(c, 0, 4, "the images");
    const Tensor& images = c.input(0);
    const Tensor& transforms = c.input(1);
    if (transforms.rank() != 2 || transforms.dim(1) != 8 ||
        (transforms.dim(0) != 1 && transforms.dim(0) != images.dim(0))) {
      throw invalid_argument(c.node().op_name,
                             ": the transforms must have shape [1, 8] or [images, 8]. Details: ",
                             transforms.shape(), " for ", images.dim(0), " images.");
    }
    const ImageSize size = c.num_inputs() > 2 ? size_input(c, 2, "output_shape")
                                              : ImageSize{images.dim(1), images.dim(2)};
    const float fill = c.num_inputs() > 3 ? float_scalar(c, 3, "fill_value") : 0.0F;
    Tensor& result = c.output(0, Shape{images.dim(0), size.height, size.width, images.dim(3)});
    if (result.num_elements() == 0) return;
    dispatch(TypeList<float, std::uint8_t, std::int32_t, std::int64_t, Half, double>{},
             images.dtype(), [&]<class T>() { transform<T>(c, images, filled<T>(fill), result); });
  }

 private:
  template <class T>
  void transform(KernelContext& c, const Tensor& images, T fill, Tensor& result) const {
    const Tensor& transforms = c.input(1);
    const std::int64_t channels = images.dim(3);
    const std::int64_t image_size = images.dim(1) * images.dim(2) * channels;
    const std::int64_t height = result.dim(1);
    const std::int64_t width = result.dim(2);
    c.parallel_for(result.dim(0) * height, static_cast<double>(width * (channels * 4 + 10)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const std::int64_t image = row / height;
                       const Picture<T> picture{images.data<T>() + image * image_size,
                                                images.dim(1), images.dim(2), channels, fill};
                       const float* matrix =
                           transforms.data<float>() + (transforms.dim(0) == 1 ? 0 : image * 8);
                       T* to = result.mutable_data<T>() + row * width * channels;
                       for (std::int64_t x = 0; x < width; ++x, to += channels) {
                         write_pixel(picture, projected(matrix, row % height, x), to);
                       }
                     }
                   });
  }

  template <class T>
  void write_pixel(const Picture<T>& picture, const std::optional<Place>& place, T* to) const {
    if (!place) {
      std::fill_n(to, picture.channels, picture.fill);
      return;
    }
    const Place at{mapped(fill_mode_, place->y, picture.height),
                   mapped(fill_mode_, place->x, picture.width)};
    if (bilinear_) {
      picture.bilinear(at, to);
    } else {
      picture.nearest(at, to);
    }
  }

  bool bilinear_;
  FillMode fill_mode_;
};

Shapes projective_shape(ShapeContext& c) {
  const PartialShape images = c.with_rank(0, 4);
  return sized_images_shape(c, images.dim(0), 2, images.dim(3));
}

Shapes same_size_shape(ShapeContext& c) { return {c.with_rank(0, 4)}; }

constexpr OpDef kOps[] = {
    {.name = "ImageProjectiveTransform",
     .inputs = "images: dtype, transforms: float",
     .outputs = "transformed_images: dtype",
     .attrs = "dtype: {uint8, int32, int64, half, float, double}; interpolation: string",
     .shape = same_size_shape,
     .kernel = make_kernel<ProjectiveKernel>},
    {.name = "ImageProjectiveTransformV2",
     .inputs = "images: dtype, transforms: float, output_shape: int32",
     .outputs = "transformed_images: dtype",
     .attrs = "dtype: {uint8, int32, int64, half, float, double}; interpolation: string; "
              "fill_mode: string = 'CONSTANT'",
     .shape = projective_shape,
     .kernel = make_kernel<ProjectiveKernel>},
    {.name = "ImageProjectiveTransformV3",
     .inputs = "images: dtype, transforms: float, output_shape: int32, fill_value: float",
     .outputs = "transformed_images: dtype",
     .attrs = "dtype: {uint8, int32, int64, half, float, double}; interpolation: string; "
              "fill_mode: string = 'CONSTANT'",
     .shape = projective_shape,
     .kernel = make_kernel<ProjectiveKernel>},
};

}  // namespace

OpFamily image_transform_ops() { return kOps; }

}  // namespace hub
