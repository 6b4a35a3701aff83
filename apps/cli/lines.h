#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hub::cli {

// Lines without their ends; what follows the last end is a line where it is not empty.
std::vector<std::string> lines_of(std::string_view bytes);

}  // namespace hub::cli
