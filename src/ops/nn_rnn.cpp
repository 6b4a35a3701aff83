// LSTM cells and whole LSTMs as one op, and their gradients. Half is computed as float.

#include <algorithm>

#include "graph/op.h"
#include "graph/shape_rules.h"
#include "ops/channels.h"
#include "ops/elements.h"
#include "ops/nn_layout.h"
#include "ops/nn_lstm.h"
#include "ops/row_sums.h"

namespace hub {
namespace {

void require(bool holds, const KernelContext& c, std::string_view rule, const Tensor& tensor) {
  if (!holds)
    throw invalid_argument(c.node().op_name, ": ", rule, " Details: its shape is ", tensor.shape(),
                           ".");
}

void check_shape(const KernelContext& c, std::string_view what, const Tensor& tensor,
                 const Shape& shape) {
  if (tensor.shape() == shape) return;
  throw invalid_argument(c.node().op_name, ": ", what, " must have the shape ", shape,
                         ". Details: it is ", tensor.shape(), ".");
}

// The inputs x, cs_prev, h_prev, w, wci, wcf, wco, b, from `first` on.
struct LstmInputs {
  LstmInputs(KernelContext& c, int first, const LstmAttrs& attrs, bool has_time) {
    const Tensor& x_in = c.input(first);
    require(x_in.rank() == (has_time ? 3 : 2), c,
            has_time ? "x must have rank 3." : "x must have rank 2.", x_in);
    const Tensor& state = c.input(first + 1);
    require(state.rank() == 2, c, "cs_prev must have rank 2.", state);
    sizes.steps = has_time ? x_in.dim(0) : 1;
    sizes.batch = x_in.dim(has_time ? 1 : 0);
    sizes.inputs = x_in.dim(has_time ? 2 : 1);
    sizes.cells = state.dim(1);
    const Shape vector{sizes.cells};
    check_shape(c, "cs_prev", state, Shape{sizes.batch, sizes.cells});
    check_shape(c, "h_prev", c.input(first + 2), Shape{sizes.batch, sizes.cells});
    check_shape(c, "w", c.input(first + 3), Shape{sizes.inputs + sizes.cells, 4 * sizes.cells});
    if (attrs.peephole || has_time) {
      check_shape(c, "wci", c.input(first + 4), vector);
      check_shape(c, "wcf", c.input(first + 5), vector);
      check_shape(c, "wco", c.input(first + 6), vector);
    }
    check_shape(c, "b", c.input(first + 7), Shape{4 * sizes.cells});
    for (int i = 0; i < 8; ++i)
      tensors[static_cast<std::size_t>(i)] = converted(c, c.input(first + i), kFloat);
    peepholes = {data(4), data(5), data(6)};
  }

  const float* data(int i) const { return tensors[static_cast<std::size_t>(i)].data<float>(); }
  const float* x() const { return data(0); }
  const float* cs_prev() const { return data(1); }
  const float* h_prev() const { return data(2); }
  const float* w_x() const { return data(3); }
  const float* w_h() const { return data(3) + sizes.inputs * 4 * sizes.cells; }
  const float* b() const { return data(7); }

  LstmSizes sizes;
  std::array<Tensor, 8> tensors;
  LstmPeepholes peepholes;
};

// Outputs (or temporaries, of half outputs) of floats, which `store` makes the outputs.
class FloatOutputs {
 public:
  explicit FloatOutputs(KernelContext& c) : c_(c) {}
  float* add(const Shape& shape) {
    const int i = static_cast<int>(tensors_.size());
    const bool direct = c_.output_dtype(i) == kFloat;
    tensors_.push_back(direct ? c_.output(i, shape) : c_.temporary(kFloat, shape));
    return tensors_.back().mutable_data<float>();
  }
  void store() {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const int output = static_cast<int>(i);
      c_.set_output(output, converted(c_, tensors_[i], c_.output_dtype(output)));
    }
  }
  Tensor& operator[](std::size_t i) { return tensors_[i]; }

