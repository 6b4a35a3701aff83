#pragma once

// Picture files as modules for images take them.

#include <string>

#include "hub/module_spec.h"
#include "hub/session.h"
#include "hub/tensor.h"

namespace hub {

// Decodes JPEG, PNG, GIF (its first picture) and BMP to floats from 0 to 1 and resizes them
// bilinearly. Any thread may decode.
class PictureDecoder {
 public:
  // `channels`: 3 for colours, 1 for grey.
  explicit PictureDecoder(const ImageSize& size, int channels = 3, int threads = 0);

  // float32 [1, height, width, channels]. Errors: INVALID_ARGUMENT for bytes that are no picture.
  Tensor decode(const std::string& bytes);

 private:
  Graph graph_;
  Output bytes_;
  Output picture_;
  Session session_;
};

}  // namespace hub
