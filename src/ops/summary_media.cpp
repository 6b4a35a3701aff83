// Summaries of pictures, sounds and tensors.

#include <algorithm>
#include <cmath>
#include <limits>

#include "format/wav.h"
#include "graph/shape_rules.h"
#include "ops/image_codec.h"
#include "ops/summary_message.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

using namespace summary;

// --- tensors ---

std::string with_tensor(std::string value, const Tensor& tensor) {
  append_bytes(value, kTensor, serialize_tensor_proto(tensor));
  return value;
}

std::string as_summary(std::string_view value) {
  std::string result;
  append_bytes(result, kValue, value);
  return result;
}

void compute_tensor(KernelContext& c) {
  std::string value = with_tensor({}, c.input(0));
  std::string named;
  append_bytes(named, kNodeName, c.node().name);
  write_summary(c, as_summary(named + value));
}

void compute_tagged_tensor(KernelContext& c) {
  std::string value = with_tensor(tagged(scalar_text(c, 0, "the tag")), c.input(1));
  append_bytes(value, kMetadata, scalar_text(c, 2, "the metadata"));
  write_summary(c, as_summary(value));
}

// --- sounds ---

class AudioKernel final : public Kernel {
 public:
  explicit AudioKernel(const KernelInit& init)
      : most_(init.attr<std::int64_t>("max_outputs")),
        rate_(init.has_attr("sample_rate") ? init.attr<float>("sample_rate") : 0) {}

  void compute(KernelContext& c) const override {
    const std::string& tag = scalar_text(c, 0, "the tag");
    const Tensor& sounds = c.input(1);
    const float rate = c.num_inputs() > 2 ? rate_input(c) : rate_;
    if (sounds.rank() < 2 || sounds.rank() > 3) {
      throw invalid_argument(c.node().op_name,
                             ": the sounds must be [batch, frames] or [batch, frames, channels]. ",
                             "Details: their shape is ", sounds.shape(), ".");
    }
    if (!(rate > 0)) {
      throw invalid_argument(c.node().op_name,
                             ": the sample rate must be positive. Details: it is ", rate, ".");
    }
    const std::int64_t frames = sounds.dim(1);
    const std::int64_t channels = sounds.rank() == 3 ? sounds.dim(2) : 1;
    std::string summary;
    for (std::int64_t i = 0; i < std::min(most_, sounds.dim(0)); ++i) {
      const std::span samples(sounds.data<float>() + i * frames * channels,
                              static_cast<std::size_t>(frames * channels));
      std::string audio;
      append_float(audio, 1, rate);
      append_integer(audio, 2, channels);
      append_integer(audio, 3, frames);
      append_bytes(audio, 4, serialize_wav(samples, channels, static_cast<std::int64_t>(rate)));
      append_bytes(audio, 5, "audio/wav");
      std::string value = tagged(numbered_tag(tag, "audio", i, most_));
      append_bytes(value, kAudio, audio);
      append_bytes(summary, kValue, value);
    }
    write_summary(c, std::move(summary));
  }

 private:
  static float rate_input(const KernelContext& c) {
    const Tensor& rate = c.input(2);
    if (rate.num_elements() != 1) {
      throw invalid_argument(c.node().op_name, ": the sample rate must be a scalar. Details: its ",
                             "shape is ", rate.shape(), ".");
    }
    return rate.data<float>()[0];
  }

  std::int64_t most_;
  float rate_;
};

// --- pictures ---

// How pixels become bytes: value * scale + offset.
struct Levels {
  float scale, offset;
};

// As TensorFlow picks them: pictures without negative values fill 0 to 255, others are centred
// around 128.
Levels pick_levels(float least, float most) {
  constexpr float kZero = 1e-6F;
  if (least < 0) {
    const float size = std::max(std::abs(least), std::abs(most));
    return {size < kZero ? 0 : 127 / size, 128};
  }
  return {most < kZero ? 0 : 255 / most, 0};
}

// The bytes of a picture of floats. A pixel with a channel that is not finite is `bad`.
template <class T>
std::vector<std::uint8_t> to_bytes(const T* from, std::int64_t pixels, std::int64_t channels,
                                   const Tensor& bad) {
  using W = Wide<T>;
  const auto is_finite = [&](const T* pixel) {
    return std::all_of(pixel, pixel + channels,
                       [](T value) { return std::isfinite(static_cast<W>(value)); });
  };
  float least = std::numeric_limits<float>::infinity(), most = -least;
  for (std::int64_t i = 0; i < pixels; ++i) {
    const T* pixel = from + i * channels;
    if (!is_finite(pixel)) continue;
    for (std::int64_t k = 0; k < channels; ++k) {
      const auto value = static_cast<float>(static_cast<W>(pixel[k]));
      least = std::min(least, value);
      most = std::max(most, value);
    }
  }
  const Levels levels = pick_levels(least, most);
  const W scale = static_cast<W>(static_cast<T>(levels.scale));
  const W offset = static_cast<W>(static_cast<T>(levels.offset));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(pixels * channels));
  for (std::int64_t i = 0; i < pixels; ++i) {
    const T* pixel = from + i * channels;
    const bool finite = is_finite(pixel);
    for (std::int64_t k = 0; k < channels; ++k) {
      const W level = static_cast<W>(static_cast<T>(
          static_cast<W>(static_cast<T>(static_cast<W>(pixel[k]) * scale)) + offset));
      bytes[static_cast<std::size_t>(i * channels + k)] =
          finite ? static_cast<std::uint8_t>(std::clamp<W>(level, 0, 255))
                 : bad.data<std::uint8_t>()[k];
    }
  }
  return bytes;
}

