// CombinedNonMaxSuppression: for each picture the best boxes of all classes.

#include <algorithm>
#include <array>
#include <limits>
#include <queue>

#include "base/checked.h"
#include "ops/image_size.h"
#include "ops/image_suppression.h"

namespace hub {
namespace {

struct Detection {
  float score = -std::numeric_limits<float>::infinity();
  std::int32_t label = -1;
  const float* corners = nullptr;  // nullptr: an empty place
};

struct Limits {
  std::int64_t per_class;
  std::int64_t total;
  float overlap;
  float score;
};

// Among equal scores TensorFlow's choice is that of its heap; so this one is the same.
struct Candidate {
  std::int32_t box;
  float score;
};
struct WorseCandidate {
  bool operator()(const Candidate& a, const Candidate& b) const { return a.score < b.score; }
};

// The boxes and scores of one picture.
struct Picture {
  const float* boxes;  // [boxes, box_classes, 4]
  std::int64_t box_classes;
  const float* scores;  // [boxes, classes]
  std::int64_t classes;
  std::int64_t count;

  void select(std::int64_t label, const Limits& limits, Detection* out) const {
    std::priority_queue<Candidate, std::vector<Candidate>, WorseCandidate> queue;
    for (std::int64_t i = 0; i < count; ++i) {
      const float score = scores[i * classes + label];
      if (score > limits.score) queue.push({static_cast<std::int32_t>(i), score});
    }
    std::vector<Rectangle> selected;
    while (static_cast<std::int64_t>(selected.size()) < limits.per_class && !queue.empty()) {
      const Candidate next = queue.top();
      queue.pop();
      const float* corners = boxes + (next.box * box_classes + (box_classes > 1 ? label : 0)) * 4;
      const Rectangle box = Rectangle::from(corners);
      const bool overlaps = std::any_of(selected.rbegin(), selected.rend(), [&](const auto& other) {
        return overlap_of(box, other) > limits.overlap;
      });
      if (overlaps) continue;
      *out++ = {next.score, static_cast<std::int32_t>(label), corners};
      selected.push_back(box);
    }
  }
};

// Where the results of one picture go.
struct Rows {
  float* boxes;
  float* scores;
  float* labels;
  std::int32_t* number;
};

void write(std::vector<Detection>& detections, std::int64_t size, bool clip, const Rows& rows) {
  std::sort(detections.begin(), detections.end(),
            [](const Detection& a, const Detection& b) { return b.score < a.score; });
  const std::int64_t found = std::ranges::count_if(
      detections, [](const Detection& detection) { return detection.corners != nullptr; });
  const std::int64_t number = std::min(found, size);
  for (std::int64_t i = 0; i < number; ++i) {
    const Detection& detection = detections[static_cast<std::size_t>(i)];
    for (int k = 0; k < 4; ++k) {
      const float corner = detection.corners != nullptr ? detection.corners[k] : 0;
      rows.boxes[i * 4 + k] = clip ? std::max(std::min(corner, 1.0F), 0.0F) : corner;
    }
    rows.scores[i] = detection.score;
    rows.labels[i] = static_cast<float>(detection.label);
  }
  std::fill(rows.boxes + number * 4, rows.boxes + size * 4, 0.0F);
  std::fill(rows.scores + number, rows.scores + size, 0.0F);
  std::fill(rows.labels + number, rows.labels + size, 0.0F);
  *rows.number = static_cast<std::int32_t>(number);
}

void check_inputs(const KernelContext& c) {
  const Tensor& boxes = c.input(0);
  const Tensor& scores = c.input(1);
  const bool fits = boxes.rank() == 4 && scores.rank() == 3 && boxes.dim(3) == 4 &&
                    boxes.dim(0) == scores.dim(0) && boxes.dim(1) == scores.dim(1) &&
                    (boxes.dim(2) == 1 || boxes.dim(2) == scores.dim(2));
  if (!fits) {
    throw invalid_argument(
        "CombinedNonMaxSuppression: the boxes must have shape [batch, boxes, 1 "
        "or classes, 4], the scores [batch, boxes, classes]. Details: ",
        boxes.shape(), " and ", scores.shape(), ".");
  }
}

Limits limits_of(const KernelContext& c) {
  const Limits limits{limit_input(c, 2, "max_output_size_per_class"),
                      limit_input(c, 3, "max_total_size"), float_scalar(c, 4, "iou_threshold"),
                      float_scalar(c, 5, "score_threshold")};
  if (limits.per_class <= 0 || limits.total <= 0) {
    throw invalid_argument("CombinedNonMaxSuppression: the sizes must be positive. Details: ",
                           limits.per_class, " for each class, ", limits.total, " in all.");
  }
  check_overlap_threshold(c, limits.overlap);
  return limits;
}

// The smaller of `total` and `per_class` * `classes`.
std::int64_t smaller(std::int64_t total, std::int64_t per_class, std::int64_t classes) {
  return std::min(total, checked_mul(per_class, classes).value_or(total));
}

class CombinedKernel final : public Kernel {
 public:
  explicit CombinedKernel(const KernelInit& init)
      : pad_per_class_(init.attr<bool>("pad_per_class")), clip_(init.attr<bool>("clip_boxes")) {}

