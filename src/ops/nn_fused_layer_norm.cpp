// Layer normalisation over the last dimension from its composed forms.

#include <cmath>

#include "graph/shape_rules.h"
#include "ops/fusion_match.h"
#include "ops/kernel.h"
#include "ops/kernels/reduce_loops.h"
#include "ops/lanes.h"

namespace hub {
namespace {

constexpr std::string_view kFusedOp = "_HubLayerNorm";

// One row of n floats; `gamma` and `beta` may be nullptr. y may be x. The order of the sums depends
// on n alone.
void normalise_row(const float* x, const float* gamma, const float* beta, float epsilon,
                   std::int64_t n, float* y) {
  const auto count = static_cast<float>(n);
  const float mean = reduction::reduce_row<reduction::Sum<float>>(x, n) / count;
  for_lanes(n, [=](std::int64_t i) { y[i] = x[i] - mean; });
  constexpr std::int64_t kLanes = 64;
  float squares[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) squares[lane] += y[i + lane] * y[i + lane];
  }
  for (; i < n; ++i) squares[i % kLanes] += y[i] * y[i];
  const float variance = reduction::reduce_row<reduction::Sum<float>>(squares, kLanes) / count;
  const float factor = 1.0f / std::sqrt(variance + epsilon);
  if (gamma != nullptr && beta != nullptr) {
    for_lanes(n, [=](std::int64_t k) { y[k] = y[k] * (factor * gamma[k]) + beta[k]; });
  } else if (gamma != nullptr) {
    for_lanes(n, [=](std::int64_t k) { y[k] = y[k] * (factor * gamma[k]); });
  } else if (beta != nullptr) {
    for_lanes(n, [=](std::int64_t k) { y[k] = y[k] * factor + beta[k]; });
  } else {
    for_lanes(n, [=](std::int64_t k) { y[k] *= factor; });
  }
}

class LayerNormKernel final : public Kernel {
 public:
  explicit LayerNormKernel(const KernelInit& init)
      : epsilon_(init.attr<float>("epsilon")),
        gamma_(init.attr<bool>("gamma") ? 1 : -1),
        beta_(init.attr<bool>("beta") ? (gamma_ > 0 ? 2 : 1) : -1) {}

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const float* gamma = vector(c, gamma_, x.shape());
    const float* beta = vector(c, beta_, x.shape());
    Tensor& y = c.output_in_place(0, 0, x.shape());
    if (x.num_elements() == 0) return;
    const std::int64_t n = x.dim(x.rank() - 1);
    const float* from = x.data<float>();
    float* to = y.mutable_data<float>();
    c.parallel_for(x.num_elements() / n, static_cast<double>(n) * 0.2 + 10,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row)
                       normalise_row(from + row * n, gamma, beta, epsilon_, n, to + row * n);
                   });
  }

 private:
  static const float* vector(const KernelContext& c, int input, const Shape& x) {
    if (input < 0) return nullptr;
    const Tensor& values = c.input(input);
    if (x.rank() >= 1 && values.rank() == 1 && values.dim(0) == x.dim(x.rank() - 1))
      return values.data<float>();
    throw invalid_argument(
        "Mul: there must be one value for each index of the last dimension. Details: ",
        values.shape(), " values for ", x, ".");
  }

  float epsilon_;
  // Inputs; -1: there is none.
  int gamma_;
  int beta_;
};

Shapes layer_norm_shape(ShapeContext& c) { return {c.input(0)}; }

constexpr OpDef kOps[] = {
    {.name = kFusedOp,
     .inputs = "x: T, args: num_args * T",
     .outputs = "y: T",
     .attrs = "T: {float}; num_args: int >= 0; gamma: bool = false; beta: bool = false; "
              "epsilon: float = 0.0",
     .shape = layer_norm_shape,
     .kernel = make_kernel<LayerNormKernel>,
     .differentiable = Differentiable::kRefused},
};

// mean and variance as tf.nn.moments or by hand, then
//   x * inv + (beta - mean * inv) with inv = rsqrt(variance + epsilon) [* gamma], or
//   (x - mean) * rsqrt(variance + epsilon) [* gamma] [+ beta], or a quotient by the root.
class LayerNormMatcher {
 public:
  explicit LayerNormMatcher(const FusionGraph& graph) : g_(graph), m_(graph) {}

