#pragma once

#include <algorithm>

#include "graph/shape_rules.h"
#include "ops/kernel.h"

namespace hub {

// A box [y1, x1, y2, x2], whichever corners are given.
struct Rectangle {
  float top;
  float left;
  float bottom;
  float right;
  float area;

  template <class T>
  static Rectangle from(const T* corners) {
    const auto y1 = static_cast<float>(corners[0]);
    const auto x1 = static_cast<float>(corners[1]);
    const auto y2 = static_cast<float>(corners[2]);
    const auto x2 = static_cast<float>(corners[3]);
    Rectangle box{std::min(y1, y2), std::min(x1, x2), std::max(y1, y2), std::max(x1, x2), 0};
    box.area = (box.bottom - box.top) * (box.right - box.left);
    return box;
  }
};

// Intersection over union; 0 where either box is empty.
inline float overlap_of(const Rectangle& a, const Rectangle& b) {
  if (a.area <= 0 || b.area <= 0) return 0;
  const float height = std::max(std::min(a.bottom, b.bottom) - std::max(a.top, b.top), 0.0F);
  const float width = std::max(std::min(a.right, b.right) - std::max(a.left, b.left), 0.0F);
  const float common = height * width;
  return common / (a.area + b.area - common);
}

// A limit given as a scalar int32. Errors: INVALID_ARGUMENT.
std::int32_t limit_input(const KernelContext& context, int input, std::string_view what);
// Errors: INVALID_ARGUMENT where it is not in [0, 1].
void check_overlap_threshold(const KernelContext& context, float threshold);

}  // namespace hub
