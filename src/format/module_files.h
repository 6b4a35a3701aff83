#pragma once

// The parts of a model on disk, whatever its kind, and a writer of module folders.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "format/module_def.h"
#include "format/saved_model.h"
#include "format/tensor_bundle.h"

namespace hub {

enum class ModelKind {
  kTf1Hub,        // a folder with tfhub_module.pb
  kSavedModelV1,  // a folder with saved_model.pb or .pbtxt
  kSavedModelV2,  // the same, of one meta graph with an object graph
  kGraphDef,      // a file: a frozen graph
  kMetaGraph,     // a file: MetaGraphDef, as training writes it beside a checkpoint
  kCheckpoint,    // a prefix of a tensor bundle, or a training run's folder
};
// "tf1_hub", "saved_model_v1", "saved_model_v2", "graph_def", "meta_graph", "checkpoint".
std::string_view model_kind_name(ModelKind kind);

// A constant of the graph that holds an asset's path.
struct AssetBinding {
  std::string tensor_name;  // "asset_path_initializer:0"
  std::string filename;     // below assets/
  std::string path;         // absolute
};

struct ModuleFiles {
  ModelKind kind = ModelKind::kTf1Hub;
  std::string path;  // as it was given
  std::optional<ModuleDef> module_def;
  // A frozen graph is one meta graph without tags and signatures; a checkpoint has none. The
  // constants that hold paths of assets hold absolute ones.
  SavedModel model;
  std::vector<std::vector<AssetBinding>> asset_bindings;  // for each meta graph
  // Where variables are stored ("<folder>/variables/variables"); empty for frozen graphs.
  std::string checkpoint_prefix;
  std::shared_ptr<const BundleReader> checkpoint;  // null where there is no index file
  std::vector<std::string> assets;                 // all files below assets/, relative, sorted
  std::uint64_t size_bytes = 0;                    // of the format's own files
};

struct OpenOptions {
  Checksums checksums = Checksums::kFirstRead;
  ParseLimits limits;
};

// Errors: NOT_FOUND where nothing is there or no kind fits; DATA_LOSS for bytes that cannot
// be parsed (kind io for a SavedModel, decode else); INVALID_ARGUMENT (kind value) for an
// asset outside assets/ or an unsupported module; kind type for an asset's node that is no
// constant string. All name the file.
ModuleFiles open_model_files(const std::string& path, const OpenOptions& options = {});
// Only a TF1 Hub module. Errors: also NOT_FOUND without tfhub_module.pb,
// FAILED_PRECONDITION where the path is a file.
ModuleFiles open_hub_module_files(const std::string& path, const OpenOptions& options = {});

// Writes the folder of a TF1 Hub module or SavedModel, all or nothing.
class ModuleWriter {
 public:
  explicit ModuleWriter(std::string target, const FileSystem& files = file_system());

  // Where a BundleWriter shall write the variables.
  std::string checkpoint_prefix() const;
  const FileSystem& files() const { return folder_.files(); }
  // Errors: INVALID_ARGUMENT (kind value) for a name that leaves assets/; ALREADY_EXISTS for
  // a name that was taken.
  void add_asset(const std::string& filename, const std::string& source_path);
  void add_asset_bytes(const std::string& filename, std::string_view bytes);
  void write_saved_model(const SavedModel& model);
  void write_module_def(const ModuleDef& module = {.format = kModuleFormatV3,
                                                   .required_features = {},
                                                   .unknown_fields = {}});

  // Puts everything in place. A target that exists gets the new files, its other files stay;
  // the marker tfhub_module.pb is moved last.
  // Errors: ALREADY_EXISTS, with the target untouched, where it is a module already or has
  // one of the assets.
  void commit();

 private:
  std::string asset_path(const std::string& filename) const;
  void write(const std::string& path, std::string_view bytes) const;
  void merge_into_target() const;

  std::string target_;
  FolderWriter folder_;
};

}  // namespace hub
