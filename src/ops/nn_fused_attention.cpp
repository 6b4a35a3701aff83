// Attention from its composed form: the softmax of scaled and masked products of queries and keys,
// times the values. The scores of a block of rows stay in the caches.

#include <algorithm>
#include <array>

#include "graph/shape_rules.h"
#include "ops/fusion_match.h"
#include "ops/kernel.h"
#include "ops/lanes.h"
#include "ops/onednn_matmul.h"
#include "ops/softmax_rows.h"

namespace hub {
namespace {

constexpr std::string_view kFusedOp = "_HubAttention";

// Rows of a head that are computed together.
constexpr std::int64_t kMaxRows = 128;

// Where the axes (batch, head, row, element) of a matrix lie in its tensor.
using Axes = std::array<int, 4>;
constexpr Axes kInOrder{0, 1, 2, 3};

enum Axis : std::uint8_t { kBatch, kHead, kRow, kElement };

// A tensor of matrices, read or written by steps. The step is 0 along an axis of size 1.
struct Matrices {
  std::array<std::int64_t, 4> size{};
  std::array<std::int64_t, 4> step{};

  Matrices(const Shape& shape, const Axes& axes) {
    std::array<std::int64_t, 4> steps{};
    std::int64_t step_of = 1;
    for (int dim = 3; dim >= 0; step_of *= shape.dim(dim--))
      steps[static_cast<std::size_t>(dim)] = step_of;
    for (std::size_t i = 0; i < 4; ++i) {
      size[i] = shape.dim(axes[i]);
      step[i] = size[i] == 1 ? 0 : steps[static_cast<std::size_t>(axes[i])];
    }
  }
  std::int64_t offset(std::int64_t batch, std::int64_t head) const {
    return batch * step[kBatch] + head * step[kHead];
  }
};

// rows x columns elements, `row_step` and `column_step` apart, as a dense matrix.
void gather(const float* from, std::int64_t row_step, std::int64_t column_step, std::int64_t rows,
            std::int64_t columns, float* to) {
  for (std::int64_t row = 0; row < rows; ++row, to += columns) {
    const float* source = from + row * row_step;
    if (column_step == 1) {
      std::copy_n(source, columns, to);
    } else {
      for (std::int64_t i = 0; i < columns; ++i) to[i] = source[i * column_step];
    }
  }
}

// The sizes of one run.
struct Sizes {
  std::int64_t batch, heads, rows, keys, depth, width;
};

class AttentionKernel final : public Kernel {
 public:
  explicit AttentionKernel(const KernelInit& init)
      : scale_(init.attr<float>("scale")),
        q_axes_(axes(init, "q_axes")),
        k_axes_(axes(init, "k_axes")),
        v_axes_(axes(init, "v_axes")),
        y_axes_(axes(init, "y_axes")) {}

  void compute(KernelContext& c) const override {
    const Matrices q = matrices(c, 0, q_axes_);
    const Matrices k = matrices(c, 1, k_axes_);
    const Matrices v = matrices(c, 2, v_axes_);
    const Matrices mask =
        c.num_inputs() > 3 ? mask_of(c.input(3).shape()) : Matrices(Shape{1, 1, 1, 1}, kInOrder);
    const Sizes s = sizes(c, q, k, v, mask);
    std::array<std::int64_t, 4> dims{};
    const std::array<std::int64_t, 4> result{s.batch, s.heads, s.rows, s.width};
    for (std::size_t i = 0; i < 4; ++i) dims[static_cast<std::size_t>(y_axes_[i])] = result[i];
    Tensor& y = c.output(0, Shape(dims));
    if (y.num_elements() == 0) return;
    if (s.keys == 0 || s.depth == 0) return compute_degenerate(c, s, mask, v, y);
    run(c, s, {q, k, v, mask, Matrices(y.shape(), y_axes_)}, y.mutable_data<float>());
  }

 private:
  struct Operands {
    Matrices q, k, v, mask, y;
  };

