#include "graph/meta_graph.h"

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "graph/flow_context.h"

namespace hub {
namespace {

std::string prefixed(std::string_view name, std::string_view prefix) {
  return prefix.empty() || name.empty() ? std::string(name) : cat(prefix, "/", name);
}

// TensorFlow writes control inputs in the order of their names, each once.
void sort_control_inputs(NodeDef& node) {
  const auto first = std::ranges::find_if(
      node.inputs, [](const std::string& input) { return input.starts_with('^'); });
  std::sort(first, node.inputs.end());
  node.inputs.erase(std::unique(first, node.inputs.end()), node.inputs.end());
}

void add_output_shapes(NodeDef& def, const Node& node) {
  if (node.outputs.empty()) return;
  AttrList list;
  for (const OutputFact& output : node.outputs) {
    // TensorFlow says [2] of the handles of TensorArrays, which are scalars; nothing fits both.
    list.shapes.push_back(output.dtype == DType::kResource ? PartialShape() : output.shape);
  }
  def.attrs["_output_shapes"] = AttrValue(std::move(list));
}

void strip_defaults(NodeDef& node, const OpRegistry& registry) {
  const Op* op = registry.find(node.op);
  if (op == nullptr) return;
  for (const AttrDef& attr : op->schema().attrs) {
    const auto found = node.attrs.find(attr.name);
    if (found != node.attrs.end() && attr.default_value && found->second == *attr.default_value)
      node.attrs.erase(found);
  }
}

class CollectionWriter {
 public:
  explicit CollectionWriter(const GraphState& graph) : graph_(graph) {}

  Collection write(const std::string& key, const std::vector<CollectionItem>& items) {
    for (const CollectionItem& item : items)
      std::visit([&](const auto& value) { add(value); }, item.value);
    if (!names_.values.empty() && !bytes_.values.empty()) {
      throw invalid_argument(
          "A collection holds nodes and tensors, or variables and contexts. "
          "Details: \"",
          key, "\" holds both.");
    }
    Collection collection;
    if (bytes_.values.empty()) {
      collection.value = std::move(names_);
    } else {
      collection.value = std::move(bytes_);
    }
    return collection;
  }

 private:
  void add(OutputId output) { names_.values.push_back(graph_.data().output_name(output)); }
  void add(std::int32_t node) { names_.values.push_back(graph_.data().node(node).name); }
  void add(const std::shared_ptr<const VariableDef>& variable) {
    bytes_.values.push_back(serialize_variable_def(*variable));
  }
  void add(const std::shared_ptr<FlowContext>& context) {
    const ControlFlowContext def = context->to_def();
    if (const auto* cond = std::get_if<CondContext>(&def.context))
      bytes_.values.push_back(serialize_cond_context(*cond));
    if (const auto* loop = std::get_if<WhileContext>(&def.context))
      bytes_.values.push_back(serialize_while_context(*loop));
  }
  void add(const std::shared_ptr<const std::string>& bytes) { bytes_.values.push_back(*bytes); }

  const GraphState& graph_;
  NodeNames names_;
  ByteStrings bytes_;
};

}  // namespace

void strip_default_attrs(GraphDef& graph, const OpRegistry& registry) {
  for (NodeDef& node : graph.nodes) strip_defaults(node, registry);
  for (FunctionDef& function : graph.library.functions) {
    for (NodeDef& node : function.nodes) strip_defaults(node, registry);
  }
}

std::vector<OpDefMessage> used_ops(const GraphDef& graph, const OpRegistry& registry) {
  std::set<std::string> names;
  for (const NodeDef& node : graph.nodes) names.insert(node.op);
  for (const FunctionDef& function : graph.library.functions) {
    for (const NodeDef& node : function.nodes) names.insert(node.op);
  }
  std::vector<OpDefMessage> ops;
  for (const std::string& name : names) {
    if (const Op* op = registry.find(name)) ops.push_back(op->schema());
  }
  return ops;
}

MetaGraph to_meta_graph(const GraphState& graph, const MetaExportOptions& options) {
  const GraphData& data = graph.data();
  MetaGraph meta;
  meta.graph = export_graph_def(data);
  for (int i = 0; i < data.num_nodes(); ++i) {
    NodeDef& node = meta.graph.nodes[static_cast<std::size_t>(i)];
    sort_control_inputs(node);
    if (options.output_shapes) add_output_shapes(node, data.node(i));
  }
  meta.stripped_op_list = used_ops(meta.graph, data.registry());
  if (options.strip_default_attrs) strip_default_attrs(meta.graph, data.registry());
  meta.stripped_default_attrs = options.strip_default_attrs;
  meta.tags = options.tags;
  meta.tensorflow_version = "1.15.0";
  for (const auto& [key, items] : graph.collections) {
    if (!items.empty()) meta.collections[key] = CollectionWriter(graph).write(key, items);
  }
  return meta;
}

VariableDef with_prefix(VariableDef variable, std::string_view prefix) {
  for (std::string* name : {&variable.variable_name, &variable.initializer_name,
                            &variable.snapshot_name, &variable.initial_value_name}) {
    *name = prefixed(*name, prefix);
  }
  if (variable.slice) variable.slice->full_name = prefixed(variable.slice->full_name, prefix);
  return variable;
}

namespace {

class CollectionReader {
 public:
  CollectionReader(GraphState& graph, const std::string& prefix) : graph_(graph), prefix_(prefix) {}