  void compute(KernelContext& c) const override {
    check_inputs(c);
    Limits limits = limits_of(c);
    const Tensor& boxes = c.input(0);
    const Tensor& scores = c.input(1);
    const std::int64_t batch = boxes.dim(0);
    const std::int64_t classes = scores.dim(2);
    const std::int64_t size =
        pad_per_class_ ? smaller(limits.total, limits.per_class, classes) : limits.total;
    limits.per_class = std::min(limits.per_class, boxes.dim(1));
    const std::int64_t places = mul_or_throw(limits.per_class, classes, "The number of boxes");
    if (places > std::numeric_limits<std::int32_t>::max()) {
      throw invalid_argument("CombinedNonMaxSuppression: there are too many boxes. Details: ",
                             limits.per_class, " for each of ", classes, " classes.");
    }
    Tensor& out_boxes = c.output(0, Shape{batch, size, 4});
    Tensor& out_scores = c.output(1, Shape{batch, size});
    Tensor& out_labels = c.output(2, Shape{batch, size});
    Tensor& numbers = c.output(3, Shape{batch});
    const std::int64_t count = boxes.dim(1);
    c.parallel_for(batch, static_cast<double>(count * classes) * 20,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       const Picture picture{
                           boxes.data<float>() + i * count * boxes.dim(2) * 4, boxes.dim(2),
                           scores.data<float>() + i * count * classes, classes, count};
                       std::vector<Detection> found(static_cast<std::size_t>(places));
                       for (std::int64_t label = 0; label < classes; ++label) {
                         picture.select(label, limits, found.data() + label * limits.per_class);
                       }
                       write(found, size, clip_,
                             {out_boxes.mutable_data<float>() + i * size * 4,
                              out_scores.mutable_data<float>() + i * size,
                              out_labels.mutable_data<float>() + i * size,
                              numbers.mutable_data<std::int32_t>() + i});
                     }
                   });
  }

 private:
  bool pad_per_class_;
  bool clip_;
};

Shapes combined_shape(ShapeContext& c) {
  const PartialShape boxes = c.with_rank(0, 4);
  const PartialShape scores = c.with_rank(1, 3);
  for (int i = 2; i < 6; ++i) c.with_rank(i, 0);
  const std::int64_t batch = merge_dims(boxes.dim(0), scores.dim(0), "The numbers of pictures");
  merge_dims(boxes.dim(1), scores.dim(1), "The numbers of boxes");
  merge_dims(boxes.dim(3), 4, "The size of a box");
  if (boxes.dim(2) >= 0 && boxes.dim(2) != 1) {
    merge_dims(boxes.dim(2), scores.dim(2), "The numbers of classes");
  }
  const auto known = [&](int input, std::string_view what) -> std::int64_t {
    const auto value = c.input_as_int(input);
    if (value && *value <= 0 && c.input_value(input) != nullptr) {
      throw invalid_argument("CombinedNonMaxSuppression: ", what,
                             " must be positive. Details: ", *value, ".");
    }
    return value && *value > 0 ? *value : -1;
  };
  std::int64_t size = known(3, "max_total_size");
  if (c.attr<bool>("pad_per_class")) {
    const std::int64_t per_class = known(2, "max_output_size_per_class");
    const std::int64_t classes = scores.dim(2);
    size = size >= 0 && per_class >= 0 && classes >= 0 ? smaller(size, per_class, classes) : -1;
  }
  return {PartialShape{batch, size, 4}, PartialShape{batch, size}, PartialShape{batch, size},
          PartialShape{batch}};
}

constexpr OpDef kOps[] = {
    {.name = "CombinedNonMaxSuppression",
     .inputs = "boxes: float, scores: float, max_output_size_per_class: int32, "
               "max_total_size: int32, iou_threshold: float, score_threshold: float",
     .outputs = "nmsed_boxes: float, nmsed_scores: float, nmsed_classes: float, "
                "valid_detections: int32",
     .attrs = "pad_per_class: bool = false; clip_boxes: bool = true",
     .shape = combined_shape,
     .kernel = make_kernel<CombinedKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily image_suppression_combined_ops() { return kOps; }

}  // namespace hub
