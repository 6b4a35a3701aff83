// Attribute values of the public API and those of graphs.

#include "base/errors.h"
#include "graph/graph_state.h"

namespace hub {
namespace {

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

AttrValue list_value(const Attr::Value& value) {
  AttrList list;
  std::visit(
      [&]<class T>(const T& v) {
        if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) list.ints = v;
        if constexpr (std::is_same_v<T, std::vector<float>>) list.floats = v;
        if constexpr (std::is_same_v<T, std::vector<bool>>) list.bools = v;
        if constexpr (std::is_same_v<T, std::vector<std::string>>) list.strings = v;
        if constexpr (std::is_same_v<T, std::vector<DType>>) list.types = v;
        if constexpr (std::is_same_v<T, std::vector<PartialShape>>) list.shapes = v;
        if constexpr (std::is_same_v<T, std::vector<Tensor>>) list.tensors = v;
        if constexpr (std::is_same_v<T, std::vector<FunctionName>>) {
          for (const FunctionName& function : v) list.functions.push_back({function.name, {}, {}});
        }
      },
      value);
  return AttrValue(std::move(list));
}

Attr from_list(const AttrList& list) {
  if (!list.strings.empty()) return Attr(list.strings);
  if (!list.floats.empty()) return Attr(list.floats);
  if (!list.bools.empty()) return Attr(list.bools);
  if (!list.types.empty()) return Attr(list.types);
  if (!list.shapes.empty()) return Attr(list.shapes);
  if (!list.tensors.empty()) return Attr(list.tensors);
  if (!list.functions.empty()) {
    std::vector<FunctionName> names;
    for (const FunctionRef& function : list.functions) names.push_back({function.name});
    return Attr(std::move(names));
  }
  return Attr(list.ints);
}

}  // namespace

AttrValue to_attr_value(const Attr& attr) {
  return std::visit(
      [&]<class T>(const T& v) -> AttrValue {
        if constexpr (std::is_same_v<T, FunctionName>) {
          FunctionRef function;
          function.name = v.name;
          return AttrValue(std::move(function));
        } else if constexpr (is_vector<T>) {
          return list_value(attr.value());
        } else {
          return AttrValue(v);
        }
      },
      attr.value());
}

Attr to_attr(const AttrValue& value) {
  return std::visit(
      [&]<class T>(const T& v) -> Attr {
        if constexpr (std::is_same_v<T, FunctionRef>) {
          return Attr(FunctionName{v.name});
        } else if constexpr (std::is_same_v<T, AttrList>) {
          return from_list(v);
        } else if constexpr (std::is_same_v<T, std::monostate> ||
                             std::is_same_v<T, AttrPlaceholder>) {
          throw invalid_argument("The attribute has no value. Details: ", value, ".");
        } else {
          return Attr(v);
        }
      },
      value.value);
}

AttrMap to_attr_map(const Attrs& attrs) {
  AttrMap map;
  for (const auto& [name, attr] : attrs) map[name] = to_attr_value(attr);
  return map;
}

}  // namespace hub
