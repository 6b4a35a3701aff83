#include "format/assets.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/errors.h"

namespace hub {

namespace fs = std::filesystem;

namespace {

constexpr const char* kAssetsCollection = "saved_model_assets";

std::vector<AssetFileDef> unpack_assets(const MetaGraph& meta_graph) {
  std::vector<AssetFileDef> assets;
  const auto found = meta_graph.collections.find(kAssetsCollection);
  if (found == meta_graph.collections.end()) return assets;
  const auto* any = std::get_if<AnyValues>(&found->second.value);
  if (any == nullptr) return assets;
  for (const AnyValue& value : any->values) {
    if (!value.type_url.ends_with("/tensorflow.AssetFileDef")) {
      throw value_error("The collection saved_model_assets must hold AssetFileDefs. Details: got ",
                        printable(value.type_url), ".");
    }
    assets.push_back(parse_asset_file_def(value.value, "the collection saved_model_assets"));
  }
  return assets;
}

std::vector<AssetFileDef> assets_of(const MetaGraph& meta_graph, ModelKind kind) {
  if (kind != ModelKind::kTf1Hub && !meta_graph.asset_files.empty()) return meta_graph.asset_files;
  return unpack_assets(meta_graph);
}

// "node" of "node:0".
std::string node_of(const std::string& tensor_name) {
  const std::size_t colon = tensor_name.rfind(':');
  const bool valid = colon != std::string::npos &&
                     std::all_of(tensor_name.begin() + static_cast<std::ptrdiff_t>(colon) + 1,
                                 tensor_name.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!valid) {
    throw value_error("Unexpected format for tensor name. Expected node_name:output_number. Got \"",
                      printable(tensor_name), "\"");
  }
  return tensor_name.substr(0, colon);
}

const std::string& tensor_name_of(const AssetFileDef& asset) {
  static const std::string kNone;
  const auto* dense = std::get_if<DenseEncoding>(&asset.tensor_info.encoding);
  return dense ? dense->name : kNone;
}

// The constant's value, where the node is a constant of one string.
Tensor* asset_constant(NodeDef& node) {
  if (node.op != "Const") throw type_error("Asset node must be of type constant.");
  const auto dtype = node.attrs.find("dtype");
  if (dtype == node.attrs.end() || !(dtype->second == AttrValue(DType::kString))) {
    throw type_error("Asset node must be of dtype string.");
  }
  const auto value = node.attrs.find("value");
  Tensor* tensor = value == node.attrs.end() ? nullptr : std::get_if<Tensor>(&value->second.value);
  if (tensor == nullptr || tensor->dtype() != DType::kString || tensor->num_elements() != 1) {
    throw type_error("Asset node must be a scalar.");
  }
  return tensor;
}

void put_path(NodeDef& node, const std::string& path, ModelKind kind) {
  if (kind != ModelKind::kTf1Hub && node.op == "Placeholder") {
    // TensorFlow 2 has the loader feed the path.
    node.op = "Const";
    node.attrs = {{"dtype", AttrValue(DType::kString)},
                  {"value", AttrValue(make_scalar<std::string>(path))}};
    return;
  }
  try {
    Tensor* constant = asset_constant(node);
    *constant = make_tensor<std::string>(constant->shape(), {path});
  } catch (Error& error) {
    // Only a TF1 Hub module must have a constant.
    if (kind != ModelKind::kTf1Hub) return;
    error.add_context(cat("in node \"", printable(node.name), "\""));
    throw;
  }
}

std::vector<AssetBinding> bind(MetaGraph& meta_graph, const std::string& folder, ModelKind kind) {
  std::vector<AssetBinding> bindings;
  std::map<std::string, std::string, std::less<>> path_of_node;
  for (const AssetFileDef& asset : assets_of(meta_graph, kind)) {
    AssetBinding binding = {.tensor_name = tensor_name_of(asset),
                            .filename = asset.filename,
                            .path = checked_asset_path(folder, asset.filename)};
    path_of_node[node_of(binding.tensor_name)] = binding.path;
    bindings.push_back(std::move(binding));
  }
  if (kind == ModelKind::kTf1Hub) meta_graph.collections.erase(kAssetsCollection);
  if (bindings.empty()) return bindings;
  for (NodeDef& node : meta_graph.graph.nodes) {
    const auto found = path_of_node.find(node.name);
    if (found != path_of_node.end()) put_path(node, found->second, kind);
  }
  return bindings;
}

}  // namespace

std::string checked_asset_path(const std::string& folder, const std::string& filename) {
  const fs::path path = fs::path(folder) / filename;
  if (fs::path(filename).is_absolute() || !is_inside(folder, path) ||
      filename.find('\0') != std::string::npos) {
    throw value_error("Asset filename (", printable(filename), ") points outside assets_dir");
  }
  return path.lexically_normal().string();
}

namespace {

// Names for files in assets/.
class AssetNames {
 public:
  std::string name_of(const std::string& path) {
    const auto [found, is_new] = names_.try_emplace(path);
    if (!is_new) return found->second;
    const std::string base = fs::path(path).filename().string();
    std::string name = base;
    for (int i = 0; !taken_.insert(name).second; ++i) name = cat(base, i);
    sources_.push_back({name, path});
    return found->second = name;
  }
  std::vector<AssetSource> take() { return std::move(sources_); }

