#pragma once

#include <string>
#include <vector>

#include "format/module_files.h"

namespace hub {

// The ops that are run once, after variables have their values: they fill tables.
std::vector<std::string> init_ops(ModelKind kind, const MetaGraph& meta_graph);

inline bool is_saved_model(ModelKind kind) {
  return kind == ModelKind::kSavedModelV1 || kind == ModelKind::kSavedModelV2;
}

}  // namespace hub
