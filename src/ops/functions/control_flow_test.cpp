// cond, while_loop, map_fn and functions: the nodes that TensorFlow writes, and their values in
// both executors.

#include "hub/control_flow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/strings.h"
#include "graph/flow_context.h"
#include "graph/graph_state.h"
#include "hub/error.h"
#include "hub/ops.h"
#include "hub/session.h"
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

std::vector<float> floats(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}

// In both executors, with passes and without.
void expect_everywhere(const Graph& graph, const Output& fetch, const Feeds& feeds,
                       const std::vector<float>& expected) {
  for (const bool frames : {false, true}) {
    for (const bool passes : {false, true}) {
      Session session(graph, {.passes = passes, .frames_executor = frames});
      EXPECT_THAT(floats(session.run(fetch, feeds)), ElementsAreArray(expected))
          << "frames " << frames << ", passes " << passes;
    }
  }
}

std::map<std::string, std::string> externals(const ContextValues& values) {
  return values.external_values;
}

TEST(CondTest, IsWrittenAsByTensorFlow) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, Shape{}, "x");
  const Output p = ops::placeholder(graph, kBool, Shape{}, "p");
  const Output y = cond(
      p, [&] { return x * 2.0; }, [&] { return x; });
  EXPECT_THAT(
      lines(graph),
      ElementsAre(
          "x Placeholder", "p Placeholder", "cond/Switch Switch p p",
          "cond/switch_t Identity cond/Switch:1", "cond/switch_f Identity cond/Switch",
          "cond/pred_id Identity p", "cond/mul/y Const ^cond/switch_t",
          "cond/mul Mul cond/mul/Switch:1 cond/mul/y", "cond/mul/Switch Switch x cond/pred_id @x",
          "cond/Switch_1 Switch x cond/pred_id @x", "cond/Merge Merge cond/Switch_1 cond/mul"));
  const auto& contexts = graph.state().collections.at("cond_context");
  ASSERT_EQ(contexts.size(), 2u);
  const auto def = [&](std::size_t i) {
    const auto& context = std::get<std::shared_ptr<FlowContext>>(contexts[i].value);
    return std::get<CondContext>(context->to_def().context);
  };
  EXPECT_EQ(def(0).context_name, "cond/cond_text");
  EXPECT_EQ(def(0).pred_name, "cond/pred_id:0");
  EXPECT_EQ(def(0).pivot_name, "cond/switch_t:0");
  EXPECT_EQ(def(0).branch, 1);
  EXPECT_THAT(def(0).values.values, ElementsAre("cond/mul/Switch:1", "cond/mul/y:0", "cond/mul:0",
                                                "cond/pred_id:0", "cond/switch_t:0", "x:0"));
  EXPECT_THAT(externals(def(0).values), ElementsAre(std::pair("cond/pred_id:0", "cond/pred_id:0"),
                                                    std::pair("x:0", "cond/mul/Switch:1")));
  EXPECT_EQ(def(1).context_name, "cond/cond_text_1");
  EXPECT_THAT(def(1).values.values, ElementsAre("cond/Switch_1:0", "cond/Switch_1:1",
                                                "cond/pred_id:0", "cond/switch_f:0", "x:0"));
  expect_everywhere(graph, y, {{x, make_scalar(3.0f)}, {p, make_scalar(true)}}, {6});
  expect_everywhere(graph, y, {{x, make_scalar(3.0f)}, {p, make_scalar(false)}}, {3});
}

TEST(CondTest, BranchesMustAgree) {
  Graph graph;
  const Output p = ops::placeholder(graph, kBool, Shape{});
  const Output x = ops::constant(graph, 1.0);
  EXPECT_THAT(error_of([&] {
                cond(
                    p, [&] { return x + 1; }, [&] { return ops::constant(graph, 1); });
              }),
              HasSubstr("same type"));
  EXPECT_THAT(error_of([&] {
                cond(
                    p, [&] { return std::vector<Output>{x}; },
                    [&] {
                      return std::vector<Output>{x, x};
                    });
              }),
              HasSubstr("same number"));
  EXPECT_EQ(graph.state().flow_context, nullptr);
}

