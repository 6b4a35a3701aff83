// The engine: what runs, in which order, what stays, who may call.

#include "runtime/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "graph/import.h"
#include "ops/builtin.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// i = 0; while i < limit: i += 1 (v1 nodes; `limit` and the step are captured).
OutputId add_loop(GraphData& graph, OutputId limit) {
  const auto enter = [&](const std::string& name, OutputId value, bool constant) {
    return OutputId{
        graph.add({.name = name,
                   .op = "Enter",
                   .inputs = {value},
                   .attrs = {{"frame_name", std::string("loop")}, {"is_constant", constant}}}),
        0};
  };
  const auto constant = [&](const std::string& name, std::int32_t value) {
    return OutputId{graph.add({.name = name,
                               .op = "Const",
                               .inputs = {},
                               .attrs = {{"dtype", kInt32}, {"value", make_scalar(value)}}}),
                    0};
  };
  const OutputId first = enter("enter", constant("zero", 0), false);
  const OutputId end = enter("enter_limit", limit, true);
  const OutputId step = enter("enter_step", constant("one", 1), true);
  const OutputId merge{graph.add({.name = "merge",
                                  .op = "Merge",
                                  .inputs = {first, {}},
                                  .attrs = {{"N", std::int64_t{2}}, {"T", kInt32}}}),
                       0};
  const OutputId less{graph.add({.name = "less", .op = "Less", .inputs = {merge, end}}), 0};
  const OutputId cond{graph.add({.name = "cond", .op = "LoopCond", .inputs = {less}}), 0};
  const int sw = graph.add({.name = "switch", .op = "Switch", .inputs = {merge, cond}});
  const OutputId sum{graph.add({.name = "sum", .op = "AddV2", .inputs = {{sw, 1}, step}}), 0};
  const int next = graph.add({.name = "next", .op = "NextIteration", .inputs = {sum}});
  graph.set_input(merge.node, 1, {next, 0});
  return {graph.add({.name = "exit", .op = "Exit", .inputs = {{sw, 0}}}), 0};
}

OutputId add_placeholder(GraphData& graph, const std::string& name, DType dtype) {
  return {graph.add({.name = name, .op = "Placeholder", .inputs = {}, .attrs = {{"dtype", dtype}}}),
          0};
}

class LoopTest : public ::testing::TestWithParam<ExecutorKind> {};

TEST_P(LoopTest, CountsToTheLimit) {
  GraphData graph(builtin_ops());
  const OutputId limit = add_placeholder(graph, "limit", kInt32);
  const OutputId exit = add_loop(graph, limit);
  Engine engine(graph, {.executor = GetParam()});
  for (const std::int32_t n : {0, 1, 5, 3000}) {
    const std::vector<EngineFeed> feeds = {{limit, make_scalar(n)}};
    EXPECT_EQ(engine.run(feeds, std::vector{exit})[0].scalar<std::int32_t>(), n);
  }
}

TEST_P(LoopTest, ALoopThatNeverEndsMeetsItsDeadline) {
  GraphData graph(builtin_ops());
  const OutputId limit = add_placeholder(graph, "limit", kInt32);
  const OutputId exit = add_loop(graph, limit);
  Engine engine(graph, {.executor = GetParam()});
  const std::vector<EngineFeed> feeds = {
      {limit, make_scalar(std::numeric_limits<std::int32_t>::max())}};
  EngineRunOptions options;
  options.timeout = std::chrono::milliseconds(30);
  EXPECT_EQ(error_code_of([&] { engine.run(feeds, std::vector{exit}, {}, options); }),
            ErrorCode::kDeadlineExceeded);
}

TEST_P(LoopTest, ARunIsCancelledFromAnotherThread) {
  GraphData graph(builtin_ops());
  const OutputId limit = add_placeholder(graph, "limit", kInt32);
  const OutputId exit = add_loop(graph, limit);
  Engine engine(graph, {.executor = GetParam()});
  const std::vector<EngineFeed> feeds = {
      {limit, make_scalar(std::numeric_limits<std::int32_t>::max())}};
  std::atomic<bool> cancelled{false};
  EngineRunOptions options;
  options.cancelled = &cancelled;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancelled = true;
  });
  EXPECT_EQ(error_code_of([&] { engine.run(feeds, std::vector{exit}, {}, options); }),
            ErrorCode::kCancelled);
  canceller.join();
}

