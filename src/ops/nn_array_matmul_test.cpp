// Products of a TensorArray's elements and a state, as recurrent cells in loops have them.

#include <algorithm>
#include <random>

#include "support/fusion_test.h"

namespace hub::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// Small enough for a state to forget the rounding of those before.
Tensor noise(const Shape& shape) {
  Tensor result(kFloat, shape);
  std::mt19937 random(static_cast<unsigned>(shape.num_elements()));
  std::uniform_real_distribution<float> distribution(-0.1f, 0.1f);
  for (float& value : result.mutable_values<float>()) value = distribution(random);
  return result;
}

struct Cell {
  std::int64_t rows = 1;
  std::int64_t inputs = 70;
  std::int64_t cells = 96;
  bool bias = true;
  bool clears = true;
  std::vector<int> order = {0, 1, 2, 3, 4};
};

// state = sin([element, state] * w + b), one element after the other; fetches each state.
std::vector<OutputId> steps(TestGraph& g, const Cell& cell) {
  constexpr int kSize = 5;
  const OutputId array =
      g.add("TensorArrayV3", {g.constant(scalar(kSize))},
            {{"dtype", kFloat}, {"clear_after_read", cell.clears}, {"tensor_array_name", "x"}});
  const OutputId values = stored(g, noise({kSize, cell.rows, cell.inputs}));
  const OutputId flow = g.add(
      "TensorArrayScatterV3",
      {array, g.constant(ints({kSize}, {0, 1, 2, 3, 4})), values, TestGraph::output(array, 1)});
  const OutputId w = stored(g, noise({cell.inputs + cell.cells, cell.cells}));
  const OutputId b = stored(g, noise({cell.cells}));
  OutputId state = stored(g, noise({cell.rows, cell.cells}));
  std::vector<OutputId> states;
  for (const int t : cell.order) {
    // The control edge keeps the reads in order.
    const OutputId index = g.add("Identity", {g.constant(scalar(t))}, {}, {state});
    const OutputId x = g.add("TensorArrayReadV3", {array, index, flow}, {{"dtype", kFloat}});
    const OutputId joined = g.add("ConcatV2", {x, state, g.constant(scalar(1))});
    OutputId y = g.add("MatMul", {joined, w});
    if (cell.bias) y = g.add("BiasAdd", {y, b});
    state = g.add("Sin", {y});
    states.push_back(state);
  }
  return states;
}

TEST(ArrayMatMulTest, ElementsAreMultipliedAhead) {
  for (const bool bias : {true, false}) {
    for (const std::int64_t rows : {1, 3, 40}) {
      for (const std::int64_t cells : {4, 96}) {  // small matrices are not
        const auto build = [&](TestGraph& g) {
          return steps(g, {.rows = rows, .cells = cells, .bias = bias});
        };
        const auto ops = ops_that_ran(build);
        EXPECT_THAT(ops, Contains("_HubArrayMatMul"));
        EXPECT_THAT(ops, Not(Contains("TensorArrayReadV3")));
      }
    }
  }
}

TEST(ArrayMatMulTest, InAnyOrder) {
  for (const std::vector<int>& order : {std::vector{4, 3, 2, 1, 0}, std::vector{2, 0, 4, 1, 3}}) {
    for (const bool clears : {true, false})
      ops_that_ran([&](TestGraph& g) { return steps(g, {.clears = clears, .order = order}); });
  }
  ops_that_ran([&](TestGraph& g) { return steps(g, {.clears = false, .order = {1, 1, 0, 3, 1}}); });
}

TEST(ArrayMatMulTest, ErrorsAreThoseOfTheParts) {
  const auto error = [](const Cell& cell) {
    return error_of([&] {
      TestGraph g;
      g.run(steps(g, cell));
    });
  };
  EXPECT_THAT(error({.order = {0, 0}}), HasSubstr("can be read once"));
  EXPECT_THAT(error({.order = {5}}), HasSubstr("out of range"));
  TestGraph g;
  const OutputId array = g.add("TensorArrayV3", {g.constant(scalar(1))}, {{"dtype", kFloat}});
  const OutputId flow =
      g.add("TensorArrayWriteV3",
            {array, g.constant(scalar(0)), g.input(noise({2, 3})), TestGraph::output(array, 1)});
  const OutputId x =
      g.add("TensorArrayReadV3", {array, g.constant(scalar(0)), flow}, {{"dtype", kFloat}});
  const OutputId joined = g.add("ConcatV2", {x, g.input(noise({2, 5})), g.constant(scalar(1))});
  const OutputId y = g.add("MatMul", {joined, stored(g, noise({9, 4}))});
  EXPECT_THAT(error_of([&] { g.run(y); }), HasSubstr("inner dimensions"));
}

}  // namespace
}  // namespace hub::testing
