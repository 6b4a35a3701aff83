#include <gmock/gmock.h>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

// relu(x * w) twice, and the sum over the columns.
struct Layers {
  explicit Layers(EngineOptions options) : g(std::move(options)) {
    x = g.add("Placeholder", {}, {{"dtype", kFloat}, {"shape", PartialShape{-1, 1000}}});
    OutputId y = x;
    for (int i = 0; i < 2; ++i) {
      Tensor weights(kFloat, Shape{1000, 1000});
      for (float& value : weights.mutable_values<float>()) value = 0.01f;
      y = g.add("MatMul", {y, g.add("ReadVariableOp", {g.variable(weights)}, {{"dtype", kFloat}})});
      y = g.add("Relu", {y});
    }
    sum = g.add("Sum", {y, g.constant(ints({1}, {1}))});
  }
  std::vector<Tensor> run(std::int64_t rows) {
    Tensor value(kFloat, Shape{rows, 1000});
    for (float& number : value.mutable_values<float>()) number = 1;
    const std::vector<EngineFeed> feeds{{x, std::move(value)}};
    return g.engine().run(feeds, std::vector{sum});
  }
  MemoryEstimate estimate(std::int64_t rows) {
    const std::vector<Shape> shapes{Shape{rows, 1000}};
    return g.engine().prepare(std::vector{x}, std::vector{sum}).estimate_memory(shapes);
  }

  TestGraph g;
  OutputId x, sum;
};

TEST(MemoryEstimateTest, IsTheRealPeak) {
  for (const bool passes : {true, false}) {
    Layers layers({.threads = 1, .passes = passes});
    const MemoryEstimate estimate = layers.estimate(512);
    EXPECT_EQ(estimate.unknown_values, 0);
    layers.run(512);
    const auto real = static_cast<double>(layers.g.engine().peak_bytes());
    EXPECT_GE(static_cast<double>(estimate.peak_bytes), real * 0.9);
    EXPECT_LE(static_cast<double>(estimate.peak_bytes), real * 1.6);
  }
}

TEST(MemoryEstimateTest, ALimitRefusesARunBeforeItStarts) {
  Layers layers({.threads = 1, .memory_limit = 6 << 20});
  EXPECT_EQ(layers.run(100).size(), 1u);
  EXPECT_EQ(error_code_of([&] { layers.run(4000); }), ErrorCode::kResourceExhausted);
  EXPECT_THAT(error_of([&] { layers.run(4000); }), HasSubstr("the limit is 6291456"));
  EXPECT_LT(layers.g.engine().peak_bytes(), std::size_t{6} << 20);
  EXPECT_EQ(layers.run(100).size(), 1u);
}

TEST(MemoryEstimateTest, CountsWhatItDoesNotKnow) {
  TestGraph g;
  const OutputId x = g.add("Placeholder", {}, {{"dtype", kFloat}});
  const OutputId places = g.add("Where", {x}, {{"T", kFloat}});
  const std::vector<Shape> shapes{Shape{10}};
  const auto prepared = g.engine().prepare(std::vector{x}, std::vector{places});
  EXPECT_EQ(prepared.estimate_memory(shapes).unknown_values, 1);
}

}  // namespace
}  // namespace hub::testing
