// Colours of pictures: contrast, hue, saturation, and the spaces RGB and HSV.

#include <algorithm>
#include <cmath>

#include "ops/image_size.h"
#include "ops/wide.h"

namespace hub {
namespace {

// As in TensorFlow, only pictures of floats can be adjusted.
void check_pictures(const KernelContext& c) {
  dispatch(TypeList<float>{}, c.input(0).dtype(), []<class T>() {});
  if (c.input(0).rank() < 3) {
    throw invalid_argument(c.node().op_name,
                           ": the pictures must have rank 3 or more. Details: the shape is ",
                           c.input(0).shape(), ".");
  }
}

void check_three_channels(const KernelContext& c, const Tensor& images, ErrorCode code) {
  if (images.dim(images.rank() - 1) != 3) {
    throw Error(code, cat(c.node().op_name,
                          ": the last dimension must be the three channels. Details: the shape is ",
                          images.shape(), "."));
  }
}

// The mean of each channel, in TensorFlow's order: the upper half of the pixels is added to
// the lower half until one is left. `sums` has room for the picture.
void channel_means(const float* image, std::int64_t pixels, std::int64_t channels, float* sums,
                   float* means) {
  std::int64_t left = pixels;
  bool first = true;
  do {
    const std::int64_t right = left / 2;
    left -= right;
    const float* a = first ? image : sums;
    const float* b = a + left * channels;
    for_lanes(right * channels, [=](std::int64_t i) { sums[i] = a[i] + b[i]; });
    if (first && left > right) {
      std::copy_n(a + right * channels, channels, sums + right * channels);
    }
    first = false;
  } while (left > 1);
  const float factor = 1.0F / static_cast<float>(pixels);
  for (std::int64_t k = 0; k < channels; ++k) means[k] = sums[k] * factor;
}

void compute_contrast(KernelContext& c) {
  check_pictures(c);
  const Tensor& images = c.input(0);
  const float factor = float_scalar(c, 1, "contrast_factor");
  Tensor& result = c.output(0, images.shape());
  if (result.num_elements() == 0) return;
  const int rank = images.rank();
  const std::int64_t channels = images.dim(rank - 1);
  const std::int64_t pixels = images.dim(rank - 3) * images.dim(rank - 2);
  const std::int64_t size = pixels * channels;
  c.parallel_for(images.num_elements() / size, static_cast<double>(size),
                 [&](std::int64_t begin, std::int64_t end) {
                   std::vector<float> means(static_cast<std::size_t>(channels));
                   for (std::int64_t i = begin; i < end; ++i) {
                     const float* from = images.data<float>() + i * size;
                     float* to = result.mutable_data<float>() + i * size;
                     channel_means(from, pixels, channels, to, means.data());
                     for (std::int64_t p = 0; p < size; p += channels) {
                       for (std::int64_t k = 0; k < channels; ++k) {
                         const float mean = means[static_cast<std::size_t>(k)];
                         to[p + k] = mean + (from[p + k] - mean) * factor;
                       }
                     }
                   }
                 });
}

// A colour as its hue in [0, 6) and its smallest and largest component.
struct HueRange {
  float hue;
  float low;
  float high;
};

HueRange hue_range(float r, float g, float b) {
  float high, middle, low;
  int sixth;
  if (r < g) {
    if (b < r) {
      high = g, middle = r, low = b, sixth = 1;
    } else if (b > g) {
      high = b, middle = g, low = r, sixth = 3;
    } else {
      high = g, middle = b, low = r, sixth = 2;
    }
  } else if (b < g) {
    high = r, middle = g, low = b, sixth = 0;
  } else if (b > r) {
    high = b, middle = r, low = g, sixth = 4;
  } else {
    high = r, middle = b, low = g, sixth = 5;
  }
  if (high == low) return {0, low, high};
  const float ratio = (middle - low) / (high - low);
  return {static_cast<float>(sixth) + (sixth % 2 == 0 ? ratio : 1 - ratio), low, high};
}

// The whole part of a hue in [0, 6]; 5 for NaN.
int sixth_of(float hue) { return hue >= 0 && hue < 6 ? static_cast<int>(hue) : 5; }

void write_hue(const HueRange& color, float* rgb) {
  const int sixth = sixth_of(color.hue);
  float ratio = color.hue - static_cast<float>(sixth);
  if (sixth % 2 != 0) ratio = 1 - ratio;
  const float middle = color.low + ratio * (color.high - color.low);
  // Where the largest, the middle and the smallest component stand.
  static constexpr std::uint8_t kPlaces[6][3] = {{0, 1, 2}, {1, 0, 2}, {1, 2, 0},
                                                 {2, 1, 0}, {2, 0, 1}, {0, 2, 1}};
  rgb[kPlaces[sixth][0]] = color.high;
  rgb[kPlaces[sixth][1]] = middle;
  rgb[kPlaces[sixth][2]] = color.low;
}

// Runs `body(from, to)` for each pixel of three floats.
template <class Body>
void for_each_pixel(KernelContext& c, const Tensor& images, Tensor& result, Body&& body) {
  c.parallel_for(images.num_elements() / 3, 10, [&](std::int64_t begin, std::int64_t end) {
    const float* from = images.data<float>();
    float* to = result.mutable_data<float>();
    for (std::int64_t i = begin * 3; i < end * 3; i += 3) body(from + i, to + i);
  });
}

// Turned back into [0, 6).
float turned(float hue) {
  constexpr float kFull = 6;
  if (std::abs(hue) >= 2 * kFull) hue = std::fmod(hue, kFull);  // exact, as steps of six are
  while (hue < 0) hue += kFull;
  while (hue >= kFull) hue -= kFull;
  return hue;
}

void compute_hue(KernelContext& c) {
  check_pictures(c);
  const Tensor images = c.take_input(0);
  const float delta = float_scalar(c, 1, "delta") * 6;
  check_three_channels(c, images, ErrorCode::kInvalidArgument);
  for_each_pixel(c, images, c.output(0, images.shape()), [=](const float* from, float* to) {
    HueRange color = hue_range(from[0], from[1], from[2]);
    color.hue = turned(color.hue + delta);
    write_hue(color, to);
  });
}

struct Hsv {
  float hue;  // in [0, 1]
  float saturation;
  float value;
};

Hsv to_hsv(float r, float g, float b) {
  const float value = std::max(r, std::max(g, b));
  const float range = value - std::min(r, std::min(g, b));
  const float norm = 1.0F / (6.0F * range);
  float hue;
  if (r == value) {
    hue = norm * (g - b);
  } else if (g == value) {
    hue = static_cast<float>(static_cast<double>(norm * (b - r)) + 2.0 / 6.0);
  } else {
    hue = static_cast<float>(static_cast<double>(norm * (r - g)) + 4.0 / 6.0);
  }
  if (range <= 0) hue = 0;
  if (hue < 0) hue += 1;
  return {hue, value > 0 ? range / value : 0, value};
}

void write_hsv(const Hsv& color, float* rgb) {
  const float chroma = color.saturation * color.value;
  const float least = color.value - chroma;
  const float hue = color.hue * 6;
  // A hue of exactly 6 is black in TensorFlow.
  const int sixth = hue >= 0 && hue < 6 ? static_cast<int>(hue) : 6;
  static constexpr std::uint8_t kPlaces[6][2] = {{0, 1}, {1, 0}, {1, 2}, {2, 1}, {2, 0}, {0, 2}};
  rgb[0] = rgb[1] = rgb[2] = 0;
  if (sixth < 6) {
    float wave = hue;
    if (wave <= 0) wave += 2;
    while (wave >= 2) wave -= 2;
    const float other = chroma * (1 - std::abs(wave - 1));
    rgb[kPlaces[sixth][0]] = chroma;
    rgb[kPlaces[sixth][1]] = other;
  }
  for (int k = 0; k < 3; ++k) rgb[k] += least;
}

void compute_saturation(KernelContext& c) {
  check_pictures(c);
  const Tensor& images = c.input(0);
  const float scale = float_scalar(c, 1, "scale");
  check_three_channels(c, images, ErrorCode::kInvalidArgument);
  for_each_pixel(c, images, c.output(0, images.shape()), [=](const float* from, float* to) {
    Hsv color = to_hsv(from[0], from[1], from[2]);
    color.saturation = std::min(1.0F, std::max(0.0F, color.saturation * scale));
    write_hsv(color, to);
  });
}

// A number that is rounded to T after each operation.
template <class T>
struct Rounded {
  using Value = Wide<T>;
  Value value;

