#pragma once

#include <string>
#include <string_view>

namespace hub {

std::string base64_encode(std::string_view bytes);
// Errors: INVALID_ARGUMENT for text that is not base64.
std::string base64_decode(std::string_view text);

}  // namespace hub