  static Axes axes(const KernelInit& init, std::string_view name) {
    Axes result{};
    const auto& list = init.attr<AttrList>(name).ints;
    HUB_ASSERT(list.size() == 4);
    std::ranges::transform(list, result.begin(),
                           [](std::int64_t i) { return static_cast<int>(i); });
    return result;
  }

  static Matrices matrices(const KernelContext& c, int input, const Axes& axes) {
    const Shape& shape = c.input(input).shape();
    if (shape.rank() == 4) return {shape, axes};
    throw invalid_argument("BatchMatMul: attention is over four dimensions. Details: input ", input,
                           " has shape ", shape, ".");
  }

  static Matrices mask_of(Shape shape) {
    if (shape.rank() > 4) {
      throw invalid_argument("Add: a mask must have at most four dimensions. Details: ", shape,
                             ".");
    }
    while (shape.rank() < 4) shape = shape.with_inserted(0, 1);
    return {shape, kInOrder};
  }

  // The one of the sizes that is not 1; all others must be equal to it.
  static std::int64_t joined(std::initializer_list<std::int64_t> sizes, std::string_view what) {
    std::int64_t result = 1;
    for (const std::int64_t size : sizes) {
      if (size == 1 || size == result) continue;
      if (result != 1) {
        throw invalid_argument(
            "BatchMatMul: the shapes must fit each other for broadcasting. "
            "Details: ",
            what, " ", result, " and ", size, ".");
      }
      result = size;
    }
    return result;
  }

  static Sizes sizes(const KernelContext& c, const Matrices& q, const Matrices& k,
                     const Matrices& v, const Matrices& mask) {
    Sizes s{};
    s.batch =
        joined({q.size[kBatch], k.size[kBatch], v.size[kBatch], mask.size[kBatch]}, "batches of");
    s.heads = joined({q.size[kHead], k.size[kHead], v.size[kHead], mask.size[kHead]}, "heads:");
    s.rows = joined({q.size[kRow], mask.size[kRow]}, "rows:");
    s.keys = joined({k.size[kRow], mask.size[kElement]}, "keys:");
    s.depth = q.size[kElement];
    s.width = v.size[kElement];
    if (k.size[kElement] == s.depth && v.size[kRow] == s.keys) return s;
    throw invalid_argument(
        "BatchMatMul: the inner dimensions must agree. Details: ", c.input(0).shape(), ", ",
        c.input(1).shape(), " and ", c.input(2).shape(), ".");
  }

  void run(KernelContext& c, const Sizes& s, const Operands& o, float* y) const {
    const std::int64_t blocks = (s.rows + kMaxRows - 1) / kMaxRows;
    const bool keys_dense = o.k.step[kElement] == 1 || s.depth == 1;  // rows of k, not columns
    const std::int64_t rest = s.rows - (blocks - 1) * kMaxRows;
    const auto products = [&](std::int64_t rows) {
      return std::pair(matmul_.block_product({rows, s.depth, s.keys, keys_dense}),
                       matmul_.block_product({rows, s.keys, s.width, false}));
    };
    const auto whole = products(std::min(s.rows, kMaxRows));
    const auto last = products(rest);
    const auto work = static_cast<double>(std::min(s.rows, kMaxRows) * s.keys);
    c.parallel_for(s.batch * s.heads * blocks,
                   work * (0.5 + static_cast<double>(s.depth + s.width) * 0.01),
                   [&](std::int64_t begin, std::int64_t end) {
                     HeadWork head(*this, c, s, o);
                     for (std::int64_t i = begin; i < end; ++i) {
                       head.take(i / blocks, keys_dense);
                       const bool is_last = i % blocks == blocks - 1;
                       const std::int64_t row = i % blocks * kMaxRows;
                       head.rows(row, is_last ? rest : kMaxRows, is_last ? last : whole, y);
                     }
                   });
  }

