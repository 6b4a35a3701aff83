// What speech models are given: spectrograms, and mel-frequency cepstral coefficients of them.
// All is computed in double precision.

#include <bit>
#include <cmath>
#include <numbers>

#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/kernels/fft.h"

namespace hub {
namespace {

// --- AudioSpectrogram ---

// Windows that fit into `samples`, one every `stride`.
std::int64_t count_windows(std::int64_t samples, std::int64_t window, std::int64_t stride) {
  return samples < window ? 0 : 1 + (samples - window) / stride;
}

// The transform's length, for a window of two samples or more.
std::int64_t transform_length(std::int64_t window) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(window)));
}

Shapes spectrogram_shape(ShapeContext& c) {
  const PartialShape input = c.with_rank(0, 2);
  const auto window = c.attr<std::int64_t>("window_size");
  const auto stride = c.attr<std::int64_t>("stride");
  if (window < 2 || stride < 1) return {PartialShape(std::vector<std::int64_t>(3, -1))};
  const std::int64_t samples = input.dim(0);
  return {PartialShape{input.dim(1), samples < 0 ? -1 : count_windows(samples, window, stride),
                       1 + transform_length(window) / 2}};
}

class SpectrogramKernel final : public Kernel {
 public:
  explicit SpectrogramKernel(const KernelInit& init)
      : window_(init.attr<std::int64_t>("window_size")),
        stride_(init.attr<std::int64_t>("stride")),
        squared_(init.attr<bool>("magnitude_squared")) {}

  void compute(KernelContext& context) const override {
    const Tensor& input = context.input(0);
    if (input.rank() != 2) {
      throw invalid_argument("AudioSpectrogram: the input must be a matrix. Details: its shape is ",
                             input.shape(), ".");
    }
    if (window_ < 2 || stride_ < 1) {
      throw invalid_argument(
          "AudioSpectrogram: a window must have two samples or more, and move on. Details: the "
          "window has ",
          window_, ", the stride is ", stride_, ".");
    }
    const std::int64_t channels = input.dim(1);
    const std::int64_t rows = count_windows(input.dim(0), window_, stride_);
    const std::int64_t length = transform_length(window_);
    Tensor& result = context.output(0, Shape{channels, rows, 1 + length / 2});
    if (result.num_elements() == 0) return;
    const Fft<double> plan(length);
    const std::vector<double> hann = hann_window();
    const std::int64_t groups = (channels * rows + kTogether - 1) / kTogether;
    const double cost_ns = static_cast<double>(length * kTogether) * 10;
    context.parallel_for(groups, cost_ns, [&](std::int64_t begin, std::int64_t end) {
      Tensor room(DType::kFloat64, Shape{4, length * kTogether});
      for (std::int64_t group = begin; group < end; ++group) {
        const std::int64_t first = group * kTogether;
        transform_rows(input, hann, plan, first, std::min(kTogether, channels * rows - first),
                       room.mutable_data<double>(), result);
      }
    });
  }

 private:
  static constexpr std::int64_t kTogether = 16;

  // As long as its period: the last sample is not zero.
  std::vector<double> hann_window() const {
    std::vector<double> weights(static_cast<std::size_t>(window_));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                        static_cast<double>(window_));
    }
    return weights;
  }

  // Rows of the result, seen as [channels * rows, frequencies].
  void transform_rows(const Tensor& input, const std::vector<double>& hann, const Fft<double>& plan,
                      std::int64_t first, std::int64_t lanes, double* room, Tensor& result) const {
    const std::int64_t channels = input.dim(1);
    const std::int64_t rows = result.dim(1);
    const std::int64_t length = plan.size();
    const std::int64_t plane = length * kTogether;
    double* re = room;
    double* im = room + plane;
    std::fill_n(re, 2 * plane, 0.0);
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t channel = (first + lane) / rows;
      const std::int64_t start = (first + lane) % rows * stride_;
      const float* from = input.data<float>() + start * channels + channel;
      for (std::int64_t i = 0; i < window_; ++i) {
        re[i * lanes + lane] =
            static_cast<double>(from[i * channels]) * hann[static_cast<std::size_t>(i)];
      }
    }
    plan.run(re, im, im + plane, im + 2 * plane, lanes);
    const std::int64_t width = result.dim(2);
    float* to = result.mutable_data<float>() + first * width;
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      for (std::int64_t k = 0; k < width; ++k) {
        const double x = re[k * lanes + lane];
        const double y = im[k * lanes + lane];
        const auto power = static_cast<float>(x * x + y * y);
        *to++ = squared_ ? power : std::sqrt(power);
      }
    }
  }

  std::int64_t window_;
  std::int64_t stride_;
  bool squared_;
};

