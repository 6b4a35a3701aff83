// WAV files from and to samples between -1 and 1.

#include "format/wav.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"

namespace hub {
namespace {

// A size that an attribute gives; -1: as in the file. Errors: INVALID_ARGUMENT.
std::int64_t wanted_size(std::int64_t value, std::string_view attr) {
  if (value >= -1) return value;
  throw invalid_argument("DecodeWav: ", attr, " must be -1 or more. Details: got ", value, ".");
}

Shapes decode_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  const std::int64_t samples =
      wanted_size(c.attr<std::int64_t>("desired_samples"), "desired_samples");
  const std::int64_t channels =
      wanted_size(c.attr<std::int64_t>("desired_channels"), "desired_channels");
  return {PartialShape{samples, channels}, PartialShape::scalar()};
}

Shapes encode_shape(ShapeContext& c) {
  c.with_rank(0, 2);
  c.with_rank(1, 0);
  return {PartialShape::scalar()};
}

class DecodeWavKernel final : public Kernel {
 public:
  explicit DecodeWavKernel(const KernelInit& init)
      : samples_(wanted_size(init.attr<std::int64_t>("desired_samples"), "desired_samples")),
        channels_(wanted_size(init.attr<std::int64_t>("desired_channels"), "desired_channels")) {}

  // Channels that are missing repeat the last one, samples that are missing are zero.
  void compute(KernelContext& context) const override {
    const Tensor& contents = context.input(0);
    if (contents.rank() != 0) {
      throw invalid_argument("DecodeWav: contents must be a scalar. Details: its shape is ",
                             contents.shape(), ".");
    }
    const Wav wav = parse_wav(*contents.data<std::string>());
    const std::int64_t samples = samples_ < 0 ? wav.frames : samples_;
    const std::int64_t channels = channels_ < 0 ? wav.channels : channels_;
    auto* out = context.output(0, Shape{samples, channels}).mutable_data<float>();
    const std::int64_t given = std::min(samples, wav.frames);
    for (std::int64_t i = 0; i < given; ++i) {
      for (std::int64_t channel = 0; channel < channels; ++channel) {
        const std::int64_t source = std::min<std::int64_t>(channel, wav.channels - 1);
        *out++ = static_cast<float>(wav.sample(i * wav.channels + source)) * (1.0f / 32768);
      }
    }
    std::fill_n(out, (samples - given) * channels, 0.0f);
    *context.output(1, Shape{}).mutable_data<std::int32_t>() =
        static_cast<std::int32_t>(wav.sample_rate);
  }

 private:
  std::int64_t samples_;
  std::int64_t channels_;
};

void compute_encode(KernelContext& context) {
  const Tensor& audio = context.input(0);
  if (audio.rank() != 2 || context.input(1).rank() != 0) {
    throw invalid_argument(
        "EncodeWav: audio must be a matrix and sample_rate a scalar. Details: their shapes are ",
        audio.shape(), " and ", context.input(1).shape(), ".");
  }
  *context.output(0, Shape{}).mutable_data<std::string>() =
      serialize_wav(audio.values<float>(), audio.dim(1), context.input(1).scalar<std::int32_t>());
}

constexpr OpDef kOps[] = {
    {.name = "DecodeWav",
     .inputs = "contents: string",
     .outputs = "audio: float, sample_rate: int32",
     .attrs = "desired_channels: int = -1; desired_samples: int = -1",
     .shape = decode_shape,
     .kernel = make_kernel<DecodeWavKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "EncodeWav",
     .inputs = "audio: float, sample_rate: int32",
     .outputs = "contents: string",
     .shape = encode_shape,
     .kernel = kernel_function<compute_encode>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily audio_wav_ops() { return kOps; }

}  // namespace hub
