#pragma once

// Borders around a tensor: how many elements before and after it along each axis.

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "graph/shape_context.h"
#include "hub/tensor.h"
#include "ops/elements.h"

namespace hub {

struct BorderSize {
  std::int64_t before = 0;
  std::int64_t after = 0;
};

// A kernel's paddings [rank, 2]. Errors: INVALID_ARGUMENT.
std::vector<BorderSize> read_borders(const Tensor& paddings, int rank, std::string_view op);

// The shape with the borders around it.
Shape bordered_shape(const Shape& inside, const std::vector<BorderSize>& borders);

// The inside as a box of the bordered tensor: `from` are the strides of the inside alone.
struct BorderedBox {
  BorderedBox(const Shape& inside, const Shape& outside, const std::vector<BorderSize>& borders);
  std::int64_t first = 0;
  std::vector<CopyAxis> axes;
};

// The shape rule of ops with inputs (tensor, paddings): each dimension goes through `resize`
// where the paddings are known (the dimension may be -1).
Shapes padding_rule(ShapeContext& c,
                    const std::function<std::int64_t(std::int64_t, const BorderSize&)>& resize);

}  // namespace hub
