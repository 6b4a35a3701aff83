#pragma once

// Shape rules that several array ops share.

#include <optional>
#include <vector>

#include "graph/shape_rules.h"

namespace hub {

// Output i has the shape, the value and the handle of input i.
Shapes passed_on_shape(ShapeContext& c);

// A constant integer input of rank 0 or 1 as numbers, whatever they are.
std::optional<std::vector<std::int64_t>> constant_integers(const ShapeContext& c, int input);

// An integer vector input as far as its elements are known (-1: not); of unknown rank where
// their number is not known, or an element is below -1.
PartialShape elements_of(const ShapeContext& c, int input);

// The sum of two dimensions; unknown where either is. Errors: INVALID_ARGUMENT on overflow.
std::int64_t add_dims(std::int64_t a, std::int64_t b);

// A vector of this many elements (-1: unknown).
inline PartialShape vector_shape(std::int64_t size) { return PartialShape{size}; }

// Elements of an integer vector as a partial value; nothing where an element is below -1,
// which a partial value cannot say.
void set_known_elements(ShapeContext& c, int output, const std::vector<std::int64_t>& elements);

// What Reshape makes of a shape: the sizes with the -1 filled in. A zero in the input's shape is
// left out of the count where the sizes have a zero too: [0,3] to [0,-1] is [0,3]. Errors:
// INVALID_ARGUMENT where the elements cannot be arranged so.
Shape shape_after_reshape(const Shape& input, std::vector<std::int64_t> sizes);

}  // namespace hub
