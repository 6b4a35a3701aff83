#include "module/state_graph.h"

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "graph/meta_graph.h"
#include "hub/ops.h"
#include "module/state_ops.h"
#include "module/variable_slices.h"

namespace hub {

std::string take_state_scope(const Graph& graph, std::string_view name) {
  const std::string outer = VariableScope::current(graph).name();
  const NameScope names(graph, outer.empty() ? std::string() : cat(outer, "/"));
  std::string scope;
  {
    const VariableScope variables(graph, DefaultName{std::string(name)},
                                  {.auxiliary_name_scope = false});
    scope = variables.name();
  }
  const std::string unique = graph.unique_name(name);
  if (unique != scope) {
    throw runtime_error("variable_scope ", scope, " was unused but the corresponding name_scope ",
                        "was already taken. Details: \"", printable(name), "\" would become \"",
                        unique, "\".");
  }
  return scope;
}

namespace {

void check_ops(const MetaGraph& meta_graph, const OpRegistry& registry) {
  std::set<std::string> missing;
  const auto check = [&](const std::string& op) {
    if (registry.find(op) == nullptr) missing.insert(printable(op));
  };
  std::set<std::string> functions;
  for (const FunctionDef& function : meta_graph.graph.library.functions)
    functions.insert(function.signature.name);
  for (const OpDefMessage& op : meta_graph.stripped_op_list) {
    if (!functions.contains(op.name)) check(op.name);
  }
  for (const NodeDef& node : meta_graph.graph.nodes) {
    if (!functions.contains(node.op)) check(node.op);
  }
  if (missing.empty()) return;
  throw not_found("Ops of the module are not known to this library: ", join(missing), ".");
}

bool wants(std::string_view key, bool trainable) {
  for (const std::string_view always :
       {Collections::kGlobalVariables, Collections::kModelVariables,
        Collections::kTableInitializers, Collections::kAssetFilepaths, Collections::kCondContext,
        Collections::kWhileContext}) {
    if (key == always) return true;
  }
  return trainable &&
         (key == Collections::kTrainableVariables || key == Collections::kRegularizationLosses);
}

// The parts of one variable, put in order along the first axis.
Variable joined_parts(const Graph& graph, const std::string& name, std::vector<Variable> parts) {
  const auto offset = [](const Variable& part) {
    const auto offsets = part.partition().offset;
    return offsets.empty() ? 0 : offsets.front();
  };
  std::ranges::sort(parts, {}, offset);
  const Shape full = parts.front().partition().full_shape;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool same_shape = parts[i].partition().full_shape == full;
    if (!same_shape || (i > 0 && offset(parts[i - 1]) == offset(parts[i]))) {
      throw runtime_error("Parts of a variable begin at different places of one shape. Details: \"",
                          parts[i].name(), "\" of \"", name, "\" does not.");
    }
  }
  std::string full_name = parts.front().full_name();
  return Variable(graph, std::move(full_name), full, std::move(parts));
}

}  // namespace

VariableMap variables_below(const Graph& graph, std::string_view scope) {
  const std::string prefix = scope.empty() ? std::string() : cat(scope, "/");
  VariableMap result;
  std::map<std::string, std::vector<Variable>> parts;
  for (const Variable& variable : collection_variables(graph)) {
    if (!variable.name().starts_with(prefix)) continue;
    if (!variable.is_part()) {
      result.emplace(variable.name().substr(prefix.size()), variable);
      continue;
    }
    const std::string whole = variable.name().substr(0, variable.name().rfind('/'));
    if (whole.size() <= prefix.size() ||
        !variable.full_name().ends_with(whole.substr(prefix.size()))) {
      throw runtime_error("A part is called after its variable: \"", variable.full_name(),
                          "/part_0\". Details: got \"", variable.name(), "\".");
    }
    parts[whole.substr(prefix.size())].push_back(variable);
  }
  for (auto& [name, list] : parts) {
    if (result.contains(name)) {
      throw runtime_error("A variable is whole or in parts. Details: \"", name, "\" is both.");
    }
    result.emplace(name, joined_parts(graph, name, std::move(list)));
  }
  return result;
}

void prefix_shared_names(GraphDef& graph, std::string_view scope) {
  for (NodeDef& node : graph.nodes) {
    const auto found = node.attrs.find("shared_name");
    if (found == node.attrs.end()) continue;
    auto* name = std::get_if<std::string>(&found->second.value);
    if (name != nullptr && !name->empty()) *name = cat(scope, "/", *name);
  }
}

