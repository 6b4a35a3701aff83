#include "graph/node.h"

#include "base/errors.h"

namespace hub {
namespace {

template <class T>
const T& get(const AttrMap& attrs, std::string_view node_name, std::string_view name,
             std::string_view kind) {
  const auto found = attrs.find(name);
  if (found == attrs.end()) {
    throw invalid_argument("A required attribute is missing. Details: \"", name, "\" of node \"",
                           node_name, "\".");
  }
  if (const T* value = std::get_if<T>(&found->second.value)) return *value;
  throw invalid_argument("An attribute has the wrong kind. Details: \"", name, "\" of node \"",
                         node_name, "\" is ", found->second, ", expected ", kind, ".");
}

ArgRange range_of(const std::vector<ArgDef>& args, const std::vector<std::int32_t>& begins,
                  std::string_view op, std::string_view name) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (args[i].name == name) return {begins[i], begins[i + 1] - begins[i]};
  }
  throw internal_error("op ", op, " has no argument \"", name, "\".");
}

}  // namespace

template <>
const std::string& attr_value<std::string>(const AttrMap& attrs, std::string_view node,
                                           std::string_view name) {
  return get<std::string>(attrs, node, name, "a string");
}
template <>
const std::int64_t& attr_value<std::int64_t>(const AttrMap& attrs, std::string_view node,
                                             std::string_view name) {
  return get<std::int64_t>(attrs, node, name, "an int");
}
template <>
const float& attr_value<float>(const AttrMap& attrs, std::string_view node, std::string_view name) {
  return get<float>(attrs, node, name, "a float");
}
template <>
const bool& attr_value<bool>(const AttrMap& attrs, std::string_view node, std::string_view name) {
  return get<bool>(attrs, node, name, "a bool");
}
template <>
const DType& attr_value<DType>(const AttrMap& attrs, std::string_view node, std::string_view name) {
  return get<DType>(attrs, node, name, "a type");
}
template <>
const PartialShape& attr_value<PartialShape>(const AttrMap& attrs, std::string_view node,
                                             std::string_view name) {
  return get<PartialShape>(attrs, node, name, "a shape");
}
template <>
const Tensor& attr_value<Tensor>(const AttrMap& attrs, std::string_view node,
                                 std::string_view name) {
  return get<Tensor>(attrs, node, name, "a tensor");
}
template <>
const FunctionRef& attr_value<FunctionRef>(const AttrMap& attrs, std::string_view node,
                                           std::string_view name) {
  return get<FunctionRef>(attrs, node, name, "a function");
}
template <>
const AttrList& attr_value<AttrList>(const AttrMap& attrs, std::string_view node,
                                     std::string_view name) {
  return get<AttrList>(attrs, node, name, "a list");
}

ArgRange input_range(const Node& node, std::string_view name) {
  return range_of(node.op->schema().inputs, node.input_arg_begins, node.op_name, name);
}

ArgRange output_range(const Node& node, std::string_view name) {
  return range_of(node.op->schema().outputs, node.output_arg_begins, node.op_name, name);
}

}  // namespace hub