  // One thread's work on the rows of a head.
  class HeadWork {
   public:
    HeadWork(const AttentionKernel& kernel, KernelContext& c, const Sizes& s, const Operands& o)
        : kernel_(kernel), s_(s), o_(o) {
      for (int i = 0; i < 3; ++i) inputs_[i] = c.input(i).data<float>();
      mask_ = c.num_inputs() > 3 ? c.input(3).data<float>() : nullptr;
      const std::int64_t rows = std::min(s.rows, kMaxRows);
      memory_ = c.temporary(
          kFloat, Shape{s.keys * (s.depth + s.width) + rows * (s.depth + s.keys + s.width)});
      k_ = memory_.mutable_data<float>();
      v_ = k_ + s.keys * s.depth;
      q_ = v_ + s.keys * s.width;
      scores_ = q_ + rows * s.depth;
      result_ = scores_ + rows * s.keys;
    }

    void take(std::int64_t index, bool keys_dense) {
      if (index == index_) return;
      index_ = index;
      batch_ = index / s_.heads;
      head_ = index % s_.heads;
      const float* k = inputs_[1] + o_.k.offset(batch_, head_);
      if (keys_dense) {
        gather(k, o_.k.step[kRow], 1, s_.keys, s_.depth, k_);
      } else {
        gather(k, o_.k.step[kElement], o_.k.step[kRow], s_.depth, s_.keys, k_);
      }
      gather(inputs_[2] + o_.v.offset(batch_, head_), o_.v.step[kRow], o_.v.step[kElement], s_.keys,
             s_.width, v_);
    }

    template <class Products>
    void rows(std::int64_t first, std::int64_t count, const Products& products, float* y) {
      gather(inputs_[0] + o_.q.offset(batch_, head_) + first * o_.q.step[kRow], o_.q.step[kRow],
             o_.q.step[kElement], count, s_.depth, q_);
      products.first.run(q_, k_, scores_, workspace_);
      sums_.resize(static_cast<std::size_t>(count));
      for (std::int64_t row = 0; row < count; ++row)
        sums_[static_cast<std::size_t>(row)] = exponentials(first + row, scores_ + row * s_.keys);
      products.second.run(scores_, v_, result_, workspace_);
      for (std::int64_t row = 0; row < count; ++row) {
        float* to = y + o_.y.offset(batch_, head_) + (first + row) * o_.y.step[kRow];
        const float* from = result_ + row * s_.width;
        const float factor = 1 / sums_[static_cast<std::size_t>(row)];
        for (std::int64_t i = 0; i < s_.width; ++i) to[i * o_.y.step[kElement]] = from[i] * factor;
      }
    }

   private:
    // A row of scores becomes its exponentials, whose sum is returned.
    float exponentials(std::int64_t row, float* x) const {
      const float scale = kernel_.scale_;
      if (mask_ == nullptr) {
        for_lanes(s_.keys, [=](std::int64_t i) { x[i] *= scale; });
      } else {
        const float* mask = mask_ + o_.mask.offset(batch_, head_) + row * o_.mask.step[kRow];
        if (o_.mask.step[kElement] == 0) {
          const float value = *mask;
          for_lanes(s_.keys, [=](std::int64_t i) { x[i] = x[i] * scale + value; });
        } else {
          for_lanes(s_.keys, [=](std::int64_t i) { x[i] = x[i] * scale + mask[i]; });
        }
      }
      return row_exponentials(x, s_.keys, x).sum;
    }

    const AttentionKernel& kernel_;
    const Sizes& s_;
    const Operands& o_;
    std::array<const float*, 3> inputs_{};
    const float* mask_;
    Tensor memory_;
    float *k_, *v_, *q_, *scores_, *result_;
    std::vector<float> sums_;
    dnn::MatmulWorkspace workspace_;
    std::int64_t index_ = -1, batch_ = 0, head_ = 0;
  };

