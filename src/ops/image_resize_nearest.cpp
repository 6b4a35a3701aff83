// ResizeNearestNeighbor and its gradient.

#include <algorithm>

#include "ops/elements.h"
#include "ops/image_resize.h"
#include "ops/wrapping.h"

namespace hub {
namespace {

// For each pixel of the result the nearest one of the original. With half pixel centres the
// half stays, since the position is rounded down.
std::vector<std::int32_t> nearest(const ResizeRule& rule, std::int64_t out, std::int64_t in,
                                  float scale) {
  std::vector<std::int32_t> indices(static_cast<std::size_t>(out));
  for (std::int64_t i = 0; i < out; ++i) {
    const auto pixel = static_cast<float>(i);
    const float position = rule.half_pixel ? (pixel + 0.5F) * scale : pixel * scale;
    const float whole = rule.align_corners ? std::round(position) : std::floor(position);
    indices[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(static_cast<std::int64_t>(whole), 0, in - 1));
  }
  return indices;
}

// The columns are copied in runs of neighbours.
template <class T>
void copy_row(const T* from, const std::vector<std::int32_t>& columns, std::int64_t channels,
              T* to) {
  if (channels == 1) {
    for (const std::int32_t column : columns) *to++ = from[column];
    return;
  }
  if (channels == 3) {
    for (const std::int32_t column : columns) {
      const T* pixel = from + std::int64_t{column} * 3;
      to[0] = pixel[0];
      to[1] = pixel[1];
      to[2] = pixel[2];
      to += 3;
    }
    return;
  }
  for (const std::int32_t column : columns) {
    to = std::copy_n(from + std::int64_t{column} * channels, channels, to);
  }
}

class NearestKernel final : public Kernel {
 public:
  explicit NearestKernel(const KernelInit& init) : rule_(init) {}

  void compute(KernelContext& c) const override {
    const Resize size = Resize::forward(c, rule_);
    if (size.in.height >= kMostExact || size.in.width >= kMostExact) {
      throw invalid_argument("ResizeNearestNeighbor: the sides must be below ", kMostExact,
                             ". Details: ", size.in.height, " by ", size.in.width, ".");
    }
    const Tensor& images = c.input(0);
    Tensor& result = c.output(0, size.resized_shape());
    if (result.num_elements() == 0) return;
    const auto ys = nearest(rule_, size.out.height, size.in.height, size.height_scale);
    const auto xs = nearest(rule_, size.out.width, size.in.width, size.width_scale);
    dispatch_by_size(images.dtype(), [&]<class T>() {
      if constexpr (std::is_trivially_copyable_v<T>) copy<T>(c, size, ys, xs, images, result);
    });
  }

 private:
  // Single precision counts no further.
  static constexpr std::int64_t kMostExact = 1 << 24;

  template <class T>
  static void copy(KernelContext& c, const Resize& size, const std::vector<std::int32_t>& ys,
                   const std::vector<std::int32_t>& xs, const Tensor& images, Tensor& result) {
    const auto* from = static_cast<const T*>(images.raw_data());
    auto* to = static_cast<T*>(result.mutable_raw_data());
    const std::int64_t in_row = size.in.width * size.channels;
    const std::int64_t out_row = size.out.width * size.channels;
    c.parallel_for(
        size.batch * size.out.height, static_cast<double>(out_row) * 0.5,
        [&](std::int64_t begin, std::int64_t end) {
          std::int64_t copied = -1;  // the row of the original that the last one was made of
          for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t source = row / size.out.height * size.in.height +
                                        ys[static_cast<std::size_t>(row % size.out.height)];
            T* target = to + row * out_row;
            if (source == copied) {
              std::copy_n(target - out_row, out_row, target);
            } else {
              copy_row(from + source * in_row, xs, size.channels, target);
            }
            copied = source;
          }
        });
  }

  ResizeRule rule_;
};

class NearestGradKernel final : public Kernel {
 public:
  explicit NearestGradKernel(const KernelInit& init) : rule_(init) {}

  void compute(KernelContext& c) const override {
    check_rank(c, 0, 4, "the gradient");
    const Tensor& grads = c.input(0);
    const ImageSize in = size_input(c, 1, "the size");
    Tensor& result = c.output(0, Shape{grads.dim(0), in.height, in.width, grads.dim(3)});
    if (result.num_elements() == 0) return;
    zero_tensor(c, result);
    if (grads.num_elements() == 0) return;
    const auto ys = nearest(rule_, grads.dim(1), in.height, rule_.scale(in.height, grads.dim(1)));
    const auto xs = nearest(rule_, grads.dim(2), in.width, rule_.scale(in.width, grads.dim(2)));
    std::vector<RowRange> ranges(static_cast<std::size_t>(in.height));
    for (std::size_t y = 0; y < ys.size(); ++y) {
      ranges[static_cast<std::size_t>(ys[y])].add(static_cast<std::int64_t>(y));
    }
    dispatch(Join<Floats, UnsignedIntegers>{}, wrapping_dtype(grads.dtype()),
             [&]<class T>() { add<T>(c, grads, xs, ranges, result); });
  }

 private:
  template <class T>
  static void add(KernelContext& c, const Tensor& grads, const std::vector<std::int32_t>& xs,
                  const std::vector<RowRange>& ranges, Tensor& result) {
    const std::int64_t height = result.dim(1);
    const std::int64_t channels = result.dim(3);
    const std::int64_t row_size = grads.dim(2) * channels;
    c.parallel_for(result.dim(0) * height, static_cast<double>(row_size),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const RowRange range = ranges[static_cast<std::size_t>(row % height)];
                       T* sums = mutable_elements_as<T>(result) + row * result.dim(2) * channels;
                       for (std::int64_t y = range.begin; y < range.end; ++y) {
                         const T* grad =
                             elements_as<T>(grads) + (row / height * grads.dim(1) + y) * row_size;
                         for (const std::int32_t x : xs) {
                           T* sum = sums + std::int64_t{x} * channels;
                           for (std::int64_t k = 0; k < channels; ++k)
                             sum[k] = wrapping_add(sum[k], *grad++);
                         }
                       }
                     }
                   });
  }

  ResizeRule rule_;
};

constexpr OpDef kOps[] = {
    {.name = "ResizeNearestNeighbor",
     .inputs = "images: T, size: int32",
     .outputs = "resized_images: T",
     .attrs = "T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}; "
              "align_corners: bool = false; half_pixel_centers: bool = false",
     .shape = resized_images_shape,
     .kernel = make_kernel<NearestKernel>},
    {.name = "ResizeNearestNeighborGrad",
     .inputs = "grads: T, size: int32",
     .outputs = "output: T",
     .attrs = "T: {uint8, int8, int32, half, float, double, bfloat16}; "
              "align_corners: bool = false; half_pixel_centers: bool = false",
     .shape = resized_images_shape,
     .kernel = make_kernel<NearestGradKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_resize_nearest_ops() { return kOps; }

}  // namespace hub
