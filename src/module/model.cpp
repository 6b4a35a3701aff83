#include "module/model.h"

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "format/module_def.h"

namespace hub {
namespace {

constexpr const char* kModuleFile = "/tfhub_module.pb";
constexpr const char* kSavedModelFile = "/saved_model.pb";
constexpr const char* kSavedModelTextFile = "/saved_model.pbtxt";

void check_no_url(const std::string& handle) {
  const std::size_t colon = handle.find("://");
  if (colon == std::string::npos) return;
  throw unimplemented("Modules are not downloaded: give the path of a folder or file. Details: \"",
                      printable(handle), "\" is a URL.");
}

// tensorflow_hub raises IOError here, whatever the parser says.
SavedModel read_saved_model(const std::string& directory) {
  const bool is_text = !path_exists(directory + kSavedModelFile);
  const std::string path = directory + (is_text ? kSavedModelTextFile : kSavedModelFile);
  const auto file = MappedFile::open(path);
  try {
    return is_text ? parse_saved_model_text(file->bytes(), path)
                   : parse_saved_model(file->bytes(), path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kDecode) throw;
    throw io_error(error.code(), "Cannot parse file ", path, ". Details: ", error.message());
  }
}

std::uint64_t size_if_exists(const std::string& path) {
  return path_exists(path) ? file_size(path) : 0;
}

void list_files(Model& model) {
  for (const char* name : {kModuleFile, kSavedModelFile, kSavedModelTextFile, "/fingerprint.pb"}) {
    model.bytes += size_if_exists(model.path + name);
  }
  const std::string variables = model.path + "/variables";
  if (is_directory(variables)) {
    for (const std::string& file : list_files_recursively(variables)) {
      model.bytes += file_size(cat(variables, "/", file));
    }
  }
  if (is_directory(model.assets_directory())) {
    model.assets = list_files_recursively(model.assets_directory());
    for (const std::string& file : model.assets) {
      model.bytes += file_size(cat(model.assets_directory(), "/", file));
    }
  }
}

Model open_folder(const std::string& path) {
  Model model;
  model.path = path;
  while (model.path.size() > 1 && model.path.ends_with('/')) model.path.pop_back();
  const bool is_hub_module = path_exists(model.path + kModuleFile);
  if (is_hub_module) {
    const std::string file = model.path + kModuleFile;
    check_module_def(parse_module_def(read_file(file), file), file);
  } else if (!path_exists(model.path + kSavedModelFile) &&
             !path_exists(model.path + kSavedModelTextFile)) {
    throw io_error(ErrorCode::kNotFound, path,
                   " does not appear to be a valid module. Details: it holds neither "
                   "tfhub_module.pb nor saved_model.pb nor saved_model.pbtxt.");
  }
  SavedModel saved = read_saved_model(model.path);
  model.variants = std::move(saved.meta_graphs);
  const bool is_v2 = model.variants.size() == 1 && model.variants.front().object_graph;
  model.format = is_hub_module ? ModelFormat::kTf1Hub
                 : is_v2       ? ModelFormat::kSavedModelV2
                               : ModelFormat::kSavedModelV1;
  model.checkpoint_prefix = model.path + "/variables/variables";
  list_files(model);
  return model;
}

Model open_file(const std::string& path) {
  const auto file = MappedFile::open(path);
  Model model;
  model.path = path;
  model.bytes = file->bytes().size();
  MetaGraph meta_graph;
  if (path.ends_with(".meta")) {
    meta_graph = parse_meta_graph(file->bytes(), path);
    const std::string prefix = path.substr(0, path.size() - 5);
    if (path_exists(prefix + ".index")) model.checkpoint_prefix = prefix;
  } else if (path.ends_with(".pbtxt")) {
    meta_graph.graph = parse_graph_def_text(file->bytes(), path);
  } else {
    meta_graph.graph = parse_graph_def(file->bytes(), path);
    if (meta_graph.graph.nodes.empty() && !file->bytes().empty()) {
      throw decode_error("A frozen graph has nodes. Details: ", path,
                         " has none; of a module or SavedModel give the folder.");
    }
  }
  model.variants.push_back(std::move(meta_graph));
  return model;
}

}  // namespace

std::string_view to_string(ModelFormat format) {
  switch (format) {
    case ModelFormat::kTf1Hub: return "tf1_hub";
    case ModelFormat::kSavedModelV1: return "saved_model_v1";
    case ModelFormat::kSavedModelV2: return "saved_model_v2";
    case ModelFormat::kGraphDef: return "graph_def";
  }
  return "";
}

Model open_model(const std::string& path) {
  check_no_url(path);
  if (!path_exists(path)) throw io_error(ErrorCode::kNotFound, path, " does not exist.");
  return is_directory(path) ? open_folder(path) : open_file(path);
}

const MetaGraph& find_variant(const Model& model, std::span<const std::string> tags) {
  const std::set<std::string> wanted(tags.begin(), tags.end());
  for (const MetaGraph& variant : model.variants) {
    if (std::set(variant.tags.begin(), variant.tags.end()) == wanted) return variant;
  }
  if (wanted.empty() && model.variants.size() == 1) return model.variants.front();
  std::vector<std::string> available;
  for (const MetaGraph& variant : model.variants) available.push_back(tags_text(variant.tags));
  throw value_error("No such graph variant: tags=", tags_text(tags), ". Details: ", model.path,
                    " has ", available.empty() ? "none" : join(available), ".");
}

std::string tags_text(std::span<const std::string> tags) {
  const std::set<std::string> sorted(tags.begin(), tags.end());
  return printable(cat("{", join(sorted), "}"));
}

}  // namespace hub
