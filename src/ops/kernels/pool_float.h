#pragma once

// Pools of float32, channels last, forward: the sums of a pixel stay in registers.

#include <cstdint>

#include "ops/onednn_conv.h"

namespace hub {

// Results [begin, end) of all images, in order; `shape` is a volume's. An average is over the taps
// that lie in the image.
void average_pool_float(const dnn::ConvShape& shape, const float* x, float* y, std::int64_t begin,
                        std::int64_t end);
// The maximum starts from `start`, and NaN never is one.
void max_pool_float(const dnn::ConvShape& shape, float start, const float* x, float* y,
                    std::int64_t begin, std::int64_t end);

}  // namespace hub