// --- Mfcc ---

Shapes mfcc_shape(ShapeContext& c) {
  const PartialShape spectrogram = c.with_rank(0, 3);
  c.with_rank(1, 0);
  const auto coefficients = c.attr<std::int64_t>("dct_coefficient_count");
  return {PartialShape{spectrogram.dim(0), spectrogram.dim(1),
                       std::max<std::int64_t>(coefficients, -1)}};
}

double mel_of(double hertz) { return 1127.0 * std::log1p(hertz / 700.0); }

// Triangles that overlap by half, as many as there are channels, of equal width in mel.
class MelFilters {
 public:
  // `bins` are the frequencies of a spectrogram, from 0 to half the sample rate.
  MelFilters(std::int64_t bins, double sample_rate, std::int64_t channels, double lower,
             double upper)
      : channels_(channels) {
    const double low = mel_of(lower);
    const double step = (mel_of(upper) - low) / static_cast<double>(channels + 1);
    const auto center = [&](std::int64_t channel) {
      return low + step * static_cast<double>(channel + 1);
    };
    const double bin_width = 0.5 * sample_rate / static_cast<double>(bins - 1);
    if (upper / bin_width >= static_cast<double>(bins)) return;  // no bin, as TensorFlow has it
    // The lowest bin is never used.
    begin_ = static_cast<std::int64_t>(1.5 + lower / bin_width);
    const auto end = static_cast<std::int64_t>(upper / bin_width) + 1;
    std::int64_t channel = 0;
    for (std::int64_t bin = begin_; bin < end; ++bin) {
      const double mel = mel_of(static_cast<double>(bin) * bin_width);
      while (channel < channels && center(channel) < mel) ++channel;
      const double previous = channel > 0 ? center(channel - 1) : low;
      bands_.push_back({channel - 1, (center(channel) - mel) / (center(channel) - previous)});
    }
    has_bins_ = true;
  }

  // False where the spectrogram ends below the upper limit: then there are no energies.
  bool has_bins() const { return has_bins_; }

  void apply(const float* powers, double* energies) const {
    std::fill_n(energies, channels_, 0.0);
    const float* power = powers + begin_;
    for (const Band& band : bands_) {
      const double magnitude = std::sqrt(static_cast<double>(*power++));
      const double falling = magnitude * band.weight;
      if (band.channel >= 0) energies[band.channel] += falling;
      if (band.channel + 1 < channels_) energies[band.channel + 1] += magnitude - falling;
    }
  }

 private:
  // A bin lies on the falling side of a channel's triangle, and on the rising side of the next.
  struct Band {
    std::int64_t channel;  // -1: below the first one's center
    double weight;
  };

  std::int64_t channels_;
  std::int64_t begin_ = 0;
  std::vector<Band> bands_;
  bool has_bins_ = false;
};

class MfccKernel final : public Kernel {
 public:
  explicit MfccKernel(const KernelInit& init)
      : upper_(init.attr<float>("upper_frequency_limit")),
        lower_(init.attr<float>("lower_frequency_limit")),
        channels_(init.attr<std::int64_t>("filterbank_channel_count")),
        coefficients_(init.attr<std::int64_t>("dct_coefficient_count")) {}

