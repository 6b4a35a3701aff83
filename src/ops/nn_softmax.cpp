// Softmax and LogSoftmax over the last dimension. A row that holds +inf, or nothing but
// -inf, becomes NaN, as in TensorFlow.

#include <cmath>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/wide.h"
#include "tensor/dispatch.h"

namespace hub {
namespace {

Shapes same_as_logits(ShapeContext& c) { return {c.at_least_rank(0, 1)}; }

template <class T>
Wide<T> row_maximum(const T* row, std::int64_t size) {
  auto maximum = static_cast<Wide<T>>(row[0]);
  for (std::int64_t i = 1; i < size; ++i) {
    const auto value = static_cast<Wide<T>>(row[i]);
    if (value > maximum) maximum = value;
  }
  return maximum;
}

template <class T>
void softmax_row(const T* x, T* y, Wide<T>* exps, std::int64_t size) {
  const Wide<T> maximum = row_maximum(x, size);
  Wide<T> sum = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    exps[i] = std::exp(static_cast<Wide<T>>(x[i]) - maximum);
    sum += exps[i];
  }
  const Wide<T> scale = 1 / sum;
  for (std::int64_t i = 0; i < size; ++i) y[i] = static_cast<T>(exps[i] * scale);
}

template <class T>
void log_softmax_row(const T* x, T* y, std::int64_t size) {
  const Wide<T> maximum = row_maximum(x, size);
  Wide<T> sum = 0;
  for (std::int64_t i = 0; i < size; ++i) sum += std::exp(static_cast<Wide<T>>(x[i]) - maximum);
  const Wide<T> log_sum = std::log(sum);
  for (std::int64_t i = 0; i < size; ++i) {
    y[i] = static_cast<T>(static_cast<Wide<T>>(x[i]) - maximum - log_sum);
  }
}

// Where a row's exponentials go: into the result, unless it is too narrow for them.
template <class T>
struct RowBuffer {
  explicit RowBuffer(std::int64_t size) : values(static_cast<std::size_t>(size)) {}
  Wide<T>* of(T*) { return values.data(); }
  std::vector<Wide<T>> values;
};
template <class T>
requires std::is_same_v<T, Wide<T>>
struct RowBuffer<T> {
  explicit RowBuffer(std::int64_t) {}
  T* of(T* result) { return result; }
};

template <bool kLog>
void compute_softmax(KernelContext& c) {
  const Tensor& x = c.input(0);
  if (x.rank() < 1) {
    throw invalid_argument(c.node().op_name,
                           ": the logits must have rank >= 1. Details: they are a scalar.");
  }
  Tensor& y = c.output_in_place(0, 0, x.shape());
  if (x.num_elements() == 0) return;
  const std::int64_t size = x.dim(x.rank() - 1);
  const std::int64_t rows = x.num_elements() / size;
  dispatch(Floats{}, x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    c.parallel_for(rows, 4.0 * static_cast<double>(size),
                   [=](std::int64_t begin, std::int64_t end) {
                     RowBuffer<T> buffer(size);
                     for (std::int64_t row = begin * size; row < end * size; row += size) {
                       if constexpr (kLog) {
                         log_softmax_row(from + row, to + row, size);
                       } else {
                         softmax_row(from + row, to + row, buffer.of(to + row), size);
                       }
                     }
                   });
  });
}

constexpr OpDef kOps[] = {
    {.name = "LogSoftmax",
     .inputs = "logits: T",
     .outputs = "logsoftmax: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = same_as_logits,
     .kernel = kernel_function<compute_softmax<true>>},
    {.name = "Softmax",
     .inputs = "logits: T",
     .outputs = "softmax: T",
     .attrs = "T: {half, bfloat16, float, double}",
     .shape = same_as_logits,
     .kernel = kernel_function<compute_softmax<false>>},
};

}  // namespace

OpFamily nn_softmax_ops() { return kOps; }

}  // namespace hub
