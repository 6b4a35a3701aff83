#pragma once

// For tests that compare whole graphs.

#include <algorithm>
#include <string>
#include <vector>

#include "base/strings.h"
#include "hub/graph.h"

namespace hub {

// "name op input input ^control @place" for each node: control inputs sorted, as TensorFlow
// writes them; the place of _class without its "loc:@".
inline std::vector<std::string> lines(const Graph& graph) {
  std::vector<std::string> result;
  for (const Operation& op : graph.operations()) {
    std::string line = cat(op.name(), " ", op.type());
    for (int i = 0; i < op.num_inputs(); ++i) {
      const std::string input = op.input(i).name();
      line += cat(" ", input.ends_with(":0") ? input.substr(0, input.size() - 2) : input);
    }
    std::vector<std::string> controls;
    for (const Operation& control : op.control_inputs()) controls.push_back(control.name());
    std::ranges::sort(controls);
    for (const std::string& control : controls) line += cat(" ^", control);
    if (op.has_attr("_class")) {
      const auto places = std::get<std::vector<std::string>>(op.attr("_class").value());
      line += cat(" @", places.at(0).substr(5));
    }
    result.push_back(line);
  }
  return result;
}

}  // namespace hub
