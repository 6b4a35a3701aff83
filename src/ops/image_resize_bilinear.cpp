// ResizeBilinear and its gradient.

#include <algorithm>

#include "ops/elements.h"
#include "ops/image_resize.h"
#include "ops/kernels/four_floats.h"

namespace hub {
namespace {

inline float mix(float a, float b, float share) { return a + (b - a) * share; }

// Three channels as vectors of four, where a fourth element can be read and written: not for
// the last pixel of a row. Returns how many pixels are done.
template <class T>
std::int64_t mix_three_channels(const T* row, std::int64_t in_width,
                                const std::vector<Neighbours>& xs, float* out) {
  const auto count = static_cast<std::int64_t>(xs.size()) - 1;
  std::int64_t x = 0;
  for (; x < count && xs[static_cast<std::size_t>(x)].upper < in_width - 1; ++x) {
    const Neighbours& at = xs[static_cast<std::size_t>(x)];
    const FourFloats left = load_four(row + std::int64_t{at.lower} * 3);
    const FourFloats right = load_four(row + std::int64_t{at.upper} * 3);
    const FourFloats mixed = left + (right - left) * at.share;
    store_four(out + x * 3, mixed);
  }
  return x;
}

// One row of the original, resized to the width of the result.
template <class T>
void mix_columns(const T* row, std::int64_t in_width, const std::vector<Neighbours>& xs,
                 std::int64_t channels, float* out) {
  const auto width = static_cast<std::int64_t>(xs.size());
  std::int64_t x = 0;
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, std::uint8_t>) {
    if (channels == 3) x = mix_three_channels(row, in_width, xs, out);
  }
  for (; x < width; ++x) {
    const Neighbours& at = xs[static_cast<std::size_t>(x)];
    const T* left = row + at.lower * channels;
    const T* right = row + at.upper * channels;
    float* to = out + x * channels;
    const float share = at.share;
    const auto one = [=](std::int64_t k) {
      to[k] = mix(static_cast<float>(left[k]), static_cast<float>(right[k]), share);
    };
    if (channels < 8) {
      for (std::int64_t k = 0; k < channels; ++k) one(k);
    } else {
      for_pixels<T, 8>(channels, one);
    }
  }
}

// Rows of originals at the width of the result: the last two that were made are kept, since
// neighbouring rows of the result need the same ones.
template <class T>
class MixedRows {
 public:
  MixedRows(const Resize& size, const std::vector<Neighbours>& xs, const T* images)
      : size_(size),
        xs_(xs),
        images_(images),
        row_size_(static_cast<std::size_t>(size.out.width * size.channels)),
        rows_{std::vector<float>(row_size_), std::vector<float>(row_size_)} {}

  // Valid until the call after the next one.
  const float* get(std::int64_t row) {
    for (std::size_t i = 0; i < 2; ++i) {
      if (held_[i] == row) {
        next_ = 1 - i;
        return rows_[i].data();
      }
    }
    const std::size_t place = next_;
    mix_columns(images_ + row * size_.in.width * size_.channels, size_.in.width, xs_,
                size_.channels, rows_[place].data());
    held_[place] = row;
    next_ = 1 - place;
    return rows_[place].data();
  }

 private:
  const Resize& size_;
  const std::vector<Neighbours>& xs_;
  const T* images_;
  std::size_t row_size_;
  std::array<std::vector<float>, 2> rows_;
  std::array<std::int64_t, 2> held_ = {-1, -1};
  std::size_t next_ = 0;
};

class BilinearKernel final : public Kernel {
 public:
  explicit BilinearKernel(const KernelInit& init) : rule_(init) {}

  void compute(KernelContext& c) const override {
    const Resize size = Resize::forward(c, rule_);
    const Tensor& images = c.input(0);
    const bool same_size = size.in.height == size.out.height && size.in.width == size.out.width;
    if (same_size && images.dtype() == DType::kFloat32) return c.set_output(0, images);
    Tensor& result = c.output(0, size.resized_shape());
    if (result.num_elements() == 0) return;
    dispatch(PictureTypes{}, images.dtype(), [&]<class T>() {
      if (same_size) {
        const T* from = images.data<T>();
        float* to = result.mutable_data<float>();
        c.parallel_for(result.num_elements(), 0.5, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) to[i] = static_cast<float>(from[i]);
        });
      } else {
        resize<T>(c, size, images.data<T>(), result.mutable_data<float>());
      }
    });
  }

 private:
  template <class T>
  void resize(KernelContext& c, const Resize& size, const T* images, float* result) const {
    const auto ys = neighbours_of(rule_, size.out.height, size.in.height, size.height_scale);
    const auto xs = neighbours_of(rule_, size.out.width, size.in.width, size.width_scale);
    const std::int64_t row_size = size.out.width * size.channels;
    c.parallel_for(size.batch * size.out.height, static_cast<double>(row_size) * 1.5,
                   [&](std::int64_t begin, std::int64_t end) {
                     MixedRows<T> rows(size, xs, images);
                     for (std::int64_t row = begin; row < end; ++row) {
                       const Neighbours& at = ys[static_cast<std::size_t>(row % size.out.height)];
                       const std::int64_t first = row / size.out.height * size.in.height;
                       const float* top = rows.get(first + at.lower);
                       const float* bottom = rows.get(first + at.upper);
                       float* to = result + row * row_size;
                       const float share = at.share;
                       for_lanes(row_size,
                                 [=](std::int64_t i) { to[i] = mix(top[i], bottom[i], share); });
                     }
                   });
  }

  ResizeRule rule_;
};

