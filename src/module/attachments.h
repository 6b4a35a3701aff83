#pragma once

// The messages that a module carries beside its graph (hub.attach_message).

#include <map>
#include <string>
#include <string_view>

#include "format/saved_model.h"

namespace hub {

// Key -> serialized message; of a repeated key the last message. `place` names the source
// in errors. Errors: of kind value where the collection is of another kind.
std::map<std::string, std::string> attachments_of(const MetaGraph& meta_graph,
                                                  std::string_view place);

}  // namespace hub
