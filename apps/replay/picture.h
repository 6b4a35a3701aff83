#pragma once

#include <string>
#include <string_view>

#include "hub/tensor.h"

namespace hub::replay {

// What a golden's "decode" does to a file before it is fed. There is one form: "JPEG to RGB,
// then BGR float32 0..255, shape [height, width, 3]".
// Errors: UNIMPLEMENTED for another text; those of DecodeJpeg.
Tensor decode_picture(const std::string& content, std::string_view decode);

}  // namespace hub::replay
