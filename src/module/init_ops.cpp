#include "module/init_ops.h"

namespace hub {
namespace {

std::vector<std::string> collected(const MetaGraph& meta_graph, const char* collection) {
  const auto found = meta_graph.collections.find(collection);
  if (found == meta_graph.collections.end()) return {};
  const auto* names = std::get_if<NodeNames>(&found->second.value);
  return names == nullptr ? std::vector<std::string>() : names->values;
}

}  // namespace

std::vector<std::string> init_ops(ModelKind kind, const MetaGraph& meta_graph) {
  if (!is_saved_model(kind)) return collected(meta_graph, "table_initializer");
  const auto signature = meta_graph.signatures.find("__saved_model_init_op");
  if (signature == meta_graph.signatures.end()) {
    std::vector<std::string> main_op = collected(meta_graph, "saved_model_main_op");
    return main_op.empty() ? collected(meta_graph, "legacy_init_op") : main_op;
  }
  std::vector<std::string> names;
  for (const auto& [key, info] : signature->second.outputs) {
    if (const auto* op = std::get_if<DenseEncoding>(&info.encoding)) names.push_back(op->name);
  }
  return names;
}

}  // namespace hub