StateGraph import_state_graph(const Graph& graph, const MetaGraph& meta_graph,
                              const std::string& scope, bool trainable) {
  GraphState& state = graph.state();
  check_ops(meta_graph, state.data().registry());
  MetaGraph copy = meta_graph;
  prefix_shared_names(copy.graph, scope);
  const ControlDependencies outside(graph);
  const MetaImportOptions options = {
      .prefix = scope,
      .wants_collection = [&](std::string_view key) { return wants(key, trainable); }};
  importing([&] { return import_meta_graph(copy, options, state); });
  StateGraph result;
  for (const NodeDef& node : copy.graph.nodes) {
    const int index = state.data().find(cat(scope, "/", node.name));
    const Node& added = state.data().node(index);
    if (!is_state_op(added.op)) continue;
    if (added.outputs.size() != 1) {
      throw value_error("A state-holding node has one output. Details: \"", printable(node.name),
                        "\" has ", added.outputs.size(), " outputs, expected 1.");
    }
    result.tensors[cat(node.name, ":0")] = {index, 0};
  }
  result.variables = variables_below(graph, scope);
  return result;
}

namespace {

// What is read for one variable of the graph.
struct Restored {
  Variable variable;
  std::string key;
  std::string slice;  // empty: all of it
};

void check_stored(const std::string& key, const Variable& variable,
                  const BundleReader& checkpoint) {
  const BundleEntry* entry = checkpoint.find(key);
  if (entry == nullptr) {
    throw value_error("Tensor ", printable(key), " is not found in ", checkpoint.prefix(),
                      " checkpoint.");
  }
  if (!variable.shape().is_compatible_with(entry->shape)) {
    throw value_error("Shape of variable ", variable.name(), " (", variable.shape(),
                      ") doesn't match with shape of tensor ", printable(key), " (", entry->shape,
                      ") from checkpoint reader. Details: ", checkpoint.prefix(), ".");
  }
}

std::string slice_text(const Variable& part) {
  return to_string(SliceSpec{part.partition().full_shape, slice_of(part)});
}

// The variable's definition in every collection becomes another one.
void replace_definition(GraphState& graph, const std::shared_ptr<const VariableDef>& old,
                        const std::shared_ptr<const VariableDef>& replacement) {
  for (auto& [key, items] : graph.collections) {
    for (CollectionItem& item : items) {
      const auto* variable = std::get_if<std::shared_ptr<const VariableDef>>(&item.value);
      if (variable != nullptr && *variable == old) item.value = replacement;
    }
  }
}

}  // namespace

void restore_from_checkpoint(const Graph& graph, const VariableMap& variables,
                             const BundleReader& checkpoint) {
  std::vector<Restored> wanted;
  for (const auto& [key, variable] : variables) {
    check_stored(key, variable, checkpoint);
    if (!variable.is_partitioned()) {
      wanted.push_back({variable, key, {}});
      continue;
    }
    for (const Variable& part : variable.parts()) wanted.push_back({part, key, slice_text(part)});
  }
  if (wanted.empty()) return;
  std::vector<std::string> keys;
  std::vector<std::string> slices;
  std::vector<DType> dtypes;
  for (const Restored& restored : wanted) {
    keys.push_back(restored.key);
    slices.push_back(restored.slice);
    dtypes.push_back(restored.variable.dtype());
  }
  const NameScope scope(graph, "checkpoint_initializer");
  // One node reads them all: the index is parsed once.
  const Operation restore =
      graph.op("RestoreV2",
               {ops::constant(graph, make_scalar(checkpoint.prefix()), "prefix"),
                ops::constant(graph, strings(keys), "tensor_names"),
                ops::constant(graph, strings(slices), "shape_and_slices")},
               {{"dtypes", dtypes}}, scope.name());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Variable& variable = wanted[i].variable;
    const Output value = restore.output(static_cast<int>(i));
    if (const auto shape = variable.shape().as_shape()) value.set_shape(*shape);
    auto definition = std::make_shared<VariableDef>(*variable.def());
    definition->initializer_name = variable.assign(value).name();
    definition->initial_value_name = value.name();
    replace_definition(graph.state(), variable.def(), definition);
  }
}

}  // namespace hub
