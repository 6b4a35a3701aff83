// Random crops of a picture that keep enough of one of its boxes.

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/random_distributions.h"
#include "ops/random_stream.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes box_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(1, 3);
  return {PartialShape{3}, PartialShape{3}, PartialShape{1, 1, 4}};
}

struct Box {
  int x_min = 0;
  int y_min = 0;
  int x_max = 0;
  int y_max = 0;

  float area() const {
    return static_cast<float>(static_cast<std::int64_t>(x_max - x_min) * (y_max - y_min));
  }
  Box intersection(const Box& other) const {
    const Box common{std::max(x_min, other.x_min), std::max(y_min, other.y_min),
                     std::min(x_max, other.x_max), std::min(y_max, other.y_max)};
    return common.x_min > common.x_max || common.y_min > common.y_max ? Box() : common;
  }
};

// A whole number below `n`, all equally likely.
std::uint32_t random_below(PhiloxSamples& samples, std::uint32_t n) {
  if (n == 0 || (n & (n - 1)) == 0) return samples.next() & (n - 1) & (n == 0 ? 0 : UINT32_MAX);
  const std::uint32_t surplus = UINT32_MAX % n + 1;
  std::uint32_t bits = samples.next();
  while (bits < surplus) bits = samples.next();
  return bits % n;
}

struct BoxOptions {
  float min_area = 0;
  float max_area = 0;
  float min_aspect = 0;
  float max_aspect = 0;
  std::int64_t attempts = 0;
  bool use_image = false;
};

int rounded(float value) { return static_cast<int>(std::lrint(value)); }

// The largest height of which the rounded width fits.
int largest_height(const Box& image, float max_area, float aspect) {
  int height = rounded(std::sqrt(max_area / aspect));
  if (rounded(static_cast<float>(height) * aspect) > image.x_max) {
    constexpr float kEpsilon = 0.0000001F;
    height =
        static_cast<int>((static_cast<double>(image.x_max) + 0.5 - static_cast<double>(kEpsilon)) /
                         static_cast<double>(aspect));
    if (rounded(static_cast<float>(height) * aspect) > image.x_max) height -= 1;
  }
  return std::min(height, image.y_max);
}

// A box within the image with width = height * aspect. False where rounding leaves none.
bool random_crop(const Box& image, const BoxOptions& options, float aspect, PhiloxSamples& samples,
                 Box& crop) {
  if (image.x_max <= 0 || image.y_max <= 0 || options.min_area > options.max_area || !(aspect > 0))
    return false;
  const auto image_width = static_cast<float>(image.x_max);
  const auto image_height = static_cast<float>(image.y_max);
  const float min_area = options.min_area * image_width * image_height;
  const float max_area = options.max_area * image_width * image_height;
  const int max_height = largest_height(image, max_area, aspect);
  int height = std::min(rounded(std::sqrt(min_area / aspect)), max_height);
  if (height < max_height) {
    height += static_cast<int>(
        random_below(samples, static_cast<std::uint32_t>(max_height - height + 1)));
  }
  const auto width_of = [&] { return rounded(static_cast<float>(height) * aspect); };
  int width = width_of();
  const auto area_of = [&] {
    return static_cast<float>(static_cast<std::int64_t>(width) * height);
  };
  if (area_of() < min_area) {
    ++height;
    width = width_of();
  }
  if (area_of() > max_area) {
    --height;
    width = width_of();
  }
  if (area_of() < min_area || area_of() > max_area || width > image.x_max || height > image.y_max ||
      width <= 0 || height <= 0) {
    return false;
  }
  const auto below = [&](int n) {
    return static_cast<int>(random_below(samples, static_cast<std::uint32_t>(n)));
  };
  const int y = height < image.y_max ? below(image.y_max - height) : 0;
  const int x = width < image.x_max ? below(image.x_max - width) : 0;
  crop = {x, y, x + width, y + height};
  return true;
}

bool covers_enough(const Box& crop, const std::vector<Box>& boxes, float min_covered) {
  constexpr float kMinArea = 1;
  if (crop.area() < kMinArea) return false;
  return std::ranges::any_of(boxes, [&](const Box& box) {
    return box.area() >= kMinArea && crop.intersection(box).area() / box.area() >= min_covered;
  });
}

