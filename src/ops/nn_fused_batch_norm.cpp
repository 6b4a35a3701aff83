// Batch normalisation of inference with Relu or Relu6, where no convolution takes it.

#include <cmath>
#include <limits>

#include "graph/shape_rules.h"
#include "ops/channels.h"
#include "ops/fusion_match.h"
#include "ops/kernel.h"

namespace hub {
namespace {

constexpr std::string_view kFusedOp = "_HubBatchNorm";

class FusedBatchNormKernel final : public Kernel {
 public:
  explicit FusedBatchNormKernel(const KernelInit& init)
      : epsilon_(init.attr<float>("epsilon")),
        highest_(init.attr<std::string>("activation") == "Relu6"
                     ? 6.0f
                     : std::numeric_limits<float>::infinity()) {}

  void compute(KernelContext& c) const override {
    const Tensor& x = c.input(0);
    const std::int64_t channels = x.rank() == 4 ? x.dim(3) : -1;
    for (int i = 1; i < 5; ++i) {
      const Tensor& values = c.input(i);
      if (values.rank() == 1 && values.dim(0) == channels) continue;
      throw invalid_argument(
          "FusedBatchNorm: the input must have four dimensions, and one value for each channel. "
          "Details: ",
          x.shape(), ", input ", i, " has shape ", values.shape(), ".");
    }
    std::vector<float> factors(static_cast<std::size_t>(channels));
    for (std::int64_t i = 0; i < channels; ++i) {
      factors[static_cast<std::size_t>(i)] =
          c.input(1).data<float>()[i] / std::sqrt(c.input(4).data<float>()[i] + epsilon_);
    }
    Tensor& y = c.output_in_place(0, 0, x.shape());
    if (y.num_elements() == 0) return;
    const float *from = x.data<float>(), *offset = c.input(2).data<float>(),
                *mean = c.input(3).data<float>(), *factor = factors.data();
    float* to = y.mutable_data<float>();
    const float highest = highest_;
    c.parallel_for(x.num_elements() / channels, static_cast<double>(channels) * 0.15,
                   [=](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin * channels; row < end * channels;
                          row += channels) {
                       for_channels(channels, [=](std::int64_t i) {
                         const float value = (from[row + i] - mean[i]) * factor[i] + offset[i];
                         const float floored = value < 0.0f ? 0.0f : value;  // NaN stays
                         to[row + i] = floored > highest ? highest : floored;
                       });
                     }
                   });
  }

 private:
  float epsilon_;
  float highest_;
};

Shapes batch_norm_shape(ShapeContext& c) { return {c.with_rank(0, 4)}; }

constexpr OpDef kOps[] = {
    {.name = kFusedOp,
     .inputs = "x: T, scale: T, offset: T, mean: T, variance: T",
     .outputs = "y: T",
     .attrs = "T: {float}; epsilon: float = 0.0; activation: {'Relu', 'Relu6'}",
     .shape = batch_norm_shape,
     .kernel = make_kernel<FusedBatchNormKernel>,
     .differentiable = Differentiable::kRefused},
};

bool fuse_batch_norm(FusionGraph& g, int root) {
  const Node& last = g.node(root);
  if ((last.op_name != "Relu" && last.op_name != "Relu6") || last.inputs[0].index != 0 ||
      last.outputs[0].dtype != kFloat)
    return false;
  const int index = last.inputs[0].node;
  const Node& norm = g.node(index);
  if (!is_inference_batch_norm(norm) || !g.is_private(index)) return false;
  AttrMap attrs;
  attrs["epsilon"] = norm.attrs.at("epsilon");
  attrs["activation"] = AttrValue(last.op_name);
  g.replace(root, kFusedOp, norm.inputs, std::move(attrs));
  return true;
}

}  // namespace

extern const Fusion kBatchNormFusion;
const Fusion kBatchNormFusion = {"batch norm", fuse_batch_norm};

OpFamily nn_fused_batch_norm_ops() { return kOps; }

}  // namespace hub
