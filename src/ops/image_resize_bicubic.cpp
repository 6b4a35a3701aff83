// ResizeBicubic and its gradient.

#include <algorithm>
#include <array>
#include <limits>

#include "ops/elements.h"
#include "ops/image_resize.h"

namespace hub {
namespace {

// Four pixels of the original and their shares of one of the result.
struct Taps {
  std::array<std::int32_t, 4> index;
  std::array<float, 4> weight;
};

// TensorFlow looks the cubic weights up in a table of this many steps.
constexpr std::int64_t kSteps = 1 << 10;

// For a distance of i steps: the weight of the nearer neighbour, then of the farther one.
struct CubicTable {
  explicit CubicTable(double a) {
    for (std::int64_t i = 0; i <= kSteps; ++i) {
      auto x = static_cast<float>(static_cast<double>(i) / static_cast<double>(kSteps));
      near[static_cast<std::size_t>(i)] = static_cast<float>(((a + 2) * x - (a + 3)) * x * x + 1);
      x += 1.0F;
      far[static_cast<std::size_t>(i)] =
          static_cast<float>(((a * x - 5 * a) * x + 8 * a) * x - 4 * a);
    }
  }
  std::array<float, kSteps + 1> near;
  std::array<float, kSteps + 1> far;
};

// Keys' cubic for half pixel centres, a steeper one for the older rules.
const CubicTable& cubic_table(bool half_pixel) {
  static const CubicTable keys(-0.5);
  static const CubicTable legacy(-0.75);
  return half_pixel ? keys : legacy;
}

Taps taps_at(const ResizeRule& rule, const CubicTable& table, float position, std::int64_t in) {
  const float below = std::floor(position);
  const auto first = static_cast<std::int64_t>(below) - 1;
  const auto step = static_cast<std::size_t>(
      std::clamp<std::int64_t>(std::lrintf((position - below) * kSteps), 0, kSteps));
  Taps taps{
      {}, {table.far[step], table.near[step], table.near[kSteps - step], table.far[kSteps - step]}};
  float sum = 0;
  for (std::size_t k = 0; k < 4; ++k) {
    const std::int64_t wanted = first + static_cast<std::int64_t>(k);
    taps.index[k] = static_cast<std::int32_t>(std::clamp<std::int64_t>(wanted, 0, in - 1));
    if (rule.half_pixel && taps.index[k] != wanted) taps.weight[k] = 0;
    sum += taps.weight[k];
  }
  // Half pixel centres leave out what lies outside; the older rules repeat the edge.
  if (rule.half_pixel && std::abs(sum) >= 1000.0F * std::numeric_limits<float>::min()) {
    const float factor = 1.0F / sum;
    for (float& weight : taps.weight) weight *= factor;
  }
  return taps;
}

std::vector<Taps> all_taps(const ResizeRule& rule, std::int64_t out, std::int64_t in, float scale) {
  const CubicTable& table = cubic_table(rule.half_pixel);
  std::vector<Taps> result(static_cast<std::size_t>(out));
  for (std::int64_t i = 0; i < out; ++i) {
    result[static_cast<std::size_t>(i)] = taps_at(rule, table, rule.position(i, scale), in);
  }
  return result;
}

// Four rows, each weighted and added.
template <class T>
void mix_rows(const T* image, std::int64_t row_size, const Taps& y, float* out) {
  const T* r0 = image + y.index[0] * row_size;
  const T* r1 = image + y.index[1] * row_size;
  const T* r2 = image + y.index[2] * row_size;
  const T* r3 = image + y.index[3] * row_size;
  const float w0 = y.weight[0], w1 = y.weight[1], w2 = y.weight[2], w3 = y.weight[3];
  for_pixels<T>(row_size, [=](std::int64_t i) {
    out[i] = static_cast<float>(r0[i]) * w0 + static_cast<float>(r1[i]) * w1 +
             static_cast<float>(r2[i]) * w2 + static_cast<float>(r3[i]) * w3;
  });
}

void mix_columns(const float* row, const std::vector<Taps>& xs, std::int64_t channels, float* out) {
  for (const Taps& x : xs) {
    const float* p0 = row + x.index[0] * channels;
    const float* p1 = row + x.index[1] * channels;
    const float* p2 = row + x.index[2] * channels;
    const float* p3 = row + x.index[3] * channels;
    const auto& w = x.weight;
    for (std::int64_t k = 0; k < channels; ++k) {
      out[k] = p0[k] * w[0] + p1[k] * w[1] + p2[k] * w[2] + p3[k] * w[3];
    }
    out += channels;
  }
}

class BicubicKernel final : public Kernel {
 public:
  explicit BicubicKernel(const KernelInit& init) : rule_(init) {}

