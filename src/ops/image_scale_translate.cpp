// ScaleAndTranslate: resampling with a kernel, and its gradient.

#include <algorithm>
#include <cstring>
#include <limits>

#include "ops/image_resize.h"

namespace hub {
namespace {

enum class Sampling : std::uint8_t {
  kLanczos1,
  kLanczos3,
  kLanczos5,
  kGaussian,
  kBox,
  kTriangle,
  kKeysCubic,
  kMitchellCubic,
};

constexpr std::pair<std::string_view, Sampling> kSamplings[] = {
    {"lanczos1", Sampling::kLanczos1},
    {"lanczos3", Sampling::kLanczos3},
    {"lanczos5", Sampling::kLanczos5},
    {"gaussian", Sampling::kGaussian},
    {"box", Sampling::kBox},
    {"triangle", Sampling::kTriangle},
    {"keyscubic", Sampling::kKeysCubic},
    {"mitchellcubic", Sampling::kMitchellCubic},
};

Sampling sampling_attr(const KernelInit& init) {
  std::string name = init.attr<std::string>("kernel_type");
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const auto& [known, sampling] : kSamplings) {
    if (known == name) return sampling;
  }
  throw invalid_argument(init.op(), ": the kernel type is not known. Details: \"", printable(name),
                         "\".");
}

float radius_of(Sampling sampling) {
  switch (sampling) {
    case Sampling::kLanczos3: return 3;
    case Sampling::kLanczos5: return 5;
    case Sampling::kGaussian: return 1.5F;
    case Sampling::kKeysCubic:
    case Sampling::kMitchellCubic: return 2;
    default: return 1;
  }
}

float lanczos(float radius, float x) {
  constexpr float kPi = 3.14159265359F;
  if (x > radius) return 0;
  if (x <= 1e-3) return 1;
  return radius * std::sin(kPi * x) * std::sin(kPi * x / radius) / (kPi * kPi * x * x);
}

float gaussian(float x) {
  constexpr float kRadius = 1.5F;
  constexpr float kSigma = kRadius / 3.0F;
  if (x >= kRadius) return 0;
  return static_cast<float>(
      std::exp(static_cast<double>(-x * x) / (2.0 * double{kSigma} * double{kSigma})));
}

float keys_cubic(float x) {
  if (x >= 2.0F) return 0;
  if (x >= 1.0F) return ((-0.5F * x + 2.5F) * x - 4.0F) * x + 2.0F;
  return ((1.5F * x - 2.5F) * x) * x + 1.0F;
}

float mitchell_cubic(float x) {
  if (x >= 2.0F) return 0;
  if (x >= 1.0F) {
    return (((-7.0F / 18.0F) * x + 2.0F) * x - 10.0F / 3.0F) * x + 16.0F / 9.0F;
  }
  return (((7.0F / 6.0F) * x - 2.0F) * x) * x + 8.0F / 9.0F;
}

// The weight of a pixel at the distance x >= 0.
float weight_at(Sampling sampling, float x) {
  switch (sampling) {
    case Sampling::kGaussian: return gaussian(x);
    case Sampling::kBox: return x < 0.5F ? 1.0F : x == 0.5F ? 0.5F : 0.0F;
    case Sampling::kTriangle: return x < 1.0F ? 1.0F - x : 0.0F;
    case Sampling::kKeysCubic: return keys_cubic(x);
    case Sampling::kMitchellCubic: return mitchell_cubic(x);
    default: return lanczos(radius_of(sampling), x);
  }
}

// For each place of the result where its neighbours in the original begin, and `size` weights.
struct Spans {
  std::int64_t size = 0;
  std::vector<std::int32_t> starts;
  Tensor weights;  // [starts, size]

