#include <cmath>
#include <limits>

#include "ops/philox.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RandomTest, PhiloxGivesItsKnownAnswers) {
  // The test vectors of the authors' library.
  EXPECT_THAT(Philox(0, 0, 0).block(), ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(Philox(UINT64_MAX, UINT64_MAX, UINT64_MAX).block(),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
}

TEST(RandomTest, SkippingCarriesIntoTheUpperHalf) {
  Philox generator(1, UINT64_MAX - 1, 5);
  generator.skip(3);
  EXPECT_EQ(generator.counter_low(), 1U);
  EXPECT_EQ(generator.counter_high(), 6U);
  PhiloxSamples left_out(generator, 6);
  const Philox::Block second = generator.skipped(1).block();
  EXPECT_EQ(left_out.next(), second[2]);
  EXPECT_EQ(left_out.next(), second[3]);
}

TEST(RandomTest, AStreamGoesOnInEveryPlan) {
  const Attrs seeded = {{"dtype", kFloat}, {"seed", 1}, {"seed2", 2}};
  TestGraph graph;
  const OutputId draw = graph.add("RandomUniform", {graph.constant(ints({1}, {3}))}, seeded);
  const OutputId same = graph.add("Identity", {draw});
  const auto first = values<float>(graph.run(draw));
  const auto second = values<float>(graph.run(same));  // another plan
  EXPECT_NE(first, second);
  TestGraph fresh;
  const OutputId again = fresh.add("RandomUniform", {fresh.constant(ints({1}, {3}))}, seeded);
  EXPECT_EQ(values<float>(fresh.run(again)), first);
  EXPECT_EQ(values<float>(fresh.run(again)), second);
}

TEST(RandomTest, NodesWithoutSeedsDiffer) {
  TestGraph graph;
  const auto draw = [&] {
    return graph.add("RandomUniform", {graph.constant(ints({1}, {4}))}, {{"dtype", kFloat}});
  };
  const auto results = graph.run({draw(), draw()});
  EXPECT_NE(values<float>(results[0]), values<float>(results[1]));
}

TEST(RandomTest, WhatCannotBeDrawnIsAnError) {
  const Tensor one = ints({1}, {1});
  const Tensor seed = ints({2}, {1, 2});
  const auto poisson = [&](float rate) {
    run("StatelessRandomPoisson", {one, seed, scalar(rate)},
        {{"Rtype", kFloat}, {"dtype", kInt32}, {"T", kInt32}, {"Tseed", kInt32}});
  };
  EXPECT_EQ(error_code_of([&] { poisson(1e30f); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] { poisson(std::nanf("")); }), ErrorCode::kInvalidArgument);
  EXPECT_THAT(
      error_of([&] {
        run("StatelessRandomUniform", {scalar(3), seed}, {{"T", kInt32}, {"Tseed", kInt32}});
      }),
      HasSubstr("vector"));
}

TEST(RandomTest, ShapesFollowTheShapeInput) {
  const std::map<int, Tensor> shape = {{0, ints({2}, {3, 4})}};
  EXPECT_EQ(infer("RandomUniform", "[2]", {{"dtype", kFloat}}, shape), "[3,4]");
  EXPECT_EQ(infer("RandomUniform", "[2]", {{"dtype", kFloat}}), "[?,?]");
  EXPECT_EQ(infer("RandomGamma", "[2];[5]", {}, shape), "[3,4,5]");
  EXPECT_EQ(infer("Multinomial", "[7,?];[]", {}, {{1, scalar(9)}}), "[7,9]");
  EXPECT_EQ(infer("StatelessRandomGetKeyCounter", "[2]"), "[1];[2]");
}

TEST(RandomTest, TheOldStateBeginsWithItsAlgorithm) {
  const auto draw = [](const Tensor& state, int outputs) {
    TestGraph graph;
    const OutputId variable = graph.variable(state);
    const OutputId numbers =
        graph.add("StatefulStandardNormal", {variable, graph.constant(int64s({1}, {outputs}))},
                  {{"dtype", kFloat}, {"shape_dtype", kInt64}});
    return graph.run(numbers);
  };
  EXPECT_EQ(draw(int64s({4}, {1, 0, 0, 7}), 3).shape(), (Shape{3}));
  EXPECT_EQ(error_code_of([&] { draw(int64s({4}, {2, 0, 0, 7}), 3); }), ErrorCode::kUnimplemented);
  EXPECT_EQ(error_code_of([&] {
              draw(int64s({4}, {9, 0, 0, 7}), 3);
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] { draw(int64s({3}, {1, 0, 7}), 3); }), ErrorCode::kInvalidArgument);
}

TEST(RandomTest, BinomialNumbersAdvanceTheState) {
  TestGraph graph;
  const OutputId variable = graph.variable(int64s({3}, {0, 0, 12345}));
  const OutputId numbers = graph.add(
      "StatefulRandomBinomial",
      {variable, graph.constant(scalar(std::int64_t{1})), graph.constant(int64s({1}, {2})),
       graph.constant(doubles({2}, {5, 20})), graph.constant(doubles({2}, {0.3, 0.8}))},
      {{"S", kInt64}, {"T", kDouble}, {"dtype", kInt64}});
  EXPECT_THAT(values<std::int64_t>(graph.run(numbers)), ::testing::ElementsAre(2, 16));
}

}  // namespace
}  // namespace hub::testing