TEST(WhileTest, IsWrittenAsByTensorFlow) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, Shape{}, "x");
  const auto result = while_loop(
      graph, [&](const std::vector<Output>& v) { return ops::less(v[0], 3); },
      [&](const std::vector<Output>& v) {
        const Output next = v[0] + 1;
        return std::vector<Output>{next, v[1] * x + 1.0};
      },
      {ops::constant(graph, 0), x});
  EXPECT_THAT(lines(graph),
              ElementsAreArray({"x Placeholder",
                                "Const Const",
                                "while/Enter Enter Const",
                                "while/Enter_1 Enter x",
                                "while/Merge Merge while/Enter while/NextIteration",
                                "while/Merge_1 Merge while/Enter_1 while/NextIteration_1",
                                "while/Less/y Const ^while/Merge",
                                "while/Less Less while/Merge while/Less/y",
                                "while/LoopCond LoopCond while/Less",
                                "while/Switch Switch while/Merge while/LoopCond @while/Merge",
                                "while/Switch_1 Switch while/Merge_1 while/LoopCond @while/Merge_1",
                                "while/Identity Identity while/Switch:1",
                                "while/Identity_1 Identity while/Switch_1:1",
                                "while/add/y Const ^while/Identity",
                                "while/add AddV2 while/Identity while/add/y",
                                "while/mul Mul while/Identity_1 while/mul/Enter",
                                "while/mul/Enter Enter x",
                                "while/add_1/y Const ^while/Identity",
                                "while/add_1 AddV2 while/mul while/add_1/y",
                                "while/NextIteration NextIteration while/add",
                                "while/NextIteration_1 NextIteration while/add_1",
                                "while/Exit Exit while/Switch",
                                "while/Exit_1 Exit while/Switch_1"}));
  expect_everywhere(graph, result[1], {{x, make_scalar(2.0f)}}, {23});
}

struct Nested {
  Graph graph;
  Output x, p, result;
};

Nested nested_loops() {
  Nested n;
  const Graph& graph = n.graph;
  n.x = ops::placeholder(graph, kFloat, Shape{}, "x");
  n.p = ops::placeholder(graph, kBool, Shape{}, "p");
  const ControlDependencies before(graph, std::vector<Operation>{ops::no_op(graph, "before")});
  const LoopBody body = [&](const std::vector<Output>& v) {
    const Output b = cond(
        n.p, [&] { return v[1] * n.x; }, [&] { return v[1] - 1.0; });
    const auto inner = while_loop(
        graph, [&](const std::vector<Output>& w) { return ops::less(w[0], 2); },
        [&](const std::vector<Output>& w) {
          const Output next = w[0] + 1;
          return std::vector<Output>{next, w[1] + n.x};
        },
        {0, b});
    return std::vector<Output>{v[0] + 1, inner[1]};
  };
  WhileOptions options;
  options.maximum_iterations = 5;
  options.name = "outer";
  n.result = while_loop(
      graph, [&](const std::vector<Output>& v) { return ops::less(v[1], 10.0); }, body, {0, n.x},
      options)[1];
  return n;
}

