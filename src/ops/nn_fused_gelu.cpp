// gelu from its composed forms, exact (erf) and approximate (tanh).

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/shape_rules.h"
#include "ops/fusion_match.h"
#include "ops/kernel.h"
#include "ops/kernels/epilogue.h"

namespace hub {
namespace {

constexpr std::string_view kFusedOp = "_HubGelu";

class GeluKernel final : public Kernel {
 public:
  explicit GeluKernel(const KernelInit& init)
      : activation_(row_activation(init.attr<std::string>("activation"))) {}

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output_in_place(0, 0, x.shape());
    const float* from = x.data<float>();
    float* to = y.mutable_data<float>();
    constexpr std::int64_t kBlock = 1024;
    const std::int64_t blocks = (x.num_elements() + kBlock - 1) / kBlock;
    c.parallel_for(blocks, kBlock * 0.4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t first = begin * kBlock; begin < end; ++begin, first += kBlock) {
        const std::int64_t count = std::min(kBlock, x.num_elements() - first);
        if (to != from) std::copy_n(from + first, count, to + first);
        finish_row(activation_, nullptr, nullptr, to + first, count);
      }
    });
  }

 private:
  RowActivation activation_;
};

Shapes gelu_shape(ShapeContext& c) { return {c.input(0)}; }

constexpr OpDef kOps[] = {
    {.name = kFusedOp,
     .inputs = "x: T",
     .outputs = "y: T",
     .attrs = "T: {float}; activation: {'gelu_erf', 'gelu_tanh'}",
     .shape = gelu_shape,
     .kernel = make_kernel<GeluKernel>,
     .differentiable = Differentiable::kRefused},
};

bool is_constant(const FusionGraph& g, OutputId output, double wanted) {
  const auto value = float_constant(g, output);
  return value && std::abs(*value - wanted) <= 1e-6 * std::abs(wanted);
}

class GeluMatcher {
 public:
  explicit GeluMatcher(const FusionGraph& graph) : g_(graph), m_(graph) {}

  std::optional<GeluMatch> match(const Node& root) {
    GeluMatch found;
    const bool is_gelu = in_either_order(root, [&](OutputId a, OutputId b) {
      return tried([&] { return x_times_half_cdf(a, b) || half_x_times_cdf(a, b); }) ||
             tried([&] { return half_times_product(a, b); });
    });
    if (!is_gelu || !m_.is_closed()) return {};
    found.x = x_;
    found.activation = erf_ ? "gelu_erf" : "gelu_tanh";
    found.only_reader = m_.only_reader_of(x_);
    return found;
  }

 private:
  // Forgets what a failed attempt has entered.
  template <class Attempt>
  bool tried(Attempt attempt) {
    const PatternMatch before = m_;
    if (attempt()) return true;
    m_ = before;
    return false;
  }

  // x * (0.5 * (1 + f(x)))
  bool x_times_half_cdf(OutputId x, OutputId product) {
    return tried([&] {
      x_ = x;
      m_.read(x);
      const Node* half = m_.enter(product, {"Mul"});
      return half != nullptr && in_either_order(*half, [&](OutputId a, OutputId b) {
               return is_constant(g_, a, 0.5) && tried([&] { return one_plus(b); });
             });
    });
  }

  // (0.5 * x) * (1 + f(x))
  bool half_x_times_cdf(OutputId product, OutputId sum) {
    return tried([&] {
      const Node* half = m_.enter(product, {"Mul"});
      return half != nullptr && in_either_order(*half, [&](OutputId a, OutputId b) {
               if (!is_constant(g_, a, 0.5)) return false;
               return tried([&] {
                 x_ = b;
                 m_.read(b);
                 return one_plus(sum);
               });
             });
    });
  }

  // 0.5 * (x * (1 + f(x)))
  bool half_times_product(OutputId half, OutputId product) {
    if (!is_constant(g_, half, 0.5)) return false;
    const Node* node = m_.enter(product, {"Mul"});
    return node != nullptr && in_either_order(*node, [&](OutputId a, OutputId b) {
             return tried([&] {
               x_ = a;
               m_.read(a);
               return one_plus(b);
             });
           });
  }