  bool match(const Node& root) {
    shape_ = root.outputs[0].shape;
    if (shape_.rank() < 1 || shape_.dim(shape_.rank() - 1) <= 0) return false;
    return (tried([&] { return is_scaled_and_shifted(root); }) ||
            tried([&] { return is_centered_and_scaled(root); })) &&
           may_be_same_shape(shape_of(g_, x_), shape_) && m_.is_closed();
  }

  void replace(FusionGraph& g, int root) const {
    std::vector<OutputId> inputs{x_};
    if (gamma_.is_valid()) inputs.push_back(gamma_);
    if (beta_.is_valid()) inputs.push_back(beta_);
    AttrMap attrs;
    attrs["T"] = AttrValue(kFloat);
    attrs["num_args"] = AttrValue(static_cast<std::int64_t>(inputs.size()) - 1);
    attrs["gamma"] = AttrValue(gamma_.is_valid());
    attrs["beta"] = AttrValue(beta_.is_valid());
    attrs["epsilon"] = AttrValue(epsilon_);
    g.replace(root, kFusedOp, std::move(inputs), std::move(attrs));
  }

 private:
  template <class Attempt>
  bool tried(Attempt attempt) {
    const LayerNormMatcher before = *this;
    if (attempt()) return true;
    m_ = before.m_;
    x_ = before.x_;
    mean_ = before.mean_;
    gamma_ = before.gamma_;
    beta_ = before.beta_;
    return false;
  }

  bool is_vector(OutputId output) const { return is_last_dim_vector(g_, output, shape_); }

  // x * inv + (beta - mean * inv)
  bool is_scaled_and_shifted(const Node& sum) {
    if (sum.op_name != "Add" && sum.op_name != "AddV2") return false;
    return in_either_order(sum, [&](OutputId scaled, OutputId shift) {
      return tried([&] {
        const Node* product = m_.enter(scaled, {"Mul"});
        return product != nullptr && in_either_order(*product, [&](OutputId x, OutputId inverse) {
                 return tried([&] {
                   x_ = x;
                   return is_inverse(inverse) && is_shift(shift, inverse);
                 });
               });
      });
    });
  }

  // beta - mean * inv; or -mean * inv, without beta
  bool is_shift(OutputId shift, OutputId inverse) {
    const Node* node = m_.enter(shift, {"Sub", "Mul"});
    if (node == nullptr) return false;
    if (node->op_name == "Mul") {
      return in_either_order(*node, [&](OutputId negated, OutputId other) {
        return other == inverse && tried([&] {
                 const Node* neg = m_.enter(negated, {"Neg"});
                 m_.enter(other, {"Mul", "Rsqrt"});
                 return neg != nullptr && m_.enter(neg->inputs[0], {"Mean"}) != nullptr &&
                        neg->inputs[0] == mean_;
               });
      });
    }
    beta_ = node->inputs[0];
    const Node* product = m_.enter(node->inputs[1], {"Mul"});
    return is_vector(beta_) && product != nullptr &&
           in_either_order(*product, [&](OutputId mean, OutputId other) {
             if (mean != mean_ || other != inverse) return false;
             m_.enter(mean, {"Mean"});
             m_.enter(other, {"Mul", "Rsqrt"});
             return true;
           });
  }

  // rsqrt(variance + epsilon) [* gamma]
  bool is_inverse(OutputId output) {
    const Node* node = m_.enter(output, {"Mul", "Rsqrt"});
    if (node == nullptr) return false;
    if (node->op_name == "Rsqrt") return is_deviation_squared(node->inputs[0]);
    return in_either_order(*node, [&](OutputId root, OutputId gamma) {
      return is_vector(gamma) && tried([&] {
               gamma_ = gamma;
               const Node* inverse = m_.enter(root, {"Rsqrt"});
               return inverse != nullptr && is_deviation_squared(inverse->inputs[0]);
             });
    });
  }

  // (x - mean) / deviation [* gamma] [+ beta]
  bool is_centered_and_scaled(const Node& root) {
    if (root.op_name != "Add" && root.op_name != "AddV2") return is_scaled_centered(root);
    return in_either_order(root, [&](OutputId scaled, OutputId beta) {
      return is_vector(beta) && tried([&] {
               beta_ = beta;
               const Node* node = m_.enter(scaled, {"Mul", "RealDiv"});
               return node != nullptr && is_scaled_centered(*node);
             });
    });
  }

