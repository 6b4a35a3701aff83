#include "module/attachments.h"

#include "base/errors.h"
#include "format/module_def.h"

namespace hub {

std::map<std::string, std::string> attachments_of(const MetaGraph& meta_graph,
                                                  std::string_view place) {
  constexpr const char* kCollection = "hub_module_attachments";
  const auto found = meta_graph.collections.find(kCollection);
  if (found == meta_graph.collections.end()) return {};
  const auto* messages = std::get_if<ByteStrings>(&found->second.value);
  if (messages == nullptr) {
    throw value_error("The collection \"", kCollection, "\" holds messages as bytes.")
        .add_context(cat("in ", place));
  }
  std::map<std::string, std::string> attachments;
  for (const std::string& bytes : messages->values) {
    ModuleAttachment attachment = parse_module_attachment(bytes, place);
    attachments[std::move(attachment.key)] = std::move(attachment.value);
  }
  return attachments;
}

}  // namespace hub
