#include "ops/array_shape_rules.h"

#include <algorithm>

#include "base/checked.h"
#include "ops/elements.h"

namespace hub {

Shapes passed_on_shape(ShapeContext& c) {
  Shapes shapes;
  for (int i = 0; i < c.num_outputs(); ++i) {
    shapes.push_back(c.input(i));
    if (const auto& handle = c.input_handle(i)) c.set_output_handle(i, *handle);
    if (auto value = c.input_partial_value(i)) c.set_output_partial_value(i, std::move(*value));
  }
  return shapes;
}

std::optional<std::vector<std::int64_t>> constant_integers(const ShapeContext& c, int input) {
  const Tensor* value = c.input_value(input);
  if (value == nullptr || value->rank() > 1) return std::nullopt;
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(value->num_elements()));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = integer_at(*value, static_cast<std::int64_t>(i));
  }
  return numbers;
}

PartialShape elements_of(const ShapeContext& c, int input) {
  if (const auto value = c.input_partial_value(input)) return *value;
  return c.input_value(input) == nullptr ? c.input_as_shape(input) : PartialShape();
}

std::int64_t add_dims(std::int64_t a, std::int64_t b) {
  return a < 0 || b < 0 ? -1 : add_or_throw(a, b, "A dimension");
}

void set_known_elements(ShapeContext& c, int output, const std::vector<std::int64_t>& elements) {
  const bool fits =
      elements.size() <= static_cast<std::size_t>(Shape::kMaxRank) &&
      std::ranges::all_of(elements, [](std::int64_t element) { return element >= -1; });
  if (fits) c.set_output_partial_value(output, PartialShape(elements));
}

}  // namespace hub
