#include "ops/kernels/conv_float.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "ops/kernels/conv_loops.h"
#include "ops/kernels/depthwise.h"
#include "tensor/buffers.h"

namespace hub {
namespace {

using dnn::ConvKind;
using dnn::Convolution;
using dnn::ConvShape;

// More shapes than this are made anew each time they come up.
constexpr std::size_t kMaxPlans = 32;

// What a core does at least: oneDNN's depthwise convolutions wait for memory.
double cost_ns(const ConvShape& shape) {
  const bool depthwise = shape.in_channels == shape.groups;
  return shape.flops() / (depthwise ? 40 : 100);
}

Tensor bytes(KernelContext& c, std::size_t size) {
  return c.temporary(DType::kUint8, Shape{static_cast<std::int64_t>(size)});
}

// How many bands of rows an image is cut into, for at most this many threads: none so small that
// starting it counts, and more than there are threads where they are long, since others use the
// cores too.
std::int64_t band_count(const ConvShape& image, int threads) {
  constexpr double kShortestNs = 2'000, kLongNs = 50'000;
  constexpr std::int64_t kBandPixels = 8;
  constexpr std::int64_t kBandsPerThread = 4;
  if (threads < 2) return 1;
  const double ns = cost_ns(image);
  const std::int64_t wanted = std::clamp<std::int64_t>(static_cast<std::int64_t>(ns / kLongNs),
                                                       threads, threads * kBandsPerThread);
  const std::int64_t most = std::min({static_cast<std::int64_t>(ns / kShortestNs),
                                      image.out_pixels() / kBandPixels, image.output[0]});
  return std::max<std::int64_t>(1, std::min(wanted, most));
}

// Into how many parts a filter's output channels are cut; 1: none. Where the filter is what a
// convolution reads most of, threads share its channels: with rows each of them would read all of
// it. This follows from the shape alone, since oneDNN sums fewer channels in another order.
std::int64_t channel_parts(const ConvShape& image) {
  constexpr std::int64_t kLarge = 1 << 17, kTimes = 4;
  const std::int64_t data =
      image.in_pixels() * image.in_channels + image.out_pixels() * image.out_channels;
  if (image.groups != 1 || image.filter_elements() < std::max(kLarge, data * kTimes)) return 1;
  constexpr std::int64_t kUnit = 64, kWide = 128;  // channels of a part
  for (const std::int64_t parts : {4, 2}) {
    if (image.out_channels % (parts * kUnit) == 0 && image.out_channels / parts >= kWide)
      return parts;
  }
  return 1;
}

// A product of the input's pixels and the filter: where its rows lie does not matter.
bool is_pointwise(const ConvShape& shape) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape.spatial_dims); ++i) {
    if (shape.kernel[i] != 1 || shape.stride[i] != 1 || shape.before[i] != 0 ||
        shape.output[i] != shape.input[i])
      return false;
  }
  return shape.groups == 1;
}

struct RowRange {
  std::int64_t begin;
  std::int64_t end;
};

// The convolution of output rows `rows`, and the first input row that it reads.
std::optional<std::pair<ConvShape, std::int64_t>> band_shape(const ConvShape& image,
                                                             RowRange rows) {
  const std::int64_t first = rows.begin * image.stride[0] - image.before[0];
  const std::int64_t last = (rows.end - 1) * image.stride[0] - image.before[0] +
                            (image.kernel[0] - 1) * image.dilation[0];
  const std::int64_t begin = std::max<std::int64_t>(first, 0);
  const std::int64_t end = std::min(last + 1, image.input[0]);
  if (begin >= end) return std::nullopt;
  ConvShape band = image;
  band.input[0] = end - begin;
  band.output[0] = rows.end - rows.begin;
  band.before[0] = begin - first;
  return std::pair(band, begin);
}

// The epilogue, where oneDNN did not do it: y of x, the bare result, which may be y.
void finish(KernelContext& c, const ConvShape& shape, const dnn::Epilogue& epilogue,
            const float* bias, const float* x, float* y) {
  if (epilogue == dnn::Epilogue{}) return;
  const std::int64_t channels = shape.out_channels;
  const float lowest = epilogue.activation == dnn::Activation::kNone
                           ? -std::numeric_limits<float>::infinity()
                           : 0.0f;
  const float highest = epilogue.activation == dnn::Activation::kRelu6
                            ? 6.0f
                            : std::numeric_limits<float>::infinity();
  c.parallel_for(shape.batch * shape.out_pixels(), static_cast<double>(channels) * 0.5,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin * channels; i < end * channels; ++i) {
                     const float biased = epilogue.bias ? x[i] + bias[i % channels] : x[i];
                     const float sum = epilogue.accumulate ? biased + y[i] : biased;
                     const float floored = sum < lowest ? lowest : sum;  // NaN stays
                     y[i] = floored > highest ? highest : floored;
                   }
                 });
}

}  // namespace