class BilinearGradKernel final : public Kernel {
 public:
  explicit BilinearGradKernel(const KernelInit& init) : rule_(init) {}

  void compute(KernelContext& c) const override {
    const Resize size = Resize::backward(c, rule_);
    Tensor& result = c.output(0, size.original_shape());
    if (result.num_elements() == 0) return;
    if (result.dtype() == DType::kFloat32 || result.dtype() == DType::kFloat64) {
      dispatch(TypeList<float, double>{}, result.dtype(),
               [&]<class T>() { add<T>(c, size, result); });
      return;
    }
    // The 16-bit floats are summed in single precision.
    Tensor sums = c.temporary(DType::kFloat32, result.shape());
    add<float>(c, size, sums);
    dispatch(TypeList<Half, BFloat16>{}, result.dtype(), [&]<class T>() {
      const float* from = sums.data<float>();
      T* to = result.mutable_data<T>();
      for (std::int64_t i = 0; i < result.num_elements(); ++i) to[i] = static_cast<T>(from[i]);
    });
  }

 private:
  template <class T>
  void add(KernelContext& c, const Resize& size, Tensor& result) const {
    const auto ys = neighbours_of(rule_, size.out.height, size.in.height, size.height_scale);
    const auto xs = neighbours_of(rule_, size.out.width, size.in.width, size.width_scale);
    std::vector<RowRange> ranges(static_cast<std::size_t>(size.in.height));
    for (std::size_t y = 0; y < ys.size(); ++y) {
      ranges[static_cast<std::size_t>(ys[y].lower)].add(static_cast<std::int64_t>(y));
      ranges[static_cast<std::size_t>(ys[y].upper)].add(static_cast<std::int64_t>(y));
    }
    zero_tensor(c, result);
    const std::int64_t row_size = size.out.width * size.channels;
    const float* grads = c.input(0).data<float>();
    c.parallel_for(size.batch * size.in.height, static_cast<double>(row_size) * 4,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const auto target = static_cast<std::int32_t>(row % size.in.height);
                       const RowRange range = ranges[static_cast<std::size_t>(target)];
                       T* sums = result.mutable_data<T>() + row * size.in.width * size.channels;
                       for (std::int64_t y = range.begin; y < range.end; ++y) {
                         const Neighbours& at = ys[static_cast<std::size_t>(y)];
                         const float* from =
                             grads + (row / size.in.height * size.out.height + y) * row_size;
                         // Within a pixel, the upper row's shares come first.
                         add_row(from, xs, size.channels, at, target, sums);
                       }
                     }
                   });
  }

  template <class T>
  static void add_row(const float* grad, const std::vector<Neighbours>& xs, std::int64_t channels,
                      const Neighbours& y, std::int32_t target, T* sums) {
    for (const Neighbours& x : xs) {
      T* left = sums + x.lower * channels;
      T* right = sums + x.upper * channels;
      for (std::int64_t k = 0; k < channels; ++k, ++grad) {
        if (y.lower == target) {
          const float share = *grad * (1.0F - y.share);
          left[k] += static_cast<T>(share * (1.0F - x.share));
          right[k] += static_cast<T>(share * x.share);
        }
        if (y.upper == target) {
          const float share = *grad * y.share;
          left[k] += static_cast<T>(share * (1.0F - x.share));
          right[k] += static_cast<T>(share * x.share);
        }
      }
    }
  }

  ResizeRule rule_;
};

constexpr OpDef kOps[] = {
    {.name = "ResizeBilinear",
     .inputs = "images: T, size: int32",
     .outputs = "resized_images: float",
     .attrs = "T: {int8, uint8, int16, uint16, int32, int64, bfloat16, half, float, double, "
              "bfloat16}; align_corners: bool = false; half_pixel_centers: bool = false",
     .shape = resized_images_shape,
     .kernel = make_kernel<BilinearKernel>},
    {.name = "ResizeBilinearGrad",
     .inputs = "grads: float, original_image: T",
     .outputs = "output: T",
     .attrs = "T: {float, bfloat16, half, double}; align_corners: bool = false; "
              "half_pixel_centers: bool = false",
     .shape = original_images_shape,
     .kernel = make_kernel<BilinearGradKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_resize_bilinear_ops() { return kOps; }

}  // namespace hub