TEST(WhileTest, NestedOnesAreWrittenAsByTensorFlow) {
  Nested n = nested_loops();
  EXPECT_THAT(
      lines(n.graph),
      ElementsAreArray({
          "x Placeholder",
          "p Placeholder",
          "before NoOp",
          "outer/maximum_iterations Const ^before",
          "outer/iteration_counter Const ^before",
          "outer/Const Const ^before",
          "outer/Enter Enter outer/iteration_counter",
          "outer/Enter_1 Enter outer/Const",
          "outer/Enter_2 Enter x ^before",
          "outer/Merge Merge outer/Enter outer/NextIteration",
          "outer/Merge_1 Merge outer/Enter_1 outer/NextIteration_1",
          "outer/Merge_2 Merge outer/Enter_2 outer/NextIteration_2",
          "outer/Less Less outer/Merge outer/Less/Enter",
          "outer/Less/Enter Enter outer/maximum_iterations",
          "outer/Less_1/y Const ^outer/Merge",
          "outer/Less_1 Less outer/Merge_2 outer/Less_1/y",
          "outer/LogicalAnd LogicalAnd outer/Less outer/Less_1",
          "outer/LoopCond LoopCond outer/LogicalAnd",
          "outer/Switch Switch outer/Merge outer/LoopCond @outer/Merge",
          "outer/Switch_1 Switch outer/Merge_1 outer/LoopCond @outer/Merge_1",
          "outer/Switch_2 Switch outer/Merge_2 outer/LoopCond @outer/Merge_2",
          "outer/Identity Identity outer/Switch:1",
          "outer/Identity_1 Identity outer/Switch_1:1",
          "outer/Identity_2 Identity outer/Switch_2:1",
          "outer/add/y Const ^outer/Identity",
          "outer/add AddV2 outer/Identity outer/add/y",
          "outer/cond/Switch Switch outer/cond/Switch/Enter outer/cond/Switch/Enter "
          "^outer/Identity",
          "outer/cond/Switch/Enter Enter p ^before",
          "outer/cond/switch_t Identity outer/cond/Switch:1",
          "outer/cond/switch_f Identity outer/cond/Switch",
          "outer/cond/pred_id Identity outer/cond/Switch/Enter ^outer/Identity",
          "outer/cond/mul Mul outer/cond/mul/Switch:1 outer/cond/mul/Switch_1:1",
          "outer/cond/mul/Switch Switch outer/Identity_2 outer/cond/pred_id @outer/Identity_2",
          "outer/cond/mul/Enter Enter x ^before",
          "outer/cond/mul/Switch_1 Switch outer/cond/mul/Enter outer/cond/pred_id "
          "@outer/cond/mul/Enter",
          "outer/cond/sub/y Const ^outer/cond/switch_f",
          "outer/cond/sub Sub outer/cond/sub/Switch outer/cond/sub/y",
          "outer/cond/sub/Switch Switch outer/Identity_2 outer/cond/pred_id @outer/Identity_2",
          "outer/cond/Merge Merge outer/cond/sub outer/cond/mul",
          "outer/while/Const Const ^outer/Identity",
          "outer/while/Enter Enter outer/while/Const",
          "outer/while/Enter_1 Enter outer/cond/Merge",
          "outer/while/Merge Merge outer/while/Enter outer/while/NextIteration",
          "outer/while/Merge_1 Merge outer/while/Enter_1 outer/while/NextIteration_1",
          "outer/while/Less/y Const ^outer/while/Merge",
          "outer/while/Less Less outer/while/Merge outer/while/Less/y",
          "outer/while/LoopCond LoopCond outer/while/Less",
          "outer/while/Switch Switch outer/while/Merge outer/while/LoopCond @outer/while/Merge",
          "outer/while/Switch_1 Switch outer/while/Merge_1 outer/while/LoopCond "
          "@outer/while/Merge_1",
          "outer/while/Identity Identity outer/while/Switch:1",
          "outer/while/Identity_1 Identity outer/while/Switch_1:1",
          "outer/while/add/y Const ^outer/while/Identity",
          "outer/while/add AddV2 outer/while/Identity outer/while/add/y",
          "outer/while/add_1 AddV2 outer/while/Identity_1 outer/while/add_1/Enter",
          "outer/while/add_1/Enter Enter outer/cond/mul/Enter",
          "outer/while/NextIteration NextIteration outer/while/add",
          "outer/while/NextIteration_1 NextIteration outer/while/add_1",
          "outer/while/Exit Exit outer/while/Switch",
          "outer/while/Exit_1 Exit outer/while/Switch_1",
          "outer/add_1/y Const ^outer/Identity",
          "outer/add_1 AddV2 outer/Identity_1 outer/add_1/y",
          "outer/NextIteration NextIteration outer/add",
          "outer/NextIteration_1 NextIteration outer/add_1",
          "outer/NextIteration_2 NextIteration outer/while/Exit_1",
          "outer/Exit Exit outer/Switch",
          "outer/Exit_1 Exit outer/Switch_1",
          "outer/Exit_2 Exit outer/Switch_2",
      }));
}

