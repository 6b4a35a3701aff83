// NonMaxSuppression in its versions: of boxes that overlap, the ones with the best scores.

#include "ops/image_suppression.h"

#include <cmath>
#include <queue>

#include "ops/image_size.h"
#include "ops/wide.h"

namespace hub {

std::int32_t limit_input(const KernelContext& context, int input, std::string_view what) {
  check_rank(context, input, 0, what);
  return context.input(input).scalar<std::int32_t>();
}

void check_overlap_threshold(const KernelContext& context, float threshold) {
  if (!(threshold >= 0 && threshold <= 1)) {
    throw invalid_argument(context.node().op_name,
                           ": iou_threshold must be in [0, 1]. Details: ", threshold, ".");
  }
}

namespace {

// Half precision is rounded after each operation.
template <class T>
float rounded(float value) {
  return static_cast<float>(static_cast<T>(value));
}

template <class T>
struct Thresholds {
  float overlap = 0;
  float score = static_cast<float>(lowest_finite<T>());
  float sigma = 0;  // above 0, scores are lowered instead of boxes being left out
};

struct Candidate {
  std::int32_t box;
  float score;
  std::int32_t compared;  // with how many of the selected boxes
};

struct WorseCandidate {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return (a.score == b.score && a.box > b.box) || a.score < b.score;
  }
};

struct Selection {
  std::vector<std::int32_t> boxes;
  std::vector<float> scores;
};

// TensorFlow's algorithm: the best candidate is compared with what was selected since it was
// last looked at; it is selected if that has not lowered its score.
template <class T>
class Suppressor {
 public:
  explicit Suppressor(const Thresholds<T>& thresholds)
      : thresholds_(thresholds),
        is_soft_(thresholds.sigma > 0),
        scale_(is_soft_ ? rounded<T>(-0.5F / thresholds.sigma) : 0) {}

  template <class Overlap>
  Selection select(const T* scores, std::int64_t count, std::int32_t limit,
                   Overlap&& overlap) const {
    std::vector<Candidate> candidates;
    for (std::int64_t i = 0; i < count; ++i) {
      const auto score = static_cast<float>(scores[i]);
      if (score > thresholds_.score) {
        candidates.push_back({static_cast<std::int32_t>(i), score, 0});
      }
    }
    std::priority_queue queue(WorseCandidate(), std::move(candidates));
    Selection selected;
    while (static_cast<std::int64_t>(selected.boxes.size()) < limit && !queue.empty()) {
      Candidate next = queue.top();
      queue.pop();
      const float score = next.score;
      if (!compare(selected, overlap, next)) continue;
      if (next.score == score) {
        selected.boxes.push_back(next.box);
        selected.scores.push_back(next.score);
      } else if (next.score > thresholds_.score) {
        queue.push(next);
      }
    }
    return selected;
  }

 private:
  // False where the candidate is out; else its score may have been lowered.
  template <class Overlap>
  bool compare(const Selection& selected, Overlap& overlap, Candidate& next) const {
    for (auto j = static_cast<std::int32_t>(selected.boxes.size()) - 1; j >= next.compared; --j) {
      const float similarity =
          rounded<T>(overlap(next.box, selected.boxes[static_cast<std::size_t>(j)]));
      next.score = rounded<T>(next.score * weight(similarity));
      if (!is_soft_ && similarity > thresholds_.overlap) return false;
      if (next.score <= thresholds_.score) break;
    }
    next.compared = static_cast<std::int32_t>(selected.boxes.size());
    return true;
  }

  float weight(float similarity) const {
    if (is_soft_) {
      const float scaled = rounded<T>(rounded<T>(scale_ * similarity) * similarity);
      return rounded<T>(std::exp(scaled));
    }
    return similarity <= thresholds_.overlap ? 1 : 0;
  }