std::shared_ptr<const FloatConvolution::Plan> FloatConvolution::plan_for(const ConvShape& shape,
                                                                         int threads) const {
  ConvShape image = shape;
  image.batch = 1;
  const std::int64_t bands = kind_ == ConvKind::kForward ? band_count(image, threads) : 1;
  const std::lock_guard lock(mutex_);
  for (std::size_t i = plans_.size(); i-- > 0;) {
    if (!(plans_[i]->shape == image) || plans_[i]->wanted_bands != bands) continue;
    std::rotate(plans_.begin() + static_cast<std::ptrdiff_t>(i),
                plans_.begin() + static_cast<std::ptrdiff_t>(i) + 1, plans_.end());
    return plans_.back();
  }
  if (plans_.size() >= kMaxPlans) plans_.erase(plans_.begin());
  plans_.push_back(make_plan(image, bands));
  return plans_.back();
}

std::shared_ptr<const FloatConvolution::Plan> FloatConvolution::make_plan(
    const ConvShape& image, std::int64_t bands) const {
  auto plan = std::make_shared<Plan>();
  plan->shape = image;
  plan->wanted_bands = bands;
  plan->channels = image.out_channels;
  if (kind_ == ConvKind::kForward) add_channel_parts(*plan);
  if (bands > 1 && plan->bands.empty()) add_bands(*plan);
  if (plan->bands.empty()) {
    plan->primitives.clear();
    if (auto whole = Convolution::create(kind_, image, epilogue_)) {
      plan->bands.push_back({whole.get(), 0, 0});
      plan->primitives.push_back(std::move(whole));
    }
  }
  for (const auto& primitive : plan->primitives)
    plan->scratch_bytes = std::max(plan->scratch_bytes, primitive->scratch_bytes());
  return plan;
}

// Leaves no bands where the filter cannot be cut.
void FloatConvolution::add_channel_parts(Plan& plan) const {
  const std::int64_t parts = channel_parts(plan.shape);
  if (parts == 1) return;
  ConvShape part = plan.shape;
  part.out_channels /= parts;
  auto primitive = Convolution::create(kind_, part, epilogue_);
  if (primitive == nullptr ||
      primitive->implementation() != Convolution::implementation(kind_, plan.shape, epilogue_))
    return;
  plan.channels = part.out_channels;
  for (std::int64_t i = 0; i < parts; ++i)
    plan.bands.push_back({primitive.get(), 0, 0, i * part.out_channels});
  plan.primitives.push_back(std::move(primitive));
}

// Leaves no bands where the image cannot be cut. The bands are computed as the whole image would
// be: oneDNN's implementations sum a pixel in an order of their own, the same for all pixels.
void FloatConvolution::add_bands(Plan& plan) const {
  const ConvShape& image = plan.shape;
  const std::int64_t count = plan.wanted_bands;
  const std::string implementation = Convolution::implementation(kind_, image, epilogue_);
  std::int64_t in_row = image.in_channels, out_row = image.out_channels;
  for (std::size_t axis = 1; axis < static_cast<std::size_t>(image.spatial_dims); ++axis) {
    in_row *= image.input[axis];
    out_row *= image.output[axis];
  }
  std::vector<ConvShape> shapes;  // of the primitives
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = i * image.output[0] / count;
    const auto band = band_shape(image, {row, (i + 1) * image.output[0] / count});
    if (!band) return plan.bands.clear();
    const auto& [shape, first] = *band;
    std::size_t index =
        static_cast<std::size_t>(std::find(shapes.begin(), shapes.end(), shape) - shapes.begin());
    if (index == shapes.size()) {
      const Convolution* like = plan.primitives.empty() ? nullptr : plan.primitives.front().get();
      auto primitive = Convolution::create(kind_, shape, epilogue_, like);
      if (primitive == nullptr || primitive->implementation() != implementation)
        return plan.bands.clear();
      shapes.push_back(shape);
      plan.primitives.push_back(std::move(primitive));
    }
    plan.bands.push_back({plan.primitives[index].get(), first * in_row, row * out_row});
  }
}

