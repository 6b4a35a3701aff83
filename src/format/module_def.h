#pragma once

// tfhub_module.pb, the file whose presence makes a folder a TF1 Hub module, and the two
// messages of tensorflow_hub that modules carry.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hub {

inline constexpr int kModuleFormatV3 = 3;

struct ModuleDef {
  int format = 0;
  std::vector<std::string> required_features;
  std::string unknown_fields;
};

// Errors: DATA_LOSS (kind decode) where the bytes are no ModuleDef.
ModuleDef parse_module_def(std::string_view bytes, std::string_view place);
std::string serialize_module_def(const ModuleDef& module);
// Errors: INVALID_ARGUMENT (kind value) for another format than V3, and for required
// features, of which this library knows none.
void check_module_def(const ModuleDef& module, std::string_view place);

struct ModuleAttachment {
  std::string key;
  std::string value;  // a serialized message
  std::string unknown_fields = {};
};
ModuleAttachment parse_module_attachment(std::string_view bytes, std::string_view place);
std::string serialize_module_attachment(const ModuleAttachment& attachment);

struct ImageModuleInfo {
  std::int32_t height = 0;
  std::int32_t width = 0;
  std::string unknown_fields = {};
};
ImageModuleInfo parse_image_module_info(std::string_view bytes, std::string_view place);
std::string serialize_image_module_info(const ImageModuleInfo& info);

}  // namespace hub
