// QuantizedResizeBilinear.

#include "ops/image_resize.h"

namespace hub {
namespace {

// How numbers of type T are mixed, and what a share is.
template <class T>
struct Mixing;

template <>
struct Mixing<float> {
  static float share(float part) { return part; }
  static float mix(float top_left, float top_right, float bottom_left, float bottom_right, float x,
                   float y) {
    const float top = top_left + (top_right - top_left) * x;
    const float bottom = bottom_left + (bottom_right - bottom_left) * x;
    return top + (bottom - top) * y;
  }
};

// Shares are whole numbers of 2^-kBits; a Sum holds a number times 2^kBits.
template <class T, class Sum, int kBits>
struct IntegerMixing {
  static constexpr Sum kWhole = Sum{1} << kBits;
  static std::int32_t share(float part) {
    return static_cast<std::int32_t>(part * static_cast<float>(kWhole));
  }
  static T mix(Sum top_left, Sum top_right, Sum bottom_left, Sum bottom_right, std::int32_t x,
               std::int32_t y) {
    const Sum top = top_left * kWhole + (top_right - top_left) * x;
    const Sum bottom = bottom_left * kWhole + (bottom_right - bottom_left) * x;
    const Sum mixed = top + (bottom - top) / kWhole * y;
    return static_cast<T>((mixed + kWhole / 2) / kWhole);
  }
};

template <>
struct Mixing<std::uint8_t> : IntegerMixing<std::uint8_t, std::int32_t, 7> {};
// TensorFlow loses the lower bits of these.
template <>
struct Mixing<std::int32_t> : IntegerMixing<std::int32_t, std::int64_t, 30> {};

class QuantizedBilinearKernel final : public Kernel {
 public:
  explicit QuantizedBilinearKernel(const KernelInit& init) : rule_(init), size_rule_(rule_) {
    // Unlike the other ops, this one takes both rules at once.
    size_rule_.half_pixel = false;
  }

  void compute(KernelContext& c) const override {
    const Resize size = Resize::forward(c, size_rule_);
    const float low = float_scalar(c, 2, "min");
    const float high = float_scalar(c, 3, "max");
    const Tensor& images = c.input(0);
    if (size.in.height == size.out.height && size.in.width == size.out.width) {
      c.set_output(0, images);
    } else {
      Tensor& result = c.output(0, size.resized_shape());
      if (result.num_elements() > 0) {
        dispatch(TypeList<std::uint8_t, std::int32_t, float>{}, images.dtype(), [&]<class T>() {
          resize<T>(c, size, static_cast<const T*>(images.raw_data()),
                    static_cast<T*>(result.mutable_raw_data()));
        });
      }
    }
    *c.output(1, Shape{}).mutable_data<float>() = low;
    *c.output(2, Shape{}).mutable_data<float>() = high;
  }

 private:
  template <class T>
  void resize(KernelContext& c, const Resize& size, const T* images, T* result) const {
    const auto ys = neighbours_of(rule_, size.out.height, size.in.height, size.height_scale);
    const auto xs = neighbours_of(rule_, size.out.width, size.in.width, size.width_scale);
    const std::int64_t in_row = size.in.width * size.channels;
    const std::int64_t out_row = size.out.width * size.channels;
    c.parallel_for(size.batch * size.out.height, static_cast<double>(out_row) * 3,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const Neighbours& y = ys[static_cast<std::size_t>(row % size.out.height)];
                       const T* image = images + row / size.out.height * size.in.height * in_row;
                       mix_row(image + y.lower * in_row, image + y.upper * in_row, y.share, xs,
                               size.channels, result + row * out_row);
                     }
                   });
  }

  template <class T>
  static void mix_row(const T* top, const T* bottom, float y_share,
                      const std::vector<Neighbours>& xs, std::int64_t channels, T* out) {
    const auto y = Mixing<T>::share(y_share);
    for (const Neighbours& x : xs) {
      const auto share = Mixing<T>::share(x.share);
      const std::int64_t left = x.lower * channels;
      const std::int64_t right = x.upper * channels;
      for (std::int64_t k = 0; k < channels; ++k) {
        *out++ = Mixing<T>::mix(top[left + k], top[right + k], bottom[left + k], bottom[right + k],
                                share, y);
      }
    }
  }

  ResizeRule rule_;
  ResizeRule size_rule_;
};

Shapes quantized_shape(ShapeContext& c) {
  Shapes shapes = resized_images_shape(c);
  for (int i = 2; i <= 3; ++i) {
    c.with_rank(i, 0);
    shapes.push_back(PartialShape::scalar());
  }
  return shapes;
}

constexpr OpDef kOps[] = {
    {.name = "QuantizedResizeBilinear",
     .inputs = "images: T, size: int32, min: float, max: float",
     .outputs = "resized_images: T, out_min: float, out_max: float",
     .attrs = "T: {quint8, qint32, float}; align_corners: bool = false; "
              "half_pixel_centers: bool = false",
     .shape = quantized_shape,
     .kernel = make_kernel<QuantizedBilinearKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_resize_quantized_ops() { return kOps; }

}  // namespace hub