 private:
  KernelContext& c_;
  std::vector<Tensor> tensors_;
};

LstmStep step_at(const LstmStep& first, std::int64_t offset) {
  return {first.i + offset,  first.cs + offset, first.f + offset, first.o + offset,
          first.ci + offset, first.co + offset, first.h + offset};
}

// Cells, and sequences: the op has the input seq_len_max, or it is one step.
class LstmKernel final : public Kernel {
 public:
  LstmKernel(const KernelInit& init, bool has_time)
      : attrs_(lstm_attrs(init)), has_time_(has_time) {}
  void compute(KernelContext& c) const override {
    const LstmInputs in(c, has_time_ ? 1 : 0, attrs_, has_time_);
    const LstmSizes& sizes = in.sizes;
    if (!has_time_) require(sizes.state() > 0, c, "cs_prev must not be empty.", c.input(1));
    const std::int64_t steps = has_time_ ? sequence_length(c, sizes.steps) : 1;
    const Shape shape =
        has_time_ ? Shape{sizes.steps, sizes.batch, sizes.cells} : Shape{sizes.batch, sizes.cells};
    FloatOutputs out(c);
    LstmStep all{};
    for (float** values : {&all.i, &all.cs, &all.f, &all.o, &all.ci, &all.co, &all.h})
      *values = out.add(shape);
    for (std::size_t i = 0; i < 7; ++i) {
      float* values = out[i].mutable_data<float>();
      std::fill(values + steps * sizes.state(), values + sizes.steps * sizes.state(), 0.0f);
    }
    run(c, in, steps, all);
    out.store();
  }

  static std::int64_t sequence_length(const KernelContext& c, std::int64_t steps) {
    const std::int64_t length = integer_scalar(c, 0, "seq_len_max");
    if (length >= 0 && length <= steps) return length;
    throw invalid_argument(c.node().op_name, ": seq_len_max must be in [0, ", steps,
                           "]. Details: it is ", length, ".");
  }

 private:
  void run(KernelContext& c, const LstmInputs& in, std::int64_t steps, const LstmStep& all) const {
    const LstmSizes& sizes = in.sizes;
    const std::int64_t width = 4 * sizes.cells, rows = steps * sizes.batch;
    // What x adds to the gates is the same product for all steps.
    Tensor gates = c.temporary(kFloat, Shape{rows, width});
    float* gate = gates.mutable_data<float>();
    multiply(c, matmul_, {rows, sizes.inputs, width}, in.x(), in.w_x(), gate);
    Tensor recurrent = c.temporary(kFloat, Shape{sizes.batch, width});
    float* added = recurrent.mutable_data<float>();
    const dnn::MatmulShape shape{sizes.batch, sizes.cells, width};
    const bool packs = steps > 1 && sizes.state() > 0;
    const auto packed = packs ? matmul_.pack(c, in.w_h(), shape) : nullptr;
    for (std::int64_t t = 0; t < steps; ++t) {
      const float* h = t == 0 ? in.h_prev() : all.h + (t - 1) * sizes.state();
      const float* cs = t == 0 ? in.cs_prev() : all.cs + (t - 1) * sizes.state();
      if (packs) {
        matmul_.multiply(c, sizes.batch, h, *packed, added);
      } else {
        multiply(c, matmul_, shape, h, in.w_h(), added);
      }
      float* g = gate + t * sizes.batch * width;
      const float* b = in.b();
      for (std::int64_t row = 0; row < sizes.batch; ++row) {
        float* to = g + row * width;
        const float* from = added + row * width;
        for_channels(width, [=](std::int64_t j) { to[j] += from[j] + b[j]; });
      }
      lstm_forward(attrs_, sizes, g, cs, in.peepholes, step_at(all, t * sizes.state()));
    }
  }

