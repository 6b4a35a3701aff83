// A matrix product with a constant right side, and what follows it, in one: a bias, a residual, an
// activation. The weights are packed once for each value of their variable.

#include <algorithm>

#include "graph/shape_rules.h"
#include "ops/array_shape_rules.h"
#include "ops/fused_residual.h"
#include "ops/fusion_match.h"
#include "ops/kernels/epilogue.h"
#include "ops/matmul.h"

namespace hub {
namespace {

constexpr std::string_view kFusedOp = "_HubMatMul";

class FusedMatMulKernel final : public Kernel {
 public:
  explicit FusedMatMulKernel(const KernelInit& init)
      : transpose_a_(init.attr<bool>("transpose_a")),
        transpose_b_(init.attr<bool>("transpose_b")),
        bias_(init.attr<bool>("bias") ? 2 : -1),
        residual_(init.attr<bool>("residual") ? 2 + (bias_ > 0 ? 1 : 0) : -1),
        shape_(init.attr<std::int64_t>("num_shapes") > 0 ? init.num_inputs() - 1 : -1),
        activation_(row_activation(init.attr<std::string>("activation"))),
        keeps_packed_(init.input_is_stable(1)) {}

  void compute(KernelContext& c) const override {
    const Tensor a = transpose_a_ ? transposed_matrices(c, c.input(0), false) : c.input(0);
    const Tensor& b = c.input(1);
    const dnn::MatmulShape sizes = check(a, b);
    const Shape result = result_shape(c, a.shape(), sizes.n);
    check_bias(c, sizes, result);
    if (residual_ >= 0 && c.input(residual_).shape() != result)
      return compute_broadcast(c, a, b, sizes, result);
    multiply(c, a, b, sizes, residual_, activation_, c.output(0, result));
  }

 private:
  dnn::MatmulShape check(const Tensor& a, const Tensor& b) const {
    if (a.rank() < 2 || b.rank() != 2 || a.dim(a.rank() - 1) != b.dim(transpose_b_ ? 1 : 0)) {
      throw invalid_argument("MatMul: the inner dimensions must agree. Details: ", a.shape(),
                             " and ", b.shape(), transpose_b_ ? " (transposed)." : ".");
    }
    const std::int64_t k = a.dim(a.rank() - 1);
    std::int64_t m = 1;
    for (int axis = 0; axis + 1 < a.rank(); ++axis) m *= a.dim(axis);
    return {m, k, b.dim(transpose_b_ ? 0 : 1), transpose_b_};
  }

  Shape result_shape(const KernelContext& c, const Shape& a, std::int64_t n) const {
    Shape product = a.with_dim(a.rank() - 1, n);
    if (shape_ < 0) return product;
    return shape_after_reshape(product, integer_vector(c, shape_, "shape"));
  }

  void check_bias(const KernelContext& c, const dnn::MatmulShape& sizes,
                  const Shape& result) const {
    if (bias_ < 0) return;
    const Shape& bias = c.input(bias_).shape();
    if (bias.rank() == 1 && bias.dim(0) == sizes.n && result.rank() >= 1 &&
        result.dim(result.rank() - 1) == sizes.n)
      return;
    throw invalid_argument(
        "BiasAdd: there must be one value for each index of the last dimension. Details: ", bias,
        " values, the result has shape ", result, ".");
  }

  // y = activation(a * b + bias + residual), the residual being as large as y.
  void multiply(KernelContext& c, const Tensor& a, const Tensor& b, const dnn::MatmulShape& sizes,
                int residual_input, RowActivation activation, Tensor& y) const {
    if (y.num_elements() == 0) return;
    const float* bias = bias_ >= 0 ? c.input(bias_).data<float>() : nullptr;
    const float* residual = residual_input >= 0 ? c.input(residual_input).data<float>() : nullptr;
    float* to = y.mutable_data<float>();
    const auto finish = [&](const dnn::MatmulBlock& block) {
      for (std::int64_t row = block.row; row < block.row + block.rows; ++row) {
        const std::int64_t at = row * sizes.n + block.column;
        finish_row(activation, bias == nullptr ? nullptr : bias + block.column,
                   residual == nullptr ? nullptr : residual + at, to + at, block.columns);
      }
    };
    if (keeps_packed_ && is_worth_onednn(sizes.k, sizes.n)) {
      return matmul_.multiply(c, sizes.m, a.data<float>(), *packed_.get(c, matmul_, b, sizes), to,
                              finish);
    }
    Tensor product = y.reshaped(Shape{sizes.m, sizes.n});
    multiply_matrices(c, matmul_, a.reshaped(Shape{sizes.m, sizes.k}), {}, b, {transpose_b_},
                      {{sizes.m, sizes.k, sizes.n, transpose_b_}, {0}, {0}}, product);
    c.parallel_for(sizes.m, static_cast<double>(sizes.n) * 0.5,
                   [&](std::int64_t begin, std::int64_t end) {
                     finish({begin, end - begin, 0, sizes.n});
                   });
  }

