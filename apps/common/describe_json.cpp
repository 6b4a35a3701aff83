#include "common/describe_json.h"

namespace hub {
namespace {

using Json = nlohmann::ordered_json;

Json shape_json(const PartialShape& shape) {
  if (!shape.has_rank()) return nullptr;
  Json dims = Json::array();
  for (const std::int64_t dim : shape.dims()) dims.push_back(dim);
  return dims;
}

Json dtype_json(DType dtype) {
  if (dtype == DType::kInvalid) return nullptr;
  return dtype_name(dtype);
}

Json values_json(const std::map<std::string, ValueInfo>& values) {
  Json json = Json::object();
  for (const auto& [name, info] : values) {
    json[name] = {{"kind", to_string(info.kind)},
                  {"dtype", dtype_json(info.dtype)},
                  {"shape", shape_json(info.shape)}};
  }
  return json;
}

Json variant_json(const VariantDescription& variant) {
  Json signatures = Json::object();
  for (const auto& [name, signature] : variant.signatures) {
    signatures[name] = {{"inputs", values_json(signature.inputs)},
                        {"outputs", values_json(signature.outputs)}};
  }
  Json variables = Json::array();
  for (const ModelVariable& variable : variant.variables) {
    variables.push_back({{"name", variable.name},
                         {"dtype", dtype_json(variable.dtype)},
                         {"shape", shape_json(variable.shape)},
                         {"trainable", variable.trainable}});
  }
  Json ops = Json::object();
  for (const auto& [op, count] : variant.ops) ops[op] = count;
  Json unsupported = Json::array();
  for (const UnsupportedNode& node : variant.unsupported_nodes) {
    unsupported.push_back({{"node", node.node},
                           {"op", node.op},
                           {"function", node.function},
                           {"reason", node.reason}});
  }
  return {{"tags", variant.tags},
          {"signatures", std::move(signatures)},
          {"variables", std::move(variables)},
          {"attachments", variant.attachments},
          {"ops", std::move(ops)},
          {"unsupported_ops", variant.unsupported_ops},
          {"unsupported_nodes", std::move(unsupported)}};
}

}  // namespace

Json to_json(const ModelDescription& description) {
  Json variants = Json::array();
  for (const VariantDescription& variant : description.variants) {
    variants.push_back(variant_json(variant));
  }
  return {{"format", model_kind_name(description.kind)},
          {"variants", std::move(variants)},
          {"assets", description.assets},
          {"bytes", description.bytes}};
}

}  // namespace hub