  Rounded(Value given) : value(static_cast<Value>(static_cast<T>(given))) {}  // NOLINT
  friend Rounded operator+(Rounded a, Rounded b) { return a.value + b.value; }
  friend Rounded operator-(Rounded a, Rounded b) { return a.value - b.value; }
  friend Rounded operator*(Rounded a, Rounded b) { return a.value * b.value; }
  friend Rounded operator/(Rounded a, Rounded b) { return a.value / b.value; }
  friend bool operator<(Rounded a, Rounded b) { return a.value < b.value; }
  friend bool operator==(Rounded a, Rounded b) { return a.value == b.value; }
};

template <class T>
void rgb_to_hsv(const T* from, T* to) {
  using R = Rounded<T>;
  using Value = typename R::Value;
  const R r(static_cast<Value>(from[0])), g(static_cast<Value>(from[1])),
      b(static_cast<Value>(from[2]));
  const R zero(0), six(6);
  const R value = std::max(r, std::max(g, b));
  const R range = value - std::min(r, std::min(g, b));
  const R saturation = zero < value ? range / value : zero;
  R hue = zero;
  if (zero < range) {
    const R norm = R(1) / range * (R(1) / six);
    hue = r == value   ? norm * (g - b)
          : g == value ? norm * (b - r) + R(2) / six
                       : norm * (r - g) + R(4) / six;
  }
  if (hue < zero) hue = hue + R(1);
  to[0] = static_cast<T>(hue.value);
  to[1] = static_cast<T>(saturation.value);
  to[2] = static_cast<T>(value.value);
}

template <class T>
void hsv_to_rgb(const T* from, T* to) {
  using R = Rounded<T>;
  using Value = typename R::Value;
  const R hue(static_cast<Value>(from[0])), saturation(static_cast<Value>(from[1])),
      value(static_cast<Value>(from[2]));
  const R sixths = hue * R(6);
  const R rest = R(1) - saturation;
  const auto distance = [&](Value center) { return R(std::abs((sixths - R(center)).value)); };
  const auto write = [&](int channel, R share) {
    share = std::min(std::max(share, R(0)), R(1));
    to[channel] = static_cast<T>(((rest + saturation * share) * value).value);
  };
  write(0, distance(3) - R(1));
  write(1, R(2) - distance(2));
  write(2, R(2) - distance(4));
}

template <bool kToHsv>
void compute_color_space(KernelContext& c) {
  const Tensor& images = c.input(0);
  if (images.rank() < 1) {
    throw invalid_argument(c.node().op_name, ": the pictures must not be a scalar.");
  }
  check_three_channels(c, images, ErrorCode::kFailedPrecondition);
  Tensor& result = c.output(0, images.shape());
  dispatch(Floats{}, images.dtype(), [&]<class T>() {
    c.parallel_for(images.num_elements() / 3, 12, [&](std::int64_t begin, std::int64_t end) {
      const T* from = images.data<T>();
      T* to = result.mutable_data<T>();
      for (std::int64_t i = begin * 3; i < end * 3; i += 3) {
        if constexpr (kToHsv) {
          rgb_to_hsv(from + i, to + i);
        } else {
          hsv_to_rgb(from + i, to + i);
        }
      }
    });
  });
}

Shapes pictures_shape(ShapeContext& c) { return {c.at_least_rank(0, 3)}; }

Shapes contrast_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  return pictures_shape(c);
}

Shapes color_space_shape(ShapeContext& c) {
  const PartialShape images = c.at_least_rank(0, 1);
  if (!images.has_rank()) return {images};
  const int last = images.rank() - 1;
  return {replace_dim(images, last, merge_dims(images.dim(last), 3, "The number of channels"))};
}

constexpr OpDef kOps[] = {
    {.name = "AdjustContrastv2",
     .inputs = "images: T, contrast_factor: float",
     .outputs = "output: T",
     .attrs = "T: {half, float} = float",
     .shape = contrast_shape,
     .kernel = kernel_function<compute_contrast>,
     .differentiable = Differentiable::kRefused},
    {.name = "AdjustHue",
     .inputs = "images: T, delta: float",
     .outputs = "output: T",
     .attrs = "T: {half, float} = float",
     .shape = pictures_shape,
     .kernel = kernel_function<compute_hue>,
     .differentiable = Differentiable::kRefused},
    {.name = "AdjustSaturation",
     .inputs = "images: T, scale: float",
     .outputs = "output: T",
     .attrs = "T: {half, float} = float",
     .shape = pictures_shape,
     .kernel = kernel_function<compute_saturation>,
     .differentiable = Differentiable::kRefused},
    {.name = "HSVToRGB",
     .inputs = "images: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double} = float",
     .shape = color_space_shape,
     .kernel = kernel_function<compute_color_space<false>>,
     .differentiable = Differentiable::kNone},
    {.name = "RGBToHSV",
     .inputs = "images: T",
     .outputs = "output: T",
     .attrs = "T: {half, bfloat16, float, double} = float",
     .shape = color_space_shape,
     .kernel = kernel_function<compute_color_space<true>>},
};

}  // namespace

OpFamily image_color_ops() { return kOps; }

}  // namespace hub
