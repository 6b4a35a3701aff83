// The GRU cell as one op, and its gradient:
//
//   [r, u] = sigmoid([x, h_prev] * w_ru + b_ru)
//   c = tanh([x, h_prev * r] * w_c + b_c)       h = u * h_prev + (1 - u) * c

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/lanes.h"
#include "ops/nn_lstm.h"
#include "ops/vector_math.h"

namespace hub {
namespace {

struct GruInputs {
  explicit GruInputs(const KernelContext& c) : c_(c) {
    const Tensor &x_in = c.input(0), &h_in = c.input(1);
    if (x_in.rank() != 2 || h_in.rank() != 2) {
      throw invalid_argument(c.node().op_name,
                             ": x and h_prev must have rank 2. Details: their shapes are ",
                             x_in.shape(), " and ", h_in.shape(), ".");
    }
    batch = x_in.dim(0);
    inputs = x_in.dim(1);
    cells = h_in.dim(1);
    check(1, "h_prev", Shape{batch, cells});
    check(2, "w_ru", Shape{inputs + cells, 2 * cells});
    check(3, "w_c", Shape{inputs + cells, cells});
    check(4, "b_ru", Shape{2 * cells});
    check(5, "b_c", Shape{cells});
  }
  void check(int i, std::string_view what, const Shape& shape) const {
    if (c_.input(i).shape() == shape) return;
    throw invalid_argument(c_.node().op_name, ": ", what, " must have the shape ", shape,
                           ". Details: it is ", c_.input(i).shape(), ".");
  }
  const float* data(int i) const { return c_.input(i).data<float>(); }
  Shape state() const { return Shape{batch, cells}; }

  std::int64_t batch, inputs, cells;

 private:
  const KernelContext& c_;
};

// [x, h] row by row.
void join_columns(const float* x, std::int64_t x_width, const float* h, std::int64_t h_width,
                  std::int64_t rows, float* to) {
  for (std::int64_t row = 0; row < rows; ++row) {
    to = std::copy_n(x + row * x_width, x_width, to);
    to = std::copy_n(h + row * h_width, h_width, to);
  }
}

class GruKernel final : public Kernel {
 public:
  void compute(KernelContext& c) const override {
    const GruInputs in(c);
    const std::int64_t cells = in.cells, width = in.inputs + cells;
    float* out[4];
    for (int i = 0; i < 4; ++i) out[i] = c.output(i, in.state()).mutable_data<float>();
    float *r = out[0], *u = out[1], *candidate = out[2], *h = out[3];
    const float* h_prev = in.data(1);
    Tensor joined = c.temporary(kFloat, Shape{in.batch, width});
    Tensor gates = c.temporary(kFloat, Shape{in.batch, 2 * cells});
    float *xh = joined.mutable_data<float>(), *gate = gates.mutable_data<float>();
    join_columns(in.data(0), in.inputs, h_prev, cells, in.batch, xh);
    multiply(c, matmul_, {in.batch, width, 2 * cells}, xh, in.data(2), gate);
    // h holds h_prev * r until the end.
    for (std::int64_t row = 0; row < in.batch; ++row) {
      const float *g = gate + row * 2 * cells, *b = in.data(4);
      const std::int64_t base = row * cells;
      for_lanes(cells, [=](std::int64_t j) {
        r[base + j] = vector_math::sigmoid(g[j] + b[j]);
        u[base + j] = vector_math::sigmoid(g[cells + j] + b[cells + j]);
        h[base + j] = h_prev[base + j] * r[base + j];
      });
    }
    join_columns(in.data(0), in.inputs, h, cells, in.batch, xh);
    multiply(c, matmul_, {in.batch, width, cells}, xh, in.data(3), gate);
    for (std::int64_t row = 0; row < in.batch; ++row) {
      const float *g = gate + row * cells, *b = in.data(5);
      const std::int64_t base = row * cells;
      for_lanes(cells, [=](std::int64_t j) {
        const float value = vector_math::tanh(g[j] + b[j]);
        candidate[base + j] = value;
        h[base + j] = u[base + j] * h_prev[base + j] + (1 - u[base + j]) * value;
      });
    }
  }

