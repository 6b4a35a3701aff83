#include "graph/gradient_context.h"

namespace hub {

bool is_differentiable(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
    case DType::kBfloat16:
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kComplex64:
    case DType::kComplex128:
    case DType::kResource:
    case DType::kVariant: return true;
    default: return false;
  }
}

Output dense_gradient(const Graph& graph, const GradientValue& gradient) {
  if (!gradient.slices) return gradient.dense;
  const IndexedSlices& slices = *gradient.slices;
  const Output rows = graph.op("StridedSlice",
                               {slices.dense_shape, make_vector<std::int32_t>({0}),
                                make_vector<std::int32_t>({1}), make_vector<std::int32_t>({1})},
                               {{"shrink_axis_mask", 1}});
  return graph.op("UnsortedSegmentSum", {slices.values, slices.indices, rows}, {}, "dense");
}

Output GradientContext::input(int index) const {
  const OutputId id = node().inputs[static_cast<std::size_t>(index)];
  return {&state_, id.node, id.index};
}

const Tensor* GradientContext::constant(int index) const {
  return state_.data().constant(node().inputs[static_cast<std::size_t>(index)]);
}

Attrs GradientContext::attrs(std::initializer_list<std::string_view> names) const {
  Attrs result;
  for (const std::string_view name : names) {
    const auto found = node().attrs.find(name);
    if (found != node().attrs.end()) result.emplace(name, to_attr(found->second));
  }
  return result;
}

Output GradientContext::dy(int index) {
  GradientValue& value = dys_[static_cast<std::size_t>(index)];
  if (!value.dense) value.dense = dense_gradient(graph_, value);
  if (!value.dense) value.dense = op("ZerosLike", {output(index)});
  return value.dense;
}

const IndexedSlices* GradientContext::dy_slices(int index) const {
  const GradientValue& value = dys_[static_cast<std::size_t>(index)];
  return value.slices ? &*value.slices : nullptr;
}

}  // namespace hub