  LstmAttrs attrs_;
  bool has_time_;
  dnn::Matmul matmul_;
};

// The saved values i, cs, f, o, ci, co (and h, of sequences), as floats.
struct SavedSteps {
  SavedSteps(KernelContext& c, int first, const Shape& shape, bool has_time) {
    for (int i = 0; i < (has_time ? 7 : 6); ++i) {
      check_shape(c, "a saved value", c.input(first + i), shape);
      tensors.push_back(converted(c, c.input(first + i), kFloat));
    }
    const auto data = [&](std::size_t i) {
      return i < tensors.size() ? tensors[i].mutable_data<float>() : nullptr;
    };
    all = {data(0), data(1), data(2), data(3), data(4), data(5), data(6)};
  }
  std::vector<Tensor> tensors;
  LstmStep all;
};

class LstmCellGradKernel final : public Kernel {
 public:
  explicit LstmCellGradKernel(const KernelInit& init) : attrs_(lstm_attrs(init)) {}
  void compute(KernelContext& c) const override {
    const LstmInputs in(c, 0, attrs_, false);
    const LstmSizes& sizes = in.sizes;
    const Shape state{sizes.batch, sizes.cells}, vector{sizes.cells};
    const SavedSteps saved(c, 8, state, false);
    check_shape(c, "cs_grad", c.input(14), state);
    check_shape(c, "h_grad", c.input(15), state);
    const Tensor d_cs = converted(c, c.input(14), kFloat), d_h = converted(c, c.input(15), kFloat);
    FloatOutputs out(c);
    float* d_cs_prev = out.add(state);
    float* d_gates = out.add(Shape{sizes.batch, 4 * sizes.cells});
    float* d_peepholes[3];
    for (float*& values : d_peepholes) {
      values = out.add(vector);
      std::fill_n(values, sizes.cells, 0.0f);
    }
    lstm_backward(attrs_, sizes, saved.all, in.cs_prev(), in.peepholes, d_cs.data<float>(),
                  d_h.data<float>(), d_gates, d_cs_prev);
    if (attrs_.peephole) {
      add_peephole_gradients(attrs_, sizes, d_gates, in.cs_prev(), saved.all.cs, d_peepholes[0],
                             d_peepholes[1], d_peepholes[2]);
    }
    out.store();
  }

 private:
  LstmAttrs attrs_;
};

// (seq_len_max, the eight inputs, the seven outputs, gradients to cs and h).
class BlockLstmGradKernel final : public Kernel {
 public:
  explicit BlockLstmGradKernel(const KernelInit& init) : attrs_(lstm_attrs(init)) {}
  void compute(KernelContext& c) const override {
    const LstmInputs in(c, 1, attrs_, true);
    const LstmSizes& sizes = in.sizes;
    const std::int64_t steps = LstmKernel::sequence_length(c, sizes.steps);
    const Shape sequence{sizes.steps, sizes.batch, sizes.cells}, state{sizes.batch, sizes.cells},
        vector{sizes.cells};
    const SavedSteps saved(c, 9, sequence, true);
    check_shape(c, "cs_grad", c.input(16), sequence);
    check_shape(c, "h_grad", c.input(17), sequence);
    FloatOutputs out(c);
    Outputs to{};
    to.x = out.add(Shape{sizes.steps, sizes.batch, sizes.inputs});
    to.cs_prev = out.add(state);
    to.h_prev = out.add(state);
    to.w = out.add(Shape{sizes.inputs + sizes.cells, 4 * sizes.cells});
    for (float*& values : to.peepholes) {
      values = out.add(vector);
      std::fill_n(values, sizes.cells, 0.0f);
    }
    to.b = out.add(Shape{4 * sizes.cells});
    Tensor d_gates = c.temporary(kFloat, Shape{steps * sizes.batch, 4 * sizes.cells});
    walk_back(c, in, saved.all, steps, d_gates.mutable_data<float>(), to);
    sum_up(c, in, saved.all, steps, d_gates.data<float>(), to);
    out.store();
  }

 private:
  struct Outputs {
    float *x, *cs_prev, *h_prev, *w, *b;
    float* peepholes[3];
  };

