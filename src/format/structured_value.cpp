#include "format/structured_value.h"

#include "base/errors.h"
#include "format/rest.h"
#include "format/saved_model_convert.h"

namespace hub {

const std::vector<StructuredValue>* StructuredValue::elements() const {
  if (const auto* list = std::get_if<ListValue>(&value)) return &list->values;
  if (const auto* tuple = std::get_if<TupleValue>(&value)) return &tuple->values;
  return nullptr;
}

namespace {

template <class Values>
std::vector<StructuredValue> read_values(Values& values, SplatBudget& budget) {
  std::vector<StructuredValue> out;
  out.reserve(static_cast<std::size_t>(values.size()));
  for (auto& value : values) out.push_back(read_structured_value(value, budget));
  return out;
}

template <class Message>
TensorSpec read_tensor_spec(Message& message) {
  return {.name = message.name(),
          .shape = read_partial_shape(message.shape()),
          .dtype = read_dtype(message.dtype())};
}

template <class Message>
void write_tensor_spec(const TensorSpec& spec, Message& message) {
  message.set_name(spec.name);
  write_shape(spec.shape, *message.mutable_shape());
  message.set_dtype(static_cast<pb::DataType>(spec.dtype));
}

NamedTupleValue read_named_tuple(pb::NamedTupleValue& message, SplatBudget& budget) {
  NamedTupleValue tuple;
  tuple.name = message.name();
  for (auto& pair : *message.mutable_values()) {
    tuple.values.emplace_back(pair.key(), read_structured_value(*pair.mutable_value(), budget));
  }
  return tuple;
}

DictValue read_dict(pb::DictValue& message, SplatBudget& budget) {
  DictValue dict;
  for (auto& [key, value] : *message.mutable_fields()) {
    dict.fields.emplace(key, read_structured_value(value, budget));
  }
  return dict;
}

struct Writer {
  pb::StructuredValue& message;

  void operator()(std::monostate) const {}
  void operator()(const NoneValue&) const { message.mutable_none_value(); }
  void operator()(double value) const { message.set_float64_value(value); }
  void operator()(std::int64_t value) const { message.set_int64_value(value); }
  void operator()(const std::string& value) const { message.set_string_value(value); }
  void operator()(bool value) const { message.set_bool_value(value); }
  void operator()(const PartialShape& value) const {
    write_shape(value, *message.mutable_tensor_shape_value());
  }
  void operator()(DType value) const {
    message.set_tensor_dtype_value(static_cast<pb::DataType>(value));
  }
  void operator()(const TensorSpec& value) const {
    write_tensor_spec(value, *message.mutable_tensor_spec_value());
  }
  void operator()(const TypeSpec& value) const {
    write_type_spec(value, *message.mutable_type_spec_value());
  }
  void operator()(const BoundedTensorSpec& value) const {
    auto& out = *message.mutable_bounded_tensor_spec_value();
    write_tensor_spec(value.spec, out);
    write_tensor(value.minimum, *out.mutable_minimum());
    write_tensor(value.maximum, *out.mutable_maximum());
  }
  void operator()(const ListValue& value) const {
    auto& out = *message.mutable_list_value();
    for (const auto& each : value.values) write_structured_value(each, *out.add_values());
  }
  void operator()(const TupleValue& value) const {
    auto& out = *message.mutable_tuple_value();
    for (const auto& each : value.values) write_structured_value(each, *out.add_values());
  }
  void operator()(const DictValue& value) const {
    auto& out = *message.mutable_dict_value()->mutable_fields();
    for (const auto& [key, each] : value.fields) write_structured_value(each, out[key]);
  }
  void operator()(const NamedTupleValue& value) const {
    auto& out = *message.mutable_named_tuple_value();
    out.set_name(value.name);
    for (const auto& [key, each] : value.values) {
      auto& pair = *out.add_values();
      pair.set_key(key);
      write_structured_value(each, *pair.mutable_value());
    }
  }
  void operator()(const TensorValue& value) const {
    write_tensor(value.tensor,
                 value.is_numpy ? *message.mutable_numpy_value() : *message.mutable_tensor_value());
  }
};

}  // namespace

StructuredValue read_structured_value(pb::StructuredValue& message, SplatBudget& budget) {
  using Kind = pb::StructuredValue;
  switch (message.kind_case()) {
    case Kind::kNoneValue: return {NoneValue{}};
    case Kind::kFloat64Value: return {message.float64_value()};
    case Kind::kInt64Value: return {std::int64_t{message.int64_value()}};
    case Kind::kStringValue: return {std::move(*message.mutable_string_value())};
    case Kind::kBoolValue: return {message.bool_value()};
    case Kind::kTensorShapeValue: return {read_partial_shape(message.tensor_shape_value())};
    case Kind::kTensorDtypeValue: return {read_dtype(message.tensor_dtype_value())};
    case Kind::kTensorSpecValue: return {read_tensor_spec(message.tensor_spec_value())};
    case Kind::kTypeSpecValue: return {read_type_spec(*message.mutable_type_spec_value(), budget)};
    case Kind::kBoundedTensorSpecValue: {
      auto& bounded = *message.mutable_bounded_tensor_spec_value();
      return {BoundedTensorSpec{read_tensor_spec(bounded),
                                read_tensor(*bounded.mutable_minimum(), budget),
                                read_tensor(*bounded.mutable_maximum(), budget)}};
    }
    case Kind::kListValue:
      return {ListValue{read_values(*message.mutable_list_value()->mutable_values(), budget)}};
    case Kind::kTupleValue:
      return {TupleValue{read_values(*message.mutable_tuple_value()->mutable_values(), budget)}};
    case Kind::kDictValue: return {read_dict(*message.mutable_dict_value(), budget)};
    case Kind::kNamedTupleValue:
      return {read_named_tuple(*message.mutable_named_tuple_value(), budget)};
    case Kind::kTensorValue:
      return {TensorValue{read_tensor(*message.mutable_tensor_value(), budget), false}};
    case Kind::kNumpyValue:
      return {TensorValue{read_tensor(*message.mutable_numpy_value(), budget), true}};
    case Kind::KIND_NOT_SET: break;
  }
  return {};
}

void write_structured_value(const StructuredValue& value, pb::StructuredValue& message) {
  std::visit(Writer{message}, value.value);
}

TypeSpec read_type_spec(pb::TypeSpecProto& message, SplatBudget& budget) {
  TypeSpec spec;
  spec.unknown_fields = take_rest(message);
  spec.type_class = message.type_spec_class();
  if (message.has_type_state()) {
    spec.state = std::make_shared<const StructuredValue>(
        read_structured_value(*message.mutable_type_state(), budget));
  }
  spec.class_name = message.type_spec_class_name();
  spec.num_flat_components = message.num_flat_components();
  return spec;
}

void write_type_spec(const TypeSpec& spec, pb::TypeSpecProto& message) {
  message.set_type_spec_class(static_cast<pb::TypeSpecProto::TypeSpecClass>(spec.type_class));
  if (spec.state) write_structured_value(*spec.state, *message.mutable_type_state());
  message.set_type_spec_class_name(spec.class_name);
  message.set_num_flat_components(spec.num_flat_components);
  restore_rest(message, spec.unknown_fields);
}

}  // namespace hub