  Thresholds<T> thresholds_;
  bool is_soft_;
  float scale_;
};

void check_boxes(const KernelContext& c) {
  const Tensor& boxes = c.input(0);
  const Tensor& scores = c.input(1);
  if (boxes.rank() != 2 || boxes.dim(1) != 4) {
    throw invalid_argument(c.node().op_name,
                           ": the boxes must have shape [boxes, 4]. Details: ", boxes.shape(), ".");
  }
  if (scores.rank() != 1 || scores.dim(0) != boxes.dim(0)) {
    throw invalid_argument(c.node().op_name, ": each box must have a score. Details: boxes ",
                           boxes.shape(), ", scores ", scores.shape(), ".");
  }
  if (boxes.dim(0) > std::numeric_limits<std::int32_t>::max()) {
    throw invalid_argument(c.node().op_name, ": there are too many boxes. Details: ", boxes.dim(0),
                           ".");
  }
}

// A scalar of T or of T_threshold, in T's precision.
template <class T>
float threshold_input(const KernelContext& c, int input, std::string_view what) {
  check_rank(c, input, 0, what);
  const Tensor& threshold = c.input(input);
  if (threshold.dtype() == DType::kFloat32) return rounded<T>(threshold.scalar<float>());
  return rounded<T>(static_cast<float>(threshold.scalar<Half>()));
}

std::int32_t checked_limit(const KernelContext& c) {
  const std::int32_t limit = limit_input(c, 2, "max_output_size");
  if (limit < 0) {
    throw invalid_argument(c.node().op_name,
                           ": max_output_size must not be negative. Details: ", limit, ".");
  }
  return limit;
}

// The outputs that the op has: indices, scores where `kScores`, and the number where `kNumber`.
template <class T, bool kScores, bool kNumber>
void write_selection(KernelContext& c, const Selection& selected, bool pad, std::int32_t limit) {
  const auto count = static_cast<std::int64_t>(selected.boxes.size());
  const std::int64_t size = pad ? limit : count;
  auto* indices = c.output(0, Shape{size}).template mutable_data<std::int32_t>();
  std::ranges::copy(selected.boxes, indices);
  std::fill(indices + count, indices + size, 0);
  if constexpr (kScores) {
    T* scores = c.output(1, Shape{size}).template mutable_data<T>();
    std::ranges::transform(selected.scores, scores, [](float x) { return static_cast<T>(x); });
    std::fill(scores + count, scores + size, static_cast<T>(0.0F));
  }
  if constexpr (kNumber) {
    *c.output(kScores ? 2 : 1, Shape{}).template mutable_data<std::int32_t>() =
        static_cast<std::int32_t>(count);
  }
}

template <class T>
Selection select_boxes(const KernelContext& c, const Thresholds<T>& thresholds,
                       std::int32_t limit) {
  check_overlap_threshold(c, thresholds.overlap);
  check_boxes(c);
  const Tensor& boxes = c.input(0);
  std::vector<Rectangle> rectangles(static_cast<std::size_t>(boxes.dim(0)));
  for (std::size_t i = 0; i < rectangles.size(); ++i) {
    rectangles[i] = Rectangle::from(boxes.data<T>() + i * 4);
  }
  return Suppressor<T>(thresholds)
      .select(c.input(1).data<T>(), boxes.dim(0), limit, [&](std::int32_t a, std::int32_t b) {
        return overlap_of(rectangles[static_cast<std::size_t>(a)],
                          rectangles[static_cast<std::size_t>(b)]);
      });
}

class FirstKernel final : public Kernel {
 public:
  explicit FirstKernel(const KernelInit& init) : threshold_(init.attr<float>("iou_threshold")) {}

  void compute(KernelContext& c) const override {
    const std::int32_t limit = checked_limit(c);
    Thresholds<float> thresholds;
    thresholds.overlap = threshold_;
    write_selection<float, false, false>(c, select_boxes(c, thresholds, limit), false, limit);
  }

 private:
  float threshold_;
};

// Versions 2 to 5.
template <int kVersion>
class SuppressionKernel final : public Kernel {
 public:
  explicit SuppressionKernel(const KernelInit& init)
      : pad_(init.has_attr("pad_to_max_output_size") && init.attr<bool>("pad_to_max_output_size")) {
  }

  void compute(KernelContext& c) const override {
    const std::int32_t limit = checked_limit(c);
    dispatch(TypeList<float, Half>{}, c.input(0).dtype(), [&]<class T>() {
      Thresholds<T> thresholds;
      thresholds.overlap = threshold_input<T>(c, 3, "iou_threshold");
      if constexpr (kVersion >= 3) {
        thresholds.score = threshold_input<T>(c, 4, "score_threshold");
      }
      if constexpr (kVersion >= 5) {
        thresholds.sigma = threshold_input<T>(c, 5, "soft_nms_sigma");
        if (!(thresholds.sigma >= 0)) {
          throw invalid_argument(
              c.node().op_name,
              ": soft_nms_sigma must not be negative. Details: ", thresholds.sigma, ".");
        }
      }
      write_selection<T, kVersion >= 5, kVersion >= 4>(c, select_boxes(c, thresholds, limit), pad_,
                                                       limit);
    });
  }

