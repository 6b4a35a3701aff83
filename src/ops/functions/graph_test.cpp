// Names, scopes and edges of graphs that a program writes, as real TensorFlow (2.15.1) gives them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/strings.h"
#include "graph/graph_state.h"
#include "hub/error.h"
#include "hub/ops.h"
#include "ops/functions/graph_lines.h"

namespace hub {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(GraphNamesTest, AreThoseThatTensorFlowGives) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {-1, 3}, "x");
  x + 1.0;
  2 * x;
  x / 3;
  std::string scope;
  {
    const NameScope tower(graph, "tower");
    scope = tower.name();
    ops::maximum(x, 0);
    ops::reduce_sum(x);
    ops::reduce_mean(x, 1);
    ops::reduce_max(x, {0, 1}, KeepDims::kYes);
  }
  {
    const NameScope tower(graph, "Tower");
    ops::identity(x);
  }
  {
    const NameScope again(graph, scope);
    ops::identity(x);
    ops::identity(x);
  }
  {
    const NameScope tower(graph, "tower");
    -x;
    const NameScope top(graph, "");
    ops::identity(x);
  }
  ops::identity(x, "tower_1");
  ops::identity(x, "x");
  ops::identity(x, "X");
  EXPECT_THAT(
      lines(graph),
      ElementsAre(
          "x Placeholder", "add/y Const", "add AddV2 x add/y", "mul/x Const", "mul Mul mul/x x",
          "truediv/y Const", "truediv RealDiv x truediv/y", "tower/Maximum/y Const",
          "tower/Maximum Maximum x tower/Maximum/y", "tower/Const Const",
          "tower/Sum Sum x tower/Const", "tower/Mean/reduction_indices Const",
          "tower/Mean Mean x tower/Mean/reduction_indices", "tower/Max/reduction_indices Const",
          "tower/Max Max x tower/Max/reduction_indices", "Tower_1/Identity Identity x",
          "tower/Identity Identity x", "tower/Identity_1 Identity x", "tower_2/Neg Neg x",
          "Identity Identity x", "tower_1_1 Identity x", "x_1 Identity x", "X_2 Identity x"));
}

TEST(GraphNamesTest, OfFunctionsWithConstants) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {-1, 3}, "x");
  ops::concat({x, x}, 1);
  ops::concat({x, x}, 0);
  ops::reshape(x, PartialShape{-1});
  ops::transpose(x, {1, 0});
  ops::matmul(x, x, false, true);
  ops::zeros(graph, {2});
  ops::ones(graph, {2, 2}, kInt32);
  ops::zeros(graph, {2000});
  ops::split(x, 3, 1);
  ops::stack({x, x});
  ops::unstack(x, 3, 1);
  ops::one_hot(ops::constant(graph, make_vector<std::int32_t>({1, 2})), 3, 1.0, 0.0);
  ops::zeros_like(x);
  ops::pow(x, 2.0);
  ops::identity(x, "foo/bar");
  ops::identity(x, "foo");
  {
    const NameScope scope(graph, "foo");
    ops::identity(x, "bar");
  }
  ops::reduce_sum(ops::placeholder(graph, kFloat));
  EXPECT_THAT(
      lines(graph),
      ElementsAreArray({"x Placeholder",
                        "concat/axis Const",
                        "concat ConcatV2 x x concat/axis",
                        "concat_1/axis Const",
                        "concat_1 ConcatV2 x x concat_1/axis",
                        "Reshape/shape Const",
                        "Reshape Reshape x Reshape/shape",
                        "transpose/perm Const",
                        "transpose Transpose x transpose/perm",
                        "MatMul MatMul x x",
                        "zeros Const",
                        "ones Const",
                        "zeros_1/shape_as_tensor Const",
                        "zeros_1/Const Const",
                        "zeros_1 Fill zeros_1/shape_as_tensor zeros_1/Const",
                        "split/split_dim Const",
                        "split Split split/split_dim x",
                        "stack Pack x x",
                        "unstack Unpack x",
                        "Const Const",
                        "one_hot/on_value Const",
                        "one_hot/off_value Const",
                        "one_hot/depth Const",
                        "one_hot OneHot Const one_hot/depth one_hot/on_value one_hot/off_value",
                        "zeros_like ZerosLike x",
                        "Pow/y Const",
                        "Pow Pow x Pow/y",
                        "foo/bar Identity x",
                        "foo Identity x",
                        "foo_1/bar Identity x",
                        "Placeholder Placeholder",
                        "Rank Rank Placeholder",
                        "range/start Const",
                        "range/delta Const",
                        "range Range range/start Rank range/delta",
                        "Sum Sum Placeholder range"}));
}

