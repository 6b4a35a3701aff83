#include "module/seeds.h"

#include <memory>

namespace hub {
namespace {

std::int64_t seed_value(const AttrMap& attrs, std::string_view name) {
  const auto found = attrs.find(name);
  const auto* value =
      found == attrs.end() ? nullptr : std::get_if<std::int64_t>(&found->second.value);
  return value == nullptr ? 0 : *value;
}

bool wants_seed(const Op* op, const AttrMap& attrs) {
  if (op == nullptr) return false;
  for (const std::string_view name : {"seed", "seed2"}) {
    const AttrDef* attr = find_attr_def(op->schema(), name);
    if (attr == nullptr || attr->type != "int" || seed_value(attrs, name) != 0) return false;
  }
  return true;
}

void set_seed(AttrMap& attrs, std::int64_t seed, std::int64_t seed2) {
  attrs["seed"] = AttrValue(seed);
  attrs["seed2"] = AttrValue(seed2);
}

}  // namespace

void seed_random_ops(GraphData& graph, std::int64_t seed) {
  std::int64_t next = 1;
  for (int i = 0; i < graph.num_nodes(); ++i) {
    if (wants_seed(graph.node(i).op, graph.node(i).attrs)) {
      set_seed(graph.mutable_node(i).attrs, seed, next++);
    }
  }
  for (auto& [name, function] : graph.functions) {
    auto seeded = std::make_shared<FunctionDef>(*function);
    bool changed = false;
    for (NodeDef& node : seeded->nodes) {
      if (!wants_seed(graph.registry().find(node.op), node.attrs)) continue;
      set_seed(node.attrs, seed, next++);
      changed = true;
    }
    if (changed) function = std::move(seeded);
  }
}

}  // namespace hub
