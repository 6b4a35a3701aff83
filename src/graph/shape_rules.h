#pragma once

// Shape functions and helpers that several families share.

#include "graph/shape_context.h"

namespace hub {

// Every output has the shape of input 0.
Shapes unchanged_shape(ShapeContext& c);
// Every output is a scalar.
Shapes scalar_shape(ShapeContext& c);
// Nothing is known of any output.
Shapes unknown_shape(ShapeContext& c);
// One output: inputs 0 and 1 broadcast against each other as in NumPy.
Shapes broadcast_shape(ShapeContext& c);
// Input i has the shape of all others; the outputs have it too.
Shapes merged_shape(ShapeContext& c);

// Shape of the broadcast of two. Errors: INVALID_ARGUMENT where they do not fit.
PartialShape broadcast(const PartialShape& a, const PartialShape& b);
// [a..., b...]; unknown where either rank is.
PartialShape concatenate(const PartialShape& a, const PartialShape& b);
// Dimensions [begin, end) of a shape; negative counts from the end. Unknown for unknown rank.
PartialShape sub_shape(const PartialShape& shape, int begin, int end);
PartialShape replace_dim(const PartialShape& shape, int axis, std::int64_t size);
// An axis in [-rank, rank), made non-negative. Errors: INVALID_ARGUMENT.
int normalized_axis(std::int64_t axis, int rank);
// Both known: they must agree (INVALID_ARGUMENT); else the known one.
std::int64_t merge_dims(std::int64_t a, std::int64_t b, std::string_view what);

}  // namespace hub