  const float* weights_of(std::int64_t i) const { return weights.data<float>() + i * size; }
  // How many neighbours lie within the original.
  std::int64_t count(std::int64_t i, std::int64_t in) const {
    return std::min(starts[static_cast<std::size_t>(i)] + size, in) -
           starts[static_cast<std::size_t>(i)];
  }
};

Spans empty_spans(KernelContext& c, std::int64_t count, std::int64_t size) {
  Spans spans{size, std::vector<std::int32_t>(static_cast<std::size_t>(count)),
              c.temporary(DType::kFloat32, Shape{count, size})};
  std::ranges::fill(spans.weights.mutable_values<float>(), 0.0F);
  return spans;
}

// One axis of the op.
struct Axis {
  std::int64_t in;
  std::int64_t out;
  float scale;
  float translation;
};

Spans spans_of(KernelContext& c, Sampling sampling, bool antialias, const Axis& axis) {
  const auto inverse = static_cast<float>(1.0 / static_cast<double>(axis.scale));
  const float shift = -inverse * axis.translation;
  // Shrinking widens the kernel, so that no pixel of the original is left out.
  const float kernel_scale = antialias ? std::max(inverse, 1.0F) : 1.0F;
  const float radius = radius_of(sampling) * kernel_scale;
  const std::int64_t widest = radius < static_cast<float>(axis.in)
                                  ? 2 * static_cast<std::int64_t>(std::ceil(radius)) + 1
                                  : axis.in;
  Spans spans = empty_spans(c, axis.out, std::min(widest, axis.in));
  const float per_kernel = 1.0F / kernel_scale;
  const auto last = static_cast<float>(axis.in - 1);
  for (std::int64_t i = 0; i < axis.out; ++i) {
    const float sample = (static_cast<float>(i) + 0.5F) * inverse + shift;
    if (!(sample >= 0 && sample <= static_cast<float>(axis.in))) continue;
    const auto begin =
        static_cast<std::int64_t>(std::clamp(std::ceil(sample - radius - 0.5F), 0.0F, last));
    const auto end =
        static_cast<std::int64_t>(std::clamp(std::floor(sample + radius - 0.5F), 0.0F, last)) + 1;
    if (end - begin > spans.size) {
      throw internal_error(c.node().op_name, ": a span is too large. Details: ", end - begin,
                           " for ", spans.size, ".");
    }
    float* weights = spans.weights.mutable_data<float>() + i * spans.size;
    float sum = 0;
    for (std::int64_t source = begin; source < end; ++source) {
      const float distance = static_cast<float>(source) + 0.5F - sample;
      const float weight = weight_at(sampling, std::abs(distance * per_kernel));
      weights[source - begin] = weight;
      sum += weight;
    }
    const bool usable = std::abs(sum) >= 1000.0F * std::numeric_limits<float>::min();
    const float factor = usable ? 1.0F / sum : 0.0F;
    for (std::int64_t k = 0; k < end - begin; ++k) {
      weights[k] = usable ? weights[k] * factor : 0.0F;
    }
    spans.starts[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(begin);
  }
  return spans;
}

// The same weights seen from the original: for each of its places, those of the results.
Spans transposed(KernelContext& c, const Spans& spans, const Axis& axis) {
  const auto in = static_cast<std::size_t>(axis.in);
  std::vector<RowRange> ranges(in);
  const auto for_each = [&](auto&& body) {
    for (std::int64_t i = 0; i < axis.out; ++i) {
      const float* weights = spans.weights_of(i);
      for (std::int64_t k = 0; k < spans.count(i, axis.in); ++k) {
        if (weights[k] != 0) body(i, spans.starts[static_cast<std::size_t>(i)] + k, weights[k]);
      }
    }
  };
  for_each([&](std::int64_t i, std::int64_t source, float) {
    ranges[static_cast<std::size_t>(source)].add(i);
  });
  std::int64_t size = 0;
  for (const RowRange& range : ranges) {
    size = std::max<std::int64_t>(size, range.end - range.begin);
  }
  Spans result = empty_spans(c, axis.in, size);
  for (std::size_t i = 0; i < in; ++i) result.starts[i] = ranges[i].begin;
  for_each([&](std::int64_t i, std::int64_t source, float weight) {
    const std::int64_t place = i - result.starts[static_cast<std::size_t>(source)];
    result.weights.mutable_data<float>()[source * size + place] += weight;
  });
  return result;
}

// First the rows are gathered, then the columns.
template <class T>
void gather(KernelContext& c, const T* images, const Shape& from, const Spans& ys, const Spans& xs,
            Tensor& result) {
  const std::int64_t channels = from.dim(3);
  const std::int64_t in_row = from.dim(2) * channels;
  const std::int64_t height = result.dim(1);
  const std::int64_t width = result.dim(2);
  const double cost = static_cast<double>(ys.size * in_row + xs.size * width * channels) * 0.5;
  c.parallel_for(result.dim(0) * height, cost, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sums(static_cast<std::size_t>(in_row));
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t y = row % height;
      std::ranges::fill(sums, 0.0F);
      const T* source =
          images + (row / height * from.dim(1) + ys.starts[static_cast<std::size_t>(y)]) * in_row;
      for (std::int64_t k = 0; k < ys.count(y, from.dim(1)); ++k, source += in_row) {
        const float weight = ys.weights_of(y)[k];
        float* to = sums.data();
        for_pixels<T>(in_row,
                      [=](std::int64_t i) { to[i] += weight * static_cast<float>(source[i]); });
      }
      float* out = result.mutable_data<float>() + row * width * channels;
      for (std::int64_t x = 0; x < width; ++x, out += channels) {
        std::fill_n(out, channels, 0.0F);
        const float* pixel = sums.data() + xs.starts[static_cast<std::size_t>(x)] * channels;
        for (std::int64_t k = 0; k < xs.count(x, from.dim(2)); ++k, pixel += channels) {
          const float weight = xs.weights_of(x)[k];
          for (std::int64_t i = 0; i < channels; ++i) out[i] += weight * pixel[i];
        }
      }
    }
  });
}