  bool is_scaled_centered(const Node& node) {
    if (node.op_name != "Mul") return is_normalised(node);
    return tried([&] { return is_normalised(node); }) ||
           in_either_order(node, [&](OutputId inner, OutputId gamma) {
             return is_vector(gamma) && tried([&] {
                      gamma_ = gamma;
                      const Node* normal = m_.enter(inner, {"Mul", "RealDiv"});
                      return normal != nullptr && is_normalised(*normal);
                    });
           });
  }

  // (x - mean) * rsqrt(variance + epsilon), (x - mean) / sqrt(variance + epsilon)
  bool is_normalised(const Node& node) {
    if (node.op_name == "RealDiv") return is_normalised_by(node.inputs[0], node.inputs[1], "Sqrt");
    return node.op_name == "Mul" && in_either_order(node, [&](OutputId centered, OutputId inverse) {
             return tried([&] { return is_normalised_by(centered, inverse, "Rsqrt"); });
           });
  }

  bool is_normalised_by(OutputId centered, OutputId root_output, std::string_view root_op) {
    const Node* difference = m_.enter(centered, {"Sub"});
    const Node* root = m_.enter(root_output, {root_op});
    if (difference == nullptr || root == nullptr) return false;
    x_ = difference->inputs[0];
    centered_ = centered;
    return is_deviation_squared(root->inputs[0]) && difference->inputs[1] == mean_ &&
           m_.enter(mean_, {"Mean"}) != nullptr;
  }

  // variance + epsilon; sets the mean
  bool is_deviation_squared(OutputId output) {
    const Node* sum = m_.enter(output, {"Add", "AddV2"});
    return sum != nullptr && in_either_order(*sum, [&](OutputId variance, OutputId epsilon) {
             const auto value = float_constant(g_, epsilon);
             if (!value) return false;
             epsilon_ = *value;
             return tried([&] { return is_variance(variance); });
           });
  }

  // the mean of squared differences from the mean
  bool is_variance(OutputId output) {
    const Node* average = m_.enter(output, {"Mean"});
    if (average == nullptr || !is_over_last_dim(*average)) return false;
    const Node* square = m_.enter(average->inputs[0], {"SquaredDifference", "Square", "Mul"});
    if (square == nullptr) return false;
    if (square->op_name == "SquaredDifference") {
      return in_either_order(*square, [&](OutputId x, OutputId mean) {
        return x == x_ && tried([&] { return is_mean(mean); });
      });
    }
    const OutputId centered = square->inputs[0];
    for (const OutputId factor : square->inputs) {
      if (factor != centered || m_.enter(factor, {"Sub"}) == nullptr) return false;
    }
    const Node& difference = g_.node(centered.node);
    if (difference.inputs[0] != x_) return false;
    if (centered != centered_) return is_mean(difference.inputs[1]);
    mean_ = difference.inputs[1];  // entered from the difference that is scaled
    return is_mean_of_x(mean_);
  }

  // mean(x), perhaps behind StopGradient
  bool is_mean(OutputId output) {
    const Node* stopped = m_.enter(output, {"StopGradient", "Identity"});
    if (stopped != nullptr) output = stopped->inputs[0];
    if (m_.enter(output, {"Mean"}) == nullptr) return false;
    mean_ = output;
    return is_mean_of_x(output);
  }

  bool is_mean_of_x(OutputId output) const {
    const Node& node = g_.node(output.node);
    return node.op_name == "Mean" && node.inputs[0] == x_ && is_over_last_dim(node);
  }

  bool is_over_last_dim(const Node& mean) const {
    const auto axes = integer_constant(g_, mean.inputs[1]);
    return flag(mean, "keep_dims") && axes && axes->size() == 1 &&
           ((*axes)[0] == -1 || (*axes)[0] == shape_.rank() - 1);
  }

  const FusionGraph& g_;
  PatternMatch m_;
  PartialShape shape_;
  OutputId x_, mean_, gamma_, beta_, centered_;
  float epsilon_ = 0;
};

bool fuse_layer_norm(FusionGraph& g, int root) {
  const Node& node = g.node(root);
  const std::string& op = node.op_name;
  if ((op != "Add" && op != "AddV2" && op != "Mul" && op != "RealDiv") ||
      node.outputs[0].dtype != kFloat)
    return false;
  LayerNormMatcher matcher(g);
  if (!matcher.match(node)) return false;
  matcher.replace(g, root);
  return true;
}

}  // namespace

extern const Fusion kLayerNormFusion;
const Fusion kLayerNormFusion = {"layer norm", fuse_layer_norm};

OpFamily nn_fused_layer_norm_ops() { return kOps; }

}  // namespace hub
