#include "ops/nn_lstm.h"

#include <algorithm>

#include "ops/lanes.h"
#include "ops/nn_layout.h"
#include "ops/vector_math.h"

namespace hub {
namespace {

struct GateOffsets {
  GateOffsets(const LstmAttrs& attrs, std::int64_t cells)
      : i(attrs.quarters[0] * cells),
        ci(attrs.quarters[1] * cells),
        f(attrs.quarters[2] * cells),
        o(attrs.quarters[3] * cells) {}
  std::int64_t i, ci, f, o;
};

}  // namespace

LstmAttrs lstm_attrs(const KernelInit& init) {
  LstmAttrs attrs;
  if (init.has_attr("forget_bias")) attrs.forget_bias = init.attr<float>("forget_bias");
  if (init.has_attr("cell_clip")) attrs.cell_clip = init.attr<float>("cell_clip");
  attrs.peephole = init.attr<bool>("use_peephole");
  // The second version orders its gates i, f, c, o.
  if (init.op().ends_with("V2")) attrs.quarters = {0, 2, 1, 3};
  return attrs;
}

void lstm_forward(const LstmAttrs& attrs, const LstmSizes& sizes, const float* gates,
                  const float* cs_prev, const LstmPeepholes& peepholes, const LstmStep& step) {
  using vector_math::sigmoid;
  using vector_math::tanh;
  const GateOffsets at(attrs, sizes.cells);
  const float clip = attrs.cell_clip, bias = attrs.forget_bias;
  const bool clips = clip > 0;
  for (std::int64_t row = 0; row < sizes.batch; ++row) {
    const float* g = gates + row * 4 * sizes.cells;
    const std::int64_t base = row * sizes.cells;
    for_lanes(sizes.cells, [=](std::int64_t j) {
      const std::int64_t k = base + j;
      const float previous = cs_prev[k];
      const float peep_i = attrs.peephole ? previous * peepholes.wci[j] : 0.0f;
      const float peep_f = attrs.peephole ? previous * peepholes.wcf[j] : 0.0f;
      const float i = sigmoid(g[at.i + j] + peep_i);
      const float f = sigmoid(g[at.f + j] + bias + peep_f);
      const float ci = tanh(g[at.ci + j]);
      float cs = i * ci + f * previous;
      if (clips) cs = vector_math::bounded(cs, -clip, clip);
      const float co = tanh(cs);
      const float peep_o = attrs.peephole ? cs * peepholes.wco[j] : 0.0f;
      const float o = sigmoid(g[at.o + j] + peep_o);
      step.i[k] = i;
      step.f[k] = f;
      step.ci[k] = ci;
      step.cs[k] = cs;
      step.co[k] = co;
      step.o[k] = o;
      step.h[k] = o * co;
    });
  }
}

void lstm_backward(const LstmAttrs& attrs, const LstmSizes& sizes, const LstmStep& step,
                   const float* cs_prev, const LstmPeepholes& peepholes, const float* d_cs,
                   const float* d_h, float* d_gates, float* d_cs_prev) {
  const GateOffsets at(attrs, sizes.cells);
  for (std::int64_t row = 0; row < sizes.batch; ++row) {
    float* g = d_gates + row * 4 * sizes.cells;
    const std::int64_t base = row * sizes.cells;
    for_lanes(sizes.cells, [=](std::int64_t j) {
      const std::int64_t k = base + j;
      const float i = step.i[k], f = step.f[k], o = step.o[k], ci = step.ci[k], co = step.co[k];
      const float d_o = o * (1 - o) * d_h[k] * co;
      float d_cell = (1 - co * co) * d_h[k] * o + d_cs[k];
      if (attrs.peephole) d_cell += d_o * peepholes.wco[j];
      const float d_ci = (1 - ci * ci) * d_cell * i;
      const float d_f = f * (1 - f) * d_cell * cs_prev[k];
      const float d_i = i * (1 - i) * d_cell * ci;
      g[at.i + j] = d_i;
      g[at.ci + j] = d_ci;
      g[at.f + j] = d_f;
      g[at.o + j] = d_o;
      float d_previous = d_cell * f;
      if (attrs.peephole) d_previous += d_i * peepholes.wci[j] + d_f * peepholes.wcf[j];
      d_cs_prev[k] = d_previous;
    });
  }
}

void add_peephole_gradients(const LstmAttrs& attrs, const LstmSizes& sizes, const float* d_gates,
                            const float* cs_prev, const float* cs, float* d_wci, float* d_wcf,
                            float* d_wco) {
  const GateOffsets at(attrs, sizes.cells);
  for (std::int64_t row = 0; row < sizes.batch; ++row) {
    const float* g = d_gates + row * 4 * sizes.cells;
    const std::int64_t base = row * sizes.cells;
    for_lanes(sizes.cells, [=](std::int64_t j) {
      d_wci[j] += g[at.i + j] * cs_prev[base + j];
      d_wcf[j] += g[at.f + j] * cs_prev[base + j];
      d_wco[j] += g[at.o + j] * cs[base + j];
    });
  }
}

void multiply(KernelContext& c, const dnn::Matmul& matmul, const dnn::MatmulShape& shape,
              const float* a, const float* b, float* result) {
  if (shape.m == 0 || shape.n == 0) return;
  if (shape.k == 0) {
    std::fill_n(result, shape.m * shape.n, 0.0f);
    return;
  }
  const dnn::MatmulOperands operands{a, b, result};
  matmul.multiply(c, shape, std::span(&operands, 1));
}

Tensor transposed_copy(KernelContext& c, const float* matrix, std::int64_t rows,
                       std::int64_t columns) {
  Tensor result = c.temporary(kFloat, Shape{columns, rows});
  transpose_matrices(c, 1, rows, columns, matrix, result.mutable_data<float>());
  return result;
}

}  // namespace hub
