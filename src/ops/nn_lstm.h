#pragma once

// The arithmetic of the LSTM block ops, in float. A step is that of a batch of cells:
//
//   i = sigmoid(g_i + cs_prev * wci)     ci = tanh(g_c)
//   f = sigmoid(g_f + forget_bias + cs_prev * wcf)
//   cs = clip(i * ci + f * cs_prev)      co = tanh(cs)
//   o = sigmoid(g_o + cs * wco)          h = o * co
//
// where g, [batch, 4 * cells], is x * w_x + h_prev * w_h + b.

#include <array>

#include "ops/kernel.h"
#include "ops/onednn_matmul.h"

namespace hub {

struct LstmAttrs {
  float forget_bias = 0;
  float cell_clip = 0;  // none where it is not positive
  bool peephole = false;
  // Which quarter of the gates is that of i, ci, f and o.
  std::array<int, 4> quarters = {0, 1, 2, 3};
};

// Reads what the op has of forget_bias, cell_clip and use_peephole.
LstmAttrs lstm_attrs(const KernelInit& init);

struct LstmSizes {
  std::int64_t steps = 1;
  std::int64_t batch = 0;
  std::int64_t inputs = 0;
  std::int64_t cells = 0;

  std::int64_t state() const { return batch * cells; }
};

// A batch's values, [batch, cells] each.
struct LstmStep {
  float *i, *cs, *f, *o, *ci, *co, *h;
};

struct LstmPeepholes {
  const float *wci, *wcf, *wco;
};

void lstm_forward(const LstmAttrs& attrs, const LstmSizes& sizes, const float* gates,
                  const float* cs_prev, const LstmPeepholes& peepholes, const LstmStep& step);

// From the gradients to cs and h of a step: the gradients to its gates, [batch, 4 * cells],
// and to cs_prev.
void lstm_backward(const LstmAttrs& attrs, const LstmSizes& sizes, const LstmStep& step,
                   const float* cs_prev, const LstmPeepholes& peepholes, const float* d_cs,
                   const float* d_h, float* d_gates, float* d_cs_prev);

// Adds a step's part of the gradients to the peepholes, [cells] each.
void add_peephole_gradients(const LstmAttrs& attrs, const LstmSizes& sizes, const float* d_gates,
                            const float* cs_prev, const float* cs, float* d_wci, float* d_wcf,
                            float* d_wco);

// c[m,n] = a[m,k] * b, also where a size is zero; `shape` says whether b is transposed.
void multiply(KernelContext& c, const dnn::Matmul& matmul, const dnn::MatmulShape& shape,
              const float* a, const float* b, float* result);
// A copy of the [rows, columns] matrix, transposed.
Tensor transposed_copy(KernelContext& c, const float* matrix, std::int64_t rows,
                       std::int64_t columns);

}  // namespace hub
