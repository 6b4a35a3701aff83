// Softmax and LogSoftmax over the last dimension. A row that holds +inf, or nothing but
// -inf, becomes NaN, as in TensorFlow.

#include <cmath>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/kernel.h"
#include "ops/lanes.h"
#include "ops/softmax_rows.h"

namespace hub {
namespace {

Shapes same_as_logits(ShapeContext& c) { return {c.at_least_rank(0, 1)}; }

template <class W>
void softmax_row(const W* x, std::int64_t size, W* y) {
  if constexpr (std::is_same_v<W, float>) {
    softmax_of_row(x, size, y);
  } else {
    const W scale = 1 / row_exponentials(x, size, y).sum;
    for_lanes(size, [=](std::int64_t i) { y[i] *= scale; });
  }
}

template <class W>
void log_softmax_row(const W* x, std::int64_t size, W* exps, W* y) {
  const auto row = row_exponentials(x, size, exps);
  const W maximum = row.maximum, log_sum = std::log(row.sum);
  for_lanes(size, [=](std::int64_t i) { y[i] = x[i] - maximum - log_sum; });
}

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
  dispatch_wide(x.dtype(), [&]<class W>() {
    c.parallel_for(rows, static_cast<double>(size), [&](std::int64_t begin, std::int64_t end) {
      WideRows<W> from(x, size);
      NarrowRows<W> to(y, size, &x);
      std::vector<W> exps(kLog ? static_cast<std::size_t>(size) : 0);
      for (std::int64_t row = begin; row < end; ++row) {
        if constexpr (kLog) {
          log_softmax_row(from.row(row), size, exps.data(), to.row(row));
        } else {
          softmax_row(from.row(row), size, to.row(row));
        }
        to.store(row);
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
