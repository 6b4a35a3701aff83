#include "format/module_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>

#include "base/errors.h"
#include "format/assets.h"
#include "format/checkpoint_state.h"
#include "format/checkpoint_v1.h"
#include "format/message_io.h"
#include "format/table.h"

namespace hub {

namespace fs = std::filesystem;

std::string_view model_kind_name(ModelKind kind) {
  switch (kind) {
    case ModelKind::kTf1Hub: return "tf1_hub";
    case ModelKind::kSavedModelV1: return "saved_model_v1";
    case ModelKind::kSavedModelV2: return "saved_model_v2";
    case ModelKind::kGraphDef: return "graph_def";
    case ModelKind::kMetaGraph: return "meta_graph";
    case ModelKind::kCheckpoint: return "checkpoint";
  }
  return "unknown";
}

namespace {

constexpr std::string_view kModuleDefName = "tfhub_module.pb";
constexpr std::string_view kSavedModelName = "saved_model.pb";
constexpr std::string_view kSavedModelTextName = "saved_model.pbtxt";

std::string join_path(const std::string& directory, std::string_view name) {
  return (fs::path(directory) / name).string();
}

// Reads with `parse(bytes, path, limits)`. The real library reports a SavedModel that cannot
// be parsed as an I/O error.
SavedModel read_saved_model_file(const std::string& path,
                                 SavedModel (*parse)(std::string_view, std::string_view,
                                                     const ParseLimits&),
                                 const ParseLimits& limits) {
  const auto file = MappedFile::open(path);
  try {
    return parse(file->bytes(), path, limits);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kDecode) throw;
    Error as_io = io_error(error.code(), "Cannot parse file ", path, ". ", error.message());
    for (const std::string& line : error.context()) as_io.add_context(line);
    throw as_io;
  }
}

void open_checkpoint(ModuleFiles& files, const OpenOptions& options) {
  if (!checkpoint_exists(files.checkpoint_prefix)) return;
  files.checkpoint =
      std::make_shared<const BundleReader>(files.checkpoint_prefix, options.checksums);
}

std::uint64_t size_of_checkpoint(const ModuleFiles& files) {
  std::uint64_t size = 0;
  if (!files.checkpoint) return size;
  for (const std::string& path : files.checkpoint->files()) size += file_size(path);
  return size;
}

std::uint64_t size_of_folder(const std::string& folder, const std::vector<std::string>& names) {
  std::uint64_t size = 0;
  for (const std::string& name : names) size += file_size(join_path(folder, name));
  return size;
}

// What a TF1 Hub module and a SavedModel have in common.
void read_folder(ModuleFiles& files, const OpenOptions& options) {
  const std::string& folder = files.path;
  files.checkpoint_prefix = join_path(folder, "variables/variables");
  open_checkpoint(files, options);
  const std::string assets = join_path(folder, "assets");
  if (is_directory(assets)) files.assets = list_files_recursively(assets);
  files.size_bytes += size_of_folder(assets, files.assets);
  const std::string variables = join_path(folder, "variables");
  if (is_directory(variables)) {
    files.size_bytes += size_of_folder(variables, list_files_recursively(variables));
  }
  const std::string fingerprint = join_path(folder, "fingerprint.pb");
  if (path_exists(fingerprint)) files.size_bytes += file_size(fingerprint);
  bind_assets(files);
}

ModuleFiles open_saved_model(const std::string& folder, const OpenOptions& options) {
  ModuleFiles files;
  files.path = folder;
  const std::string binary = join_path(folder, kSavedModelName);
  const std::string text = join_path(folder, kSavedModelTextName);
  const bool is_binary = path_exists(binary);
  files.model = is_binary ? read_saved_model_file(binary, parse_saved_model, options.limits)
                          : read_saved_model_file(text, parse_saved_model_text, options.limits);
  const auto& meta_graphs = files.model.meta_graphs;
  const bool has_objects = meta_graphs.size() == 1 && meta_graphs[0].object_graph.has_value();
  files.kind = has_objects ? ModelKind::kSavedModelV2 : ModelKind::kSavedModelV1;
  files.size_bytes = file_size(is_binary ? binary : text);
  read_folder(files, options);
  return files;
}

ModuleFiles open_checkpoint_prefix(const std::string& path, const std::string& prefix,
                                   const OpenOptions& options) {
  ModuleFiles files;
  files.kind = ModelKind::kCheckpoint;
  files.path = path;
  files.checkpoint_prefix = prefix;
  open_checkpoint(files, options);
  files.size_bytes = size_of_checkpoint(files);
  return files;
}

ModuleFiles open_folder(const std::string& folder, const OpenOptions& options) {
  if (path_exists(join_path(folder, kModuleDefName))) return open_hub_module_files(folder, options);
  if (path_exists(join_path(folder, kSavedModelName)) ||
      path_exists(join_path(folder, kSavedModelTextName))) {
    return open_saved_model(folder, options);
  }
  if (const auto prefix = latest_checkpoint(folder)) {
    return open_checkpoint_prefix(folder, *prefix, options);
  }
  throw not_found("A model's folder must hold ", kModuleDefName, ", ", kSavedModelName, ", ",
                  kSavedModelTextName, " or a checkpoint. Details: ", folder, " holds none.");
}

// The first word of a text that is no comment.
std::string_view first_word(std::string_view text) {
  for (;;) {
    text = text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    if (text.empty() || text[0] != '#') break;
    text = text.substr(std::min(text.find('\n'), text.size()));
  }
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  const auto end = std::find_if_not(text.begin(), text.end(), is_word);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

bool is_meta_graph_text(std::string_view text) {
  constexpr std::string_view kFields[] = {"meta_info_def",   "graph_def",     "saver_def",
                                          "collection_def",  "signature_def", "asset_file_def",
                                          "object_graph_def"};
  return std::ranges::count(kFields, first_word(text)) > 0;
}

bool is_node(std::string_view bytes) {
  const auto op = first_contents(bytes, 2);
  return op && !op->empty() && std::ranges::all_of(*op, [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) ||
                  std::string_view("_>./-").find(c) != std::string_view::npos;
         });
}

// A graph's first field is a list of nodes. A meta graph's is what is said about it, its
// second the graph. Nothing where the bytes could be either.
std::optional<bool> is_meta_graph_binary(std::string_view bytes) {
  if (const auto first = first_contents(bytes, 1); first && !first->empty()) {
    return !is_node(*first);
  }
  if (const auto second = first_contents(bytes, 2)) {
    if (const auto node = first_contents(*second, 1)) return is_node(*node);
  }
  const int only_in_meta_graphs[] = {3, 6, 7};  // the saver, asset files, objects
  for (const int number : only_in_meta_graphs) {
    if (first_contents(bytes, number)) return true;
  }
  return std::nullopt;
}

// What the meta graph of a checkpoint of version 1 with several files adds to its name.
constexpr std::string_view kShardsPattern =
    "-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]";

bool has_extension(const std::string& path, std::string_view extension) {
  return fs::path(path).extension() == extension;
}

ModuleFiles open_graph_file(const std::string& path, const OpenOptions& options) {
  const auto file = MappedFile::open(path);
  const std::string_view bytes = file->bytes();
  if (is_table(bytes)) return open_checkpoint_prefix(path, path, options);
  const bool is_text = looks_like_text(bytes) && !bytes.empty();
  const bool is_meta_graph =
      is_text ? is_meta_graph_text(bytes)
              : is_meta_graph_binary(bytes).value_or(has_extension(path, ".meta"));
  ModuleFiles files;
  files.path = path;
  files.kind = is_meta_graph ? ModelKind::kMetaGraph : ModelKind::kGraphDef;
  if (is_meta_graph) {
    files.model.meta_graphs.push_back(is_text ? parse_meta_graph_text(bytes, path, options.limits)
                                              : parse_meta_graph(bytes, path, options.limits));
  } else {
    files.model.meta_graphs.emplace_back().graph =
        is_text ? parse_graph_def_text(bytes, path, options.limits)
                : parse_graph_def(bytes, path, options.limits);
  }
  files.asset_bindings.resize(1);
  files.size_bytes = bytes.size();
  if (has_extension(path, ".meta")) {
    files.checkpoint_prefix = fs::path(path).replace_extension().string();
    const std::string several_files = cat(files.checkpoint_prefix, kShardsPattern);
    if (!checkpoint_exists(files.checkpoint_prefix) && checkpoint_exists(several_files)) {
      files.checkpoint_prefix = several_files;
    }
    open_checkpoint(files, options);
    files.size_bytes += size_of_checkpoint(files);
  }
  return files;
}

}  // namespace