 private:
  dnn::Matmul matmul_;
};

// (the six inputs, r, u, c, gradient to h) -> gradients to x, h_prev, and to what c, and r
// and u, are functions of.
class GruGradKernel final : public Kernel {
 public:
  void compute(KernelContext& c) const override {
    const GruInputs in(c);
    in.check(6, "r", in.state());
    in.check(7, "u", in.state());
    in.check(8, "c", in.state());
    in.check(9, "d_h", in.state());
    const std::int64_t cells = in.cells, width = in.inputs + cells;
    const float *h_prev = in.data(1), *r = in.data(6), *u = in.data(7), *candidate = in.data(8),
                *d_h = in.data(9);
    float* d_x = c.output(0, c.input(0).shape()).mutable_data<float>();
    float* d_h_prev = c.output(1, in.state()).mutable_data<float>();
    float* d_c = c.output(2, in.state()).mutable_data<float>();
    float* d_ru = c.output(3, Shape{in.batch, 2 * cells}).mutable_data<float>();
    Tensor by_c = c.temporary(kFloat, Shape{in.batch, width}),
           by_ru = c.temporary(kFloat, Shape{in.batch, width});
    float *from_c = by_c.mutable_data<float>(), *from_ru = by_ru.mutable_data<float>();
    for (std::int64_t row = 0; row < in.batch; ++row) {
      const std::int64_t base = row * cells;
      float* d_u = d_ru + row * 2 * cells + cells;
      for_lanes(cells, [=](std::int64_t j) {
        const std::int64_t k = base + j;
        d_c[k] = d_h[k] * (1 - u[k]) * (1 - candidate[k] * candidate[k]);
        d_u[j] = d_h[k] * (h_prev[k] - candidate[k]) * u[k] * (1 - u[k]);
      });
    }
    multiply(c, matmul_, {in.batch, cells, width, true}, d_c, in.data(3), from_c);
    for (std::int64_t row = 0; row < in.batch; ++row) {
      const float* d_hr = from_c + row * width + in.inputs;
      float* d_r = d_ru + row * 2 * cells;
      const std::int64_t base = row * cells;
      for_lanes(cells, [=](std::int64_t j) {
        d_r[j] = d_hr[j] * h_prev[base + j] * r[base + j] * (1 - r[base + j]);
      });
    }
    multiply(c, matmul_, {in.batch, 2 * cells, width, true}, d_ru, in.data(2), from_ru);
    for (std::int64_t row = 0; row < in.batch; ++row) {
      const float *a = from_c + row * width, *b = from_ru + row * width;
      float *dx = d_x + row * in.inputs, *dh = d_h_prev + row * cells;
      for_lanes(in.inputs, [=](std::int64_t j) { dx[j] = a[j] + b[j]; });
      const float *a_h = a + in.inputs, *b_h = b + in.inputs;
      const std::int64_t base = row * cells;
      for_lanes(cells, [=](std::int64_t j) {
        const std::int64_t k = base + j;
        dh[j] = b_h[j] + a_h[j] * r[k] + d_h[k] * u[k];
      });
    }
  }

 private:
  dnn::Matmul matmul_;
};

Shapes gru_shape(ShapeContext& c) {
  return Shapes(4, PartialShape{c.with_rank(0, 2).dim(0), c.with_rank(1, 2).dim(1)});
}

Shapes gru_grad_shape(ShapeContext& c) {
  const std::int64_t batch = c.with_rank(0, 2).dim(0), cells = c.with_rank(1, 2).dim(1);
  const PartialShape state{batch, cells};
  return {c.with_rank(0, 2), state, state, PartialShape{batch, cells < 0 ? -1 : 2 * cells}};
}

constexpr OpDef kOps[] = {
    {.name = "GRUBlockCell",
     .inputs = "x: T, h_prev: T, w_ru: T, w_c: T, b_ru: T, b_c: T",
     .outputs = "r: T, u: T, c: T, h: T",
     .attrs = "T: {float}",
     .shape = gru_shape,
     .kernel = make_kernel<GruKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "GRUBlockCellGrad",
     .inputs = "x: T, h_prev: T, w_ru: T, w_c: T, b_ru: T, b_c: T, r: T, u: T, c: T, d_h: T",
     .outputs = "d_x: T, d_h_prev: T, d_c_bar: T, d_r_bar_u_bar: T",
     .attrs = "T: {float}",
     .shape = gru_grad_shape,
     .kernel = make_kernel<GruGradKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily nn_gru_ops() { return kOps; }

}  // namespace hub
