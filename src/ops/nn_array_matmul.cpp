// The product at the start of a recurrent cell in a loop, [x, h] * w with x from a TensorArray, in
// two: what x adds is computed for many elements at once, so that its part of w is read once for
// them and not at each step.

#include <algorithm>
#include <cstring>

#include "graph/shape_rules.h"
#include "ops/elements.h"
#include "ops/fusion_match.h"
#include "ops/lanes.h"
#include "ops/matmul.h"
#include "ops/tensor_array.h"

namespace hub {
namespace {

constexpr std::string_view kFusedOp = "_HubArrayMatMul";

// Rows that are multiplied at once, and for how many matrices a TensorArray keeps products.
constexpr std::int64_t kRowsAhead = 64;
constexpr std::size_t kMaxMatrices = 4;

enum Input { kHandle, kIndex, kFlow, kState, kMatrix, kBias };

class ArrayMatMulKernel final : public Kernel {
 public:
  void compute(KernelContext& c) const override {
    const auto array = c.resource<TensorArray>(kHandle);
    const std::int64_t index = integer_scalar(c, kIndex, "index");
    Tensor x, products;
    std::int64_t first_row = 0;
    {
      const std::lock_guard lock(array->mutex());
      if (array->dtype() != kFloat) {
        throw invalid_argument("TensorArray ", array->name, " holds ", array->dtype(),
                               ", the node reads ", kFloat, ".");
      }
      if (const auto* found = find_products(c, *array, index)) {
        products = found->values;
        first_row = (index - found->first) * c.input(kState).dim(0);
      }
      x = read_element(c, *array, index);
    }
    check(c, x);
    if (products.is_valid()) {
      add_state(c, products.data<float>() + first_row * c.input(kMatrix).dim(1), x.dim(1));
    } else {
      multiply_joined(c, x);
    }
  }

 private:
  static void check(const KernelContext& c, const Tensor& x) {
    const Tensor& h = c.input(kState);
    const Tensor& w = c.input(kMatrix);
    if (x.rank() != 2 || h.rank() != 2 || x.dim(0) != h.dim(0)) {
      throw invalid_argument("ConcatV2: the inputs must have one shape but for the axis. Details: ",
                             x.shape(), " and ", h.shape(), ".");
    }
    if (w.rank() != 2 || w.dim(0) != x.dim(1) + h.dim(1)) {
      throw invalid_argument("MatMul: the inner dimensions must agree. Details: [", h.dim(0), ",",
                             x.dim(1) + h.dim(1), "] and ", w.shape(), ".");
    }
    if (c.num_inputs() <= kBias) return;
    const Tensor& bias = c.input(kBias);
    if (bias.rank() != 1 || bias.dim(0) != w.dim(1)) {
      throw invalid_argument(
          "BiasAdd: there must be one value for each index of the last dimension. Details: ",
          bias.shape(), " values, the result has ", w.dim(1), " columns.");
    }
  }

  // Those of the element at `index`, with the array's mutex held; nullptr where products ahead are
  // not possible.
  const TensorArray::Products* find_products(KernelContext& c, TensorArray& array,
                                             std::int64_t index) const {
    const Tensor& h = c.input(kState);
    const Tensor& w = c.input(kMatrix);
    const Tensor* x = array.peek(index);
    if (x == nullptr || x->rank() != 2 || h.rank() != 2 || w.rank() != 2) return nullptr;
    const std::int64_t rows = h.dim(0), columns = w.dim(1);
    if (rows == 0 || x->dim(0) != rows || x->dim(1) == 0 || h.dim(1) == 0 ||
        w.dim(0) != x->dim(1) + h.dim(1) || !is_worth_onednn(x->dim(1), columns) ||
        !is_worth_onednn(h.dim(1), columns))
      return nullptr;
    auto& all = array.products;
    auto place = std::ranges::find(all, w.raw_data(), &TensorArray::Products::matrix);
    if (place != all.end() && index >= place->first && index < place->first + place->count)
      return &*place;
    const bool backwards = place != all.end() && index < place->first;
    if (place == all.end()) {
      if (all.size() >= kMaxMatrices) return nullptr;
      place = all.insert(all.end(), {w.raw_data(), 0, 0, {}});
    }
    const std::int64_t most = std::max<std::int64_t>(1, kRowsAhead / rows);
    const std::int64_t step = backwards ? -1 : 1;
    std::int64_t count = 1;
    while (count < most && has_shape(array.peek(index + step * count), x->shape())) ++count;
    const std::int64_t first = backwards ? index - count + 1 : index;
    *place = {w.raw_data(), first, count, multiply_ahead(c, array, first, count)};
    return &*place;
  }

  static bool has_shape(const Tensor* x, const Shape& shape) {
    return x != nullptr && x->shape() == shape;
  }

  // Elements [first, first + count) times the upper part of the matrix.
  Tensor multiply_ahead(KernelContext& c, const TensorArray& array, std::int64_t first,
                        std::int64_t count) const {
    const Tensor& w = c.input(kMatrix);
    const Shape& shape = array.peek(first)->shape();
    const std::int64_t m = count * shape.dim(0), k = shape.dim(1), n = w.dim(1);
    const auto bytes = static_cast<std::size_t>(shape.num_elements()) * sizeof(float);
    Tensor rows = c.temporary(kFloat, Shape{m, k});
    for (std::int64_t i = 0; i < count; ++i) {
      std::memcpy(rows.mutable_data<float>() + i * shape.num_elements(),
                  array.peek(first + i)->raw_data(), bytes);
    }
    Tensor values = c.temporary(kFloat, Shape{m, n});
    const auto packed = upper_.get(c, matmul_, view_of(w, 0, Shape{k, n}), {m, k, n, false});
    matmul_.multiply(c, m, rows.data<float>(), *packed, values.mutable_data<float>());
    return values;
  }

