// TensorInfo, SignatureDef, AssetFileDef and CollectionDef.

#include "base/errors.h"
#include "format/rest.h"
#include "format/saved_model_convert.h"

namespace hub {

namespace {

TensorInfo read_encoding(pb::TensorInfo& message, SplatBudget& budget) {
  TensorInfo info;
  switch (message.encoding_case()) {
    case pb::TensorInfo::kName:
      info.encoding = DenseEncoding{std::move(*message.mutable_name())};
      break;
    case pb::TensorInfo::kCooSparse: {
      auto& sparse = *message.mutable_coo_sparse();
      info.encoding = SparseEncoding{sparse.values_tensor_name(), sparse.indices_tensor_name(),
                                     sparse.dense_shape_tensor_name(), unknown_fields_of(sparse)};
      break;
    }
    case pb::TensorInfo::kCompositeTensor: {
      auto& composite = *message.mutable_composite_tensor();
      CompositeEncoding encoding;
      encoding.type_spec = read_type_spec(*composite.mutable_type_spec(), budget);
      for (auto& component : *composite.mutable_components()) {
        encoding.components.push_back(read_tensor_info(component, budget));
      }
      encoding.unknown_fields = unknown_fields_of(composite);
      info.encoding = std::move(encoding);
      break;
    }
    case pb::TensorInfo::ENCODING_NOT_SET: break;
  }
  return info;
}

using InfoMap = google::protobuf::Map<std::string, pb::TensorInfo>;

std::map<std::string, TensorInfo> read_infos(InfoMap& map, std::string_view kind,
                                             SplatBudget& budget) {
  std::map<std::string, TensorInfo> infos;
  for (auto& [key, value] : map) {
    with_context(
        [&, &key = key, &value = value] { infos.emplace(key, read_tensor_info(value, budget)); },
        [&, &key = key] { return cat("in ", kind, " \"", printable(key), "\""); });
  }
  return infos;
}

}  // namespace

TensorInfo read_tensor_info(pb::TensorInfo& message, SplatBudget& budget) {
  std::string rest = take_rest(message);
  TensorInfo info = read_encoding(message, budget);
  const DType dtype = read_dtype(message.dtype());
  info.dtype = without_reference(dtype);
  info.is_reference = is_reference(dtype);
  if (message.has_tensor_shape()) info.shape = read_partial_shape(message.tensor_shape());
  info.unknown_fields = std::move(rest);
  return info;
}

void write_tensor_info(const TensorInfo& info, pb::TensorInfo& message) {
  if (const auto* dense = std::get_if<DenseEncoding>(&info.encoding)) {
    message.set_name(dense->name);
  } else if (const auto* sparse = std::get_if<SparseEncoding>(&info.encoding)) {
    auto& out = *message.mutable_coo_sparse();
    merge_rest(out, sparse->unknown_fields);
    out.set_values_tensor_name(sparse->values);
    out.set_indices_tensor_name(sparse->indices);
    out.set_dense_shape_tensor_name(sparse->dense_shape);
  } else if (const auto* composite = std::get_if<CompositeEncoding>(&info.encoding)) {
    auto& out = *message.mutable_composite_tensor();
    merge_rest(out, composite->unknown_fields);
    write_type_spec(composite->type_spec, *out.mutable_type_spec());
    for (const auto& component : composite->components) {
      write_tensor_info(component, *out.add_components());
    }
  }
  const int number = static_cast<int>(info.dtype) + (info.is_reference ? 100 : 0);
  message.set_dtype(static_cast<pb::DataType>(number));
  if (info.shape) write_shape(*info.shape, *message.mutable_tensor_shape());
  restore_rest(message, info.unknown_fields);
}

SignatureDef read_signature(pb::SignatureDef& message, SplatBudget& budget) {
  SignatureDef signature;
  signature.unknown_fields = take_rest(message);
  signature.inputs = read_infos(*message.mutable_inputs(), "input", budget);
  signature.outputs = read_infos(*message.mutable_outputs(), "output", budget);
  signature.method_name = std::move(*message.mutable_method_name());
  for (auto& [key, value] : *message.mutable_defaults()) {
    with_context(
        [&, &key = key, &value = value] {
          signature.defaults.emplace(key, read_tensor(value, budget));
        },
        [&, &key = key] { return cat("in the default of input \"", printable(key), "\""); });
  }
  return signature;
}

void write_signature(const SignatureDef& signature, pb::SignatureDef& message) {
  for (const auto& [key, info] : signature.inputs) {
    write_tensor_info(info, (*message.mutable_inputs())[key]);
  }
  for (const auto& [key, info] : signature.outputs) {
    write_tensor_info(info, (*message.mutable_outputs())[key]);
  }
  message.set_method_name(signature.method_name);
  for (const auto& [key, tensor] : signature.defaults) {
    write_tensor(tensor, (*message.mutable_defaults())[key]);
  }
  restore_rest(message, signature.unknown_fields);
}

AssetFileDef read_asset_file(pb::AssetFileDef& message, SplatBudget& budget) {
  return {.tensor_info = read_tensor_info(*message.mutable_tensor_info(), budget),
          .filename = message.filename(),
          .unknown_fields = unknown_fields_of(message)};
}

void write_asset_file(const AssetFileDef& asset, pb::AssetFileDef& message) {
  merge_rest(message, asset.unknown_fields);
  write_tensor_info(asset.tensor_info, *message.mutable_tensor_info());
  message.set_filename(asset.filename);
}

Collection read_collection(pb::CollectionDef& message) {
  Collection collection;
  collection.unknown_fields = take_rest(message);
  switch (message.kind_case()) {
    case pb::CollectionDef::kNodeList: {
      const auto& list = message.node_list().value();
      collection.value = NodeNames{{list.begin(), list.end()}};
      break;
    }
    case pb::CollectionDef::kBytesList: {
      const auto& list = message.bytes_list().value();
      collection.value = ByteStrings{{list.begin(), list.end()}};
      break;
    }
    case pb::CollectionDef::kInt64List: {
      const auto& list = message.int64_list().value();
      collection.value = Int64Values{{list.begin(), list.end()}};
      break;
    }
    case pb::CollectionDef::kFloatList: {
      const auto& list = message.float_list().value();
      collection.value = FloatValues{{list.begin(), list.end()}};
      break;
    }
    case pb::CollectionDef::kAnyList: {
      AnyValues any;
      for (const auto& each : message.any_list().value()) {
        any.values.push_back({each.type_url(), each.value()});
      }
      collection.value = std::move(any);
      break;
    }
    case pb::CollectionDef::KIND_NOT_SET: break;
  }
  return collection;
}

void write_collection(const Collection& collection, pb::CollectionDef& message) {
  struct Writer {
    pb::CollectionDef& message;
    void operator()(std::monostate) const {}
    void operator()(const NodeNames& list) const {
      auto& out = *message.mutable_node_list();
      for (const auto& value : list.values) out.add_value(value);
    }
    void operator()(const ByteStrings& list) const {
      auto& out = *message.mutable_bytes_list();
      for (const auto& value : list.values) out.add_value(value);
    }
    void operator()(const Int64Values& list) const {
      message.mutable_int64_list()->mutable_value()->Add(list.values.begin(), list.values.end());
    }
    void operator()(const FloatValues& list) const {
      message.mutable_float_list()->mutable_value()->Add(list.values.begin(), list.values.end());
    }
    void operator()(const AnyValues& list) const {
      auto& out = *message.mutable_any_list();
      for (const auto& value : list.values) {
        auto& any = *out.add_value();
        any.set_type_url(value.type_url);
        any.set_value(value.value);
      }
    }
  };
  std::visit(Writer{message}, collection.value);
  restore_rest(message, collection.unknown_fields);
}

}  // namespace hub
