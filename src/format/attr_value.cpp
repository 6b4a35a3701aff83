// AttrValue: conversion, comparison, and a short text for messages.

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/errors.h"
#include "format/proto_convert.h"
#include "format/rest.h"

namespace hub {

namespace {

FunctionRef read_function_ref(pb::NameAttrList& message, SplatBudget& budget, DTypeRule rule) {
  FunctionRef ref;
  ref.name = std::move(*message.mutable_name());
  ref.attrs = read_attrs(*message.mutable_attr(), budget, rule);
  ref.unknown_fields = unknown_fields_of(message);
  return ref;
}

void write_function_ref(const FunctionRef& ref, pb::NameAttrList& message) {
  merge_rest(message, ref.unknown_fields);
  message.set_name(ref.name);
  write_attrs(ref.attrs, *message.mutable_attr());
}

bool has_rest_of_list(const pb::AttrValue::ListValue& message) {
  return has_unknown_fields(message) ||
         std::ranges::any_of(message.shape(), [](const auto& shape) { return has_rest(shape); }) ||
         std::ranges::any_of(message.tensor(), [](const auto& tensor) { return has_rest(tensor); });
}

AttrList read_list(pb::AttrValue::ListValue& message, SplatBudget& budget, DTypeRule rule) {
  AttrList list;
  if (has_rest_of_list(message)) list.unknown_fields = take_rest(message);
  for (auto& value : *message.mutable_s()) list.strings.push_back(std::move(value));
  list.ints.assign(message.i().begin(), message.i().end());
  list.floats.assign(message.f().begin(), message.f().end());
  list.bools.assign(message.b().begin(), message.b().end());
  for (const int number : message.type()) list.types.push_back(read_dtype(number, rule));
  for (const auto& shape : message.shape()) list.shapes.push_back(read_partial_shape(shape));
  for (auto& tensor : *message.mutable_tensor()) {
    list.tensors.push_back(read_tensor(tensor, budget));
  }
  for (auto& function : *message.mutable_func()) {
    list.functions.push_back(read_function_ref(function, budget, rule));
  }
  return list;
}

void write_list(const AttrList& list, pb::AttrValue::ListValue& message) {
  for (const auto& value : list.strings) message.add_s(value);
  message.mutable_i()->Add(list.ints.begin(), list.ints.end());
  message.mutable_f()->Add(list.floats.begin(), list.floats.end());
  message.mutable_b()->Add(list.bools.begin(), list.bools.end());
  for (const DType type : list.types) message.add_type(static_cast<pb::DataType>(type));
  for (const PartialShape& shape : list.shapes) write_shape(shape, *message.add_shape());
  for (const Tensor& tensor : list.tensors) write_tensor(tensor, *message.add_tensor());
  for (const FunctionRef& ref : list.functions) write_function_ref(ref, *message.add_func());
  restore_rest(message, list.unknown_fields);
}

bool has_rest_of_attr(const pb::AttrValue& message) {
  return has_unknown_fields(message) || (message.has_shape() && has_rest(message.shape())) ||
         (message.has_tensor() && has_rest(message.tensor()));
}

bool equal(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || a == b;
}

bool equal(const FunctionRef& a, const FunctionRef& b) {
  return a.name == b.name && a.attrs == b.attrs;
}

bool equal(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  switch (a.dtype()) {
    case DType::kInvalid: return true;
    case DType::kString:
      return std::ranges::equal(a.values<std::string>(), b.values<std::string>());
    case DType::kResource:
      return std::ranges::equal(
          a.values<ResourceHandle>(), b.values<ResourceHandle>(), [](const auto& x, const auto& y) {
            return x.container == y.container && x.name == y.name && x.resource == y.resource;
          });
    case DType::kVariant: {
      const auto bytes_of = [](const Variant& element) {
        return dynamic_cast<const OpaqueVariant*>(element.value.get());
      };
      return std::ranges::equal(a.values<Variant>(), b.values<Variant>(),
                                [&](const Variant& x, const Variant& y) {
                                  const auto *p = bytes_of(x), *q = bytes_of(y);
                                  return x.value == y.value || (p && q && p->bytes() == q->bytes());
                                });
    }
    default: return std::ranges::equal(a.bytes(), b.bytes());
  }
}

template <class T>
bool equal_all(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::equal(a, b, [](const T& x, const T& y) { return equal(x, y); });
}

bool equal(const AttrList& a, const AttrList& b) {
  return a.strings == b.strings && a.ints == b.ints && equal_all(a.floats, b.floats) &&
         a.bools == b.bools && a.types == b.types && a.shapes == b.shapes &&
         equal_all(a.tensors, b.tensors) && equal_all(a.functions, b.functions);
}

std::string type_text(DType type) {
  return is_reference(type) ? cat(without_reference(type), "_ref") : to_string(type);
}

std::string list_text(const AttrList& list) {
  std::vector<std::string> pieces;
  for (const auto& value : list.strings) pieces.push_back(cat('"', printable(value), '"'));
  for (const std::int64_t value : list.ints) pieces.push_back(cat(value));
  for (const float value : list.floats) pieces.push_back(cat(value));
  for (const bool value : list.bools) pieces.push_back(cat(value));
  for (const DType type : list.types) pieces.push_back(type_text(type));
  for (const auto& shape : list.shapes) pieces.push_back(to_string(shape));
  for (const Tensor& tensor : list.tensors) pieces.push_back(to_string(tensor));
  for (const auto& function : list.functions) pieces.push_back(function.name);
  constexpr std::size_t kShown = 16;
  if (pieces.size() > kShown) {
    pieces.resize(kShown);
    pieces.push_back("...");
  }
  return cat("list [", join(pieces), "]");
}

}  // namespace

AttrMap read_attrs(AttrProtoMap& map, SplatBudget& budget, DTypeRule rule) {
  AttrMap attrs;
  for (auto& [key, value] : map) {
    with_context(
        [&, &key = key, &value = value] { attrs.emplace(key, read_attr(value, budget, rule)); },
        [&, &key = key] { return cat("in attribute \"", printable(key), "\""); });
  }
  return attrs;
}

void write_attrs(const AttrMap& attrs, AttrProtoMap& map) {
  for (const auto& [key, value] : attrs) write_attr(value, map[key]);
}

AttrValue read_attr(pb::AttrValue& message, SplatBudget& budget, DTypeRule rule) {
  AttrValue result;
  if (has_rest_of_attr(message)) result.unknown_fields = take_rest(message);
  switch (message.value_case()) {
    case pb::AttrValue::kS: result.value = std::move(*message.mutable_s()); break;
    case pb::AttrValue::kI: result.value = std::int64_t{message.i()}; break;
    case pb::AttrValue::kF: result.value = message.f(); break;
    case pb::AttrValue::kB: result.value = message.b(); break;
    case pb::AttrValue::kType: result.value = read_dtype(message.type(), rule); break;
    case pb::AttrValue::kShape: result.value = read_partial_shape(message.shape()); break;
    case pb::AttrValue::kTensor:
      result.value = read_tensor(*message.mutable_tensor(), budget);
      break;
    case pb::AttrValue::kPlaceholder:
      result.value = AttrPlaceholder{std::move(*message.mutable_placeholder())};
      break;
    case pb::AttrValue::kFunc:
      result.value = read_function_ref(*message.mutable_func(), budget, rule);
      break;
    case pb::AttrValue::kList:
      result.value = read_list(*message.mutable_list(), budget, rule);
      break;
    case pb::AttrValue::VALUE_NOT_SET: break;
  }
  return result;
}

void write_attr(const AttrValue& attr, pb::AttrValue& message) {
  struct Writer {
    pb::AttrValue& message;
    void operator()(std::monostate) const {}
    void operator()(const std::string& value) const { message.set_s(value); }
    void operator()(std::int64_t value) const { message.set_i(value); }
    void operator()(float value) const { message.set_f(value); }
    void operator()(bool value) const { message.set_b(value); }
    void operator()(DType value) const { message.set_type(static_cast<pb::DataType>(value)); }
    void operator()(const PartialShape& value) const {
      write_shape(value, *message.mutable_shape());
    }
    void operator()(const Tensor& value) const { write_tensor(value, *message.mutable_tensor()); }
    void operator()(const FunctionRef& value) const {
      write_function_ref(value, *message.mutable_func());
    }
    void operator()(const AttrList& value) const { write_list(value, *message.mutable_list()); }
    void operator()(const AttrPlaceholder& value) const { message.set_placeholder(value.name); }
  };
  std::visit(Writer{message}, attr.value);
  restore_rest(message, attr.unknown_fields);
}

bool operator==(const AttrValue& a, const AttrValue& b) {
  if (a.value.index() != b.value.index()) return false;
  return std::visit(
      [&](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        const T& y = std::get<T>(b.value);
        if constexpr (std::is_same_v<T, std::monostate>) {
          return true;
        } else if constexpr (std::is_same_v<T, AttrPlaceholder>) {
          return x.name == y.name;
        } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, FunctionRef> ||
                             std::is_same_v<T, AttrList> || std::is_same_v<T, Tensor>) {
          return equal(x, y);
        } else {
          return x == y;
        }
      },
      a.value);
}

std::string to_string(const AttrValue& attr) {
  struct Text {
    std::string operator()(std::monostate) const { return "nothing"; }
    std::string operator()(const std::string& v) const {
      return cat("string \"", printable(v), '"');
    }
    std::string operator()(std::int64_t v) const { return cat("int ", v); }
    std::string operator()(float v) const { return cat("float ", v); }
    std::string operator()(bool v) const { return cat("bool ", v); }
    std::string operator()(DType v) const { return cat("type ", type_text(v)); }
    std::string operator()(const PartialShape& v) const { return cat("shape ", v); }
    std::string operator()(const Tensor& v) const { return cat("tensor ", v); }
    std::string operator()(const FunctionRef& v) const { return cat("function ", v.name); }
    std::string operator()(const AttrList& v) const { return list_text(v); }
    std::string operator()(const AttrPlaceholder& v) const { return cat("placeholder ", v.name); }
  };
  return std::visit(Text{}, attr.value);
}

}  // namespace hub