  // The sum with a residual of another shape, which the graph did not tell.
  void compute_broadcast(KernelContext& c, const Tensor& a, const Tensor& b,
                         const dnn::MatmulShape& sizes, const Shape& product_shape) const {
    Tensor product = c.temporary(kFloat, product_shape);
    multiply(c, a, b, sizes, -1, RowActivation::kNone, product);
    add_broadcast_residual(c, product, c.input(residual_), activation_);
  }

  const bool transpose_a_;
  const bool transpose_b_;
  // Inputs; -1: there is none.
  const int bias_;
  const int residual_;
  const int shape_;
  const RowActivation activation_;
  const bool keeps_packed_;
  dnn::Matmul matmul_;
  PackedRight packed_;
};

Shapes fused_shape(ShapeContext& c) {
  const PartialShape a = c.at_least_rank(0, 2);
  const PartialShape b = c.with_rank(1, 2);
  if (c.attr<std::int64_t>("num_shapes") > 0) return {c.input_as_shape(c.num_inputs() - 1)};
  const PartialShape n{b.dim(c.attr<bool>("transpose_b") ? 0 : 1)};
  if (c.attr<bool>("transpose_a")) return {concatenate(PartialShape{a.dim(1)}, n)};
  return {concatenate(sub_shape(a, 0, -1), n)};
}

constexpr OpDef kOps[] = {
    {.name = kFusedOp,
     .inputs = "a: T, b: T, args: num_args * T, shape: num_shapes * Tshape",
     .outputs = "y: T",
     .attrs = "T: {float}; num_args: int >= 0; num_shapes: int >= 0; "
              "Tshape: {int32, int64} = int32; transpose_a: bool = false; "
              "transpose_b: bool = false; bias: bool = false; residual: bool = false; "
              "activation: string = ''",
     .shape = fused_shape,
     .kernel = make_kernel<FusedMatMulKernel>,
     .differentiable = Differentiable::kRefused},
};

// What is fused, from its last node back.
struct Chain {
  std::string activation;
  OutputId residual, bias, shape;
  int product = -1;  // MatMul, BatchMatMul...
};

class ChainMatcher {
 public:
  ChainMatcher(const FusionGraph& graph, int root) : g_(graph), root_(root) {}

  bool match(Chain& chain) const {
    const Node& last = g_.node(root_);
    for (const std::string_view op : {"Relu", "Relu6", "Tanh", "Sigmoid"}) {
      if (last.op_name != op) continue;
      chain.activation = op;
      return last.inputs[0].index == 0 && match_sum(last.inputs[0], chain);
    }
    if (const auto gelu = match_gelu(g_, root_); gelu && gelu->only_reader) {
      chain.activation = gelu->activation;
      return match_sum_at(gelu->x.node, chain);
    }
    return match_sum_at(root_, chain);
  }

 private:
  bool match_sum(OutputId output, Chain& chain) const {
    return output.index == 0 && g_.is_private(output.node) && match_sum_at(output.node, chain);
  }

  // [+ residual]
  bool match_sum_at(int index, Chain& chain) const {
    if (match_biased_at(index, chain)) return true;
    const Node& node = g_.node(index);
    if (node.op_name != "Add" && node.op_name != "AddV2") return false;
    return in_either_order(node, [&](OutputId product, OutputId residual) {
      if (product.index != 0 || !g_.is_private(product.node)) return false;
      const PartialShape& shape = shape_of(g_, product);
      if (!may_be_same_shape(shape, shape_of(g_, residual)) ||
          !may_be_same_shape(shape, node.outputs[0].shape) || !match_biased_at(product.node, chain))
        return false;
      chain.residual = residual;
      return true;
    });
  }

