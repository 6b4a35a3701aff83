#include "module/variables.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "base/errors.h"
#include "format/object_graph.h"
#include "format/variable_def.h"

namespace hub {
namespace {

constexpr std::string_view kVariables = "variables";
constexpr std::string_view kTrainableVariables = "trainable_variables";

std::string without_output(std::string_view tensor_name) {
  return std::string(tensor_name.substr(0, tensor_name.find(':')));
}

std::vector<VariableDef> collected(const MetaGraph& meta_graph, std::string_view key,
                                   std::string_view place) {
  const auto found = meta_graph.collections.find(std::string(key));
  if (found == meta_graph.collections.end()) return {};
  std::vector<VariableDef> variables;
  if (const auto* messages = std::get_if<ByteStrings>(&found->second.value)) {
    for (const std::string& bytes : messages->values) {
      variables.push_back(parse_variable_def(bytes, place));
    }
  }
  return variables;
}

class Collector {
 public:
  Collector(const MetaGraph& meta_graph, std::string_view place) : place_(place) {
    for (const NodeDef& node : meta_graph.graph.nodes) nodes_.emplace(node.name, &node);
    for (const VariableDef& variable : collected(meta_graph, kTrainableVariables, place)) {
      trainable_.insert(variable.variable_name);
    }
  }

  void add(const VariableDef& definition) {
    const std::string node_name = without_output(definition.variable_name);
    const NodeDef& node = find_node(node_name);
    VariablePart part{.node = node_name};
    const bool is_collected = trainable_.contains(definition.variable_name);
    ModelVariable variable{.name = node_name,
                           .dtype = dtype_of_node(node),
                           .shape = shape_of_node(node),
                           .trainable = definition.trainable || is_collected,
                           .in_trainable_collection = is_collected};
    if (definition.slice) {
      const SaveSliceInfo& slice = *definition.slice;
      variable.name = slice.full_name;
      variable.shape = PartialShape(slice.full_shape);
      part.offset = slice.offset;
      part.shape = slice.shape;
      check_slice(slice, node_name);
    }
    const auto [entry, is_new] = variables_.try_emplace(variable.name, variable);
    if (!is_new) check_same(entry->second, variable, definition.slice.has_value());
    entry->second.trainable |= variable.trainable;
    entry->second.in_trainable_collection |= variable.in_trainable_collection;
    entry->second.parts.push_back(std::move(part));
  }

  std::vector<ModelVariable> take() {
    std::vector<ModelVariable> result;
    for (auto& [name, variable] : variables_) {
      std::sort(variable.parts.begin(), variable.parts.end(),
                [](const auto& a, const auto& b) { return a.offset < b.offset; });
      const auto same =
          std::adjacent_find(variable.parts.begin(), variable.parts.end(),
                             [](const auto& a, const auto& b) { return a.offset == b.offset; });
      if (same != variable.parts.end()) {
        throw runtime_error("Parts of a variable begin at different places. Details: \"",
                            same->node, "\" and \"", std::next(same)->node, "\" of \"", name,
                            "\" do not.")
            .add_context(cat("in ", place_));
      }
      result.push_back(std::move(variable));
    }
    return result;
  }

 private:
  const NodeDef& find_node(const std::string& name) const {
    const auto found = nodes_.find(name);
    if (found != nodes_.end()) return *found->second;
    throw invalid_argument("A variable is a node of the graph. Details: there is no node \"",
                           printable(name), "\".")
        .add_context(cat("in ", place_));
  }

  static DType dtype_of_node(const NodeDef& node) {
    const auto found = node.attrs.find("dtype");
    const auto* dtype =
        found == node.attrs.end() ? nullptr : std::get_if<DType>(&found->second.value);
    return dtype == nullptr ? DType::kInvalid : without_reference(*dtype);
  }

  static PartialShape shape_of_node(const NodeDef& node) {
    const auto found = node.attrs.find("shape");
    const auto* shape =
        found == node.attrs.end() ? nullptr : std::get_if<PartialShape>(&found->second.value);
    return shape == nullptr ? PartialShape() : *shape;
  }

  void check_slice(const SaveSliceInfo& slice, const std::string& node_name) const {
    const std::size_t rank = slice.full_shape.size();
    if (slice.offset.size() == rank && slice.shape.size() == rank && rank > 0) return;
    throw runtime_error(
        "A part of a variable has an offset and a shape of the variable's rank. Details: \"",
        node_name, "\" has ", slice.offset.size(), " and ", slice.shape.size(), ", \"",
        printable(slice.full_name), "\" has rank ", rank, ".")
        .add_context(cat("in ", place_));
  }

  void check_same(const ModelVariable& first, const ModelVariable& other, bool is_part) const {
    if (first.is_partitioned() && is_part && first.dtype == other.dtype &&
        first.shape == other.shape) {
      return;
    }
    throw runtime_error(
        "A name belongs to one variable, or to parts of one dtype and full shape. Details: \"",
        other.name, "\" is ", first.dtype, " ", first.shape, " and ", other.dtype, " ", other.shape,
        ".")
        .add_context(cat("in ", place_));
  }

  std::string_view place_;
  std::unordered_map<std::string_view, const NodeDef*> nodes_;
  std::set<std::string> trainable_;
  std::map<std::string, ModelVariable> variables_;
};

std::vector<ModelVariable> object_variables(const std::string& object_graph,
                                            std::string_view place) {
  std::vector<ModelVariable> variables;
  for (SavedVariable& saved : parse_saved_variables(object_graph, place)) {
    variables.push_back({.name = std::move(saved.name),
                         .dtype = saved.dtype,
                         .shape = std::move(saved.shape),
                         .trainable = saved.trainable});
  }
  std::stable_sort(variables.begin(), variables.end(),
                   [](const auto& a, const auto& b) { return a.name < b.name; });
  return variables;
}

}  // namespace

std::vector<ModelVariable> variables_of(const MetaGraph& meta_graph, std::string_view place) {
  if (meta_graph.object_graph) return object_variables(*meta_graph.object_graph, place);
  Collector collector(meta_graph, place);
  std::set<std::string> seen;
  for (const VariableDef& variable : collected(meta_graph, kVariables, place)) {
    if (seen.insert(variable.variable_name).second) collector.add(variable);
  }
  return collector.take();
}

}  // namespace hub