  // y = products + h * the lower part of the matrix + bias.
  void add_state(KernelContext& c, const float* products, std::int64_t above) const {
    const Tensor& h = c.input(kState);
    const Tensor& w = c.input(kMatrix);
    const std::int64_t m = h.dim(0), k = h.dim(1), n = w.dim(1);
    const float* bias = c.num_inputs() > kBias ? c.input(kBias).data<float>() : nullptr;
    float* y = c.output(0, Shape{m, n}).mutable_data<float>();
    const auto packed =
        lower_.get(c, matmul_, view_of(w, above * n, Shape{k, n}), {m, k, n, false});
    matmul_.multiply(c, m, h.data<float>(), *packed, y, [&](const dnn::MatmulBlock& block) {
      for (std::int64_t row = block.row; row < block.row + block.rows; ++row) {
        float* to = y + row * n + block.column;
        const float* product = products + row * n + block.column;
        for_lanes(block.columns, [=](std::int64_t i) { to[i] = product[i] + to[i]; });
        if (bias == nullptr) continue;
        const float* add = bias + block.column;
        for_lanes(block.columns, [=](std::int64_t i) { to[i] += add[i]; });
      }
    });
  }

  void multiply_joined(KernelContext& c, const Tensor& x) const {
    const Tensor& h = c.input(kState);
    const Tensor& w = c.input(kMatrix);
    const std::int64_t m = h.dim(0), n = w.dim(1);
    Tensor joined = c.temporary(kFloat, Shape{m, w.dim(0)});
    float* to = joined.mutable_data<float>();
    for (std::int64_t row = 0; row < m; ++row) {
      to = std::copy_n(x.data<float>() + row * x.dim(1), x.dim(1), to);
      to = std::copy_n(h.data<float>() + row * h.dim(1), h.dim(1), to);
    }
    Tensor& y = c.output(0, Shape{m, n});
    multiply_matrices(c, matmul_, joined, {}, w, {}, {{m, w.dim(0), n, false}, {0}, {0}}, y);
    if (c.num_inputs() <= kBias) return;
    const float* bias = c.input(kBias).data<float>();
    for (std::int64_t row = 0; row < m; ++row) {
      float* values = y.mutable_data<float>() + row * n;
      for_lanes(n, [=](std::int64_t i) { values[i] += bias[i]; });
    }
  }

  dnn::Matmul matmul_;
  PackedRight upper_;
  PackedRight lower_;
};

Shapes fused_shape(ShapeContext& c) {
  return {PartialShape{c.with_rank(kState, 2).dim(0), c.with_rank(kMatrix, 2).dim(1)}};
}

constexpr OpDef kOps[] = {
    {.name = kFusedOp,
     .inputs = "handle: resource, index: int32, flow_in: float, state: T, matrix: T, "
               "bias: num_bias * T",
     .outputs = "y: T",
     .attrs = "T: {float}; num_bias: int >= 0",
     .shape = fused_shape,
     .kernel = make_kernel<ArrayMatMulKernel>,
     .differentiable = Differentiable::kRefused,
     .stateful = true,
     .reads_variables_only = true},
};

// MatMul(ConcatV2(TensorArrayReadV3, state), matrix) [+ bias], the matrix being stable.
bool apply(FusionGraph& g, int root) {
  const Node* node = &g.node(root);
  std::vector<OutputId> bias;
  if (node->op_name == "BiasAdd" && has_string(*node, "data_format", "NHWC")) {
    bias = {node->inputs[1]};
    if (node->inputs[0].index != 0 || !g.is_private(node->inputs[0].node)) return false;
    node = &g.node(node->inputs[0].node);
  }
  if (node->op_name != "MatMul" || node->outputs[0].dtype != kFloat || flag(*node, "transpose_a") ||
      flag(*node, "transpose_b") || !g.is_stable(node->inputs[1]))
    return false;
  const OutputId matrix = node->inputs[1];
  const Node& concat = g.node(node->inputs[0].node);
  if (concat.op_name != "ConcatV2" || concat.inputs.size() != 3 ||
      !g.is_private(node->inputs[0].node))
    return false;
  const auto axis = integer_constant(g, concat.inputs[2]);
  if (!axis || axis->size() != 1 || ((*axis)[0] != 1 && (*axis)[0] != -1)) return false;
  const Node& read = g.node(concat.inputs[0].node);
  if (read.op_name != "TensorArrayReadV3" || !g.is_private(concat.inputs[0].node)) return false;
  std::vector<OutputId> inputs = read.inputs;
  inputs.push_back(concat.inputs[1]);
  inputs.push_back(matrix);
  inputs.insert(inputs.end(), bias.begin(), bias.end());
  AttrMap attrs;
  attrs["T"] = AttrValue(kFloat);
  attrs["num_bias"] = AttrValue(static_cast<std::int64_t>(bias.size()));
  g.replace(root, kFusedOp, std::move(inputs), std::move(attrs));
  return true;
}

}  // namespace

extern const Fusion kArrayMatMulFusion;
const Fusion kArrayMatMulFusion = {"array_matmul", apply};

OpFamily nn_array_matmul_ops() { return kOps; }

}  // namespace hub
