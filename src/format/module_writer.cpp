#include <filesystem>

#include "base/errors.h"
#include "format/assets.h"
#include "format/module_files.h"

namespace hub {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMarker = "tfhub_module.pb";

std::string join_path(const std::string& directory, std::string_view name) {
  return (fs::path(directory) / name).string();
}

bool is_asset(std::string_view relative_path) { return relative_path.starts_with("assets/"); }

bool is_taken(const std::string& target) {
  std::error_code ignored;
  return path_exists(target) && !fs::is_empty(target, ignored);
}

}  // namespace

ModuleWriter::ModuleWriter(std::string target, const FileSystem& files)
    : target_(std::move(target)), folder_(target_, files) {
  files.create_directories(join_path(folder_.path(), "assets"));
  files.create_directories(join_path(folder_.path(), "variables"));
}

std::string ModuleWriter::checkpoint_prefix() const {
  return join_path(folder_.path(), "variables/variables");
}

std::string ModuleWriter::asset_path(const std::string& filename) const {
  std::string path = checked_asset_path(join_path(folder_.path(), "assets"), filename);
  if (path_exists(path)) {
    throw already_exists("An asset's name must be new. Details: ", printable(filename),
                         " was written before.");
  }
  files().create_directories(fs::path(path).parent_path().string());
  return path;
}

void ModuleWriter::add_asset(const std::string& filename, const std::string& source_path) {
  files().copy_file(source_path, asset_path(filename));
}

void ModuleWriter::add_asset_bytes(const std::string& filename, std::string_view bytes) {
  write(asset_path(filename), bytes);
}

void ModuleWriter::write(const std::string& path, std::string_view bytes) const {
  const auto file = files().create(path);
  file->append(bytes);
  file->close();
}

void ModuleWriter::write_saved_model(const SavedModel& model) {
  write(join_path(folder_.path(), "saved_model.pb"), serialize_saved_model(model));
}

void ModuleWriter::write_module_def(const ModuleDef& module) {
  write(join_path(folder_.path(), kMarker), serialize_module_def(module));
}

void ModuleWriter::commit() {
  if (!is_taken(target_)) return folder_.commit();
  if (path_exists(join_path(target_, kMarker))) {
    throw already_exists("A module must not be overwritten. Details: ", target_, " has a ", kMarker,
                         ".");
  }
  for (const std::string& file : list_files_recursively(folder_.path())) {
    if (is_asset(file) && path_exists(join_path(target_, file))) {
      throw already_exists("An asset must not be overwritten. Details: ", target_, " has ", file,
                           ".");
    }
  }
  merge_into_target();
}

void ModuleWriter::merge_into_target() const {
  for (const std::string name : {"assets", "variables"}) {
    files().create_directories(join_path(target_, name));
  }
  bool has_marker = false;
  for (const std::string& file : list_files_recursively(folder_.path())) {
    const std::string from = join_path(folder_.path(), file);
    const std::string to = join_path(target_, file);
    files().sync_file(from);
    if (file == kMarker) {
      has_marker = true;
      continue;
    }
    files().create_directories(fs::path(to).parent_path().string());
    files().rename(from, to);
  }
  files().sync_directory(target_);
  if (has_marker) {
    files().rename_new(join_path(folder_.path(), kMarker), join_path(target_, kMarker));
    files().sync_directory(target_);
  }
}

}  // namespace hub