Tensor FloatConvolution::packed_filter(KernelContext& c, const Plan& plan, const Tensor& filter,
                                       std::int64_t first_channel) const {
  const auto& by = plan.primitives.front();
  const auto pack = [&](Tensor packed) {
    by->pack(filter.data<float>() + first_channel, plan.shape.out_channels,
             packed.mutable_raw_data());
    return packed;
  };
  if (!stable_filter_) return pack(bytes(c, by->packed_bytes()));
  const std::lock_guard lock(mutex_);
  std::erase_if(packed_, [&](const PackedFilter& kept) {
    return kept.filter.raw_data() != filter.raw_data();
  });
  for (const PackedFilter& kept : packed_) {
    if (kept.first_channel == first_channel && kept.by->packs_like(*by)) return kept.packed;
  }
  filter.buffer()->pin();
  packed_.push_back(
      {filter, first_channel, by,
       pack(Tensor(DType::kUint8, Shape{static_cast<std::int64_t>(by->packed_bytes())}))});
  release_pages(filter);
  return packed_.back().packed;
}

// Small images of a pointwise convolution, taken together as rows of pixels. oneDNN sums a
// pixel in the same order in every row, however long that is.
void FloatConvolution::run(KernelContext& c, const ConvShape& shape, float* x, const Tensor& filter,
                           float* y, const float* bias) const {
  constexpr std::int64_t kRowPixels = 128;
  const std::int64_t pixels = shape.in_pixels();
  if (shape.batch < 2 || pixels * 2 > kRowPixels || !is_pointwise(shape))
    return run_images(c, shape, x, filter, y, bias);
  std::int64_t done = 0;
  // Powers of two, so that ever new batches are made of few shapes.
  for (auto images = static_cast<std::int64_t>(
           std::bit_floor(static_cast<std::uint64_t>(kRowPixels / pixels)));
       images > 0; images /= 2) {
    ConvShape rows = shape;
    rows.batch = (shape.batch - done) / images;
    if (rows.batch == 0) continue;
    rows.input.fill(1);
    rows.input[static_cast<std::size_t>(shape.spatial_dims) - 1] = images * pixels;
    rows.output = rows.input;
    run_images(c, rows, x + done * pixels * shape.in_channels, filter,
               y + done * pixels * shape.out_channels, bias);
    done += rows.batch * images;
  }
}

void FloatConvolution::run_images(KernelContext& c, const ConvShape& shape, float* x,
                                  const Tensor& filter, float* y, const float* bias) const {
  if (kind_ == ConvKind::kForward && is_depthwise(shape, epilogue_)) {
    return c.parallel_for(shape.batch * shape.output[0], depthwise_row_ns(shape),
                          [&](std::int64_t begin, std::int64_t end) {
                            depthwise_forward(shape, epilogue_, x, filter.data<float>(), bias, y,
                                              begin, end);
                          });
  }
  const std::shared_ptr<const Plan> plan =
      plan_for(shape, shape.batch >= c.max_threads() * 4 ? 1 : c.max_threads());
  if (plan->bands.empty()) {
    if (kind_ == ConvKind::kForward) {
      Tensor bare;
      if (epilogue_.accumulate)
        bare = c.temporary(kFloat, Shape{shape.batch * shape.out_pixels() * shape.out_channels});
      float* result = epilogue_.accumulate ? bare.mutable_data<float>() : y;
      conv_forward_loops<float>(c, shape, x, filter.data<float>(), result);
      return finish(c, shape, epilogue_, bias, result, y);
    }
    return conv_backward_data_loops<float>(c, shape, filter.data<float>(), y, x);
  }
  if (plan->channels != shape.out_channels)
    return run_channels(c, *plan, shape.batch, x, filter, y, bias);
  Tensor packed = packed_filter(c, *plan, filter);
  void* weights = packed.mutable_raw_data();
  const auto bands = static_cast<std::int64_t>(plan->bands.size());
  const std::int64_t in_size = shape.in_pixels() * shape.in_channels;
  const std::int64_t out_size = shape.out_pixels() * shape.out_channels;
  const double band_ns = cost_ns(plan->shape) / static_cast<double>(bands);
  c.parallel_for(shape.batch * bands, band_ns, [&](std::int64_t begin, std::int64_t end) {
    Tensor scratch = bytes(c, plan->scratch_bytes);
    for (std::int64_t i = begin; i < end; ++i) {
      const Band& band = plan->bands[static_cast<std::size_t>(i % bands)];
      band.primitive->run(x + i / bands * in_size + band.in_offset, weights, bias,
                          y + i / bands * out_size + band.out_offset, scratch.mutable_raw_data());
    }
  });
}