  // Without keys the sums are empty; without depth the scores are the mask alone.
  void compute_degenerate(KernelContext& c, const Sizes& s, const Matrices& mask, const Matrices& v,
                          Tensor& y) const {
    const Matrices to(y.shape(), y_axes_);
    std::vector<float> weights(static_cast<std::size_t>(s.keys));
    for (std::int64_t i = 0; i < s.batch * s.heads * s.rows; ++i) {
      const std::int64_t batch = i / s.rows / s.heads, head = i / s.rows % s.heads;
      const std::int64_t row = i % s.rows;
      const float* from = c.num_inputs() > 3 ? c.input(3).data<float>() : nullptr;
      for (std::int64_t key = 0; key < s.keys; ++key) {
        weights[static_cast<std::size_t>(key)] =
            from == nullptr ? 0.0f
                            : from[mask.offset(batch, head) + row * mask.step[kRow] +
                                   key * mask.step[kElement]];
      }
      float factor = 0;
      if (s.keys > 0) factor = 1 / row_exponentials(weights.data(), s.keys, weights.data()).sum;
      for (std::int64_t column = 0; column < s.width; ++column) {
        float sum = 0;
        for (std::int64_t key = 0; key < s.keys; ++key) {
          sum += weights[static_cast<std::size_t>(key)] *
                 c.input(2).data<float>()[v.offset(batch, head) + key * v.step[kRow] +
                                          column * v.step[kElement]];
        }
        y.mutable_data<float>()[to.offset(batch, head) + row * to.step[kRow] +
                                column * to.step[kElement]] = sum * factor;
      }
    }
  }

  float scale_;
  Axes q_axes_, k_axes_, v_axes_, y_axes_;
  dnn::Matmul matmul_;
};

// As far as queries and values say: a mask, or one of them, may be broadcast.
Shapes attention_shape(ShapeContext& c) {
  const PartialShape q = c.with_rank(0, 4), v = c.with_rank(2, 4);
  const auto axis = [&](std::string_view list, std::size_t i) {
    return static_cast<int>(c.attr<AttrList>(list).ints.at(i));
  };
  std::vector<std::int64_t> dims(4, -1);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t size = q.dim(axis("q_axes", i));
    if (size != 1) dims[static_cast<std::size_t>(axis("y_axes", i))] = size;
  }
  dims[static_cast<std::size_t>(axis("y_axes", 3))] = v.dim(axis("v_axes", 3));
  return {PartialShape(dims)};
}

constexpr OpDef kOps[] = {
    {.name = kFusedOp,
     .inputs = "q: T, k: T, v: T, mask: num_masks * T",
     .outputs = "y: T",
     .attrs = "T: {float}; num_masks: int >= 0; scale: float = 1.0; q_axes: list(int); "
              "k_axes: list(int); v_axes: list(int); y_axes: list(int)",
     .shape = attention_shape,
     .kernel = make_kernel<AttentionKernel>,
     .differentiable = Differentiable::kRefused},
};

class AttentionMatcher {
 public:
  explicit AttentionMatcher(const FusionGraph& graph) : g_(graph), m_(graph) {}

  bool match(const Node& root) {
    const Node* product = &root;
    if (root.op_name == "Transpose") {
      const auto order = order_of(root);
      product = enter_product(root.inputs[0]);
      if (!order || product == nullptr) return false;
      for (std::size_t i = 0; i < 4; ++i)
        y_axes_[static_cast<std::size_t>((*order)[i])] = static_cast<int>(i);
    }
    if (!is_product(*product) || flag(*product, "adj_x") || flag(*product, "adj_y") ||
        !is_rank_4(product->inputs[0]))
      return false;
    const Node* softmax = m_.enter(product->inputs[0], {"Softmax"});
    if (softmax == nullptr || !match_scores(softmax->inputs[0]) ||
        !take(product->inputs[1], v_, v_axes_))
      return false;
    return m_.is_closed();
  }

  void replace(FusionGraph& g, int root) const {
    std::vector<OutputId> inputs{q_, k_, v_};
    if (mask_.is_valid()) inputs.push_back(mask_);
    AttrMap attrs;
    attrs["scale"] = AttrValue(scale_);
    set_axes(attrs, "q_axes", q_axes_);
    set_axes(attrs, "k_axes", k_axes_);
    set_axes(attrs, "v_axes", v_axes_);
    set_axes(attrs, "y_axes", y_axes_);
    g.replace(root, kFusedOp, std::move(inputs), std::move(attrs));
  }

