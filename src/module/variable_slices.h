#pragma once

// The places of parts in the variables that they are parts of.

#include "format/tensor_slice.h"
#include "hub/variables.h"
#include "module/variables.h"

namespace hub {

inline TensorSlice slice_of(const VariablePart& part) {
  TensorSlice slice;
  for (std::size_t axis = 0; axis < part.offset.size(); ++axis)
    slice.extents.push_back({part.offset[axis], part.shape[axis]});
  return slice;
}

inline TensorSlice slice_of(const Variable& part) {
  const PartitionInfo partition = part.partition();
  TensorSlice slice;
  for (int axis = 0; axis < partition.full_shape.rank(); ++axis) {
    slice.extents.push_back(
        {partition.offset[static_cast<std::size_t>(axis)], part.shape().dim(axis)});
  }
  return slice;
}

}  // namespace hub
