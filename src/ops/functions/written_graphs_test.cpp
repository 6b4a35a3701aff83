// Whole graphs against those that TensorFlow writes for the same calls
// (tests/data/written_graphs.txt).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/strings.h"
#include "hub/control_flow.h"
#include "hub/ops.h"
#include "hub/variables.h"
#include "ops/functions/graph_lines.h"

namespace hub {
namespace {

using ::testing::ElementsAreArray;

using Outputs = std::vector<Output>;

// The lines of the file after "== title".
std::vector<std::string> recorded(const std::string& title) {
  std::ifstream file(cat(TF1HUB_TEST_DATA_DIR, "/written_graphs.txt"));
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

TEST(WrittenGraphsTest, AMapOverAKnownNumberOfRows) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {3, 2}, "x");
  map_fn([](const Output& row) { return row * 2.0; }, x);
  EXPECT_THAT(lines(graph), ElementsAreArray(recorded("static map")));
}

TEST(WrittenGraphsTest, ConditionalsReadAndWriteVariables) {
  Graph graph;
  const Output p = ops::placeholder(graph, kBool, Shape{}, "p");
  const Variable v = get_variable(graph, "v", {2}, {.initializer = init::zeros()});
  const Variable r =
      get_variable(graph, "r", {2}, {.initializer = init::zeros(), .use_resource = true});
  cond(
      p,
      [&] {
        return Output(v.assign_add(make_vector<float>({1, 1})));
      },
      [&] { return v + 1.0; });
  cond(
      p, [&] { return r * 2.0; }, [&] { return r + 1.0; });
  v.initialized_value();
  EXPECT_THAT(lines(graph), ElementsAreArray(recorded("variables in cond")));
}

TEST(WrittenGraphsTest, LoopsReadVariablesAndWaitForOuterNodes) {
  Graph graph;
  const Variable r =
      get_variable(graph, "r", Shape{}, {.initializer = init::zeros(), .use_resource = true});
  const Variable v = get_variable(graph, "v", Shape{}, {.initializer = init::zeros()});
  const Output x = ops::placeholder(graph, kFloat, Shape{}, "x");
  const Output outer = ops::identity(x, "i1");
  const LoopBody body = [&](const Outputs& i) {
    Output a, b, c;
    {
      const ControlDependencies after(graph, Outputs{outer});
      a = ops::constant(graph, 1.0, kFloat, "a");
      b = ops::identity(i[0], "b");
      c = ops::add(x, x, "c");
    }
    return Outputs{b * r + v + a + c};
  };
  while_loop(graph, [](const Outputs& i) { return ops::less(i[0], 10.0); }, body, {x});
  EXPECT_THAT(lines(graph), ElementsAreArray(recorded("loop with variables")));
}

TEST(WrittenGraphsTest, LoopsAndConditionalsInABranch) {
  Graph graph;
  const Output p = ops::placeholder(graph, kBool, Shape{}, "p");
  const Output x = ops::placeholder(graph, kFloat, Shape{}, "x");
  const auto loop = [&] {
    return while_loop(
        graph, [](const Outputs& i) { return ops::less(i[0], 10.0); },
        [&](const Outputs& i) { return Outputs{i[0] * x}; }, {x});
  };
  const auto inner = [&] {
    return Outputs{cond(
        p, [&] { return x; }, [&] { return ops::constant(graph, 1.0); })};
  };
  cond(p, loop, inner);
  EXPECT_THAT(lines(graph), ElementsAreArray(recorded("loop in cond")));
}

}  // namespace
}  // namespace hub
