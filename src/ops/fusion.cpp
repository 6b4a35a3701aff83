#include "ops/fusion.h"

#include "base/errors.h"

namespace hub {

// One line for each fusion, here and in the array.
extern const Fusion kArrayMatMulFusion;
extern const Fusion kAttentionFusion;
extern const Fusion kBatchNormFusion;
extern const Fusion kConvolutionFusion;
extern const Fusion kLayerNormFusion;
extern const Fusion kMatMulFusion;
extern const Fusion kGeluFusion;
extern const Fusion kTextEmbeddingFusion;

std::span<const Fusion> builtin_fusions() {
  static const Fusion fusions[] = {
      kArrayMatMulFusion, kAttentionFusion, kLayerNormFusion, kConvolutionFusion,
      kBatchNormFusion,   kMatMulFusion,    kGeluFusion,      kTextEmbeddingFusion,
  };
  return fusions;
}

void FusionGraph::replace(int root, std::string_view op, std::vector<OutputId> inputs,
                          AttrMap attrs) {
  const Node& old = graph_.node(root);
  NodeSpec spec;
  spec.name = graph_.unique_name(old.name);
  spec.op = op;
  spec.inputs = std::move(inputs);
  spec.control_inputs = old.control_inputs;
  spec.attrs = std::move(attrs);
  const OutputFact fact = old.outputs[0];
  HUB_ASSERT(graph_.registry().find(op) != nullptr);
  const int fused = graph_.add(std::move(spec));
  graph_.mutable_node(fused).outputs[0] = fact;
  replaced_.emplace_back(root, fused);
  for (int i = 0; i < fused; ++i) {
    Node& node = graph_.mutable_node(i);
    for (OutputId& input : node.inputs) {
      if (input == OutputId{root, 0}) input = {fused, 0};
    }
    for (std::int32_t& control : node.control_inputs) {
      if (control == root) control = fused;
    }
  }
}

}  // namespace hub
