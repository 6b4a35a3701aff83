// Cross entropies of a softmax, with their gradients as second outputs.

#include <array>
#include <cmath>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/kernel.h"
#include "ops/lanes.h"
#include "ops/softmax_rows.h"

namespace hub {
namespace {

// Either input may be one row, or one column, for all of the other's.
struct DensePair {
  std::int64_t rows = 0;
  std::int64_t classes = 0;
};

std::int64_t common_dim(std::int64_t a, std::int64_t b, const Tensor& logits,
                        const Tensor& labels) {
  if (a == b || b == 1) return a;
  if (a == 1) return b;
  throw invalid_argument(
      "SoftmaxCrossEntropyWithLogits: logits and labels must be of one shape, or broadcast to one. "
      "Details: their shapes are ",
      logits.shape(), " and ", labels.shape(), ".");
}

DensePair dense_pair(const Tensor& logits, const Tensor& labels) {
  const auto dims = [](const Tensor& t) {
    return t.rank() == 2   ? std::pair(t.dim(0), t.dim(1))
           : t.rank() == 1 ? std::pair(std::int64_t{1}, t.dim(0))
                           : std::pair(std::int64_t{1}, std::int64_t{1});
  };
  const int rank = std::max(logits.rank(), labels.rank());
  if (rank != 2) {
    throw invalid_argument(
        "SoftmaxCrossEntropyWithLogits: logits and labels must be matrices, or broadcast to one. "
        "Details: their shapes are ",
        logits.shape(), " and ", labels.shape(), ".");
  }
  const auto [logit_rows, logit_classes] = dims(logits);
  const auto [label_rows, label_classes] = dims(labels);
  return {common_dim(logit_rows, label_rows, logits, labels),
          common_dim(logit_classes, label_classes, logits, labels)};
}

// The tensor repeated to [rows, classes], or itself.
Tensor broadcast_rows(KernelContext& c, const Tensor& from, const DensePair& pair) {
  const Shape shape{pair.rows, pair.classes};
  if (from.shape() == shape) return from;
  Tensor result = c.temporary(from.dtype(), shape);
  const std::int64_t row_step = from.rank() == 2 && from.dim(0) != 1 ? from.dim(1) : 0;
  const std::int64_t class_step = from.rank() > 0 && from.dim(from.rank() - 1) != 1 ? 1 : 0;
  const std::array<CopyAxis, 2> axes{
      {{pair.rows, row_step, pair.classes}, {pair.classes, class_step, 1}}};
  copy_box(c, from.dtype(), axes, from.raw_data(), result.mutable_raw_data());
  return result;
}

// The loss of a row, and the gradient to its logits.
template <class W>
W dense_row(const W* x, const W* labels, std::int64_t size, W* gradient) {
  const auto [maximum, sum] = row_exponentials(x, size, gradient);
  const W log_sum = std::log(sum);
  const W scale = 1 / sum;
  W loss = 0;
  for (std::int64_t i = 0; i < size; ++i) loss += labels[i] * (log_sum - (x[i] - maximum));
  for_lanes(size, [=](std::int64_t i) { gradient[i] = gradient[i] * scale - labels[i]; });
  return loss;
}

void compute_dense(KernelContext& c) {
  const DensePair pair = dense_pair(c.input(0), c.input(1));
  const std::int64_t size = pair.classes;
  const Tensor logits = broadcast_rows(c, c.input(0), pair);
  const Tensor labels = broadcast_rows(c, c.input(1), pair);
  Tensor& loss = c.output(0, Shape{pair.rows});
  Tensor& backprop = c.output(1, Shape{pair.rows, size});
  if (size == 0) return zero_tensor(c, loss);
  dispatch_wide(logits.dtype(), [&]<class W>() {
    c.parallel_for(
        pair.rows, 2.0 * static_cast<double>(size), [&](std::int64_t begin, std::int64_t end) {
          WideRows<W> x(logits, size), p(labels, size);
          NarrowRows<W> gradients(backprop, size), losses(loss, 1);
          for (std::int64_t row = begin; row < end; ++row) {
            *losses.row(row) = dense_row(x.row(row), p.row(row), size, gradients.row(row));
            gradients.store(row);
            losses.store(row);
          }
        });
  });
}

void check_sparse_labels(const Tensor& logits, const Tensor& labels) {
  if (logits.rank() != 2) {
    throw invalid_argument(
        "SparseSoftmaxCrossEntropyWithLogits: the logits must be a matrix. Details: their shape "
        "is ",
        logits.shape(), ".");
  }
  if (labels.rank() != 1 || labels.dim(0) != logits.dim(0)) {
    throw invalid_argument(
        "SparseSoftmaxCrossEntropyWithLogits: there must be one label for each row of logits. "
        "Details: the shapes are ",
        labels.shape(), " and ", logits.shape(), ".");
  }
  if (logits.dim(1) == 0) {
    throw invalid_argument(
        "SparseSoftmaxCrossEntropyWithLogits: there must be at least one class. Details: the "
        "logits' shape is ",
        logits.shape(), ".");
  }
}

template <class W>
W sparse_row(const W* x, std::int64_t label, std::int64_t size, W* gradient) {
  const W own = x[label];
  const auto [maximum, sum] = row_exponentials(x, size, gradient);
  const W scale = 1 / sum;
  for_lanes(size, [=](std::int64_t i) { gradient[i] *= scale; });
  gradient[label] -= 1;
  return std::log(sum) - (own - maximum);
}

void compute_sparse(KernelContext& c) {
  const Tensor& logits = c.input(0);
  const Tensor& labels = c.input(1);
  check_sparse_labels(logits, labels);
  const std::int64_t rows = logits.dim(0);
  const std::int64_t size = logits.dim(1);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t label = integer_at(labels, row);
    if (label >= 0 && label < size) continue;
    throw invalid_argument("SparseSoftmaxCrossEntropyWithLogits: a label must be in [0, ", size,
                           "). Details: label ", row, " is ", label, ".");
  }
  Tensor& loss = c.output(0, Shape{rows});
  Tensor& backprop = c.output_in_place(0, 1, logits.shape());
  dispatch_wide(logits.dtype(), [&]<class W>() {
    c.parallel_for(rows, static_cast<double>(size), [&](std::int64_t begin, std::int64_t end) {
      WideRows<W> x(logits, size);
      NarrowRows<W> gradients(backprop, size), losses(loss, 1);
      for (std::int64_t row = begin; row < end; ++row) {
        *losses.row(row) =
            sparse_row(x.row(row), integer_at(labels, row), size, gradients.row(row));
        gradients.store(row);
        losses.store(row);
      }
    });
  });
}

Shapes dense_shape(ShapeContext& c) {
  PartialShape logits = c.input(0);
  PartialShape labels = c.input(1);
  if (logits.has_rank() && labels.has_rank()) {
    const PartialShape both = broadcast(logits, labels);
    if (both.rank() != 2) {
      throw invalid_argument(
          "SoftmaxCrossEntropyWithLogits: logits and labels must be matrices, or broadcast to one. "
          "Details: their shapes are ",
          logits, " and ", labels, ".");
    }
    return {PartialShape{both.dim(0)}, both};
  }
  return {PartialShape{-1}, PartialShape{-1, -1}};
}

Shapes sparse_shape(ShapeContext& c) {
  const PartialShape logits = c.with_rank(0, 2);
  const PartialShape labels = c.with_rank(1, 1);
  const std::int64_t rows =
      merge_dims(logits.dim(0), labels.dim(0), "The numbers of labels and of rows of logits");
  return {PartialShape{rows}, PartialShape{rows, logits.dim(1)}};
}

constexpr OpDef kOps[] = {
    {.name = "SoftmaxCrossEntropyWithLogits",
     .inputs = "features: T, labels: T",
     .outputs = "loss: T, backprop: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = dense_shape,
     .kernel = kernel_function<compute_dense>},
    {.name = "SparseSoftmaxCrossEntropyWithLogits",
     .inputs = "features: T, labels: Tlabels",
     .outputs = "loss: T, backprop: T",
     .attrs = "T: {half, bfloat16, float, double}; Tlabels: {int32, int64} = int64",
     .shape = sparse_shape,
     .kernel = kernel_function<compute_sparse>},
};

}  // namespace

OpFamily nn_loss_ops() { return kOps; }

}  // namespace hub
