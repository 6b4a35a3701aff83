#include "format/module_def.h"

#include "base/errors.h"
#include "format/message_io.h"
#include "format/proto/module.pb.h"
#include "format/rest.h"

namespace hub {

namespace pb = ::tf1hub::format;

ModuleDef parse_module_def(std::string_view bytes, std::string_view place) {
  pb::ModuleDef message;
  parse_binary(message, bytes, "ModuleDef", place);
  return {
      .format = message.format(),
      .required_features = {message.required_features().begin(), message.required_features().end()},
      .unknown_fields = unknown_fields_of(message)};
}

std::string serialize_module_def(const ModuleDef& module) {
  pb::ModuleDef message;
  merge_rest(message, module.unknown_fields);
  message.set_format(static_cast<pb::ModuleDef::Format>(module.format));
  for (const auto& feature : module.required_features) message.add_required_features(feature);
  return serialize_binary(message);
}

void check_module_def(const ModuleDef& module, std::string_view place) {
  if (module.format != kModuleFormatV3) {
    throw value_error("Unsupported module def format: ", module.format,
                      ". Details: only format 3 (FORMAT_V3) can be read.")
        .add_context(cat("in ", place));
  }
  if (!module.required_features.empty()) {
    throw value_error("Module requires features that are not supported. Details: ",
                      printable(join(module.required_features)), ".")
        .add_context(cat("in ", place));
  }
}

ModuleAttachment parse_module_attachment(std::string_view bytes, std::string_view place) {
  pb::ModuleAttachment message;
  parse_binary(message, bytes, "ModuleAttachment", place);
  return {
      .key = message.key(), .value = message.value(), .unknown_fields = unknown_fields_of(message)};
}

std::string serialize_module_attachment(const ModuleAttachment& attachment) {
  pb::ModuleAttachment message;
  merge_rest(message, attachment.unknown_fields);
  message.set_key(attachment.key);
  message.set_value(attachment.value);
  return serialize_binary(message);
}

ImageModuleInfo parse_image_module_info(std::string_view bytes, std::string_view place) {
  pb::ImageModuleInfo message;
  parse_binary(message, bytes, "ImageModuleInfo", place);
  std::string rest = take_rest(message);
  return {.height = message.default_image_size().height(),
          .width = message.default_image_size().width(),
          .unknown_fields = std::move(rest)};
}

std::string serialize_image_module_info(const ImageModuleInfo& info) {
  pb::ImageModuleInfo message;
  message.mutable_default_image_size()->set_height(info.height);
  message.mutable_default_image_size()->set_width(info.width);
  restore_rest(message, info.unknown_fields);
  return serialize_binary(message);
}

}  // namespace hub
