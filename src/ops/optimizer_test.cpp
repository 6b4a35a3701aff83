#include "ops/optimizer.h"

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Attrs kFloatVariable = {{"dtype", kFloat}};

TEST(OptimizerTest, AValueThatWasReadDoesNotChange) {
  TestGraph graph;
  const OutputId variable = graph.variable(floats({2}, {1, 2}));
  const OutputId read = graph.add("ReadVariableOp", {variable}, kFloatVariable);
  const OutputId apply = graph.add(
      "ResourceApplyGradientDescent",
      {variable, graph.constant(scalar(0.5F)), graph.constant(floats({2}, {2, 2}))}, {}, {read});
  const OutputId later = graph.add("ReadVariableOp", {variable}, kFloatVariable, {apply});
  const auto results = graph.run({read, later});
  EXPECT_THAT(values<float>(results[0]), ElementsAre(1, 2));
  EXPECT_THAT(values<float>(results[1]), ElementsAre(0, 1));
}

TEST(OptimizerTest, OneVariableMayStandForItsSlot) {
  TestGraph graph;
  const OutputId variable = graph.variable(floats({1}, {4}));
  const OutputId apply = graph.add(
      "ResourceApplyAdagrad",
      {variable, variable, graph.constant(scalar(0.0F)), graph.constant(floats({1}, {3}))});
  graph.run({}, {apply});
  EXPECT_EQ(graph.run(graph.add("ReadVariableOp", {variable}, kFloatVariable)).dtype(), kFloat);
}

TEST(OptimizerTest, ShapesMustAgreeWhenTheGraphIsBuilt) {
  EXPECT_EQ(infer("ApplyMomentum", "[2,?];[?,3];[];[2,3];[]"), "[2,3]");
  EXPECT_EQ(infer("SparseApplyMomentum", "[4,?];[?,3];[];[2,3];[?];[]"), "[4,3]");
  EXPECT_EQ(error_code_of([] { infer("ApplyMomentum", "[2];[2];[1];[2];[]"); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([] { infer("SparseApplyMomentum", "[4,3];[4,3];[];[2,3];[3];[]"); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([] { infer("ApplyAdagrad", "[2];[3];[];[2]"); }),
            ErrorCode::kInvalidArgument);
}

TEST(OptimizerTest, WhatRowsMustBe) {
  const auto apply = [](const Tensor& gradient, const Tensor& indices) {
    run("SparseApplyAdagrad",
        {floats({3, 2}, {0, 0, 0, 0, 0, 0}), floats({3, 2}, {1, 1, 1, 1, 1, 1}), scalar(0.1F),
         gradient, indices});
  };
  EXPECT_THAT(error_of([&] {
                apply(floats({1, 2}, {1, 1}), ints({1}, {3}));
              }),
              HasSubstr("indices[0] = 3"));
  EXPECT_THAT(error_of([&] {
                apply(floats({1, 2}, {1, 1}), ints({1}, {-1}));
              }),
              HasSubstr("not in [0, 3)"));
  EXPECT_EQ(error_code_of([] {
              run("SparseApplyAdagrad", {floats({2, 0}, {}), floats({2, 0}, {}), scalar(0.1F),
                                         floats({1, 0}, {}), ints({1}, {0})});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(OptimizerTest, WhatTheScalarsMustBe) {
  const auto shrink = [](float lr) {
    run("ApplyProximalAdagrad", {floats({1}, {1}), floats({1}, {1}), scalar(lr), scalar(0.0F),
                                 scalar(0.0F), floats({1}, {1})});
  };
  EXPECT_NO_THROW(shrink(0.1F));
  EXPECT_THAT(error_of([&] { shrink(0); }), HasSubstr("lr must be positive"));
}

}  // namespace
}  // namespace hub::testing