ModuleFiles open_hub_module_files(const std::string& path, const OpenOptions& options) {
  ModuleFiles files;
  files.kind = ModelKind::kTf1Hub;
  files.path = path;
  const std::string marker = join_path(path, kModuleDefName);
  files.module_def = parse_module_def(read_file(marker), marker);
  check_module_def(*files.module_def, marker);
  const std::string model = join_path(path, kSavedModelName);
  files.model = read_saved_model_file(model, parse_saved_model, options.limits);
  files.size_bytes = file_size(marker) + file_size(model);
  read_folder(files, options);
  return files;
}

ModuleFiles open_model_files(const std::string& path, const OpenOptions& options) {
  if (is_directory(path)) return open_folder(path, options);
  if (!path_exists(path)) {
    if (checkpoint_exists(path)) return open_checkpoint_prefix(path, path, options);
    throw errno_error(ENOENT, "Opening", path);
  }
  const std::string name = fs::path(path).filename().string();
  if (name == kSavedModelName || name == kSavedModelTextName) {
    const std::string parent = fs::path(path).parent_path().string();
    return open_folder(parent.empty() ? "." : parent, options);
  }
  if (has_extension(path, ".index")) {
    const std::string prefix = fs::path(path).replace_extension().string();
    return open_checkpoint_prefix(path, prefix, options);
  }
  return open_graph_file(path, options);
}

}  // namespace hub