// Each band is a part of the channels, computed apart from y and then put there.
void FloatConvolution::run_channels(KernelContext& c, const Plan& plan, std::int64_t batch,
                                    float* x, const Tensor& filter, float* y,
                                    const float* bias) const {
  const auto parts = static_cast<std::int64_t>(plan.bands.size());
  std::vector<Tensor> weights;
  for (const Band& band : plan.bands)
    weights.push_back(packed_filter(c, plan, filter, band.first_channel));
  const std::int64_t pixels = plan.shape.out_pixels(), all = plan.shape.out_channels;
  const std::int64_t in_size = plan.shape.in_pixels() * plan.shape.in_channels;
  const double part_ns = cost_ns(plan.shape) / static_cast<double>(parts);
  c.parallel_for(batch * parts, part_ns, [&](std::int64_t begin, std::int64_t end) {
    Tensor scratch = bytes(c, plan.scratch_bytes);
    Tensor part = c.temporary(kFloat, Shape{pixels * plan.channels});
    float* result = part.mutable_data<float>();
    for (std::int64_t i = begin; i < end; ++i) {
      const auto index = static_cast<std::size_t>(i % parts);
      const Band& band = plan.bands[index];
      float* to = y + i / parts * pixels * all + band.first_channel;
      if (epilogue_.accumulate) {
        for (std::int64_t pixel = 0; pixel < pixels; ++pixel)
          std::copy_n(to + pixel * all, plan.channels, result + pixel * plan.channels);
      }
      band.primitive->run(x + i / parts * in_size, weights[index].mutable_raw_data(),
                          bias == nullptr ? nullptr : bias + band.first_channel, result,
                          scratch.mutable_raw_data());
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel)
        std::copy_n(result + pixel * plan.channels, plan.channels, to + pixel * all);
    }
  });
}

void FloatConvolution::run_filter(KernelContext& c, const ConvShape& shape, const float* x,
                                  const float* y, float* filter) const {
  const std::shared_ptr<const Plan> plan = plan_for(shape, 1);
  if (plan->bands.empty()) return conv_backward_filter_loops<float>(c, shape, x, y, filter);
  const Convolution& primitive = *plan->primitives.front();
  // Images are added up in parts, whose number follows from the shape alone.
  constexpr std::int64_t kMaxParts = 8;
  const std::int64_t parts = std::min(shape.batch, kMaxParts);
  const std::int64_t images = (shape.batch + parts - 1) / parts;
  const std::int64_t size = shape.filter_elements();
  const std::int64_t in_size = shape.in_pixels() * shape.in_channels;
  const std::int64_t out_size = shape.out_pixels() * shape.out_channels;
  Tensor sums = c.temporary(kFloat, Shape{parts, size});
  float* sum = sums.mutable_data<float>();
  std::fill_n(sum, parts * size, 0.0f);
  const double part_ns = cost_ns(plan->shape) * static_cast<double>(images);
  c.parallel_for(parts, part_ns, [&](std::int64_t begin, std::int64_t end) {
    Tensor scratch = bytes(c, plan->scratch_bytes);
    Tensor packed = bytes(c, primitive.packed_bytes());
    Tensor one = c.temporary(kFloat, Shape{size});
    for (std::int64_t part = begin; part < end; ++part) {
      float* total = sum + part * size;
      const std::int64_t last = std::min((part + 1) * images, shape.batch);
      for (std::int64_t image = part * images; image < last; ++image) {
        primitive.run(const_cast<float*>(x) + image * in_size, packed.mutable_raw_data(), nullptr,
                      const_cast<float*>(y) + image * out_size, scratch.mutable_raw_data());
        primitive.unpack(packed.raw_data(), one.mutable_data<float>());
        const float* gradient = one.data<float>();
        for (std::int64_t i = 0; i < size; ++i) total[i] += gradient[i];
      }
    }
  });
  c.parallel_for(size, static_cast<double>(parts) * 0.3, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float total = sum[i];
      for (std::int64_t part = 1; part < parts; ++part) total += sum[part * size + i];
      filter[i] = total;
    }
  });
}

}  // namespace hub
