// RandomCrop, which graphs before version 8 of their format hold.

#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/random_stream.h"

namespace hub {
namespace {

Shapes crop_shape(ShapeContext& c) {
  const PartialShape image = c.with_rank(0, 3);
  c.with_rank(1, 1);
  const Tensor* size = c.input_value(1);
  const bool known = size != nullptr && size->num_elements() == 2;
  const auto dim = [&](std::int64_t i) { return known ? integer_at(*size, i) : -1; };
  return {PartialShape{dim(0), dim(1), image.dim(2)}};
}

class RandomCropKernel final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;

  void compute(KernelContext& context) const override {
    const Tensor& image = context.input(0);
    const Tensor& size = context.input(1);
    if (image.rank() != 3 || size.rank() != 1 || size.dim(0) != 2) {
      throw invalid_argument(
          "RandomCrop: the image must have rank 3, the size two numbers. Details: the shapes are ",
          image.shape(), " and ", size.shape(), ".");
    }
    const std::int64_t height = integer_at(size, 0), width = integer_at(size, 1);
    if (height < 0 || width < 0 || height > image.dim(0) || width > image.dim(1)) {
      throw failed_precondition("RandomCrop: the crop must lie in the image. Details: ", height,
                                " x ", width, " of ", image.shape(), ".");
    }
    // A place is drawn only along a side that has several; the width's comes first.
    PhiloxSamples samples(stream().reserve(1));
    const std::int64_t left = place(image.dim(1) - width, samples);
    const std::int64_t top = place(image.dim(0) - height, samples);
    const std::int64_t channels = image.dim(2);
    Tensor& crop = context.output(0, Shape{height, width, channels});
    if (crop.num_elements() == 0) return;
    for (std::int64_t row = 0; row < height; ++row) {
      copy_elements(image.dtype(),
                    element_at(image, ((top + row) * image.dim(1) + left) * channels),
                    element_at(crop, row * width * channels), width * channels);
    }
  }

 private:
  static std::int64_t place(std::int64_t room, PhiloxSamples& samples) {
    if (room == 0) return 0;
    return static_cast<std::int64_t>(samples.next() % static_cast<std::uint64_t>(room + 1));
  }
};

constexpr OpDef kOps[] = {
    {.name = "RandomCrop",
     .inputs = "image: T, size: int64",
     .outputs = "output: T",
     .attrs = "T: {uint8, int8, int16, int32, int64, float, double}; seed: int = 0; seed2: int = 0",
     .shape = crop_shape,
     .kernel = make_kernel<RandomCropKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
};

}  // namespace

OpFamily random_crop_ops() { return kOps; }

}  // namespace hub