  void compute(KernelContext& c) const override {
    const Resize size = Resize::forward(c, rule_);
    const Tensor& images = c.input(0);
    Tensor& result = c.output(0, size.resized_shape());
    if (result.num_elements() == 0) return;
    dispatch(PictureTypes{}, images.dtype(), [&]<class T>() {
      resize<T>(c, size, images.data<T>(), result.mutable_data<float>());
    });
  }

 private:
  template <class T>
  void resize(KernelContext& c, const Resize& size, const T* images, float* result) const {
    const auto ys = all_taps(rule_, size.out.height, size.in.height, size.height_scale);
    const auto xs = all_taps(rule_, size.out.width, size.in.width, size.width_scale);
    const std::int64_t in_row = size.in.width * size.channels;
    const std::int64_t out_row = size.out.width * size.channels;
    c.parallel_for(size.batch * size.out.height,
                   static_cast<double>(in_row) + static_cast<double>(out_row) * 3,
                   [&](std::int64_t begin, std::int64_t end) {
                     std::vector<float> mixed(static_cast<std::size_t>(in_row));
                     for (std::int64_t row = begin; row < end; ++row) {
                       const T* image = images + row / size.out.height * size.in.height * in_row;
                       mix_rows(image, in_row, ys[static_cast<std::size_t>(row % size.out.height)],
                                mixed.data());
                       mix_columns(mixed.data(), xs, size.channels, result + row * out_row);
                     }
                   });
  }

  ResizeRule rule_;
};

class BicubicGradKernel final : public Kernel {
 public:
  explicit BicubicGradKernel(const KernelInit& init) : rule_(init) {}

  void compute(KernelContext& c) const override {
    const Resize size = Resize::backward(c, rule_);
    Tensor& result = c.output(0, size.original_shape());
    if (result.num_elements() == 0) return;
    zero_tensor(c, result);
    dispatch(TypeList<float, double>{}, result.dtype(),
             [&]<class T>() { add<T>(c, size, result.mutable_data<T>()); });
  }

 private:
  template <class T>
  void add(KernelContext& c, const Resize& size, T* result) const {
    const auto ys = all_taps(rule_, size.out.height, size.in.height, size.height_scale);
    const auto xs = all_taps(rule_, size.out.width, size.in.width, size.width_scale);
    std::vector<RowRange> ranges(static_cast<std::size_t>(size.in.height));
    for (std::size_t y = 0; y < ys.size(); ++y) {
      for (const std::int32_t index : ys[y].index) {
        ranges[static_cast<std::size_t>(index)].add(static_cast<std::int64_t>(y));
      }
    }
    const std::int64_t row_size = size.out.width * size.channels;
    const float* grads = c.input(0).data<float>();
    c.parallel_for(
        size.batch * size.in.height, static_cast<double>(row_size) * 8,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const auto target = static_cast<std::int32_t>(row % size.in.height);
            const RowRange range = ranges[static_cast<std::size_t>(target)];
            T* sums = result + row * size.in.width * size.channels;
            for (std::int64_t y = range.begin; y < range.end; ++y) {
              const float* from = grads + (row / size.in.height * size.out.height + y) * row_size;
              add_row(from, xs, size.channels, ys[static_cast<std::size_t>(y)], target, sums);
            }
          }
        });
  }

  template <class T>
  static void add_row(const float* grad, const std::vector<Taps>& xs, std::int64_t channels,
                      const Taps& y, std::int32_t target, T* sums) {
    for (const Taps& x : xs) {
      for (std::int64_t k = 0; k < channels; ++k, ++grad) {
        for (std::size_t i = 0; i < 4; ++i) {
          if (y.index[i] != target) continue;
          const T share = static_cast<T>(*grad) * y.weight[i];
          for (std::size_t j = 0; j < 4; ++j) {
            sums[x.index[j] * channels + k] += share * x.weight[j];
          }
        }
      }
    }
  }

  ResizeRule rule_;
};

constexpr OpDef kOps[] = {
    {.name = "ResizeBicubic",
     .inputs = "images: T, size: int32",
     .outputs = "resized_images: float",
     .attrs = "T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}; "
              "align_corners: bool = false; half_pixel_centers: bool = false",
     .shape = resized_images_shape,
     .kernel = make_kernel<BicubicKernel>},
    {.name = "ResizeBicubicGrad",
     .inputs = "grads: float, original_image: T",
     .outputs = "output: T",
     .attrs = "T: {float, double}; align_corners: bool = false; half_pixel_centers: bool = false",
     .shape = original_images_shape,
     .kernel = make_kernel<BicubicGradKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_resize_bicubic_ops() { return kOps; }

}  // namespace hub
