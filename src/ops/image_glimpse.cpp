// ExtractGlimpse: windows of pictures.

#include <algorithm>
#include <cmath>

#include "ops/image_size.h"
#include "ops/random_distributions.h"

namespace hub {
namespace {

enum class Noise : std::uint8_t { kUniform, kGaussian, kZero };

Noise noise_attr(const KernelInit& init) {
  const bool uniform = init.attr<bool>("uniform_noise");
  const std::string& noise = init.attr<std::string>("noise");
  if (uniform && !noise.empty() && noise != "uniform") {
    throw invalid_argument(init.op(), ": uniform_noise and noise contradict each other. ",
                           "Details: the noise is \"", printable(noise), "\".");
  }
  if (noise.empty()) return uniform ? Noise::kUniform : Noise::kGaussian;
  if (noise == "uniform") return Noise::kUniform;
  if (noise == "gaussian") return Noise::kGaussian;
  if (noise == "zero") return Noise::kZero;
  throw invalid_argument(init.op(), ": noise must be uniform, gaussian or zero. Details: \"",
                         printable(noise), "\".");
}

// One axis of a window: `count` pixels from `source` on go to `target`.
struct WindowPart {
  std::int64_t source;
  std::int64_t target;
  std::int64_t count;
  bool partial;
};

WindowPart part_of(float offset, std::int64_t window, std::int64_t size) {
  // What is further away than this lies outside anyhow.
  constexpr float kFar = 1e15F;
  const float near = std::isnan(offset) ? -kFar : std::clamp(offset, -kFar, kFar);
  const auto begin = static_cast<std::int64_t>(near);
  if (begin < 0) {
    // TensorFlow puts what is left of the window at its end, also where the picture ends
    // before the window does.
    const std::int64_t inside = std::max<std::int64_t>(0, window + begin);
    return {0, window - inside, std::min(inside, size), true};
  }
  if (begin + window >= size) {
    const std::int64_t inside = std::max<std::int64_t>(0, size - begin);
    return {std::min(begin, size), 0, std::min(inside, window), true};
  }
  return {begin, 0, window, false};
}

class GlimpseKernel final : public Kernel {
 public:
  explicit GlimpseKernel(const KernelInit& init)
      : first_version_(init.op() == "ExtractGlimpse"),
        centered_(init.attr<bool>("centered")),
        normalized_(init.attr<bool>("normalized")),
        noise_(noise_attr(init)) {}

  void compute(KernelContext& c) const override {
    check_rank(c, 0, 4, "the input");
    const Tensor& images = c.input(0);
    const std::vector<std::int64_t> size = integer_vector(c, 1, "the size");
    const Tensor& offsets = c.input(2);
    if (c.input(1).rank() != 1 || size.size() != 2 || size[0] < 0 || size[1] < 0 ||
        offsets.rank() != 2 || offsets.dim(0) != images.dim(0) || offsets.dim(1) != 2) {
      throw invalid_argument(c.node().op_name,
                             ": there must be a height, a width, and two offsets for each image. "
                             "Details: the size is [",
                             join(size), "], the offsets have shape ", offsets.shape(), " for ",
                             images.dim(0), " images.");
    }
    Tensor& result = c.output(0, Shape{images.dim(0), size[0], size[1], images.dim(3)});
    if (result.num_elements() == 0) return;
    const float* offset = offsets.data<float>();
    for (std::int64_t i = 0; i < images.dim(0); ++i, offset += 2) {
      write(images, i, part_of(start(offset[0], images.dim(1), size[0]), size[0], images.dim(1)),
            part_of(start(offset[1], images.dim(2), size[1]), size[1], images.dim(2)), result);
    }
  }

 private:
  // Where the window begins along an axis.
  float start(float offset, std::int64_t size, std::int64_t window) const {
    const auto length = static_cast<float>(size);
    const float half_window = static_cast<float>(window) / 2.0F;
    if (normalized_) offset *= length;
    if (first_version_) {
      if (centered_) offset = offset / 2.0F + length / 2.0F;
      return offset - half_window;
    }
    if (!centered_) return offset;
    if (!normalized_) return offset + length / 2.0F;
    return offset / 2.0F + length / 2.0F - half_window;
  }

