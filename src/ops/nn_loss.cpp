// Cross entropies of a softmax, with their gradients as second outputs.

#include <cmath>
#include <limits>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

// What a row of logits says: the largest, and the logarithm of the sum of exp(x - largest).
template <class W>
struct RowSummary {
  W maximum;
  W sum;
  W log_sum;
};

template <class T>
RowSummary<Wide<T>> summarize_row(const T* row, std::int64_t size) {
  RowSummary<Wide<T>> result{-std::numeric_limits<Wide<T>>::infinity(), 0, 0};
  for (std::int64_t i = 0; i < size; ++i) {
    const auto value = static_cast<Wide<T>>(row[i]);
    if (value > result.maximum) result.maximum = value;
  }
  for (std::int64_t i = 0; i < size; ++i) {
    result.sum += std::exp(static_cast<Wide<T>>(row[i]) - result.maximum);
  }
  result.log_sum = std::log(result.sum);
  return result;
}

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
template <class T>
Tensor broadcast_rows(KernelContext& c, const Tensor& from, const DensePair& pair) {
  const Shape shape{pair.rows, pair.classes};
  if (from.shape() == shape) return from;
  Tensor result = c.temporary(from.dtype(), shape);
  const std::int64_t row_step = from.rank() == 2 && from.dim(0) != 1 ? from.dim(1) : 0;
  const std::int64_t class_step = from.rank() > 0 && from.dim(from.rank() - 1) != 1 ? 1 : 0;
  const T* x = from.data<T>();
  T* y = result.mutable_data<T>();
  for (std::int64_t i = 0; i < pair.rows; ++i) {
    for (std::int64_t j = 0; j < pair.classes; ++j) *y++ = x[i * row_step + j * class_step];
  }
  return result;
}

void compute_dense(KernelContext& c) {
  const DensePair pair = dense_pair(c.input(0), c.input(1));
  Tensor& loss = c.output(0, Shape{pair.rows});
  dispatch(Floats{}, c.input(0).dtype(), [&]<class T>() {
    using W = Wide<T>;
    const Tensor logits = broadcast_rows<T>(c, c.input(0), pair);
    const Tensor labels = broadcast_rows<T>(c, c.input(1), pair);
    Tensor& backprop = c.output(1, Shape{pair.rows, pair.classes});
    const std::int64_t size = pair.classes;
    const T* logit = logits.data<T>();
    const T* label = labels.data<T>();
    T* losses = loss.mutable_data<T>();
    T* gradients = backprop.mutable_data<T>();
    c.parallel_for(
        pair.rows, 8.0 * static_cast<double>(size), [=](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const T* x = logit + row * size;
            const T* p = label + row * size;
            T* dx = gradients + row * size;
            const RowSummary<W> summary = summarize_row(x, size);
            W total = 0;
            for (std::int64_t i = 0; i < size; ++i) {
              const W shifted = static_cast<W>(x[i]) - summary.maximum;
              total += static_cast<W>(p[i]) * (summary.log_sum - shifted);
              dx[i] = static_cast<T>(std::exp(shifted) / summary.sum - static_cast<W>(p[i]));
            }
            losses[row] = static_cast<T>(total);
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

template <class T, class Label>
void sparse_rows(const T* logits, const Label* labels, std::int64_t size, T* losses, T* gradients,
                 std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  for (std::int64_t row = begin; row < end; ++row) {
    const T* x = logits + row * size;
    T* dx = gradients + row * size;
    const RowSummary<W> summary = summarize_row(x, size);
    const auto label = static_cast<std::int64_t>(labels[row]);
    const W own = static_cast<W>(x[label]) - summary.maximum;
    losses[row] = static_cast<T>(summary.log_sum - own);
    for (std::int64_t i = 0; i < size; ++i) {
      const W probability = std::exp(static_cast<W>(x[i]) - summary.maximum) / summary.sum;
      dx[i] = static_cast<T>(i == label ? probability - 1 : probability);
    }
  }
}

void compute_sparse(KernelContext& c) {
  const Tensor& logits = c.input(0);
  const Tensor& labels = c.input(1);
  check_sparse_labels(logits, labels);
  const std::int64_t rows = logits.dim(0);
  const std::int64_t size = logits.dim(1);
  dispatch(Indices{}, labels.dtype(), [&]<class Label>() {
    const Label* label = labels.data<Label>();
    for (std::int64_t row = 0; row < rows; ++row) {
      if (label[row] >= 0 && label[row] < size) continue;
      throw invalid_argument("SparseSoftmaxCrossEntropyWithLogits: a label must be in [0, ", size,
                             "). Details: label ", row, " is ", label[row], ".");
    }
    Tensor& loss = c.output(0, Shape{rows});
    Tensor& backprop = c.output_in_place(0, 1, logits.shape());
    dispatch(Floats{}, logits.dtype(), [&]<class T>() {
      const T* from = logits.data<T>();
      T* losses = loss.mutable_data<T>();
      T* gradients = backprop.mutable_data<T>();
      c.parallel_for(rows, 8.0 * static_cast<double>(size),
                     [=](std::int64_t begin, std::int64_t end) {
                       sparse_rows(from, label, size, losses, gradients, begin, end);
                     });
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