TEST(WhileTest, NestedOnesSayWhatBelongsTogether) {
  const Nested n = nested_loops();
  const auto& contexts = n.graph.state().collections.at("while_context");
  ASSERT_EQ(contexts.size(), 1u);
  EXPECT_FALSE(n.graph.state().collections.contains("cond_context"));
  const auto def = std::get<WhileContext>(
      std::get<std::shared_ptr<FlowContext>>(contexts[0].value)->to_def().context);
  EXPECT_EQ(def.context_name, "outer/while_context");
  EXPECT_EQ(def.pivot_name, "outer/LoopCond:0");
  EXPECT_EQ(def.pivot_for_pred_name, "outer/Merge:0");
  EXPECT_EQ(def.pivot_for_body_name, "outer/Identity:0");
  EXPECT_EQ(def.maximum_iterations_name, "outer/maximum_iterations:0");
  EXPECT_THAT(def.loop_exit_names, ElementsAre("outer/Exit:0", "outer/Exit_1:0", "outer/Exit_2:0"));
  EXPECT_EQ(def.values.values.size(), 55u);
  EXPECT_THAT(externals(def.values),
              ElementsAre(std::pair("outer/maximum_iterations:0", "outer/Less/Enter:0"),
                          std::pair("p:0", "outer/cond/Switch/Enter:0"),
                          std::pair("x:0", "outer/cond/mul/Enter:0")));
  ASSERT_EQ(def.nested.size(), 3u);
  const auto& branch = std::get<CondContext>(def.nested[0].context);
  EXPECT_THAT(externals(branch.values),
              ElementsAre(std::pair("outer/Identity_2:0", "outer/cond/mul/Switch:1"),
                          std::pair("outer/cond/mul/Enter:0", "outer/cond/mul/Enter:0"),
                          std::pair("outer/cond/pred_id:0", "outer/cond/pred_id:0"),
                          std::pair("x:0", "outer/cond/mul/Switch_1:1")));
  const auto& inner = std::get<WhileContext>(def.nested[2].context);
  EXPECT_THAT(externals(inner.values), ElementsAre(std::pair("x:0", "outer/while/add_1/Enter:0")));
  EXPECT_EQ(inner.values.values.size(), 24u);
}

TEST(WhileTest, NestedOnesRun) {
  const Nested n = nested_loops();
  const auto expected = [](float x, bool p) {
    float a = x;
    for (int i = 0; i < 5 && a < 10; ++i) a = (p ? a * x : a - 1) + 2 * x;
    return a;
  };
  for (const float x : {1.5f, 2.0f, -1.0f, 12.0f}) {
    for (const bool p : {false, true}) {
      expect_everywhere(n.graph, n.result, {{n.x, make_scalar(x)}, {n.p, make_scalar(p)}},
                        {expected(x, p)});
    }
  }
}

TEST(WhileTest, ShapesVaryOnlyWhereTheyMay) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {1});
  const auto condition = [&](const std::vector<Output>& v) { return ops::less(v[0], 3); };
  const auto body = [&](const std::vector<Output>& v) {
    return std::vector<Output>{v[0] + 1, ops::concat({v[1], x}, 0)};
  };
  EXPECT_THAT(error_of([&] {
                while_loop(graph, condition, body, {0, x});
              }),
              HasSubstr("after one iteration"));
  WhileOptions options;
  options.shape_invariants = {PartialShape::scalar(), PartialShape{-1}};
  const auto result = while_loop(graph, condition, body, {0, x}, options);
  EXPECT_EQ(result[1].shape(), PartialShape({-1}));
  expect_everywhere(graph, result[1], {{x, make_vector<float>({2})}}, {2, 2, 2, 2});
  options.shape_invariants[1] = PartialShape{2};
  EXPECT_THAT(error_of([&] {
                while_loop(graph, condition, body, {0, x}, options);
              }),
              HasSubstr("invariant"));
  EXPECT_THAT(error_of([&] {
                while_loop(graph, condition,
                           [&](const std::vector<Output>& v) { return std::vector<Output>{v[0]}; },
                           {0, x});
              }),
              HasSubstr("as many tensors"));
}