  // From the last step to the first: the gradients to all gates, and to the first state.
  void walk_back(KernelContext& c, const LstmInputs& in, const LstmStep& all, std::int64_t steps,
                 float* d_gates, const Outputs& to) const {
    const LstmSizes& sizes = in.sizes;
    const std::int64_t width = 4 * sizes.cells, size = sizes.state();
    const Tensor cs_grad = converted(c, c.input(16), kFloat),
                 h_grad = converted(c, c.input(17), kFloat);
    Tensor sums = c.temporary(kFloat, Shape{2, sizes.batch, sizes.cells});
    float *d_cs = sums.mutable_data<float>(), *d_h = d_cs + size;
    std::fill_n(to.cs_prev, size, 0.0f);
    std::fill_n(to.h_prev, size, 0.0f);
    for (std::int64_t t = steps - 1; t >= 0; --t) {
      const float *given_cs = cs_grad.data<float>() + t * size,
                  *given_h = h_grad.data<float>() + t * size;
      const float *next_cs = to.cs_prev, *next_h = to.h_prev;
      for_channels(size, [=](std::int64_t j) {
        d_cs[j] = next_cs[j] + given_cs[j];
        d_h[j] = next_h[j] + given_h[j];
      });
      float* g = d_gates + t * sizes.batch * width;
      const float* cs_prev = t == 0 ? in.cs_prev() : all.cs + (t - 1) * size;
      lstm_backward(attrs_, sizes, step_at(all, t * size), cs_prev, in.peepholes, d_cs, d_h, g,
                    to.cs_prev);
      multiply(c, matmul_, {sizes.batch, width, sizes.cells, true}, g, in.w_h(), to.h_prev);
    }
  }

  // What is a sum over all steps.
  void sum_up(KernelContext& c, const LstmInputs& in, const LstmStep& all, std::int64_t steps,
              const float* d_gates, const Outputs& to) const {
    const LstmSizes& sizes = in.sizes;
    const std::int64_t width = 4 * sizes.cells, rows = steps * sizes.batch, size = sizes.state();
    multiply(c, matmul_, {rows, width, sizes.inputs, true}, d_gates, in.w_x(), to.x);
    std::fill(to.x + rows * sizes.inputs, to.x + sizes.steps * sizes.batch * sizes.inputs, 0.0f);
    Tensor h_before = c.temporary(kFloat, Shape{rows, sizes.cells});
    if (steps > 0) {
      float* h = std::copy_n(in.h_prev(), size, h_before.mutable_data<float>());
      std::copy_n(all.h, (steps - 1) * size, h);
    }
    const Tensor x_columns = transposed_copy(c, in.x(), rows, sizes.inputs);
    const Tensor h_columns = transposed_copy(c, h_before.data<float>(), rows, sizes.cells);
    multiply(c, matmul_, {sizes.inputs, rows, width}, x_columns.data<float>(), d_gates, to.w);
    multiply(c, matmul_, {sizes.cells, rows, width}, h_columns.data<float>(), d_gates,
             to.w + sizes.inputs * width);
    const auto sums = row_sums<float>(
        c, rows, width, width, [&](std::int64_t begin, std::int64_t end, float* sum) {
          each_element({rows, width, 1}, begin, end,
                       [=](std::int64_t j, std::int64_t i) { sum[j] += d_gates[i]; });
        });
    for (std::int64_t j = 0; j < width; ++j)
      to.b[j] = static_cast<float>(sums[static_cast<std::size_t>(j)]);
    if (!attrs_.peephole) return;
    for (std::int64_t t = 0; t < steps; ++t) {
      const float* cs_prev = t == 0 ? in.cs_prev() : all.cs + (t - 1) * size;
      add_peephole_gradients(attrs_, sizes, d_gates + t * sizes.batch * width, cs_prev,
                             all.cs + t * size, to.peepholes[0], to.peepholes[1], to.peepholes[2]);
    }
  }

