#pragma once

// x[begin:end:stride] on many axes, as StridedSlice and its relatives spell it.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hub/tensor.h"
#include "ops/elements.h"
#include "ops/kernel.h"

namespace hub {

// Bit i belongs to entry i of begin, end and strides.
struct SliceMasks {
  std::int64_t begin = 0;     // take the whole range: begin[i] does not count
  std::int64_t end = 0;       // the same for end[i]
  std::int64_t ellipsis = 0;  // stands for as many axes as are left
  std::int64_t new_axis = 0;  // inserts an axis of size 1
  std::int64_t shrink = 0;    // takes the single position begin[i] and drops the axis

  SliceMasks() = default;
  // From a KernelInit or a ShapeContext.
  template <class Attrs>
  explicit SliceMasks(const Attrs& attrs)
      : begin(attrs.template attr<std::int64_t>("begin_mask")),
        end(attrs.template attr<std::int64_t>("end_mask")),
        ellipsis(attrs.template attr<std::int64_t>("ellipsis_mask")),
        new_axis(attrs.template attr<std::int64_t>("new_axis_mask")),
        shrink(attrs.template attr<std::int64_t>("shrink_axis_mask")) {}
};

// What a slice takes from each axis of the input, and the shape of the result.
struct StridedSlice {
  struct Axis {
    std::int64_t begin = 0;
    std::int64_t stride = 1;
    std::int64_t size = -1;  // -1: unknown
  };
  std::vector<Axis> axes;  // one for each axis of the input
  PartialShape result;

  // For a fully known input: the elements that it takes as a box. `first` is the place of the
  // first of them; strides of the result's side are 0.
  struct Box {
    std::int64_t first = 0;
    std::vector<CopyAxis> axes;
  };
  Box box(const Shape& input) const;
};

// Works the slice out. `begin` and `end` may be unknown at planning (nullopt).
// Errors: INVALID_ARGUMENT for masks, strides or positions that cannot be.
StridedSlice resolve_strided_slice(const PartialShape& input,
                                   const std::optional<std::vector<std::int64_t>>& begin,
                                   const std::optional<std::vector<std::int64_t>>& end,
                                   const std::vector<std::int64_t>& strides,
                                   const SliceMasks& masks);

// The same for a kernel whose inputs first_input, +1, +2 are begin, end and strides.
StridedSlice resolve_strided_slice(const KernelContext& context, const Shape& input,
                                   int first_input, const SliceMasks& masks);

// Writes `value`, broadcast to the slice's shape, into the slice of `target`.
// Errors: INVALID_ARGUMENT where it does not fit.
void assign_strided_slice(KernelContext& context, const StridedSlice& slice, const Tensor& value,
                          Tensor& target);

}  // namespace hub
