#pragma once

// For tests that compare a graph with the one that real TensorFlow (2.15.1) writes for the same
// calls (tests/data/training_graphs.txt): nodes, places, collections and static shapes of the
// results.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/strings.h"
#include "hub/hub.h"
#include "ops/functions/graph_lines.h"

namespace hub {

using Results = std::vector<Output>;

inline std::vector<std::string> recorded(const std::string& title) {
  std::ifstream file(cat(TF1HUB_TEST_DATA_DIR, "/training_graphs.txt"));
  std::vector<std::string> result;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("== ")) {
      inside = line.substr(3) == title;
    } else if (inside) {
      result.push_back(line);
    }
  }
  return result;
}

inline std::string shape_text(const Output& output) {
  if (!output.shape().has_rank()) return "?";
  std::vector<std::string> dims;
  for (int i = 0; i < output.shape().rank(); ++i) {
    const std::int64_t dim = output.shape().dim(i);
    dims.push_back(dim < 0 ? "?" : std::to_string(dim));
  }
  return cat("[", join(dims, ","), "]");
}

// The graph's lines, its collections and the results, as the file has them.
inline std::vector<std::string> described(const Graph& graph, const Results& results) {
  std::vector<std::string> result = lines(graph);
  std::vector<std::string> keys = graph.collection_keys();
  std::ranges::sort(keys);
  for (const std::string& key : keys) {
    if (key == Collections::kCondContext || key == Collections::kWhileContext) continue;
    std::string line = cat("# ", key, ":");
    for (const Variable& variable : collection_variables(graph, key))
      line += cat(" ", variable.name(), ":0");
    for (const Output& output : graph.collection(key)) line += cat(" ", output.name());
    for (const Operation& op : graph.collection_operations(key)) line += cat(" ", op.name());
    result.push_back(line);
  }
  std::string line = "# results:";
  for (const Output& output : results) line += cat(" ", output.name(), shape_text(output));
  result.push_back(line);
  return result;
}

struct Case {
  std::string title;
  std::function<Results(const Graph&)> build;
  bool resource = false;
};

inline Output x_of(const Graph& graph, const PartialShape& shape) {
  return ops::placeholder(graph, kFloat, shape, "x");
}
inline Output input(const Graph& graph, std::string_view name, const PartialShape& shape,
                    DType dtype = kFloat) {
  return ops::placeholder(graph, dtype, shape, name);
}
inline Output step_of(const Graph& graph, DType dtype = kInt64) {
  return ops::placeholder(graph, dtype, Shape{}, "step");
}

inline void expect_tensorflows_graph(const Case& test) {
  const std::vector<std::string> wanted = recorded(test.title);
  ASSERT_FALSE(wanted.empty()) << test.title;
  Graph graph;
  VariableScopeOptions options;
  options.use_resource = test.resource;
  const VariableScope scope(graph, "", options);
  const Results results = test.build(graph);
  EXPECT_EQ(join(described(graph, results), "\n"), join(wanted, "\n"));
}

inline std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.title;
  std::ranges::replace(name, ' ', '_');
  return name;
}

}  // namespace hub