TEST(GraphScopesTest, DevicesAndColocationAreMerged) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {3}, "x");
  Operation d1, d3;
  {
    const DeviceScope job(graph, "/job:a");
    {
      const DeviceScope cpu(graph, "/cpu:0");
      d1 = ops::identity(x, "d1").op();
    }
    const DeviceScope none(graph, std::nullopt);
    EXPECT_EQ(ops::identity(x, "d2").op().device(), "");
  }
  EXPECT_EQ(d1.device(), "/job:a/device:CPU:0");
  {
    const Colocation colocation(graph, d1);
    d3 = ops::identity(x, "d3").op();
  }
  EXPECT_EQ(d3.device(), "/job:a/device:CPU:0");
  {
    const Colocation colocation(graph, d3);
    const DeviceScope other(graph, "/cpu:1");
    const Operation d4 = ops::identity(x, "d4").op();
    EXPECT_EQ(d4.device(), "/job:a/device:CPU:0");
    EXPECT_THAT(std::get<std::vector<std::string>>(d4.attr("_class").value()),
                ElementsAre("loc:@d1"));
  }
  EXPECT_THAT(error_of([&] { DeviceScope(graph, "cpu"); }), HasSubstr("/job:NAME"));
}

TEST(GraphScopesTest, ControlEdgesAreOnlyThoseNeeded) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {3}, "x");
  const Output a = ops::identity(x, "a");
  const Output b = ops::identity(x, "b");
  const Output c = ops::identity(x, "c");
  const ControlDependencies after(graph, std::vector<Output>{a, b});
  const Output c1 = ops::identity(x, "c1");
  ops::identity(c1, "c2");
  ops::identity(a, "c3");
  {
    const ControlDependencies more(graph, std::vector<Output>{c, b});
    ops::identity(x, "c4");
  }
  {
    const ControlDependencies none(graph);
    ops::identity(x, "c5");
  }
  EXPECT_THAT(lines(graph),
              ElementsAre("x Placeholder", "a Identity x", "b Identity x", "c Identity x",
                          "c1 Identity x ^a ^b", "c2 Identity c1", "c3 Identity a ^b",
                          "c4 Identity x ^a ^b ^c", "c5 Identity x"));
}

TEST(GraphTest, ErrorsNameTheNodeInItsScope) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {2, 3}, "x");
  const NameScope scope(graph, "layer");
  EXPECT_THAT(error_of([&] { ops::matmul(x, x); }), HasSubstr("in node \"layer/MatMul\""));
  EXPECT_THAT(error_of([&] { graph.op("Nothing", {x}); }), HasSubstr("\"Nothing\""));
  EXPECT_THAT(error_of([&] { ops::identity(x, "a b"); }), HasSubstr("\"a b\" in scope \"layer\""));
  EXPECT_THAT(error_of([&] { graph.op("Relu", {}); }), HasSubstr("layer/Relu"));
  Graph other;
  EXPECT_THAT(error_of([&] { other.op("Relu", {x}); }), HasSubstr("must belong to the graph"));
  EXPECT_THAT(error_of([&] { graph.tensor("y:0"); }), HasSubstr("\"y:0\""));
}

TEST(GraphTest, NumbersTakeTheDtypeOfTheOtherInputs) {
  Graph graph;
  const Output x = ops::placeholder(graph, kInt64, {2});
  const Output y = ops::add(3, x);
  EXPECT_EQ(y.dtype(), kInt64);
  EXPECT_EQ(y.shape(), PartialShape({2}));
  EXPECT_THAT(error_of([&] { ops::add(x, 0.5); }), HasSubstr("does not fit the dtype"));
  EXPECT_EQ(ops::divide(x, x).dtype(), kDouble);
}

TEST(GraphTest, AttributesAreReadAndSet) {
  Graph graph;
  const Operation x = graph.op("Placeholder", {}, {{"dtype", kFloat}, {"shape", Shape{1, 2}}});
  EXPECT_EQ(std::get<DType>(x.attr("dtype").value()), kFloat);
  EXPECT_EQ(std::get<PartialShape>(x.attr("shape").value()), PartialShape({1, 2}));
  const Operation squeeze = graph.op("Squeeze", {x}, {{"squeeze_dims", {0}}});
  EXPECT_EQ(squeeze.output(0).shape(), PartialShape({2}));
  squeeze.set_attr("_note", "text");
  EXPECT_EQ(std::get<std::string>(squeeze.attr("_note").value()), "text");
}

TEST(GraphTest, SeedsFollowTensorFlowsRule) {
  Graph graph;
  EXPECT_EQ(graph.op_seeds(), std::pair(std::int64_t{0}, std::int64_t{0}));
  EXPECT_EQ(graph.op_seeds(5), std::pair(std::int64_t{87654321}, std::int64_t{5}));
  graph.set_seed(7, OpSeedRule::kCounter);
  EXPECT_EQ(graph.op_seeds(), std::pair(std::int64_t{7}, std::int64_t{0}));
  EXPECT_EQ(graph.op_seeds(), std::pair(std::int64_t{7}, std::int64_t{1}));
  graph.set_seed(0);
  ops::no_op(graph);
  EXPECT_EQ(graph.op_seeds(), std::pair(std::int64_t{0}, std::int64_t{1}));
  EXPECT_EQ(graph.op_seeds(0), std::pair(std::int64_t{0}, std::int64_t{2147483647}));
}

TEST(GraphTest, IsNotEditedWhileItRuns) {
  Graph graph;
  {
    const GraphUse running(graph.state());
    const GraphUse running_too(graph.state());
    EXPECT_THAT(error_of([&] { ops::no_op(graph); }), HasSubstr("while a session runs it"));
  }
  EXPECT_NO_THROW(ops::no_op(graph));
}

}  // namespace
}  // namespace hub
