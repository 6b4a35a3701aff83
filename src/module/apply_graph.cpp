#include "module/apply_graph.h"

#include "base/errors.h"
#include "graph/flow_context.h"
#include "graph/meta_graph.h"
#include "module/state_graph.h"

namespace hub {
namespace {

// Nested instances must not see the copy's variables as state: they become placeholders that
// nothing reads.
void replace_state_nodes(GraphDef& graph, const Application& application) {
  for (NodeDef& node : graph.nodes) {
    if (!application.state.contains(cat(node.name, ":0"))) continue;
    AttrMap attrs;
    if (const auto shape = node.attrs.find("shape"); shape != node.attrs.end())
      attrs["shape"] = shape->second;
    attrs["dtype"] = AttrValue(DType::kResource);
    node.op = "Placeholder";
    node.attrs = std::move(attrs);
    node.inputs.clear();
  }
}

MappedTensors mapped_tensors(const Application& application, GraphState& graph) {
  MappedTensors mapped = application.state;
  for (const auto& [name, bound] : application.signature.inputs) {
    const std::vector<Output> parts = application.inputs.at(name).parts();
    for (std::size_t i = 0; i < bound.tensors.size(); ++i)
      mapped[bound.tensors[i]] = id_of(parts[i], graph);
  }
  // In a loop or conditional they are brought in first, so that inner ones see them there.
  if (graph.flow_context != nullptr) {
    for (auto& entry : mapped) entry.second = graph.flow_context->add_value(entry.second);
  }
  return mapped;
}

// A control edge from a state's node goes to the instance's.
std::map<std::string, OutputId, std::less<>> input_map(const MappedTensors& mapped,
                                                       const Application& application) {
  std::map<std::string, OutputId, std::less<>> map = mapped;
  for (const auto& [tensor, id] : application.state)
    map[cat("^", parse_tensor_name(tensor).node)] = id;
  return map;
}

bool wants(std::string_view key, bool trainable) {
  return key == Collections::kAssetFilepaths || key == Collections::kCondContext ||
         key == Collections::kWhileContext || (trainable && key == Collections::kUpdateOps);
}

Outputs find_outputs(const Application& application, const MappedTensors& mapped,
                     const std::string& scope, GraphState& graph) {
  ValueMap outputs;
  for (const auto& [name, bound] : application.signature.outputs) {
    std::vector<Output> parts;
    for (const std::string& tensor : bound.tensors) {
      const auto replaced = mapped.find(tensor);
      const OutputId id = replaced != mapped.end()
                              ? replaced->second
                              : graph.data().find_output(cat(scope, "/", tensor));
      parts.push_back(graph.output(id));
    }
    outputs.emplace(name, Value::from_parts(bound.info, std::move(parts)));
  }
  return Outputs(std::move(outputs));
}

void check_tensors(const Application& application) {
  std::map<std::string, bool> nodes;
  for (const NodeDef& node : application.meta_graph.graph.nodes) nodes[node.name] = true;
  const auto check = [&](const std::map<std::string, BoundValue>& values) {
    for (const auto& [name, bound] : values) {
      for (const std::string& tensor : bound.tensors) {
        if (nodes.contains(std::string(parse_tensor_name(tensor).node))) continue;
        throw key_error("A signature names tensors of the module's graph. Details: '",
                        printable(name), "' is \"", printable(tensor), "\", which is not there.");
      }
    }
  };
  check(application.signature.inputs);
  check(application.signature.outputs);
}

}  // namespace

Outputs import_apply_graph(const Graph& graph, const Application& application) {
  check_tensors(application);
  GraphState& state = graph.state();
  const MappedTensors mapped = mapped_tensors(application, state);
  const std::string scope(without_slash(NameScope(graph, application.name).name()));
  MetaGraph copy = application.meta_graph;
  replace_state_nodes(copy.graph, application);
  prefix_shared_names(copy.graph, scope);
  const MetaImportOptions options = {
      .prefix = scope,
      .input_map = input_map(mapped, application),
      .wants_collection = [&](std::string_view key) { return wants(key, application.trainable); }};
  const std::vector<int> added = importing([&] { return import_meta_graph(copy, options, state); });
  rewrite_colocation(state, scope, added, mapped);
  return find_outputs(application, mapped, scope, state);
}

}  // namespace hub