class ImageKernel final : public Kernel {
 public:
  explicit ImageKernel(const KernelInit& init)
      : most_(init.attr<std::int64_t>("max_images")), bad_(init.attr<Tensor>("bad_color")) {
    if (bad_.dtype() != DType::kUint8 || bad_.rank() != 1) {
      throw invalid_argument("ImageSummary: bad_color must be a vector of uint8. Details: it is ",
                             bad_.dtype(), " of shape ", bad_.shape(), ".");
    }
  }

  void compute(KernelContext& c) const override {
    const std::string& tag = scalar_text(c, 0, "the tag");
    const Tensor& images = c.input(1);
    check(images);
    const std::int64_t pixels = images.dim(1) * images.dim(2), channels = images.dim(3);
    const PictureSize size{
        .frames = 1, .height = images.dim(1), .width = images.dim(2), .channels = channels};
    std::string summary;
    for (std::int64_t i = 0; i < std::min(most_, images.dim(0)); ++i) {
      const std::vector<std::uint8_t> bytes = bytes_of(images, i, pixels, channels);
      std::string image;
      append_integer(image, 1, size.height);
      append_integer(image, 2, size.width);
      append_integer(image, 3, channels);
      append_bytes(image, 4, encode_png(bytes.data(), size, /*wide=*/false, /*compression=*/-1));
      std::string value = tagged(numbered_tag(tag, "image", i, most_));
      append_bytes(value, kImage, image);
      append_bytes(summary, kValue, value);
    }
    write_summary(c, std::move(summary));
  }

 private:
  void check(const Tensor& images) const {
    const Shape& shape = images.shape();
    constexpr std::int64_t kMaxSize = std::int64_t{1} << 31;
    const bool fits = shape.rank() == 4 &&
                      (shape.dim(3) == 1 || shape.dim(3) == 3 || shape.dim(3) == 4) &&
                      shape.dim(0) < kMaxSize && shape.dim(1) > 0 && shape.dim(2) > 0 &&
                      shape.dim(1) < kMaxSize / shape.dim(2) / shape.dim(3);
    if (!fits) {
      throw invalid_argument(
          "ImageSummary: the pictures must be [batch, height, width, channels] with 1, 3 or 4 ",
          "channels. Details: their shape is ", shape, ".");
    }
    if (images.dtype() != DType::kUint8 && shape.dim(3) > bad_.num_elements()) {
      throw invalid_argument("ImageSummary: bad_color must have a value for each channel. ",
                             "Details: it has ", bad_.num_elements(), ", there are ", shape.dim(3),
                             " channels.");
    }
  }

  std::vector<std::uint8_t> bytes_of(const Tensor& images, std::int64_t i, std::int64_t pixels,
                                     std::int64_t channels) const {
    const std::int64_t begin = i * pixels * channels;
    std::vector<std::uint8_t> bytes;
    if (images.dtype() == DType::kUint8) {
      const std::uint8_t* from = images.data<std::uint8_t>() + begin;
      bytes.assign(from, from + pixels * channels);
      return bytes;
    }
    dispatch(TypeList<float, double, Half>{}, images.dtype(), [&]<class T>() {
      bytes = to_bytes(images.data<T>() + begin, pixels, channels, bad_);
    });
    return bytes;
  }

  std::int64_t most_;
  Tensor bad_;
};

constexpr OpDef kOps[] = {
    {.name = "AudioSummary",
     .inputs = "tag: string, tensor: float",
     .outputs = "summary: string",
     .attrs = "sample_rate: float; max_outputs: int >= 1 = 3",
     .shape = scalar_shape,
     .kernel = make_kernel<AudioKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "AudioSummaryV2",
     .inputs = "tag: string, tensor: float, sample_rate: float",
     .outputs = "summary: string",
     .attrs = "max_outputs: int >= 1 = 3",
     .shape = scalar_shape,
     .kernel = make_kernel<AudioKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "ImageSummary",
     .inputs = "tag: string, tensor: T",
     .outputs = "summary: string",
     .attrs = "max_images: int >= 1 = 3; T: {uint8, float, half, double} = float; bad_color: "
              "tensor = [255, 0, 0, 255]",
     .shape = scalar_shape,
     .kernel = make_kernel<ImageKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "TensorSummary",
     .inputs = "tensor: T",
     .outputs = "summary: string",
     .attrs = "T: type; description: string = ''; labels: list(string) = []; display_name: string "
              "= ''",
     .shape = scalar_shape,
     .kernel = kernel_function<compute_tensor>,
     .differentiable = Differentiable::kNone},
    {.name = "TensorSummaryV2",
     .inputs = "tag: string, tensor: T, serialized_summary_metadata: string",
     .outputs = "summary: string",
     .attrs = "T: type",
     .shape = scalar_shape,
     .kernel = kernel_function<compute_tagged_tensor>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily summary_media_ops() { return kOps; }

}  // namespace hub