 private:
  bool pad_;
};

void compute_with_overlaps(KernelContext& c) {
  const std::int32_t limit = checked_limit(c);
  const Tensor& overlaps = c.input(0);
  const Tensor& scores = c.input(1);
  Thresholds<float> thresholds;
  thresholds.overlap = float_scalar(c, 3, "overlap_threshold");
  thresholds.score = float_scalar(c, 4, "score_threshold");
  if (overlaps.rank() != 2 || overlaps.dim(0) != overlaps.dim(1) || scores.rank() != 1 ||
      scores.dim(0) != overlaps.dim(0)) {
    throw invalid_argument(c.node().op_name,
                           ": the overlaps must be a square matrix, with a score for each row. "
                           "Details: overlaps ",
                           overlaps.shape(), ", scores ", scores.shape(), ".");
  }
  const float* values = overlaps.data<float>();
  const std::int64_t count = overlaps.dim(0);
  const Selection selected =
      Suppressor<float>(thresholds)
          .select(scores.data<float>(), count, limit,
                  [=](std::int32_t a, std::int32_t b) { return values[a * count + b]; });
  write_selection<float, false, false>(c, selected, false, limit);
}

// Scalars follow the boxes and scores.
void check_shapes(ShapeContext& c) {
  const PartialShape boxes = c.with_rank(0, 2);
  merge_dims(boxes.dim(0), c.with_rank(1, 1).dim(0), "The numbers of boxes and scores");
  for (int i = 2; i < c.num_inputs(); ++i) c.with_rank(i, 0);
}

Shapes selected_shapes(ShapeContext& c, bool pad) {
  check_shapes(c);
  merge_dims(c.input(0).dim(1), 4, "The size of a box");
  const auto limit = c.input_as_int(2);
  Shapes shapes = {PartialShape{pad && limit && *limit >= 0 ? *limit : -1}};
  if (c.num_outputs() == 3) shapes.push_back(shapes[0]);
  if (c.num_outputs() >= 2) shapes.push_back(PartialShape::scalar());
  return shapes;
}

Shapes suppression_shape(ShapeContext& c) { return selected_shapes(c, false); }

Shapes padded_suppression_shape(ShapeContext& c) {
  return selected_shapes(c, c.attr<bool>("pad_to_max_output_size"));
}

Shapes overlaps_shape(ShapeContext& c) {
  check_shapes(c);
  merge_dims(c.input(0).dim(0), c.input(0).dim(1), "The sides of the overlaps");
  return {PartialShape{-1}};
}

constexpr OpDef kOps[] = {
    {.name = "NonMaxSuppression",
     .inputs = "boxes: float, scores: float, max_output_size: int32",
     .outputs = "selected_indices: int32",
     .attrs = "iou_threshold: float = 0.5",
     .shape = suppression_shape,
     .kernel = make_kernel<FirstKernel>,
     .differentiable = Differentiable::kNone},
    {.name = "NonMaxSuppressionV2",
     .inputs = "boxes: T, scores: T, max_output_size: int32, iou_threshold: T_threshold",
     .outputs = "selected_indices: int32",
     .attrs = "T: {half, float} = float; T_threshold: {half, float} = float",
     .shape = suppression_shape,
     .kernel = make_kernel<SuppressionKernel<2>>,
     .differentiable = Differentiable::kNone},
    {.name = "NonMaxSuppressionV3",
     .inputs = "boxes: T, scores: T, max_output_size: int32, iou_threshold: T_threshold, "
               "score_threshold: T_threshold",
     .outputs = "selected_indices: int32",
     .attrs = "T: {half, float} = float; T_threshold: {half, float} = float",
     .shape = suppression_shape,
     .kernel = make_kernel<SuppressionKernel<3>>,
     .differentiable = Differentiable::kRefused},
    {.name = "NonMaxSuppressionV4",
     .inputs = "boxes: T, scores: T, max_output_size: int32, iou_threshold: T_threshold, "
               "score_threshold: T_threshold",
     .outputs = "selected_indices: int32, valid_outputs: int32",
     .attrs = "T: {half, float} = float; T_threshold: {half, float} = float; "
              "pad_to_max_output_size: bool = false",
     .shape = padded_suppression_shape,
     .kernel = make_kernel<SuppressionKernel<4>>,
     .differentiable = Differentiable::kRefused},
    {.name = "NonMaxSuppressionV5",
     .inputs = "boxes: T, scores: T, max_output_size: int32, iou_threshold: T, "
               "score_threshold: T, soft_nms_sigma: T",
     .outputs = "selected_indices: int32, selected_scores: T, valid_outputs: int32",
     .attrs = "T: {half, float} = float; pad_to_max_output_size: bool = false",
     .shape = padded_suppression_shape,
     .kernel = make_kernel<SuppressionKernel<5>>,
     .differentiable = Differentiable::kRefused},
    {.name = "NonMaxSuppressionWithOverlaps",
     .inputs = "overlaps: float, scores: float, max_output_size: int32, "
               "overlap_threshold: float, score_threshold: float",
     .outputs = "selected_indices: int32",
     .shape = overlaps_shape,
     .kernel = kernel_function<compute_with_overlaps>,
     .differentiable = Differentiable::kNone},
};

}  // namespace

OpFamily image_suppression_ops() { return kOps; }

}  // namespace hub
