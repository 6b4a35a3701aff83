// Damages of saved_model.pb.

#include <algorithm>

#include "base/errors.h"
#include "base/file.h"
#include "format/saved_model.h"
#include "replay/misuse.h"

namespace hub::replay {
namespace {

using Arguments = std::map<std::string, std::string>;
using Edit = void (*)(SavedModel& model, MetaGraph& graph, const Arguments& arguments);

void rename_op(SavedModel&, MetaGraph& graph, const Arguments& arguments) {
  const auto rename = [&](std::string& name) {
    if (name == arguments.at("from")) name = arguments.at("to");
  };
  for (NodeDef& node : graph.graph.nodes) rename(node.op);
  for (OpDefMessage& op : graph.stripped_op_list) rename(op.name);
}

void asset_filename(SavedModel&, MetaGraph& graph, const Arguments& arguments) {
  AnyValue& any =
      std::get<AnyValues>(graph.collections.at("saved_model_assets").value).values.front();
  AssetFileDef asset = parse_asset_file_def(any.value, "saved_model_assets");
  asset.filename = arguments.at("to");
  any.value = serialize_asset_file_def(asset);
}

void add_node_name(MetaGraph& graph, const std::string& key) {
  auto& value = graph.collections[key].value;
  if (!std::holds_alternative<NodeNames>(value)) value = NodeNames{};
  std::get<NodeNames>(value).values.emplace_back("add:0");
}

void node_input(SavedModel&, MetaGraph& graph, const Arguments& arguments) {
  std::ranges::find(graph.graph.nodes, "Mul", &NodeDef::op)->inputs.front() = arguments.at("to");
}

const std::map<std::string, Edit>& edits() {
  static const std::map<std::string, Edit> kEdits = {
      {"rename_op", rename_op},
      {"add_collection",
       [](SavedModel&, MetaGraph& graph, const Arguments& arguments) {
         add_node_name(graph, arguments.at("key"));
       }},
      {"asset_filename", asset_filename},
      {"double_meta_graph",
       [](SavedModel& model, MetaGraph& graph, const Arguments&) {
         model.meta_graphs.push_back(MetaGraph(graph));
       }},
      {"attachments_as_nodes",
       [](SavedModel&, MetaGraph& graph, const Arguments&) {
         add_node_name(graph, "hub_module_attachments");
       }},
      {"no_encoding",
       [](SavedModel&, MetaGraph& graph, const Arguments&) {
         graph.signatures.at("default").inputs.at("default").encoding = std::monostate();
       }},
      {"output_name",
       [](SavedModel&, MetaGraph& graph, const Arguments& arguments) {
         graph.signatures.at("default").outputs.at("default").encoding =
             DenseEncoding{arguments.at("to")};
       }},
      {"schema_version",
       [](SavedModel& model, MetaGraph&, const Arguments& arguments) {
         model.schema_version = std::stoll(arguments.at("to"));
       }},
      {"no_op_list",
       [](SavedModel&, MetaGraph& graph, const Arguments&) { graph.stripped_op_list.clear(); }},
      {"no_versions",
       [](SavedModel&, MetaGraph& graph, const Arguments&) { graph.graph.versions = {}; }},
      {"no_output_shapes",
       [](SavedModel&, MetaGraph& graph, const Arguments&) {
         for (NodeDef& node : graph.graph.nodes) node.attrs.erase("_output_shapes");
       }},
      {"node_input", node_input},
      {"reverse_nodes", [](SavedModel&, MetaGraph& graph,
                           const Arguments&) { std::ranges::reverse(graph.graph.nodes); }},
      {"asset_file_def",
       [](SavedModel&, MetaGraph& graph, const Arguments&) {
         AssetFileDef asset;
         asset.filename = "nothing";
         asset.tensor_info.encoding = DenseEncoding{"nowhere:0"};
         graph.asset_files.push_back(std::move(asset));
       }},
  };
  return kEdits;
}

}  // namespace

void edit_saved_model(const std::string& path, const std::string& edit,
                      const Arguments& arguments) {
  const auto found = edits().find(edit);
  if (found == edits().end()) throw Mismatch("there is no edit ", edit);
  SavedModel model = parse_saved_model(read_file(path), path);
  found->second(model, model.meta_graphs.front(), arguments);
  write_file_atomically(path, serialize_saved_model(model));
}

}  // namespace hub::replay
