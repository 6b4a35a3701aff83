#pragma once

// SavedModel and MetaGraphDef as plain structs. Unknown fields are kept and written again.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "format/graph_def.h"
#include "format/structured_value.h"
#include "hub/tensor.h"

namespace hub {

// The encodings of TensorInfo. The strings are names of tensors: "node:0".
struct DenseEncoding {
  std::string name;
};
struct SparseEncoding {
  std::string values;
  std::string indices;
  std::string dense_shape;
  std::string unknown_fields;
};
struct TensorInfo;
struct CompositeEncoding {
  TypeSpec type_spec;
  std::vector<TensorInfo> components;  // in flatten order
  std::string unknown_fields;
};

// What a signature says of one input or output. `encoding` holds monostate where none is set.
struct TensorInfo {
  std::variant<std::monostate, DenseEncoding, SparseEncoding, CompositeEncoding> encoding;
  DType dtype = DType::kInvalid;
  bool is_reference = false;  // the file names the dtype's reference form
  // Absent is not unknown: TensorFlow reads an absent shape as a scalar's.
  std::optional<PartialShape> shape;
  std::string unknown_fields;
};

struct SignatureDef {
  std::map<std::string, TensorInfo> inputs;
  std::map<std::string, TensorInfo> outputs;
  std::string method_name;
  std::map<std::string, Tensor> defaults;
  std::string unknown_fields;
};

struct AssetFileDef {
  TensorInfo tensor_info;
  std::string filename;  // below assets/
  std::string unknown_fields;
};

struct SaverDef {
  std::string filename_tensor_name;
  std::string save_tensor_name;
  std::string restore_op_name;
  std::int32_t max_to_keep = 0;
  bool sharded = false;
  float keep_checkpoint_every_n_hours = 0;
  int version = 0;  // 0 legacy, 1 the older checkpoints, 2 tensor bundles
  std::string unknown_fields;
};

// A google.protobuf.Any.
struct AnyValue {
  std::string type_url;
  std::string value;
  bool operator==(const AnyValue&) const = default;
};

// The kinds of a collection.
struct NodeNames {
  std::vector<std::string> values;
};
struct ByteStrings {
  std::vector<std::string> values;
};
struct Int64Values {
  std::vector<std::int64_t> values;
};
struct FloatValues {
  std::vector<float> values;
};
struct AnyValues {
  std::vector<AnyValue> values;
};
struct Collection {
  std::variant<std::monostate, NodeNames, ByteStrings, Int64Values, FloatValues, AnyValues> value;
  std::string unknown_fields;
};

struct MetaGraph {
  // meta_info_def
  std::string meta_graph_version;
  std::vector<OpDefMessage> stripped_op_list;
  std::optional<AnyValue> any_info;
  std::vector<std::string> tags;
  std::string tensorflow_version;
  std::string tensorflow_git_version;
  bool stripped_default_attrs = false;
  std::map<std::string, std::string> function_aliases;
  std::string unknown_info_fields;

  GraphDef graph;
  std::optional<SaverDef> saver;
  std::map<std::string, Collection> collections;
  std::map<std::string, SignatureDef> signatures;
  std::vector<AssetFileDef> asset_files;
  std::optional<std::string> object_graph;  // SavedObjectGraph, serialized
  std::string unknown_fields;
};

struct SavedModel {
  std::int64_t schema_version = 0;
  std::vector<MetaGraph> meta_graphs;
  std::string unknown_fields;
};

// Reading; `place` names the source in errors (a path). Errors: as parse_graph_def.
SavedModel parse_saved_model(std::string_view bytes, std::string_view place,
                             const ParseLimits& limits = {});
SavedModel parse_saved_model_text(std::string_view text, std::string_view place,
                                  const ParseLimits& limits = {});
MetaGraph parse_meta_graph(std::string_view bytes, std::string_view place,
                           const ParseLimits& limits = {});
MetaGraph parse_meta_graph_text(std::string_view text, std::string_view place,
                                const ParseLimits& limits = {});
AssetFileDef parse_asset_file_def(std::string_view bytes, std::string_view place);

// Writing: deterministic bytes (maps sorted by key).
std::string serialize_saved_model(const SavedModel& model);
std::string saved_model_text(const SavedModel& model);
std::string serialize_meta_graph(const MetaGraph& meta_graph);
std::string serialize_asset_file_def(const AssetFileDef& asset);

}  // namespace hub
