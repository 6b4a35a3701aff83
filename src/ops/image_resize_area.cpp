// ResizeArea: a pixel of the result is the mean of the rectangle that it covers.

#include <algorithm>

#include "ops/image_resize.h"
#include "ops/kernels/four_floats.h"

namespace hub {
namespace {

// The pixels [begin, end) of the original that one of the result covers, the first and the
// last of them in part.
struct Span {
  std::int64_t begin;
  std::int64_t end;
  float from;  // where the span begins and ends, exactly
  float to;
};

Span span_of(std::int64_t i, float scale) {
  const float from = static_cast<float>(i) * scale;
  const float to = static_cast<float>(i + 1) * scale;
  return {static_cast<std::int64_t>(std::floor(from)), static_cast<std::int64_t>(std::ceil(to)),
          from, to};
}

// How much of pixel `i` the span covers.
float covered(const Span& span, std::int64_t i, float scale) {
  const auto begin = static_cast<float>(i);
  const auto end = static_cast<float>(i + 1);
  if (begin < span.from) return end > span.to ? scale : end - span.from;
  return end > span.to ? span.to - begin : 1.0F;
}

// A span of columns and its shares.
struct Columns {
  std::int64_t begin;
  std::int64_t end;
  float first_share;
  float last_share;
  bool is_inside;  // of the original, with a pixel to spare
};

struct WeightedRow {
  std::int64_t row;
  float share;
};

class AreaKernel final : public Kernel {
 public:
  explicit AreaKernel(const KernelInit& init) : rule_(init) {}

  void compute(KernelContext& c) const override {
    const Resize size = Resize::forward(c, rule_);
    const Tensor& images = c.input(0);
    Tensor& result = c.output(0, size.resized_shape());
    if (result.num_elements() == 0) return;
    dispatch(PictureTypes{}, images.dtype(), [&]<class T>() {
      const T* from = images.data<T>();
      float* to = result.mutable_data<float>();
      switch (size.channels) {
        case 1: return resize<T, 1>(c, size, from, to);
        case 3: return resize<T, 3>(c, size, from, to);
        default: return resize<T, 0>(c, size, from, to);
      }
    });
  }

 private:
  static std::vector<Columns> all_columns(const Resize& size) {
    std::vector<Columns> result(static_cast<std::size_t>(size.out.width));
    for (std::int64_t x = 0; x < size.out.width; ++x) {
      const Span span = span_of(x, size.width_scale);
      result[static_cast<std::size_t>(x)] = {
          span.begin, span.end, covered(span, span.begin, size.width_scale),
          covered(span, span.end - 1, size.width_scale),
          span.begin < size.in.width && span.end >= 1 && span.end <= size.in.width};
    }
    return result;
  }

  // kChannels: how many there are, 0 for any other number.
  template <class T, std::int64_t kChannels>
  static void resize(KernelContext& c, const Resize& size, const T* images, float* result) {
    const std::vector<Columns> columns = all_columns(size);
    const std::int64_t out_row = size.out.width * size.channels;
    const double covers = static_cast<double>(size.height_scale + 1) *
                          static_cast<double>(size.in.width + size.out.width);
    c.parallel_for(size.batch * size.out.height, covers * static_cast<double>(size.channels),
                   [&](std::int64_t begin, std::int64_t end) {
                     std::vector<WeightedRow> rows;
                     for (std::int64_t row = begin; row < end; ++row) {
                       const Span span = span_of(row % size.out.height, size.height_scale);
                       rows.clear();
                       for (std::int64_t y = span.begin; y < span.end; ++y) {
                         rows.push_back({std::clamp<std::int64_t>(y, 0, size.in.height - 1),
                                         covered(span, y, size.height_scale)});
                       }
                       const T* image = images + row / size.out.height * size.in.height *
                                                     size.in.width * size.channels;
                       resize_row<T, kChannels>(size, image, rows, columns, result + row * out_row);
                     }
                   });
  }

  template <class T, std::int64_t kChannels>
  static void resize_row(const Resize& size, const T* image, const std::vector<WeightedRow>& rows,
                         const std::vector<Columns>& columns, float* out) {
    const auto scale =
        static_cast<float>(1.0 / static_cast<double>(size.height_scale * size.width_scale));
    const std::int64_t channels = kChannels == 0 ? size.channels : kChannels;
    const std::int64_t row_size = size.in.width * channels;
    const auto clamped = [&](std::int64_t x) {
      return std::clamp<std::int64_t>(x, 0, size.in.width - 1) * channels;
    };
    for (const Columns& span : columns) {
      if constexpr (kChannels == 3) {
        // Reads and writes one float more than there is; what follows is written later.
        if (span.is_inside && &span != &columns.back()) {
          FourFloats sums{};
          for (const WeightedRow& row : rows) {
            const T* pixels = image + row.row * row_size;
            sums += span_sum<FourFloats>(
                        span, [=](std::int64_t x) { return load_four(pixels + x * 3); }) *
                    row.share;
          }
          store_four(out, sums * scale);
          out += 3;
          continue;
        }
      }
      for (std::int64_t k = 0; k < channels; ++k) {
        float sum = 0;
        for (const WeightedRow& row : rows) {
          const T* pixels = image + row.row * row_size + k;
          sum += span_sum<float>(
                     span, [&](std::int64_t x) { return static_cast<float>(pixels[clamped(x)]); }) *
                 row.share;
        }
        *out++ = sum * scale;
      }
    }
  }

  template <class Value, class Pixel>
  static Value span_sum(const Columns& span, Pixel&& pixel) {
    Value sum = pixel(span.begin) * span.first_share;
    if (span.begin + 1 != span.end) {
      for (std::int64_t x = span.begin + 1; x < span.end - 1; ++x) sum += pixel(x);
      sum += pixel(span.end - 1) * span.last_share;
    }
    return sum;
  }

  ResizeRule rule_;
};

constexpr OpDef kOps[] = {
    {.name = "ResizeArea",
     .inputs = "images: T, size: int32",
     .outputs = "resized_images: float",
     .attrs = "T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}; "
              "align_corners: bool = false",
     .shape = resized_images_shape,
     .kernel = make_kernel<AreaKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_resize_area_ops() { return kOps; }

}  // namespace hub
