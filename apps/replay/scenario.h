#pragma once

// The scenarios of golden folders: graphs in which modules are instantiated and applied.

#include <memory>

#include "replay/golden_value.h"
#include "replay/unit.h"

namespace hub::replay {

// Builds the graph; a replay runs it and compares outputs, names of variables and collections.
Replay open_scenario(std::shared_ptr<const GoldenFolder> golden, const nlohmann::json& scenario);
// One of its gradients.
Replay open_scenario_gradient(std::shared_ptr<const GoldenFolder> golden,
                              const nlohmann::json& scenario, const nlohmann::json& gradient);

}  // namespace hub::replay