  LstmAttrs attrs_;
  dnn::Matmul matmul_;
};

template <bool kHasTime>
std::unique_ptr<Kernel> make_lstm(const KernelInit& init) {
  return std::make_unique<LstmKernel>(init, kHasTime);
}

Shapes cell_shape(ShapeContext& c) {
  return Shapes(7, PartialShape{c.with_rank(0, 2).dim(0), c.with_rank(1, 2).dim(1)});
}

Shapes cell_grad_shape(ShapeContext& c) {
  const std::int64_t batch = c.with_rank(0, 2).dim(0), cells = c.with_rank(1, 2).dim(1);
  const PartialShape vector{cells};
  return {PartialShape{batch, cells}, PartialShape{batch, cells < 0 ? -1 : 4 * cells}, vector,
          vector, vector};
}

Shapes block_shape(ShapeContext& c) {
  const PartialShape x = c.with_rank(1, 3), b = c.with_rank(8, 1);
  return Shapes(7, PartialShape{x.dim(0), x.dim(1), b.dim(0) < 0 ? -1 : b.dim(0) / 4});
}

Shapes block_grad_shape(ShapeContext& c) {
  return {c.with_rank(1, 3), c.with_rank(2, 2), c.with_rank(3, 2), c.with_rank(4, 2),
          c.with_rank(5, 1), c.with_rank(6, 1), c.with_rank(7, 1), c.with_rank(8, 1)};
}

constexpr OpDef kOps[] = {
    {.name = "BlockLSTM",
     .inputs = "seq_len_max: int64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, "
               "b: T",
     .outputs = "i: T, cs: T, f: T, o: T, ci: T, co: T, h: T",
     .attrs = "forget_bias: float = 1.0; cell_clip: float = 3.0; use_peephole: bool = false; "
              "T: {half, float}",
     .shape = block_shape,
     .kernel = make_lstm<true>},
    {.name = "BlockLSTMGrad",
     .inputs = "seq_len_max: int64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, "
               "b: T, i: T, cs: T, f: T, o: T, ci: T, co: T, h: T, cs_grad: T, h_grad: T",
     .outputs = "x_grad: T, cs_prev_grad: T, h_prev_grad: T, w_grad: T, wci_grad: T, "
                "wcf_grad: T, wco_grad: T, b_grad: T",
     .attrs = "use_peephole: bool; T: {half, float}",
     .shape = block_grad_shape,
     .kernel = make_kernel<BlockLstmGradKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "BlockLSTMGradV2",
     .inputs = "seq_len_max: int64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, "
               "b: T, i: T, cs: T, f: T, o: T, ci: T, co: T, h: T, cs_grad: T, h_grad: T",
     .outputs = "x_grad: T, cs_prev_grad: T, h_prev_grad: T, w_grad: T, wci_grad: T, "
                "wcf_grad: T, wco_grad: T, b_grad: T",
     .attrs = "use_peephole: bool; T: {half, float}",
     .shape = block_grad_shape,
     .kernel = make_kernel<BlockLstmGradKernel>,
     .differentiable = Differentiable::kRefused},
    {.name = "BlockLSTMV2",
     .inputs = "seq_len_max: int64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, "
               "b: T",
     .outputs = "i: T, cs: T, f: T, o: T, ci: T, co: T, h: T",
     .attrs = "cell_clip: float = 0.0; use_peephole: bool = false; T: {half, float}",
     .shape = block_shape,
     .kernel = make_lstm<true>},
    {.name = "LSTMBlockCell",
     .inputs = "x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T",
     .outputs = "i: T, cs: T, f: T, o: T, ci: T, co: T, h: T",
     .attrs = "forget_bias: float = 1.0; cell_clip: float = 3.0; use_peephole: bool = false; "
              "T: {half, float}",
     .shape = cell_shape,
     .kernel = make_lstm<false>,
     .differentiable = Differentiable::kRefused},
    {.name = "LSTMBlockCellGrad",
     .inputs = "x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T, i: T, cs: T, "
               "f: T, o: T, ci: T, co: T, cs_grad: T, h_grad: T",
     .outputs = "cs_prev_grad: T, dicfo: T, wci_grad: T, wcf_grad: T, wco_grad: T",
     .attrs = "use_peephole: bool; T: {half, float}",
     .shape = cell_grad_shape,
     .kernel = make_kernel<LstmCellGradKernel>,
     .differentiable = Differentiable::kRefused},
};

}  // namespace

OpFamily nn_rnn_ops() { return kOps; }

}  // namespace hub