 private:
  std::map<std::string, std::string> names_;
  std::set<std::string> taken_;
  std::vector<AssetSource> sources_;
};

// The nodes in the collection "asset_filepaths".
std::set<std::string> asset_nodes(const MetaGraph& meta_graph) {
  std::set<std::string> nodes;
  const auto found = meta_graph.collections.find("asset_filepaths");
  if (found == meta_graph.collections.end()) return nodes;
  const auto* names = std::get_if<NodeNames>(&found->second.value);
  if (names == nullptr) {
    throw value_error("The collection asset_filepaths must hold names of tensors.");
  }
  for (const std::string& tensor : names->values) {
    if (!tensor.ends_with(":0")) {
      throw value_error("Unexpected asset tensor name. Expected node_name:0. Got \"",
                        printable(tensor), "\"");
    }
    nodes.insert(tensor.substr(0, tensor.size() - 2));
  }
  return nodes;
}

AnyValue packed(const std::string& node, const std::string& filename) {
  AssetFileDef asset;
  asset.tensor_info.encoding = DenseEncoding{cat(node, ":0")};
  asset.filename = filename;
  return {"type.googleapis.com/tensorflow.AssetFileDef", serialize_asset_file_def(asset)};
}

void unbind(MetaGraph& meta_graph, AssetNames& names) {
  const std::set<std::string> wanted = asset_nodes(meta_graph);
  std::map<std::string, NodeDef*> nodes;
  for (NodeDef& node : meta_graph.graph.nodes) {
    if (wanted.contains(node.name)) nodes[node.name] = &node;
  }
  AnyValues assets;
  for (const std::string& name : wanted) {
    const auto node = nodes.find(name);
    if (node == nodes.end()) {
      throw not_found("An asset must be a node of the graph. Details: there is no node \"",
                      printable(name), "\".");
    }
    with_context(
        [&] {
          Tensor* constant = asset_constant(*node->second);
          assets.values.push_back(packed(name, names.name_of(*constant->data<std::string>())));
          *constant = make_tensor<std::string>(constant->shape(), {"SAVEDMODEL-ASSET"});
        },
        [&] { return cat("in node \"", printable(name), "\""); });
  }
  if (!assets.values.empty()) meta_graph.collections[kAssetsCollection].value = std::move(assets);
}

}  // namespace

std::vector<AssetSource> unbind_assets(SavedModel& model) {
  AssetNames names;
  for (MetaGraph& meta_graph : model.meta_graphs) unbind(meta_graph, names);
  return names.take();
}

void bind_assets(ModuleFiles& files) {
  const std::string folder = (fs::absolute(files.path) / "assets").lexically_normal().string();
  for (MetaGraph& meta_graph : files.model.meta_graphs) {
    with_context([&] { files.asset_bindings.push_back(bind(meta_graph, folder, files.kind)); },
                 [&] { return cat("in ", files.path); });
  }
}

}  // namespace hub