INSTANTIATE_TEST_SUITE_P(Executors, LoopTest,
                         ::testing::Values(ExecutorKind::kStructured, ExecutorKind::kFrames));

TEST(EngineTest, OnlyWhatIsNeededRuns) {
  TestGraph graph;
  const OutputId never = graph.add("Placeholder", {}, {{"dtype", kFloat}});
  const OutputId unused = graph.add("Neg", {never});
  const OutputId wanted = graph.add("Neg", {graph.constant(floats({}, {2}))});
  EXPECT_EQ(graph.run(wanted).scalar<float>(), -2);
  EXPECT_THAT(error_of([&] { graph.run(unused); }), HasSubstr("feed"));
}

TEST(EngineTest, AnyTensorCanBeFed) {
  TestGraph graph;
  const OutputId a = graph.add("Neg", {graph.constant(floats({}, {2}))});
  const OutputId b = graph.add("Neg", {a});
  const std::vector<EngineFeed> feeds = {{a, floats({2}, {5, 6})}};
  EXPECT_THAT(graph.engine().run(feeds, std::vector{b, a})[0].values<float>(), ElementsAre(-5, -6));
  const std::vector<EngineFeed> wrong = {{a, ints({}, {5})}};
  EXPECT_EQ(error_code_of([&] { graph.engine().run(wrong, std::vector{b}); }),
            ErrorCode::kInvalidArgument);
}

TEST(EngineTest, AnUnknownOpIsAnErrorOnlyWhenItIsNeeded) {
  GraphData graph(builtin_ops());
  const int odd = graph.add({.name = "odd", .op = "Unheard", .inputs = {}});
  const int one = graph.add({.name = "one",
                             .op = "Const",
                             .inputs = {},
                             .attrs = {{"dtype", kFloat}, {"value", make_scalar(1.0f)}}});
  Engine engine(graph);
  EXPECT_EQ(engine.run({}, std::vector{OutputId{one, 0}})[0].scalar<float>(), 1);
  EXPECT_THAT(error_of([&] {
                engine.run({}, std::vector{OutputId{odd, 0}});
              }),
              HasSubstr("\"Unheard\""));
}

TEST(EngineTest, WhatWasReadDoesNotChangeWhenTheVariableIsWritten) {
  TestGraph graph;
  const OutputId handle = graph.variable(floats({2}, {1, 2}));
  const OutputId read = graph.add("ReadVariableOp", {handle}, {{"dtype", kFloat}});
  const OutputId add =
      graph.add("AssignAddVariableOp", {handle, graph.constant(floats({2}, {1, 1}))});
  const Tensor before = graph.run(read);
  graph.run({}, {add});
  EXPECT_THAT(before.values<float>(), ElementsAre(1, 2));
  EXPECT_THAT(graph.run(read).values<float>(), ElementsAre(2, 3));
}

TEST(EngineTest, AFetchOfAReferenceIsACopy) {
  TestGraph graph;
  const OutputId variable = graph.reference_variable(floats({}, {1}));
  const OutputId read = graph.add("Identity", {variable});
  const OutputId add = graph.add("AssignAdd", {variable, graph.constant(floats({}, {1}))});
  const Tensor before = graph.run(read);
  graph.run({}, {add});
  EXPECT_EQ(before.scalar<float>(), 1);
  EXPECT_EQ(graph.run(read).scalar<float>(), 2);
}

TEST(EngineTest, APlanProfilesItsNodes) {
  TestGraph graph;
  const OutputId a = graph.input(floats({2}, {1, 2}));
  const OutputId b = graph.add("Neg", {a});
  std::vector<NodeProfile> profile;
  EngineRunOptions options;
  options.profile = &profile;
  const std::vector<EngineFeed> feeds = {{a, floats({2}, {1, 2})}};
  graph.engine().run(feeds, std::vector{b}, {}, options);
  ASSERT_EQ(profile.size(), 1u);
  EXPECT_EQ(profile[0].op, "Neg");
  EXPECT_EQ(profile[0].runs, 1);
}