  void read(const std::string& key, const Collection& collection) {
    if (const auto* names = std::get_if<NodeNames>(&collection.value)) {
      for (const std::string& name : names->values) add(key, {named(name)});
    } else if (const auto* bytes = std::get_if<ByteStrings>(&collection.value)) {
      for (const std::string& value : bytes->values) add(key, item_of(key, value));
    }
  }

 private:
  // As TensorFlow, also contexts that are parts of one around the import.
  void add(const std::string& key, CollectionItem item) {
    graph_.collections[key].push_back(std::move(item));
  }

  CollectionItem named(const std::string& name) const {
    const std::string full = prefixed(name, prefix_);
    CollectionItem item;
    if (full.find(':') != std::string::npos) {
      item.value = graph_.data().find_output(full);
      return item;
    }
    const int node = graph_.data().find(full);
    if (node < 0) {
      throw not_found("A collection names a node that is not in the graph. Details: \"",
                      printable(full), "\".");
    }
    item.value = std::int32_t{node};
    return item;
  }

  CollectionItem item_of(const std::string& key, const std::string& bytes) {
    CollectionItem item;
    if (key == Collections::kCondContext) {
      item.value =
          context_from_def(graph_, parse_cond_context(bytes, key), prefix_, graph_.flow_context);
    } else if (key == Collections::kWhileContext) {
      item.value =
          context_from_def(graph_, parse_while_context(bytes, key), prefix_, graph_.flow_context);
    } else if (is_variables(key)) {
      item.value = variable_of(key, bytes);
    } else {
      item.value = std::make_shared<const std::string>(bytes);
    }
    return item;
  }

  static bool is_variables(std::string_view key) {
    for (const std::string_view known :
         {Collections::kGlobalVariables, Collections::kLocalVariables,
          Collections::kTrainableVariables, Collections::kModelVariables,
          Collections::kMovingAverageVariables, Collections::kGlobalStep}) {
      if (key == known) return true;
    }
    return false;
  }

  std::shared_ptr<const VariableDef> variable_of(const std::string& key, const std::string& bytes) {
    auto& variable = variables_[bytes];
    if (variable == nullptr) {
      variable =
          std::make_shared<const VariableDef>(with_prefix(parse_variable_def(bytes, key), prefix_));
    }
    return variable;
  }

  GraphState& graph_;
  const std::string& prefix_;
  std::map<std::string, std::shared_ptr<const VariableDef>> variables_;
};

}  // namespace

std::vector<int> import_meta_graph(const MetaGraph& meta_graph, const MetaImportOptions& options,
                                   GraphState& graph) {
  ImportOptions import;
  import.prefix = options.prefix;
  import.input_map = options.input_map;
  std::vector<int> added = graph.import(meta_graph.graph, import);
  CollectionReader reader(graph, options.prefix);
  for (const auto& entry : meta_graph.collections) {
    if (options.wants_collection && !options.wants_collection(entry.first)) continue;
    with_context([&] { reader.read(entry.first, entry.second); },
                 [&] { return cat("in collection \"", printable(entry.first), "\""); });
  }
  return added;
}

}  // namespace hub