std::pair<float, float> pair_input(const KernelContext& c, int input, std::string_view what) {
  const Tensor& values = c.input(input);
  if (values.rank() != 1 || values.dim(0) != 2) {
    throw invalid_argument(c.node().op_name, ": ", what,
                           " must be a vector of two. Details: its shape is ", values.shape(), ".");
  }
  return {values.data<float>()[0], values.data<float>()[1]};
}

std::pair<float, float> scale_input(const KernelContext& c) {
  const auto scale = pair_input(c, 2, "the scale");
  if (!(scale.first > 0) || !(scale.second > 0)) {
    throw invalid_argument(c.node().op_name, ": the scale must be positive. Details: ", scale.first,
                           " and ", scale.second, ".");
  }
  return scale;
}

void check_image_sides(const KernelContext& c, const Tensor& images) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (images.dim(1) <= 0 || images.dim(2) <= 0 || images.dim(1) >= kMost ||
      images.dim(2) >= kMost || images.dim(3) <= 0) {
    throw invalid_argument(c.node().op_name,
                           ": the images must have pixels and channels. Details: the shape is ",
                           images.shape(), ".");
  }
}

class ScaleKernel final : public Kernel {
 public:
  explicit ScaleKernel(const KernelInit& init)
      : sampling_(sampling_attr(init)), antialias_(init.attr<bool>("antialias")) {}

  void compute(KernelContext& c) const override {
    check_rank(c, 0, 4, "the images");
    const Tensor& images = c.input(0);
    const ImageSize out = size_input(c, 1, "the size");
    check_image_sides(c, images);
    const auto scale = scale_input(c);
    const auto translation = pair_input(c, 3, "the translation");
    Tensor& result = c.output(0, Shape{images.dim(0), out.height, out.width, images.dim(3)});
    if (result.num_elements() == 0) return;
    const Spans ys = spans_of(c, sampling_, antialias_,
                              {images.dim(1), out.height, scale.first, translation.first});
    const Spans xs = spans_of(c, sampling_, antialias_,
                              {images.dim(2), out.width, scale.second, translation.second});
    dispatch(PictureTypes{}, images.dtype(),
             [&]<class T>() { gather<T>(c, images.data<T>(), images.shape(), ys, xs, result); });
  }

 private:
  Sampling sampling_;
  bool antialias_;
};

class ScaleGradKernel final : public Kernel {
 public:
  explicit ScaleGradKernel(const KernelInit& init)
      : sampling_(sampling_attr(init)), antialias_(init.attr<bool>("antialias")) {}

  void compute(KernelContext& c) const override {
    check_rank(c, 0, 4, "the gradient");
    check_rank(c, 1, 4, "the original image");
    const Tensor& grads = c.input(0);
    const Tensor& original = c.input(1);
    check_image_sides(c, grads);
    check_image_sides(c, original);
    const auto scale = scale_input(c);
    const auto translation = pair_input(c, 3, "the translation");
    Tensor& result =
        c.output(0, Shape{grads.dim(0), original.dim(1), original.dim(2), grads.dim(3)});
    if (result.num_elements() == 0) return;
    const Axis rows{original.dim(1), grads.dim(1), scale.first, translation.first};
    const Axis columns{original.dim(2), grads.dim(2), scale.second, translation.second};
    const Spans ys = transposed(c, spans_of(c, sampling_, antialias_, rows), rows);
    const Spans xs = transposed(c, spans_of(c, sampling_, antialias_, columns), columns);
    gather<float>(c, grads.data<float>(), grads.shape(), ys, xs, result);
  }

 private:
  Sampling sampling_;
  bool antialias_;
};

constexpr OpDef kOps[] = {
    {.name = "ScaleAndTranslate",
     .inputs = "images: T, size: int32, scale: float, translation: float",
     .outputs = "resized_images: float",
     .attrs = "T: {int8, uint8, int16, uint16, int32, int64, bfloat16, half, float, double}; "
              "kernel_type: string = 'lanczos3'; antialias: bool = true",
     .shape = resized_images_shape,
     .kernel = make_kernel<ScaleKernel>},
    {.name = "ScaleAndTranslateGrad",
     .inputs = "grads: T, original_image: T, scale: float, translation: float",
     .outputs = "output: T",
     .attrs = "T: {float}; kernel_type: string = 'lanczos3'; antialias: bool = true",
     .shape = original_images_shape,
     .kernel = make_kernel<ScaleGradKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_scale_translate_ops() { return kOps; }

}  // namespace hub
