#pragma once

// What the segment ops share: reading and checking of ids, shape rules.

#include <string_view>
#include <vector>

#include "graph/shape_context.h"
#include "ops/kernel.h"

namespace hub {

// Any integer vector or tensor as int64, in order.
std::vector<std::int64_t> integer_elements(const Tensor& tensor);

// Sorted ids: `ids` must be a vector of `count` ids >= 0 that do not decrease.
// Errors: INVALID_ARGUMENT.
std::vector<std::int64_t> sorted_segment_ids(std::string_view op, const Tensor& ids,
                                             std::int64_t count);

// A scalar of any integer type. Errors: INVALID_ARGUMENT.
std::int64_t segment_count(std::string_view op, const Tensor& tensor, std::string_view what);

// [first, data's other dimensions].
PartialShape with_first_dim(std::int64_t first, const PartialShape& data);
// The first dimension that a scalar input says, -1 if not known.
std::int64_t dim_from_input(ShapeContext& c, int input);
// Inputs data, ids, number of segments: a row for each segment, of what the ids leave of the data.
Shapes unsorted_segment_shape(ShapeContext& c);

}  // namespace hub
