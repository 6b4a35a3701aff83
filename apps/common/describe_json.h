#pragma once

#include <nlohmann/json.hpp>

#include "module/describe.h"

namespace hub {

// What `tf1hub show --json` prints. An unknown dimension is -1; an unknown rank, and the
// dtype of what is no tensor, null.
nlohmann::ordered_json to_json(const ModelDescription& description);

}  // namespace hub
