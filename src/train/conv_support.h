#pragma once

// What convolutional layers share.

#include <functional>

#include "train/layer_scope.h"

namespace hub::layers {

// "NHWC", "NCDHW"... for so many spatial axes (one: as two).
std::string_view format_name(DataFormat format, int spatial_axes);
std::string_view padding_name(Padding padding);
// One value for each axis: 1 for batch and channels.
std::vector<std::int64_t> all_axes(const std::vector<int>& spatial, DataFormat format);
int channel_axis(DataFormat format, int rank);
Output add_bias(const Output& x, const Variable& bias, DataFormat format);

// A convolution of so many strides-1 steps with holes: the input is cut into pieces by
// SpaceToBatchND, which `convolve` gets (tensorflow/python/ops/nn_ops.py, _WithSpaceToBatch).
// Nodes are added to the current name scope.
Output dilated(const Output& inputs, const std::vector<int>& kernel_size,
               const std::vector<int>& rates, Padding padding, DataFormat format,
               const std::function<Output(const Output&)>& convolve);
bool has_holes(const std::vector<int>& rates);
// Errors: of kind value where both are above 1.
void check_strides_and_dilation(const std::vector<int>& strides, const std::vector<int>& rates);

}  // namespace hub::layers
