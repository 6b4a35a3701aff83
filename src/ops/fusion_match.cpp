#include "ops/fusion_match.h"

#include <algorithm>

namespace hub {

bool has_string(const Node& node, std::string_view attr, std::string_view value) {
  const auto found = node.attrs.find(attr);
  if (found == node.attrs.end()) return false;
  const auto* text = std::get_if<std::string>(&found->second.value);
  return text != nullptr && *text == value;
}

bool flag(const Node& node, std::string_view attr) {
  const auto found = node.attrs.find(attr);
  if (found == node.attrs.end()) return false;
  const auto* value = std::get_if<bool>(&found->second.value);
  return value != nullptr && *value;
}

std::optional<float> float_constant(const FusionGraph& graph, OutputId output) {
  const Tensor* value = graph.graph().constant(output);
  if (value == nullptr || value->dtype() != kFloat || value->rank() != 0) return {};
  return value->data<float>()[0];
}

std::optional<std::vector<std::int64_t>> integer_constant(const FusionGraph& graph,
                                                          OutputId output) {
  const Tensor* value = graph.graph().constant(output);
  if (value == nullptr || value->rank() > 1) return {};
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < value->num_elements(); ++i) {
    if (value->dtype() == DType::kInt32) {
      numbers.push_back(value->data<std::int32_t>()[i]);
    } else if (value->dtype() == DType::kInt64) {
      numbers.push_back(value->data<std::int64_t>()[i]);
    } else {
      return {};
    }
  }
  return numbers;
}

const PartialShape& shape_of(const FusionGraph& graph, OutputId output) {
  return graph.graph().fact(output).shape;
}

bool is_last_dim_vector(const FusionGraph& graph, OutputId output, const PartialShape& of) {
  const PartialShape& shape = shape_of(graph, output);
  return of.rank() >= 1 && of.dim(of.rank() - 1) >= 0 && shape.rank() == 1 &&
         shape.dim(0) == of.dim(of.rank() - 1);
}

bool may_be_same_shape(const PartialShape& a, const PartialShape& b) {
  return a.has_rank() && b.has_rank() && a == b;
}

bool is_inference_batch_norm(const Node& node) {
  if (!node.op_name.starts_with("FusedBatchNorm") || node.outputs.size() < 5 ||
      node.outputs[0].dtype != kFloat)
    return false;
  const auto training = node.attrs.find("is_training");
  if (training == node.attrs.end() || !has_string(node, "data_format", "NHWC")) return false;
  const bool* value = std::get_if<bool>(&training->second.value);
  return value != nullptr && !*value;
}

const Node* PatternMatch::enter(OutputId output, std::initializer_list<std::string_view> ops) {
  if (output.index != 0) return nullptr;
  const Node& node = graph_->node(output.node);
  if (std::ranges::count(ops, std::string_view(node.op_name)) == 0) return nullptr;
  if (node.outputs.empty() || node.outputs[0].dtype != kFloat || !node.control_inputs.empty())
    return nullptr;
  ++inner_[output.node];
  return &node;
}

bool PatternMatch::is_closed() const {
  return std::ranges::all_of(inner_, [&](const auto& entry) {
    return graph_->only_first_output(entry.first) && graph_->uses(entry.first) == entry.second;
  });
}

bool PatternMatch::only_reader_of(OutputId leaf) const {
  const auto found = reads_.find(leaf.node);
  return leaf.index == 0 && found != reads_.end() && graph_->only_first_output(leaf.node) &&
         graph_->node(leaf.node).control_inputs.empty() && graph_->uses(leaf.node) == found->second;
}

}  // namespace hub
