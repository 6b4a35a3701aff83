#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hub::cli {

// Rows of cells as lines, the columns aligned, two spaces between them.
std::string aligned(const std::vector<std::vector<std::string>>& rows, int indent);

// "1,234,567".
std::string grouped(std::uint64_t number);
// "812 B", "3.1 MB": powers of 1000.
std::string size_text(std::uint64_t bytes);

}  // namespace hub::cli