  bool one_plus(OutputId output) {
    const Node* sum = m_.enter(output, {"Add", "AddV2"});
    return sum != nullptr && in_either_order(*sum, [&](OutputId a, OutputId b) {
             return is_constant(g_, a, 1) && tried([&] { return erf_of_x(b) || tanh_of_cubic(b); });
           });
  }

  bool erf_of_x(OutputId output) {
    return tried([&] {
      const Node* erf = m_.enter(output, {"Erf"});
      if (erf == nullptr) return false;
      erf_ = true;
      m_.read(x_);
      const Node* scaled = m_.enter(erf->inputs[0], {"Mul", "RealDiv"});
      if (scaled == nullptr) return false;
      if (scaled->op_name == "RealDiv")
        return scaled->inputs[0] == x_ && is_constant(g_, scaled->inputs[1], std::numbers::sqrt2);
      return is_scaled_x(*scaled, 1 / std::numbers::sqrt2);
    });
  }

  bool is_scaled_x(const Node& product, double factor) const {
    return in_either_order(
        product, [&](OutputId a, OutputId b) { return a == x_ && is_constant(g_, b, factor); });
  }

  // tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))
  bool tanh_of_cubic(OutputId output) {
    const Node* tanh = m_.enter(output, {"Tanh"});
    const Node* product = tanh == nullptr ? nullptr : m_.enter(tanh->inputs[0], {"Mul"});
    if (product == nullptr) return false;
    erf_ = false;
    return in_either_order(*product, [&](OutputId factor, OutputId cubic) {
      return is_constant(g_, factor, std::sqrt(2 / std::numbers::pi)) && tried([&] {
               const Node* sum = m_.enter(cubic, {"Add", "AddV2"});
               return sum != nullptr && in_either_order(*sum, [&](OutputId a, OutputId b) {
                        return a == x_ && tried([&] { return scaled_cube(b); });
                      });
             });
    });
  }

  bool scaled_cube(OutputId output) {
    m_.read(x_);
    const Node* product = m_.enter(output, {"Mul"});
    return product != nullptr && in_either_order(*product, [&](OutputId factor, OutputId cube) {
             return is_constant(g_, factor, 0.044715) && tried([&] { return is_cube(cube); });
           });
  }

  bool is_cube(OutputId output) {
    const Node* node = m_.enter(output, {"Pow", "Mul"});
    if (node == nullptr) return false;
    m_.read(x_);
    if (node->op_name == "Pow") return node->inputs[0] == x_ && is_constant(g_, node->inputs[1], 3);
    return in_either_order(*node, [&](OutputId a, OutputId b) {
      return a == x_ && tried([&] {
               const Node* square = m_.enter(b, {"Mul", "Square"});
               if (square == nullptr) return false;
               m_.read(x_);
               if (square->op_name == "Mul") m_.read(x_);
               return std::ranges::all_of(square->inputs, [&](OutputId i) { return i == x_; });
             });
    });
  }

  const FusionGraph& g_;
  PatternMatch m_;
  OutputId x_;
  bool erf_ = false;
};

bool fuse_gelu(FusionGraph& g, int root) {
  const auto gelu = match_gelu(g, root);
  if (!gelu) return false;
  AttrMap attrs;
  attrs["activation"] = AttrValue(std::string(gelu->activation));
  g.replace(root, kFusedOp, {gelu->x}, std::move(attrs));
  return true;
}

}  // namespace

std::optional<GeluMatch> match_gelu(const FusionGraph& graph, int root) {
  const Node& node = graph.node(root);
  if (node.op_name != "Mul" || node.outputs[0].dtype != kFloat) return {};
  return GeluMatcher(graph).match(node);
}

extern const Fusion kGeluFusion;
const Fusion kGeluFusion = {"gelu", fuse_gelu};

OpFamily nn_fused_gelu_ops() { return kOps; }

}  // namespace hub