std::pair<float, float> range_attr(const KernelInit& init, std::string_view name) {
  const std::vector<float>& range = init.attr<AttrList>(name).floats;
  if (range.size() != 2 || !(range[0] > 0) || !(range[1] > 0)) {
    throw invalid_argument(init.op(), ": ", name, " must be two positive numbers. Details: [",
                           join(range), "].");
  }
  return {range[0], range[1]};
}

class BoxSampler {
 public:
  explicit BoxSampler(const KernelInit& init) {
    std::tie(options_.min_aspect, options_.max_aspect) = range_attr(init, "aspect_ratio_range");
    std::tie(options_.min_area, options_.max_area) = range_attr(init, "area_range");
    options_.attempts = init.attr<std::int64_t>("max_attempts");
    options_.use_image = init.attr<bool>("use_image_if_no_bounding_boxes");
    if (options_.min_area > 1 || options_.max_area > 1 || options_.attempts <= 0) {
      throw invalid_argument(
          init.op(),
          ": area_range must be at most 1, max_attempts positive. Details: ", options_.min_area,
          ", ", options_.max_area, " and ", options_.attempts, ".");
    }
  }

  std::int64_t attempts() const { return options_.attempts; }

  void draw(KernelContext& context, const Philox& start, float min_covered) const {
    if (!(min_covered >= 0)) {
      throw invalid_argument(context.node().op_name,
                             ": min_object_covered must not be negative. Details: ", min_covered,
                             ".");
    }
    const Box image = image_box(context);
    const std::vector<Box> boxes = given_boxes(context, image);
    PhiloxSamples samples(start);
    Box crop;
    bool found = false;
    for (std::int64_t i = 0; i < options_.attempts && !found; ++i) {
      const float aspect =
          uniform_float(samples.next()) * (options_.max_aspect - options_.min_aspect) +
          options_.min_aspect;
      found = random_crop(image, options_, aspect, samples, crop) &&
              covers_enough(crop, boxes, min_covered);
    }
    write(context, image, found ? crop : image);
  }

 private:
  static Box image_box(const KernelContext& context) {
    const Tensor& size = context.input(0);
    if (size.shape() != Shape{3}) {
      throw invalid_argument(context.node().op_name,
                             ": the image size must have shape [3]. Details: ", size.shape(), ".");
    }
    Box image;
    dispatch(Join<SignedIntegers, TypeList<std::uint8_t>>{}, size.dtype(), [&]<class T>() {
      const auto height = static_cast<std::int64_t>(size.data<T>()[0]);
      const auto width = static_cast<std::int64_t>(size.data<T>()[1]);
      constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
      if (height < 0 || height >= kMost || width < 0 || width >= kMost) {
        throw invalid_argument(context.node().op_name, ": the image's sides must be in [0, ", kMost,
                               "). Details: ", height, " and ", width, ".");
      }
      image = {0, 0, static_cast<int>(width), static_cast<int>(height)};
    });
    return image;
  }

  std::vector<Box> given_boxes(const KernelContext& context, const Box& image) const {
    const Tensor& tensor = context.input(1);
    const std::string& op = context.node().op_name;
    if (tensor.rank() != 3 || tensor.dim(2) != 4) {
      throw invalid_argument(
          op, ": boxes must have shape [batch, boxes, 4]. Details: ", tensor.shape(), ".");
    }
    const float* corner = tensor.data<float>();
    const auto width = static_cast<float>(image.x_max);
    const auto height = static_cast<float>(image.y_max);
    std::vector<Box> boxes;
    for (std::int64_t i = 0; i < tensor.num_elements() / 4; ++i, corner += 4) {
      for (int k = 0; k < 4; ++k) {
        if (!(corner[k] >= 0 && corner[k] <= 1)) {
          throw invalid_argument(op, ": boxes must lie in [0, 1]. Details: box ", i, " has ",
                                 corner[k], ".");
        }
      }
      boxes.push_back({static_cast<int>(corner[1] * width), static_cast<int>(corner[0] * height),
                       static_cast<int>(corner[3] * width), static_cast<int>(corner[2] * height)});
    }
    if (boxes.empty() && !options_.use_image) {
      throw invalid_argument(op, ": there must be a box, or use_image_if_no_bounding_boxes.");
    }
    if (boxes.empty()) boxes.push_back(image);
    return boxes;
  }