TEST(MapTest, IsWrittenAsByTensorFlow) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {-1, 2}, "x");
  const Output y = map_fn([](const Output& row) { return ops::reduce_sum(row); }, x);
  const std::vector<std::string> all = lines(graph);
  EXPECT_THAT(std::vector(all.begin() + 5, all.begin() + 20),
              ElementsAre("map/strided_slice StridedSlice map/Shape map/strided_slice/stack "
                          "map/strided_slice/stack_1 map/strided_slice/stack_2",
                          "map/TensorArray TensorArrayV3 map/strided_slice",
                          "map/TensorArrayUnstack/Shape Shape x",
                          "map/TensorArrayUnstack/strided_slice/stack Const",
                          "map/TensorArrayUnstack/strided_slice/stack_1 Const",
                          "map/TensorArrayUnstack/strided_slice/stack_2 Const",
                          "map/TensorArrayUnstack/strided_slice StridedSlice "
                          "map/TensorArrayUnstack/Shape map/TensorArrayUnstack/strided_slice/stack "
                          "map/TensorArrayUnstack/strided_slice/stack_1 "
                          "map/TensorArrayUnstack/strided_slice/stack_2",
                          "map/TensorArrayUnstack/range/start Const",
                          "map/TensorArrayUnstack/range/delta Const",
                          "map/TensorArrayUnstack/range Range map/TensorArrayUnstack/range/start "
                          "map/TensorArrayUnstack/strided_slice map/TensorArrayUnstack/range/delta",
                          "map/TensorArrayUnstack/TensorArrayScatter/TensorArrayScatterV3 "
                          "TensorArrayScatterV3 map/TensorArray map/TensorArrayUnstack/range x "
                          "map/TensorArray:1 @x",
                          "map/Const Const", "map/TensorArray_1 TensorArrayV3 map/strided_slice",
                          "map/while/iteration_counter Const",
                          "map/while/Enter Enter map/while/iteration_counter"));
  EXPECT_EQ(all.size(), 57u);
  EXPECT_EQ(y.shape(), PartialShape({-1}));
  expect_everywhere(graph, y, {{x, make_tensor<float>({3, 2}, {1, 2, 3, 4, 5, 6})}}, {3, 7, 11});
}

TEST(MapTest, TakesAndGivesSeveralTensors) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {3, 2});
  const Output k = ops::constant(graph, make_vector<float>({1, 10, 100}));
  const auto results = map_fn(
      [](const std::vector<Output>& row) {
        return std::vector<Output>{row[0] * row[1], ops::cast(row[1], kInt32)};
      },
      {x, k}, {.dtypes = {kFloat, kInt32}});
  EXPECT_EQ(results[0].shape(), PartialShape({3, 2}));
  EXPECT_EQ(results[1].dtype(), kInt32);
  expect_everywhere(graph, results[0], {{x, make_tensor<float>({3, 2}, {1, 2, 3, 4, 5, 6})}},
                    {1, 2, 30, 40, 500, 600});
}

TEST(FunctionsTest, AreCalledByNameByCallsAndByIf) {
  Graph graph;
  define_function(graph, "scale", {{"x", kFloat}, {"k", kFloat, Shape{}}},
                  [](const Graph&, const std::vector<Output>& in) {
                    return std::vector<Output>{in[0] * in[1] + 1.0};
                  });
  define_function(graph, "twice", {{"x", kFloat}, {"k", kFloat}},
                  [](const Graph& inner, const std::vector<Output>& in) {
                    const Output once = inner.op("scale", {in[0], in[1]});
                    return call_function(inner, "scale", {once, in[1]});
                  });
  const Output x = ops::placeholder(graph, kFloat, {2});
  const Feeds feeds = {{x, make_vector<float>({1, 2})}};
  expect_everywhere(graph, graph.op("scale", {x, 3.0f}), feeds, {4, 7});
  expect_everywhere(graph, call_function(graph, "twice", {x, 2.0f})[0], feeds, {7, 11});
  const Output chosen = graph.op("If", {ops::constant(graph, true), x, ops::constant(graph, 2.0f)},
                                 {{"Tcond", kBool},
                                  {"Tin", std::vector<DType>{kFloat, kFloat}},
                                  {"Tout", std::vector<DType>{kFloat}},
                                  {"then_branch", FunctionName{"twice"}},
                                  {"else_branch", FunctionName{"scale"}}});
  expect_everywhere(graph, chosen, feeds, {7, 11});
  EXPECT_THAT(error_of([&] {
                define_function(graph, "scale", {}, [](const Graph& inner, const auto&) {
                  return std::vector<Output>{ops::constant(inner, 1)};
                });
              }),
              HasSubstr("\"scale\""));
  EXPECT_THAT(error_of([&] { call_function(graph, "none", {}); }), HasSubstr("\"none\""));
}

}  // namespace
}  // namespace hub
