#pragma once

// Golden folders as units.

#include <string>
#include <vector>

#include "replay/unit.h"

namespace hub::replay {

// The units of the golden in `folder`: NAME/case0 and so on. They keep what they need alive.
// Errors: DATA_LOSS where golden.json is damaged.
std::vector<Unit> golden_units(const std::string& folder, const std::string& name);

// A short name for each folder, unique among them: its own, or its parent's where it says only
// "golden" or a version's number; longer where two would be equal.
std::vector<std::string> golden_names(const std::vector<std::string>& folders);

}  // namespace hub::replay
