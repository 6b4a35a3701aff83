#include "ops/einsum.h"

#include <algorithm>

#include "base/errors.h"

namespace hub {

namespace {

constexpr std::string_view kArrow = "->";
constexpr std::string_view kEllipsis = "...";

EinsumSubscript parse_subscript(std::string_view text, std::string_view equation) {
  EinsumSubscript subscript;
  while (!text.empty()) {
    if (text.front() != '.') {
      subscript.labels.push_back(static_cast<unsigned char>(text.front()));
      text.remove_prefix(1);
      continue;
    }
    if (!text.starts_with(kEllipsis) || subscript.has_ellipsis()) {
      throw invalid_argument(
          "Einsum: dots stand for one ellipsis (...) in each subscript. Details: ", equation, ".");
    }
    subscript.ellipsis = static_cast<int>(subscript.labels.size());
    text.remove_prefix(kEllipsis.size());
  }
  return subscript;
}

}  // namespace

std::vector<EinsumLabel> EinsumSubscript::expanded(int ellipsis_rank) const {
  std::vector<EinsumLabel> all = labels;
  if (!has_ellipsis()) return all;
  std::vector<EinsumLabel> axes;
  for (int i = ellipsis_rank; i-- > 0;) axes.push_back(kFirstEllipsisLabel + i);
  all.insert(all.begin() + ellipsis, axes.begin(), axes.end());
  return all;
}

std::vector<EinsumLabel> EinsumSubscript::expanded_to(int rank) const {
  const int named = static_cast<int>(labels.size());
  if (rank < named || (rank > named && !has_ellipsis())) {
    throw invalid_argument(
        "Einsum: an input must have as many dimensions as its subscript. Details: ", rank, " for ",
        named, " labels", has_ellipsis() ? " and an ellipsis." : ".");
  }
  return expanded(rank - named);
}

EinsumEquation parse_einsum(std::string_view equation, int num_inputs) {
  const auto arrow = equation.find(kArrow);
  if (arrow == equation.npos || equation.find(kArrow, arrow + kArrow.size()) != equation.npos) {
    throw invalid_argument("Einsum: there must be exactly one '->'. Details: ", equation, ".");
  }
  EinsumEquation parsed;
  for (const std::string_view text : split(equation.substr(0, arrow), ',')) {
    parsed.inputs.push_back(parse_subscript(text, equation));
  }
  if (num_inputs > 2 || static_cast<int>(parsed.inputs.size()) != num_inputs) {
    throw invalid_argument(
        "Einsum: there must be one or two inputs, with a subscript each. Details: ", num_inputs,
        " inputs, ", equation, ".");
  }
  parsed.output = parse_subscript(equation.substr(arrow + kArrow.size()), equation);
  for (const EinsumLabel label : parsed.output.labels) {
    const bool found = std::ranges::any_of(parsed.inputs, [&](const EinsumSubscript& input) {
      return std::ranges::find(input.labels, label) != input.labels.end();
    });
    if (!found) {
      throw invalid_argument(
          "Einsum: each label of the output must be one of an input. Details: ", equation, ".");
    }
  }
  return parsed;
}

}  // namespace hub