TEST(EngineTest, AFunctionThatCannotBeImportedIsAnErrorAtEachCall) {
  GraphDef def;
  FunctionDef function;
  function.signature.name = "wrong";
  function.signature.outputs.push_back({.name = "y", .type = kFloat});
  NodeDef value;
  value.name = "value";
  value.op = "Const";
  AttrList shapes;
  shapes.shapes = {PartialShape{0}};
  value.attrs = {
      {"dtype", kFloat}, {"value", make_scalar(1.0f)}, {"_output_shapes", AttrValue(shapes)}};
  function.nodes = {value};
  function.returns["y"] = "value:output:0";
  def.library.functions.push_back(function);
  NodeDef call;
  call.name = "call";
  call.op = "PartitionedCall";
  AttrList floats_only;
  floats_only.types = {kFloat};
  FunctionRef wrong;
  wrong.name = "wrong";
  call.attrs = {{"Tin", AttrList{}}, {"Tout", floats_only}, {"f", wrong}};
  def.nodes = {call};
  GraphData graph(builtin_ops());
  import_graph_def(def, graph);
  Engine engine(graph);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(error_of([&] { engine.run({}, std::vector{graph.find_output("call")}); }),
                HasSubstr("_output_shapes"));
  }
}

TEST(EngineTest, FunctionsThatCallThemselvesEnd) {
  GraphDef def;
  FunctionDef function;
  function.signature.name = "again";
  function.signature.inputs.push_back({.name = "x", .type = kFloat});
  function.signature.outputs.push_back({.name = "y", .type = kFloat});
  NodeDef call;
  call.name = "call";
  call.op = "PartitionedCall";
  call.inputs = {"x"};
  AttrList floats_only;
  floats_only.types = {kFloat};
  FunctionRef itself;
  itself.name = "again";
  call.attrs = {{"Tin", floats_only}, {"Tout", floats_only}, {"f", itself}};
  function.nodes = {call};
  function.returns["y"] = "call:output:0";
  def.library.functions.push_back(function);
  NodeDef x;
  x.name = "x";
  x.op = "Const";
  x.attrs = {{"dtype", kFloat}, {"value", make_scalar(1.0f)}};
  call.name = "start";
  def.nodes = {x, call};
  GraphData graph(builtin_ops());
  import_graph_def(def, graph);
  Engine engine(graph);
  EXPECT_EQ(error_code_of([&] { engine.run({}, std::vector{graph.find_output("start")}); }),
            ErrorCode::kResourceExhausted);
}

TEST(EngineTest, ManyThreadsRunTheSameAndDifferentPlans) {
  TestGraph graph;
  const OutputId x = graph.input(Tensor(kFloat, Shape{64}));
  const OutputId handle = graph.variable(floats({}, {0}));
  const OutputId read = graph.add("ReadVariableOp", {handle}, {{"dtype", kFloat}});
  const OutputId count =
      graph.add("AssignAddVariableOp", {handle, graph.constant(floats({}, {1}))});
  const OutputId doubled = graph.add("AddV2", {x, x});
  const OutputId negated = graph.add("Neg", {doubled});
  Engine& engine = graph.engine();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Tensor value(kFloat, Shape{64});
      std::ranges::fill(value.mutable_values<float>(), static_cast<float>(t));
      const std::vector<EngineFeed> feeds = {{x, value}};
      for (int i = 0; i < 300; ++i) {
        const OutputId wanted = i % 2 == 0 ? doubled : negated;
        const float expected = static_cast<float>(i % 2 == 0 ? 2 * t : -2 * t);
        const Tensor result = engine.run(feeds, std::vector{wanted})[0];
        for (const float got : result.values<float>()) wrong += got != expected;
        engine.run({}, {}, std::vector{count.node});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(graph.run(read).scalar<float>(), 8 * 300);
}

}  // namespace
}  // namespace hub::testing
