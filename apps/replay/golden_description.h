#pragma once

// What a golden says of its model without running it.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "hub/tensor.h"
#include "replay/golden_value.h"

namespace hub::replay {

// Compares `variants` or `meta_graphs` with the library's description of the model.
// Throws Mismatch.
void check_description(const GoldenFolder& golden);

// Compares a variable's content with its recorded statistics; nothing where they agree.
std::optional<std::string> statistics_difference(const Tensor& got,
                                                 const nlohmann::json& statistics);

}  // namespace hub::replay