  void write(const Tensor& images, std::int64_t index, const WindowPart& rows,
             const WindowPart& columns, Tensor& result) const {
    const std::int64_t channels = images.dim(3);
    const std::int64_t row_size = result.dim(2) * channels;
    const std::int64_t image_size = images.dim(1) * images.dim(2) * channels;
    const float* image = images.data<float>() + index * image_size;
    float* window = result.mutable_data<float>() + index * result.dim(1) * row_size;
    if (rows.partial || columns.partial) {
      add_noise({image, static_cast<std::size_t>(image_size)}, channels, index,
                {window, static_cast<std::size_t>(result.dim(1) * row_size)});
    }
    for (std::int64_t y = 0; y < rows.count; ++y) {
      std::copy_n(image + ((rows.source + y) * images.dim(2) + columns.source) * channels,
                  columns.count * channels,
                  window + (rows.target + y) * row_size + columns.target * channels);
    }
  }

  // TensorFlow's noise differs from run to run; this one depends on the place alone.
  void add_noise(std::span<const float> image, std::int64_t channels, std::int64_t index,
                 std::span<float> window) const {
    if (noise_ == Noise::kZero || image.empty()) {
      std::ranges::fill(window, 0.0F);
      return;
    }
    PhiloxSamples samples(Philox(static_cast<std::uint64_t>(index), 0));
    if (noise_ == Noise::kUniform) {
      const auto [least, most] = std::ranges::minmax(image);
      for (float& value : window) value = least + uniform_float(samples.next()) * (most - least);
      return;
    }
    for (std::int64_t k = 0; k < channels; ++k) {
      const Channel channel(image, channels, k);
      for (std::size_t i = static_cast<std::size_t>(k); i < window.size();
           i += static_cast<std::size_t>(channels)) {
        window[i] = channel.sample(samples);
      }
    }
  }

  // A normal distribution like that of a picture's channel, within its range.
  struct Channel {
    Channel(std::span<const float> image, std::int64_t channels, std::int64_t k)
        : least(image[static_cast<std::size_t>(k)]), most(least) {
      double sum = 0;
      double squares = 0;
      double count = 0;
      for (std::size_t i = static_cast<std::size_t>(k); i < image.size();
           i += static_cast<std::size_t>(channels)) {
        least = std::min(least, image[i]);
        most = std::max(most, image[i]);
        sum += static_cast<double>(image[i]);
        squares += static_cast<double>(image[i]) * static_cast<double>(image[i]);
        ++count;
      }
      mean = sum / count;
      deviation = std::sqrt(std::max(0.0, squares / count - mean * mean));
    }
    float sample(PhiloxSamples& samples) const {
      const double u = std::max(1e-7, static_cast<double>(uniform_float(samples.next())));
      const double angle = 6.283185307179586 * static_cast<double>(uniform_float(samples.next()));
      const double normal = std::sqrt(-2.0 * std::log(u)) * std::sin(angle);
      return std::max(least, std::min(most, static_cast<float>(mean + normal * deviation)));
    }
    float least;
    float most;
    double mean;
    double deviation;
  };

  bool first_version_;
  bool centered_;
  bool normalized_;
  Noise noise_;
};

Shapes glimpse_shape(ShapeContext& c) {
  const PartialShape images = c.with_rank(0, 4);
  const PartialShape offsets = c.with_rank(2, 2);
  merge_dims(offsets.dim(1), 2, "The number of offsets");
  return sized_images_shape(c, merge_dims(images.dim(0), offsets.dim(0), "The numbers of images"),
                            1, images.dim(3));
}

constexpr OpDef kOps[] = {
    {.name = "ExtractGlimpse",
     .inputs = "input: float, size: int32, offsets: float",
     .outputs = "glimpse: float",
     .attrs = "centered: bool = true; normalized: bool = true; uniform_noise: bool = true; "
              "noise: string = 'uniform'",
     .shape = glimpse_shape,
     .kernel = make_kernel<GlimpseKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "ExtractGlimpseV2",
     .inputs = "input: float, size: int32, offsets: float",
     .outputs = "glimpse: float",
     .attrs = "centered: bool = true; normalized: bool = true; uniform_noise: bool = true; "
              "noise: string = 'uniform'",
     .shape = glimpse_shape,
     .kernel = make_kernel<GlimpseKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_glimpse_ops() { return kOps; }

}  // namespace hub
