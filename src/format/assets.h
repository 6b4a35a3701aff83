#pragma once

// Private to this layer: the assets that a meta graph names.

#include "format/module_files.h"

namespace hub {

// Fills `asset_bindings` and puts absolute paths into the constants. A TF1 Hub module lists
// its assets in the collection "saved_model_assets" only, which is removed.
void bind_assets(ModuleFiles& files);

// The path of an asset below `folder`. Errors: INVALID_ARGUMENT (kind value) where the name
// leaves the folder.
std::string checked_asset_path(const std::string& folder, const std::string& filename);

}  // namespace hub
