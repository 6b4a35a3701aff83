#pragma once

// Convolutions as plain loops, for the dtypes and shapes that oneDNN does not compute fast.
// Data is [batch, spatial..., channels], filters are TensorFlow's.

#include <vector>

#include "ops/kernel.h"
#include "ops/onednn_conv.h"

namespace hub {

// As a convolution of volumes: an image is one of depth 1.
dnn::ConvShape as_volume(const dnn::ConvShape& shape);

// T is float, double or int32 (which wraps).
template <class T>
void conv_forward_loops(KernelContext& c, const dnn::ConvShape& shape, const T* x, const T* filter,
                        T* y);
// The gradient to x.
template <class T>
void conv_backward_data_loops(KernelContext& c, const dnn::ConvShape& shape, const T* filter,
                              const T* dy, T* dx);
// The gradient to the filter.
template <class T>
void conv_backward_filter_loops(KernelContext& c, const dnn::ConvShape& shape, const T* x,
                                const T* dy, T* filter);

}  // namespace hub
