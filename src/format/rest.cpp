#include "format/rest.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "format/message_io.h"

namespace hub {

namespace gp = google::protobuf;
namespace pb = ::tf1hub::format;

namespace {

// Known fields that no struct has.
constexpr std::string_view kNotHeld[] = {
    "tf1hub.format.TensorShapeProto.Dim.name",
    "tf1hub.format.TensorProto.version_number",
    "tf1hub.format.TensorProto.float8_val",
    "tf1hub.format.ResourceHandleProto.device",
    "tf1hub.format.ResourceHandleProto.hash_code",
    "tf1hub.format.ResourceHandleProto.maybe_type_name",
    "tf1hub.format.ResourceHandleProto.dtypes_and_shapes",
};

// Fields whose structs keep their own rest.
constexpr std::string_view kKeptBelow[] = {
    "tf1hub.format.AttrValue.list",           "tf1hub.format.AttrValue.func",
    "tf1hub.format.AttrValue.ListValue.func", "tf1hub.format.OpList.op",
    "tf1hub.format.SignatureDef.inputs",      "tf1hub.format.SignatureDef.outputs",
    "tf1hub.format.TensorInfo.coo_sparse",    "tf1hub.format.TensorInfo.composite_tensor",
    "tf1hub.format.TensorProto.variant_val",
};

template <std::size_t kSize>
bool is_among(const gp::FieldDescriptor& field, const std::string_view (&names)[kSize]) {
  return std::ranges::find(names, std::string_view(field.full_name())) != std::end(names);
}

// Maps are walked as the repeated messages that they are in files.
bool has_string_keys(const gp::FieldDescriptor& map) {
  return map.message_type()->map_key()->cpp_type() == gp::FieldDescriptor::CPPTYPE_STRING &&
         map.message_type()->map_value()->cpp_type() == gp::FieldDescriptor::CPPTYPE_MESSAGE;
}

std::string key_of(const gp::FieldDescriptor& map, const gp::Message& entry) {
  return entry.GetReflection()->GetString(entry, map.message_type()->map_key());
}

bool take(gp::Message& from, gp::Message& rest);

bool take_entries(gp::Message& from, gp::Message& rest, const gp::FieldDescriptor& map) {
  if (!has_string_keys(map)) return false;
  const gp::Reflection& reflection = *from.GetReflection();
  const gp::FieldDescriptor* value = map.message_type()->map_value();
  bool any = false;
  for (int i = 0; i < reflection.FieldSize(from, &map); ++i) {
    gp::Message& entry = *reflection.MutableRepeatedMessage(&from, &map, i);
    const gp::Reflection& of_entry = *entry.GetReflection();
    gp::Message& its_value = *of_entry.MutableMessage(&entry, value);
    const std::unique_ptr<gp::Message> its_rest(its_value.New());
    if (!take(its_value, *its_rest)) continue;
    gp::Message& kept = *reflection.AddMessage(&rest, &map);
    of_entry.SetString(&kept, map.message_type()->map_key(), key_of(map, entry));
    of_entry.MutableMessage(&kept, value)->CopyFrom(*its_rest);
    any = true;
  }
  return any;
}

bool take_elements(gp::Message& from, gp::Message& rest, const gp::FieldDescriptor& field) {
  const gp::Reflection& reflection = *from.GetReflection();
  const int size = reflection.FieldSize(from, &field);
  for (int i = 0; i < size; ++i) {
    take(*reflection.MutableRepeatedMessage(&from, &field, i),
         *reflection.AddMessage(&rest, &field));
  }
  // The last element with a rest is the last one that is kept.
  for (int i = size - 1; i >= 0; --i) {
    if (reflection.GetRepeatedMessage(rest, &field, i).ByteSizeLong() > 0) return true;
    reflection.RemoveLast(&rest, &field);
  }
  return false;
}

bool take_message(gp::Message& from, gp::Message& rest, const gp::FieldDescriptor& field) {
  const gp::Reflection& reflection = *from.GetReflection();
  if (take(*reflection.MutableMessage(&from, &field), *reflection.MutableMessage(&rest, &field))) {
    return true;
  }
  reflection.ClearField(&rest, &field);
  return false;
}

// Recursion: no deeper than the parser went. True where there was a rest.
bool take(gp::Message& from, gp::Message& rest) {
  const gp::Reflection& reflection = *from.GetReflection();
  gp::UnknownFieldSet& unknown = *reflection.MutableUnknownFields(&from);
  bool any = !unknown.empty();
  if (any) unknown.Swap(reflection.MutableUnknownFields(&rest));
  std::vector<const gp::FieldDescriptor*> fields;
  reflection.ListFields(from, &fields);
  for (const gp::FieldDescriptor* field : fields) {
    if (is_among(*field, kNotHeld)) {
      reflection.SwapFields(&from, &rest, {field});
      any = true;
    } else if (field->cpp_type() == gp::FieldDescriptor::CPPTYPE_MESSAGE &&
               !is_among(*field, kKeptBelow)) {
      any |= field->is_map()        ? take_entries(from, rest, *field)
             : field->is_repeated() ? take_elements(from, rest, *field)
                                    : take_message(from, rest, *field);
    }
  }
  return any;
}

void restore(gp::Message& message, gp::Message& rest);

void restore_entries(gp::Message& message, gp::Message& rest, const gp::FieldDescriptor& map) {
  if (!has_string_keys(map)) return;
  const gp::Reflection& reflection = *message.GetReflection();
  const gp::FieldDescriptor* value = map.message_type()->map_value();
  std::unordered_map<std::string, gp::Message*> entries;
  for (int i = 0; i < reflection.FieldSize(message, &map); ++i) {
    gp::Message& entry = *reflection.MutableRepeatedMessage(&message, &map, i);
    entries.emplace(key_of(map, entry), &entry);
  }
  for (int i = 0; i < reflection.FieldSize(rest, &map); ++i) {
    gp::Message& kept = *reflection.MutableRepeatedMessage(&rest, &map, i);
    const auto entry = entries.find(key_of(map, kept));
    if (entry == entries.end()) continue;
    restore(*entry->second->GetReflection()->MutableMessage(entry->second, value),
            *kept.GetReflection()->MutableMessage(&kept, value));
  }
}

void restore(gp::Message& message, gp::Message& rest) {
  const gp::Reflection& reflection = *message.GetReflection();
  reflection.MutableUnknownFields(&message)->MergeFrom(reflection.GetUnknownFields(rest));
  std::vector<const gp::FieldDescriptor*> fields;
  reflection.ListFields(rest, &fields);
  for (const gp::FieldDescriptor* field : fields) {
    if (is_among(*field, kNotHeld)) {
      reflection.SwapFields(&message, &rest, {field});
    } else if (field->cpp_type() != gp::FieldDescriptor::CPPTYPE_MESSAGE) {
      continue;
    } else if (field->is_map()) {
      restore_entries(message, rest, *field);
    } else if (field->is_repeated()) {
      const int size =
          std::min(reflection.FieldSize(message, field), reflection.FieldSize(rest, field));
      for (int i = 0; i < size; ++i) {
        restore(*reflection.MutableRepeatedMessage(&message, field, i),
                *reflection.MutableRepeatedMessage(&rest, field, i));
      }
    } else if (reflection.HasField(message, field)) {
      restore(*reflection.MutableMessage(&message, field),
              *reflection.MutableMessage(&rest, field));
    }
  }
}

bool has_rest(const pb::ResourceHandleProto& handle) {
  return !handle.device().empty() || handle.hash_code() != 0 || !handle.maybe_type_name().empty() ||
         !handle.dtypes_and_shapes().empty() || has_unknown_fields(handle);
}

}  // namespace

bool has_rest(const pb::TensorShapeProto& shape) {
  return has_unknown_fields(shape) ||
         std::ranges::any_of(shape.dim(), [](const pb::TensorShapeProto::Dim& dim) {
           return !dim.name().empty() || has_unknown_fields(dim);
         });
}

bool has_rest(const pb::TensorProto& tensor) {
  return has_unknown_fields(tensor) || tensor.version_number() != 0 ||
         !tensor.float8_val().empty() || has_rest(tensor.tensor_shape()) ||
         std::ranges::any_of(tensor.resource_handle_val(),
                             [](const auto& handle) { return has_rest(handle); });
}

std::string take_rest(gp::Message& message) {
  const std::unique_ptr<gp::Message> rest(message.New());
  return take(message, *rest) ? serialize_binary(*rest) : std::string();
}

void restore_rest(gp::Message& message, std::string_view rest) {
  if (rest.empty()) return;
  const std::unique_ptr<gp::Message> parsed(message.New());
  merge_rest(*parsed, rest);
  restore(message, *parsed);
}

}  // namespace hub