  // product [+ bias]
  bool match_biased_at(int index, Chain& chain) const {
    const Node& node = g_.node(index);
    if (node.op_name == "BiasAdd") {
      chain.bias = node.inputs[1];
      return has_string(node, "data_format", "NHWC") &&
             is_last_dim_vector(g_, node.inputs[1], node.outputs[0].shape) &&
             match_reshaped(node.inputs[0], chain);
    }
    if (node.op_name == "Add" || node.op_name == "AddV2") {
      return in_either_order(node, [&](OutputId product, OutputId bias) {
        if (!is_last_dim_vector(g_, bias, node.outputs[0].shape) ||
            shape_of(g_, product).rank() != node.outputs[0].shape.rank())
          return false;
        chain.bias = bias;
        return match_reshaped(product, chain);
      });
    }
    chain.bias = {};
    chain.shape = {};
    return match_product(index, chain);
  }

  // product [reshaped to the same last dimension], as tf.tensordot makes it
  bool match_reshaped(OutputId output, Chain& chain) const {
    chain.shape = {};
    if (output.index != 0 || !g_.is_private(output.node)) return false;
    const Node& node = g_.node(output.node);
    if (node.op_name != "Reshape") return match_product(output.node, chain);
    const PartialShape& before = shape_of(g_, node.inputs[0]);
    const PartialShape& after = node.outputs[0].shape;
    if (before.rank() != 2 || after.rank() < 1 || before.dim(1) < 0 ||
        before.dim(1) != after.dim(after.rank() - 1) || node.inputs[0].index != 0 ||
        !g_.is_private(node.inputs[0].node))
      return false;
    chain.shape = node.inputs[1];
    return match_product(node.inputs[0].node, chain);
  }

  bool match_product(int index, Chain& chain) const {
    const Node& node = g_.node(index);
    const bool batch = node.op_name.starts_with("BatchMatMul");
    if ((!batch && node.op_name != "MatMul") || node.outputs[0].dtype != kFloat) return false;
    for (const OutputId input : node.inputs) {
      if (g_.graph().fact(input).dtype != kFloat) return false;
    }
    const int left_rank = shape_of(g_, node.inputs[0]).rank();
    const bool fits = shape_of(g_, node.inputs[1]).rank() == 2 && g_.is_stable(node.inputs[1]) &&
                      (batch ? left_rank >= 2 && !flag(node, "adj_x") : left_rank == 2);
    if (fits) chain.product = index;
    return fits;
  }

  const FusionGraph& g_;
  int root_;
};

bool fuse_matmul(FusionGraph& g, int root) {
  if (g.node(root).outputs.size() != 1 || g.node(root).outputs[0].dtype != kFloat) return false;
  Chain chain;
  if (!ChainMatcher(g, root).match(chain)) return false;
  const Node& product = g.node(chain.product);
  const bool is_batch = product.op_name != "MatMul";
  // A MatMul alone packs its weights itself.
  if (chain.product == root && !is_batch) return false;
  std::vector<OutputId> inputs = product.inputs;
  if (chain.bias.is_valid()) inputs.push_back(chain.bias);
  if (chain.residual.is_valid()) inputs.push_back(chain.residual);
  AttrMap attrs;
  attrs["num_args"] = AttrValue(static_cast<std::int64_t>(inputs.size()) - 2);
  attrs["num_shapes"] = AttrValue(std::int64_t{chain.shape.is_valid() ? 1 : 0});
  attrs["T"] = AttrValue(kFloat);
  if (chain.shape.is_valid()) {
    attrs["Tshape"] = AttrValue(g.graph().fact(chain.shape).dtype);
    inputs.push_back(chain.shape);
  }
  attrs["transpose_a"] = AttrValue(flag(product, "transpose_a"));
  attrs["transpose_b"] = AttrValue(flag(product, is_batch ? "adj_y" : "transpose_b"));
  attrs["bias"] = AttrValue(chain.bias.is_valid());
  attrs["residual"] = AttrValue(chain.residual.is_valid());
  attrs["activation"] = AttrValue(chain.activation);
  g.replace(root, kFusedOp, std::move(inputs), std::move(attrs));
  return true;
}

}  // namespace

extern const Fusion kMatMulFusion;
const Fusion kMatMulFusion = {"matmul", fuse_matmul};

OpFamily nn_fused_matmul_ops() { return kOps; }

}  // namespace hub
