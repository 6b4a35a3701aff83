#include "module/describe.h"

#include <algorithm>
#include <set>

#include "format/module_def.h"
#include "module/attachments.h"
#include "module/signature.h"

namespace hub {
namespace {

void count_ops(const GraphDef& graph, VariantDescription& description, const OpRegistry& registry) {
  std::set<std::string> functions;
  for (const FunctionDef& function : graph.library.functions) {
    functions.insert(function.signature.name);
    for (const NodeDef& node : function.nodes) ++description.ops[node.op];
  }
  for (const NodeDef& node : graph.nodes) ++description.ops[node.op];
  for (const auto& [name, count] : description.ops) {
    // A node may call a function by using its name as the op's.
    if (!functions.contains(name) && !is_supported(registry.find(name))) {
      description.unsupported_ops.push_back(name);
    }
  }
}

}  // namespace

VariantDescription describe(const MetaGraph& meta_graph, const OpRegistry& registry,
                            std::string_view place) {
  VariantDescription description;
  description.tags = meta_graph.tags;
  std::sort(description.tags.begin(), description.tags.end());
  for (const auto& [name, signature] : meta_graph.signatures) {
    description.signatures.emplace(name, bind_signature(name, signature).info());
  }
  description.variables = variables_of(meta_graph, place);
  for (const auto& [key, message] : attachments_of(meta_graph, place)) {
    description.attachments.push_back(key);
  }
  count_ops(meta_graph.graph, description, registry);
  description.unsupported_nodes = unsupported_nodes(meta_graph.graph, registry);
  return description;
}

ModelDescription describe(const ModuleFiles& files, const OpRegistry& registry) {
  ModelDescription description{
      .kind = files.kind, .variants = {}, .assets = files.assets, .bytes = files.size_bytes};
  for (const MetaGraph& meta_graph : files.model.meta_graphs) {
    description.variants.push_back(describe(meta_graph, registry, files.path));
  }
  return description;
}

}  // namespace hub
