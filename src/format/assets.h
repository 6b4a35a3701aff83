#pragma once

// The assets that meta graphs name: paths put into their constants, and taken out again.

#include <string>
#include <vector>

#include "format/module_files.h"

namespace hub {

// Fills `asset_bindings` and puts absolute paths into the constants. A TF1 Hub module lists
// its assets in the collection "saved_model_assets" only, which is removed.
void bind_assets(ModuleFiles& files);

// The path of an asset below `folder`. Errors: INVALID_ARGUMENT (kind value) where the name
// leaves the folder.
std::string checked_asset_path(const std::string& folder, const std::string& filename);

// A file to be copied to assets/.
struct AssetSource {
  std::string filename;  // below assets/
  std::string path;
};

// What bind_assets did, undone: constants in the collection "asset_filepaths" lose their paths,
// and the collection "saved_model_assets" says which files they mean. A path has one name in all
// meta graphs; other files of the same name get "name0", "name1"... Gives the files in the order
// in which they were named.
// Errors: of kind value where the collection does not name tensors "node:0", NOT_FOUND for a node
// that is not there, of kind type for one that is no constant string.
std::vector<AssetSource> unbind_assets(SavedModel& model);

}  // namespace hub
