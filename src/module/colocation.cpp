#include <algorithm>
#include <map>
#include <set>

#include "base/errors.h"
#include "module/apply_graph.h"

namespace hub {
namespace {

constexpr std::string_view kColocation = "loc:@";

// "['loc:@a', 'loc:@b']", as TensorFlow's messages show it.
std::string groups_text(const std::vector<std::string>& groups) {
  std::vector<std::string> quoted;
  for (const std::string& group : groups) quoted.push_back(cat("'", printable(group), "'"));
  return cat("[", join(quoted), "]");
}

// What a constraint becomes, as each of the node's outputs says.
class Rewriting {
 public:
  void add(std::vector<std::string> groups, std::string reason) {
    if (!choices_.empty() && choices_.front().groups == groups) return;
    choices_.push_back({std::move(groups), std::move(reason)});
  }

  // Errors: of kind value where they say different things.
  const std::vector<std::string>& groups(const std::string& constraint,
                                         const std::string& node) const {
    if (choices_.size() == 1) return choices_.front().groups;
    throw value_error("Failed to rewrite colocation constraints while applying hub.Module: node \"",
                      node, "\" has the constraint '", constraint, "', which would become ",
                      groups_text(choices_[0].groups), " vs ", groups_text(choices_[1].groups),
                      ". Details: ", choices_[0].reason, "; ", choices_[1].reason, ".");
  }

 private:
  struct Choice {
    std::vector<std::string> groups;
    std::string reason;
  };
  std::vector<Choice> choices_;
};

using Rewritings = std::map<std::string, Rewriting, std::less<>>;

Rewritings find_rewritings(const GraphState& graph, const std::string& scope,
                           const MappedTensors& mapped) {
  Rewritings rewritings;
  std::map<std::string, std::set<int>> replaced;
  for (const auto& [tensor, id] : mapped) {
    const TensorName name = parse_tensor_name(tensor);
    const std::string node = cat(scope, "/", name.node);
    rewritings[cat(kColocation, node)].add(
        graph.colocation_groups(id.node),
        cat(scope, "/", tensor, " is replaced by ", graph.data().output_name(id)));
    replaced[node].insert(name.index);
  }
  for (const auto& [node, outputs] : replaced) {
    const int index = graph.data().find(node);
    if (index < 0 || std::cmp_equal(graph.data().node(index).outputs.size(), outputs.size()))
      continue;
    const std::string own = cat(kColocation, node);
    if (graph.colocation_groups(index) != std::vector<std::string>{own}) {
      throw value_error(
          "Internal error: a node of which only some outputs are replaced is placed "
          "with another. Details: \"",
          node, "\".");
    }
    rewritings[own].add({own}, cat("other outputs of ", node, " stay"));
  }
  return rewritings;
}

std::string device_of(const GraphData& graph, const std::set<std::string>& groups) {
  for (const std::string& group : groups) {
    const int target = graph.find(std::string_view(group).substr(kColocation.size()));
    if (target >= 0 && !graph.node(target).device.empty()) return graph.node(target).device;
  }
  return {};
}

}  // namespace

void rewrite_colocation(GraphState& graph, const std::string& scope, const std::vector<int>& nodes,
                        const MappedTensors& mapped) {
  const Rewritings rewritings = find_rewritings(graph, scope, mapped);
  for (const int index : nodes) {
    const Node& node = graph.data().node(index);
    const auto found = node.attrs.find("_class");
    const auto* old =
        found == node.attrs.end() ? nullptr : std::get_if<AttrList>(&found->second.value);
    if (old == nullptr) continue;
    AttrList list;
    std::set<std::string> groups;
    for (const std::string& text : old->strings) {
      const auto rewriting = rewritings.find(text);
      if (!text.starts_with(kColocation)) {
        list.strings.push_back(text);
      } else if (rewriting == rewritings.end()) {
        groups.insert(text);
      } else {
        const auto& rewritten = rewriting->second.groups(text, node.name);
        groups.insert(rewritten.begin(), rewritten.end());
      }
    }
    list.strings.insert(list.strings.end(), groups.begin(), groups.end());
    if (!groups.empty()) graph.set_device(index, device_of(graph.data(), groups));
    graph.set_attr(index, "_class", AttrValue(std::move(list)));
  }
}

}  // namespace hub
