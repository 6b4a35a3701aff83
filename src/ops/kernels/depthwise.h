#pragma once

// Depthwise convolutions of float32, channels last, with one output channel for each input
// channel: for these oneDNN takes twice the time.

#include <cstdint>

#include "ops/onednn_conv.h"

namespace hub {

// Whether depthwise_forward computes this: images, as many groups as channels on both sides.
bool is_depthwise(const dnn::ConvShape& shape, const dnn::Epilogue& epilogue);

// What a row of one image's result takes on one core, about.
double depthwise_row_ns(const dnn::ConvShape& shape);

// Rows [begin, end) of the results of all images. The filter is TensorFlow's [height, width,
// channels, 1]. A pixel is summed in the order of the filter, wherever it lies.
void depthwise_forward(const dnn::ConvShape& shape, const dnn::Epilogue& epilogue, const float* x,
                       const float* filter, const float* bias, float* y, std::int64_t begin,
                       std::int64_t end);

}  // namespace hub
