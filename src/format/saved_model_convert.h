#pragma once

// Private to this layer: the messages of a SavedModel from and to structs.

#include "format/proto/saved_model.pb.h"
#include "format/proto/struct.pb.h"
#include "format/proto_convert.h"
#include "format/saved_model.h"
#include "format/structured_value.h"

namespace hub {

StructuredValue read_structured_value(pb::StructuredValue& message, SplatBudget& budget);
void write_structured_value(const StructuredValue& value, pb::StructuredValue& message);
TypeSpec read_type_spec(pb::TypeSpecProto& message, SplatBudget& budget);
void write_type_spec(const TypeSpec& spec, pb::TypeSpecProto& message);

TensorInfo read_tensor_info(pb::TensorInfo& message, SplatBudget& budget);
void write_tensor_info(const TensorInfo& info, pb::TensorInfo& message);
SignatureDef read_signature(pb::SignatureDef& message, SplatBudget& budget);
void write_signature(const SignatureDef& signature, pb::SignatureDef& message);

AssetFileDef read_asset_file(pb::AssetFileDef& message, SplatBudget& budget);
void write_asset_file(const AssetFileDef& asset, pb::AssetFileDef& message);

Collection read_collection(pb::CollectionDef& message);
void write_collection(const Collection& collection, pb::CollectionDef& message);

// Reads the bytes of a MetaGraphDef; those of its graph node by node. Errors name no file.
MetaGraph read_meta_graph(std::string_view bytes, SplatBudget& budget);
MetaGraph read_meta_graph(pb::MetaGraphDef& message, SplatBudget& budget);
void write_meta_graph(const MetaGraph& meta_graph, pb::MetaGraphDef& message);

}  // namespace hub
