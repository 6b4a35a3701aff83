// The gradient of Einsum.

#include "ops/gradients.h"
#include "ops/gradients/build.h"

namespace hub {
namespace {

using namespace grad;  // NOLINT: the words of rules

// A term is its labels; an ellipsis is three dots.
constexpr std::string_view kEllipsis = "...";

bool has(std::string_view text, char label) { return text.find(label) != std::string_view::npos; }

// The label's axis: from the end where it stands after an ellipsis.
int axis_of(std::string_view term, char label) {
  const std::size_t dots = term.find(kEllipsis);
  const std::size_t at = term.find(label);
  if (dots == std::string_view::npos || at < dots) return static_cast<int>(at);
  return static_cast<int>(at) - static_cast<int>(term.size());
}

// The gradient to a term some of whose labels were summed away: they are repeated.
Output with_summed_labels(const Output& gradient, std::string_view from, std::string_view to,
                          const Output& shape, const std::string& summed) {
  std::vector<Input> sizes;
  for (const char label : summed) sizes.emplace_back(element(shape, axis_of(to, label)));
  const Output inner = shape_of(gradient);
  const Output dims = pack(sizes);
  const Output flat = reshape(gradient, concat({ones_like(dims), inner}));
  const Output broad = op("BroadcastTo", {flat, concat({dims, inner})});
  return op("Einsum", {broad},
            {{"equation", summed + std::string(from) + "->" + std::string(to)}, {"N", 1}});
}

std::string summed_labels(std::string_view term, std::string_view others) {
  std::string result;
  for (const char label : term) {
    if (label != '.' && !has(others, label) && !has(result, label)) result += label;
  }
  return result;
}

Output einsum_operand(const Output& dy, const Output& other, const Output& shape,
                      const std::string& term, const std::string& other_term,
                      const std::string& result) {
  const std::string summed = summed_labels(term, result + other_term);
  std::string left;
  for (const char label : term) {
    if (!has(summed, label)) left += label;
  }
  const Output gradient =
      op("Einsum", {dy, other}, {{"equation", result + "," + other_term + "->" + left}, {"N", 2}});
  return summed.empty() ? gradient : with_summed_labels(gradient, left, term, shape, summed);
}

// The part of the shape that the ellipsis stands for.
Output ellipsis_shape(const Output& shape, const std::string& term) {
  const std::size_t begin = term.find(kEllipsis);
  const int rest = static_cast<int>(term.size() - begin - kEllipsis.size());
  return slice(shape, static_cast<int>(begin), -rest);
}

Gradients einsum(GradientContext& c) {
  const std::string equation = c.attr<std::string>("equation");
  const std::size_t arrow = equation.find("->");
  const std::string inputs = equation.substr(0, arrow);
  const std::string result = equation.substr(arrow + 2);
  if (c.num_inputs() == 1) {
    const std::string summed = summed_labels(inputs, result);
    if (!summed.empty())
      return {with_summed_labels(c.dy(), result, inputs, shape_of(c.input(0)), summed)};
    return {op("Einsum", {c.dy()}, {{"equation", result + "->" + inputs}, {"N", 1}})};
  }
  std::string x_term = inputs.substr(0, inputs.find(','));
  std::string y_term = inputs.substr(inputs.find(',') + 1);
  const bool dots = result.find(kEllipsis) != std::string::npos;
  for (std::string* term : {&x_term, &y_term}) {
    if (dots && term->find(kEllipsis) == std::string::npos) *term += kEllipsis;
  }
  const Output x = conj(c.input(0));
  const Output y = conj(c.input(1));
  const Output sx = shape_of(x);
  const Output sy = shape_of(y);
  const Output dx = einsum_operand(c.dy(), y, sx, x_term, y_term, result);
  const Output dy = einsum_operand(c.dy(), x, sy, y_term, x_term, result);
  if (!dots) return {dx, dy};
  const Operation axes =
      c.many("BroadcastGradientArgs", {ellipsis_shape(sx, x_term), ellipsis_shape(sy, y_term)});
  const auto moved = [&](const Output& places, const std::string& term) {
    return op("AddV2", {places, static_cast<int>(term.find(kEllipsis))});
  };
  return {reshape(sum(dx, moved(axes.output(0), x_term)), sx),
          reshape(sum(dy, moved(axes.output(1), y_term)), sy)};
}

constexpr GradientRule kRules[] = {{"Einsum", einsum}};

}  // namespace

GradientRules einsum_gradients() { return kRules; }

}  // namespace hub