  static void write(KernelContext& context, const Box& image, const Box& crop) {
    Tensor& begin = context.output(0, Shape{3});
    Tensor& size = context.output(1, Shape{3});
    float* box = context.output(2, Shape{1, 1, 4}).mutable_data<float>();
    dispatch(Join<SignedIntegers, TypeList<std::uint8_t>>{}, begin.dtype(), [&]<class T>() {
      T* first = begin.mutable_data<T>();
      T* extent = size.mutable_data<T>();
      first[0] = static_cast<T>(crop.y_min);
      first[1] = static_cast<T>(crop.x_min);
      first[2] = 0;
      extent[0] = static_cast<T>(crop.y_max - crop.y_min);
      extent[1] = static_cast<T>(crop.x_max - crop.x_min);
      extent[2] = static_cast<T>(-1);  // all channels
    });
    const auto width = static_cast<float>(image.x_max);
    const auto height = static_cast<float>(image.y_max);
    box[0] = static_cast<float>(crop.y_min) / height;
    box[1] = static_cast<float>(crop.x_min) / width;
    box[2] = static_cast<float>(crop.y_max) / height;
    box[3] = static_cast<float>(crop.x_max) / width;
  }

  BoxOptions options_;
};

float min_covered_input(const KernelContext& context) {
  if (context.input(2).rank() != 0) {
    throw invalid_argument(context.node().op_name,
                           ": min_object_covered must be a scalar. Details: its shape is ",
                           context.input(2).shape(), ".");
  }
  return context.input(2).scalar<float>();
}

// The first version has `min_object_covered` as an attribute, the second as an input.
class BoxKernel final : public RandomKernel {
 public:
  explicit BoxKernel(const KernelInit& init) : RandomKernel(init), sampler_(init) {
    if (init.num_inputs() == 2) min_covered_ = init.attr<float>("min_object_covered");
  }
  void compute(KernelContext& context) const override {
    const Philox start = stream().reserve(static_cast<std::uint64_t>(sampler_.attempts()));
    sampler_.draw(context, start,
                  context.num_inputs() == 2 ? min_covered_ : min_covered_input(context));
  }

 private:
  BoxSampler sampler_;
  float min_covered_ = 0;
};

class StatelessBoxKernel final : public Kernel {
 public:
  explicit StatelessBoxKernel(const KernelInit& init) : sampler_(init) {}
  void compute(KernelContext& context) const override {
    const Philox start = generator_of_seed(context, 3);
    sampler_.draw(context, start, min_covered_input(context));
  }

 private:
  BoxSampler sampler_;
};

constexpr OpDef kOps[] = {
    {.name = "SampleDistortedBoundingBox",
     .inputs = "image_size: T, bounding_boxes: float",
     .outputs = "begin: T, size: T, bboxes: float",
     .attrs = "T: {uint8, int8, int16, int32, int64}; seed: int = 0; seed2: int = 0; "
              "min_object_covered: float = 0.1; aspect_ratio_range: list(float) = [0.75, 1.33]; "
              "area_range: list(float) = [0.050000001, 1.0]; max_attempts: int = 100; "
              "use_image_if_no_bounding_boxes: bool = false",
     .shape = box_shape,
     .kernel = make_kernel<BoxKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "SampleDistortedBoundingBoxV2",
     .inputs = "image_size: T, bounding_boxes: float, min_object_covered: float",
     .outputs = "begin: T, size: T, bboxes: float",
     .attrs =
         "T: {uint8, int8, int16, int32, int64}; seed: int = 0; seed2: int = 0; "
         "aspect_ratio_range: list(float) = [0.75, 1.33]; area_range: list(float) = [0.050000001, "
         "1.0]; max_attempts: int = 100; use_image_if_no_bounding_boxes: bool = false",
     .shape = box_shape,
     .kernel = make_kernel<BoxKernel>,
     .differentiable = Differentiable::kNone,
     .stateful = true},
    {.name = "StatelessSampleDistortedBoundingBox",
     .inputs = "image_size: T, bounding_boxes: float, min_object_covered: float, seed: Tseed",
     .outputs = "begin: T, size: T, bboxes: float",
     .attrs = "T: {uint8, int8, int16, int32, int64}; Tseed: {int32, int64}; aspect_ratio_range: "
              "list(float) = [0.75, 1.33]; area_range: list(float) = [0.050000001, 1.0]; "
              "max_attempts: int = 100; use_image_if_no_bounding_boxes: bool = false",
     .shape = box_shape,
     .kernel = make_kernel<StatelessBoxKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily random_box_ops() { return kOps; }

}  // namespace hub
