#include <random>

#include "support/fusion_test.h"

namespace hub::testing {
namespace {

using ::testing::Contains;
using ::testing::Not;

Tensor noise(const Shape& shape) {
  Tensor result(kFloat, shape);
  std::mt19937 random(static_cast<unsigned>(shape.num_elements()));
  std::uniform_real_distribution<float> distribution(-1, 1);
  for (float& value : result.mutable_values<float>()) value = distribution(random);
  return result;
}

OutputId convolution(TestGraph& g, OutputId x, const Shape& filter, const char* op = "Conv2D") {
  return g.add(op, {x, stored(g, noise(filter))},
               {{"strides", ints_attr({1, 1, 1, 1})}, {"padding", "SAME"}});
}

OutputId batch_norm(TestGraph& g, OutputId x, std::int64_t channels) {
  Tensor variance = noise({channels});
  for (float& value : variance.mutable_values<float>()) value = value * value + 0.5f;
  return g.add("FusedBatchNormV3",
               {x, stored(g, noise({channels})), stored(g, noise({channels})),
                stored(g, noise({channels})), stored(g, variance)},
               {{"is_training", false}, {"epsilon", 1e-3}});
}

TEST(ConvolutionFusionTest, TakesAResidual) {
  for (const char* activation : {"Relu", "Relu6", ""}) {
    for (const char* op : {"Add", "AddV2"}) {
      const auto build = [&](TestGraph& g) {
        const OutputId x = stored(g, noise({2, 9, 7, 8}));
        const OutputId y = batch_norm(g, convolution(g, x, {3, 3, 8, 16}), 16);
        const OutputId sum = g.add(op, {stored(g, noise({2, 9, 7, 16})), y});
        return std::vector{*activation == '\0' ? sum : g.add(activation, {sum})};
      };
      EXPECT_THAT(ops_that_ran(build), Not(Contains(op)));
    }
  }
}

TEST(ConvolutionFusionTest, AResidualMayBeWhatIsConvolved) {
  const auto build = [](TestGraph& g) {
    // A value of the plan, that may be written in place.
    const OutputId x = g.add("Exp", {stored(g, noise({1, 9, 7, 8}))});
    const OutputId y = g.add("BiasAdd", {convolution(g, x, {3, 3, 8, 8}), stored(g, noise({8}))});
    return std::vector{g.add("AddV2", {x, y})};
  };
  EXPECT_THAT(ops_that_ran(build), Not(Contains("AddV2")));
}

TEST(ConvolutionFusionTest, AResidualMayBeOverwrittenElsewhere) {
  const auto build = [](TestGraph& g) {
    const OutputId x = g.add("Exp", {stored(g, noise({3, 9, 7, 8}))});
    const OutputId inner = g.add(
        "Relu", {g.add("BiasAdd", {convolution(g, x, {1, 1, 8, 12}), stored(g, noise({12}))})});
    const OutputId y = batch_norm(g, convolution(g, inner, {1, 1, 12, 8}), 8);
    return std::vector{g.add("AddV2", {y, x})};
  };
  EXPECT_THAT(ops_that_ran(build), Not(Contains("AddV2")));
}

TEST(ConvolutionFusionTest, LeavesTheSumAfterADepthwiseConvolution) {
  const auto build = [](TestGraph& g) {
    const OutputId x = stored(g, noise({1, 9, 7, 8}));
    const OutputId y = batch_norm(g, convolution(g, x, {3, 3, 8, 1}, "DepthwiseConv2dNative"), 8);
    return std::vector{g.add("AddV2", {x, y})};
  };
  const auto ops = ops_that_ran(build);
  EXPECT_THAT(ops, Contains("AddV2"));
  EXPECT_THAT(ops, Contains("_HubConvolution"));
}

TEST(ConvolutionFusionTest, AResidualMayStillBeBroadcast) {
  const PartialShape any{-1, 5, 5, 4};
  const auto build = [&](TestGraph& g) {
    const OutputId x = g.add("Placeholder", {}, {{"dtype", kFloat}, {"shape", any}});
    const OutputId more = g.add("Placeholder", {}, {{"dtype", kFloat}, {"shape", any}});
    const OutputId y = g.add("BiasAdd", {convolution(g, x, {3, 3, 4, 4}), stored(g, noise({4}))});
    return std::vector{x, more, g.add("Relu", {g.add("AddV2", {y, more})})};
  };
  for (const std::int64_t batch : {1, 3}) {
    const std::int64_t others = 4 - batch;
    TestGraph fused, plain({.passes = false});
    const auto run = [&](TestGraph& g) {
      const std::vector<OutputId> nodes = build(g);
      const std::vector<EngineFeed> feeds{{nodes[0], noise({batch, 5, 5, 4})},
                                          {nodes[1], noise({others, 5, 5, 4})}};
      return g.engine().run(feeds, std::span(nodes).subspan(2))[0];
    };
    EXPECT_THAT(run(fused), is_near(run(plain), 1e-5));
  }
}

TEST(BatchNormFusionTest, TakesAnActivation) {
  for (const char* activation : {"Relu", "Relu6"}) {
    const auto build = [&](TestGraph& g) {
      const OutputId x = stored(g, noise({2, 5, 3, 37}));
      return std::vector{g.add(activation, {batch_norm(g, x, 37)})};
    };
    EXPECT_THAT(ops_that_ran(build), Contains("_HubBatchNorm"));
  }
  const auto fetched = [](TestGraph& g) {
    const OutputId y = batch_norm(g, stored(g, noise({2, 5, 3, 4})), 4);
    return std::vector{g.add("Relu", {y}), y};
  };
  EXPECT_THAT(ops_that_ran(fetched), Not(Contains("_HubBatchNorm")));
}

}  // namespace
}  // namespace hub::testing
