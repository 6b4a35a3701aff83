#include "autodiff/calls.h"

namespace hub {
namespace {

void append(AttrMap& attrs, const std::string& name, const std::vector<DType>& types) {
  auto found = attrs.find(name);
  if (found == attrs.end()) return;
  auto& list = std::get<AttrList>(found->second.value).types;
  list.insert(list.end(), types.begin(), types.end());
}

}  // namespace

const FunctionRef& function_attr(const Node& node, std::string_view name) {
  return attr_value<FunctionRef>(node.attrs, node.name, name);
}

AttrValue types_attr(const std::vector<DType>& types) {
  AttrList list;
  list.types = types;
  return AttrValue(std::move(list));
}

AttrValue function_ref(const std::string& name) {
  FunctionRef ref;
  ref.name = name;
  return AttrValue(std::move(ref));
}

std::vector<DType> dtypes_of(const GraphData& graph, const std::vector<OutputId>& ids) {
  std::vector<DType> result;
  for (const OutputId id : ids) result.push_back(graph.fact(id).dtype);
  return result;
}

void extend(GraphState& graph, int index, const std::vector<OutputId>& inputs,
            const std::vector<DType>& outputs, const std::map<std::string, AttrValue>& functions) {
  const std::vector<DType> input_types = dtypes_of(graph.data(), inputs);
  {
    const GraphEdit edit(graph);
    Node& node = edit.data().mutable_node(index);
    node.inputs.insert(node.inputs.end(), inputs.begin(), inputs.end());
    if (!node.input_arg_begins.empty())
      node.input_arg_begins.back() += static_cast<std::int32_t>(inputs.size());
    for (const DType dtype : outputs) {
      OutputFact fact;
      fact.dtype = dtype;
      node.outputs.push_back(std::move(fact));
    }
    if (!node.output_arg_begins.empty())
      node.output_arg_begins.back() += static_cast<std::int32_t>(outputs.size());
    append(node.attrs, "Tin", input_types);
    append(node.attrs, "Tout", outputs);
    append(node.attrs, "T", outputs);
    if (node.attrs.contains("output_shapes")) node.attrs["output_shapes"] = AttrValue(AttrList());
  }
  for (const auto& [name, value] : functions) graph.set_attr(index, name, value);
}

}  // namespace hub