  void compute(KernelContext& context) const override {
    const Tensor& spectrogram = context.input(0);
    check(context);
    const std::int64_t rows = spectrogram.dim(0) * spectrogram.dim(1);
    const std::int64_t bins = spectrogram.dim(2);
    Tensor& result =
        context.output(0, Shape{spectrogram.dim(0), spectrogram.dim(1), coefficients_});
    const MelFilters filters(bins, context.input(1).scalar<std::int32_t>(), channels_, lower_,
                             upper_);
    if (!filters.has_bins()) std::fill_n(result.mutable_data<float>(), result.num_elements(), 0.0f);
    if (!filters.has_bins() || rows == 0) return;
    const Tensor cosines = cosine_table();
    const double cost_ns = static_cast<double>(bins * 3 + channels_ * (coefficients_ + 10));
    context.parallel_for(rows, cost_ns, [&](std::int64_t begin, std::int64_t end) {
      Tensor energies(DType::kFloat64, Shape{channels_});
      for (std::int64_t row = begin; row < end; ++row) {
        auto* energy = energies.mutable_data<double>();
        filters.apply(spectrogram.data<float>() + row * bins, energy);
        transform(energy, cosines.data<double>(),
                  result.mutable_data<float>() + row * coefficients_);
      }
    });
  }

 private:
  void check(const KernelContext& context) const {
    const Tensor& spectrogram = context.input(0);
    const Tensor& rate = context.input(1);
    if (spectrogram.rank() != 3 || rate.rank() != 0) {
      throw invalid_argument("Mfcc: the spectrogram must have rank 3, the sample rate must be a ",
                             "scalar. Details: their shapes are ", spectrogram.shape(), " and ",
                             rate.shape(), ".");
    }
    if (rate.scalar<std::int32_t>() <= 0 || spectrogram.dim(2) < 2) {
      throw invalid_argument(
          "Mfcc: there must be two frequencies or more, and a positive sample rate. Details: the "
          "spectrogram is ",
          spectrogram.shape(), ", the rate ", rate.scalar<std::int32_t>(), ".");
    }
    if (!(lower_ >= 0) || !(upper_ > lower_)) {
      throw invalid_argument("Mfcc: the limits must be 0 <= lower < upper. Details: got ", lower_,
                             " and ", upper_, ".");
    }
    if (coefficients_ < 1 || channels_ < coefficients_) {
      throw invalid_argument(
          "Mfcc: there must be between 1 and filterbank_channel_count coefficients. Details: ",
          coefficients_, " of ", channels_, " channels.");
    }
  }

  // [coefficients, channels].
  Tensor cosine_table() const {
    Tensor table(DType::kFloat64, Shape{coefficients_, channels_});
    const auto count = static_cast<double>(channels_);
    const double norm = std::sqrt(2.0 / count);
    const double step = std::numbers::pi / count;
    auto* out = table.mutable_data<double>();
    for (std::int64_t i = 0; i < coefficients_; ++i) {
      for (std::int64_t j = 0; j < channels_; ++j) {
        *out++ = norm * std::cos(static_cast<double>(i) * step * (static_cast<double>(j) + 0.5));
      }
    }
    return table;
  }

  void transform(double* energies, const double* cosines, float* out) const {
    constexpr double kFloor = 1e-12;
    for (std::int64_t j = 0; j < channels_; ++j) {
      energies[j] = std::log(energies[j] < kFloor ? kFloor : energies[j]);
    }
    for (std::int64_t i = 0; i < coefficients_; ++i) {
      double sum = 0;
      for (std::int64_t j = 0; j < channels_; ++j) sum += *cosines++ * energies[j];
      out[i] = static_cast<float>(sum);
    }
  }

  double upper_;
  double lower_;
  std::int64_t channels_;
  std::int64_t coefficients_;
};

constexpr OpDef kOps[] = {
    {.name = "AudioSpectrogram",
     .inputs = "input: float",
     .outputs = "spectrogram: float",
     .attrs = "window_size: int; stride: int; magnitude_squared: bool = false",
     .shape = spectrogram_shape,
     .kernel = make_kernel<SpectrogramKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "Mfcc",
     .inputs = "spectrogram: float, sample_rate: int32",
     .outputs = "output: float",
     .attrs = "upper_frequency_limit: float = 4000.0; lower_frequency_limit: float = 20.0; "
              "filterbank_channel_count: int = 40; dct_coefficient_count: int = 13",
     .shape = mfcc_shape,
     .kernel = make_kernel<MfccKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily audio_spectrum_ops() { return kOps; }

}  // namespace hub
