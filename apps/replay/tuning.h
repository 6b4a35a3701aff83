#pragma once

// The fine-tunings of golden folders: a module with a classifier on top, trained for some steps.

#include <memory>

#include "replay/golden_value.h"
#include "replay/unit.h"

namespace hub::replay {

Replay open_tuning(std::shared_ptr<const GoldenFolder> golden, const nlohmann::json& tuning);

}  // namespace hub::replay