 private:
  static void set_axes(AttrMap& attrs, std::string_view name, const Axes& axes) {
    AttrList list;
    list.ints.assign(axes.begin(), axes.end());
    attrs[std::string(name)] = AttrValue(std::move(list));
  }

  bool is_rank_4(OutputId output) const { return shape_of(g_, output).rank() == 4; }

  bool is_product(const Node& node) const {
    return node.op_name.starts_with("BatchMatMul") && node.outputs[0].dtype == kFloat &&
           std::ranges::all_of(
               node.inputs, [&](OutputId input) { return g_.graph().fact(input).dtype == kFloat; });
  }
  const Node* enter_product(OutputId output) {
    return m_.enter(output, {"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"});
  }

  // A transposition's order of four axes.
  std::optional<Axes> order_of(const Node& transpose) const {
    const auto order = integer_constant(g_, transpose.inputs[1]);
    if (!order || order->size() != 4) return {};
    Axes axes{};
    for (std::size_t i = 0; i < 4; ++i) {
      if ((*order)[i] < 0 || (*order)[i] > 3) return {};
      axes[i] = static_cast<int>((*order)[i]);
    }
    Axes sorted = axes;
    std::ranges::sort(sorted);
    if (sorted != kInOrder) return {};
    return axes;
  }

  // An operand, without a transposition that only it reads.
  bool take(OutputId output, OutputId& operand, Axes& axes) {
    if (!is_rank_4(output)) return false;
    operand = output;
    const Node& node = g_.node(output.node);
    if (node.op_name != "Transpose" || !g_.is_private(output.node)) return true;
    if (const auto order = order_of(node)) {
      operand = node.inputs[0];
      axes = *order;
    }
    return true;
  }

  // [mask +] [scale *] (q x k)
  bool match_scores(OutputId output) {
    if (!is_rank_4(output)) return false;
    PatternMatch before = m_;
    if (const Node* sum = m_.enter(output, {"Add", "AddV2"})) {
      return in_either_order(*sum, [&](OutputId scores, OutputId mask) {
        const PatternMatch entered = m_;
        const int rank = shape_of(g_, mask).rank();
        mask_ = mask;
        if (rank >= 0 && rank <= 4 && match_scaled(scores)) return true;
        m_ = entered;
        return false;
      });
    }
    m_ = before;
    return match_scaled(output);
  }

  bool match_scaled(OutputId output) {
    const Node* node =
        m_.enter(output, {"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Mul", "RealDiv"});
    if (node == nullptr) return false;
    if (node->op_name == "RealDiv" || node->op_name == "Mul") {
      OutputId product = node->inputs[0];
      auto factor = float_constant(g_, node->inputs[1]);
      if (!factor && node->op_name == "Mul") {
        product = node->inputs[1];
        factor = float_constant(g_, node->inputs[0]);
      }
      if (!factor) return false;
      scale_ = node->op_name == "Mul" ? *factor : 1 / *factor;
      node = enter_product(product);
    }
    if (node == nullptr || !is_product(*node) || flag(*node, "adj_x")) return false;
    if (!take(node->inputs[0], q_, q_axes_) || !take(node->inputs[1], k_, k_axes_)) return false;
    if (!flag(*node, "adj_y")) std::swap(k_axes_[2], k_axes_[3]);
    return true;
  }

  const FusionGraph& g_;
  PatternMatch m_;
  OutputId q_, k_, v_, mask_;
  Axes q_axes_ = kInOrder, k_axes_ = kInOrder, v_axes_ = kInOrder, y_axes_ = kInOrder;
  float scale_ = 1;
};

bool fuse_attention(FusionGraph& g, int root) {
  const Node& node = g.node(root);
  if ((node.op_name != "Transpose" && !node.op_name.starts_with("BatchMatMul")) ||
      node.outputs[0].dtype != kFloat)
    return false;
  AttentionMatcher matcher(g);
  if (!matcher.match(node)) return false;
  matcher.replace(g, root);
  return true;
}

}  // namespace

extern const Fusion kAttentionFusion;
const Fusion kAttentionFusion = {"attention", fuse_attention};

OpFamily nn_fused_attention_ops() { return kOps; }

}  // namespace hub
