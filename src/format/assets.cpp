#include "format/assets.h"

#include <algorithm>
#include <filesystem>
#include <map>

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

void bind_assets(ModuleFiles& files) {
  const std::string folder = (fs::absolute(files.path) / "assets").lexically_normal().string();
  for (MetaGraph& meta_graph : files.model.meta_graphs) {
    with_context([&] { files.asset_bindings.push_back(bind(meta_graph, folder, files.kind)); },
                 [&] { return cat("in ", files.path); });
  }
}

}  // namespace hub
