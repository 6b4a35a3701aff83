#pragma once

// A model as its files say, whatever its format.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/saved_model.h"

namespace hub {

enum class ModelFormat : std::uint8_t { kTf1Hub, kSavedModelV1, kSavedModelV2, kGraphDef };

// "tf1_hub", "saved_model_v1", "saved_model_v2", "graph_def".
std::string_view to_string(ModelFormat format);

struct Model {
  ModelFormat format = ModelFormat::kGraphDef;
  std::string path;
  std::vector<MetaGraph> variants;  // a frozen graph is one, without tags or signatures
  std::string checkpoint_prefix;    // of the variables; empty: there are none
  std::vector<std::string> assets;  // the files below assets/, relative to it, sorted
  std::uint64_t bytes = 0;          // of the format's own files

  std::string assets_directory() const { return path + "/assets"; }
};

// Reads a TF1 Hub module or a SavedModel (a folder), or a GraphDef or MetaGraphDef (a file:
// .pb, .pbtxt, .meta). Variables are not read.
// Errors: NOT_FOUND of kind io where there is nothing, UNIMPLEMENTED for a URL, those of
// check_module_def, of kind io where saved_model.pb cannot be parsed.
Model open_model(const std::string& path);

// The variant with this set of tags. Without tags: the one that has none, or the only one.
// Errors: of kind value, listing what there is.
const MetaGraph& find_variant(const Model& model, std::span<const std::string> tags);

// "{}", "{serve, train}", sorted.
std::string tags_text(std::span<const std::string> tags);

}  // namespace hub
