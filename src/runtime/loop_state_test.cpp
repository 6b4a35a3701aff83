// Loops and the session: state after errors and interruptions, what runs in the last iteration.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>

#include "format/graph_def.h"
#include "graph/import.h"
#include "runtime/session_fixture.h"

namespace hub::testing {
namespace {

// while i < n { counter += 1; assert i < bound; i += 1 }, as nodes of TensorFlow 1 or as a While.
class LoopStateTest : public SessionTest {
 protected:
  LoopStateTest()
      : n_(placeholder(kInt32)),
        bound_(placeholder(kInt32)),
        handle_(graph_.variable(scalar(0.0f))) {
    add_nodes();
    add_while();
  }

  Feeds limits(std::int32_t n, std::int32_t bound) const {
    return {{n_, scalar(n)}, {bound_, scalar(bound)}};
  }

  OutputId enter(OutputId value, bool constant) {
    return graph_.add("Enter", {value},
                      {{"frame_name", std::string("loop")}, {"is_constant", constant}});
  }

  void add_nodes() {
    const OutputId limit = enter(n_, true);
    const OutputId one = enter(graph_.constant(scalar(1)), true);
    const OutputId bound = enter(bound_, true);
    const OutputId delta = enter(number(1), true);
    const OutputId handle = enter(handle_, true);
    const OutputId i = graph_.add("Merge", {enter(graph_.constant(scalar(0)), false), OutputId{}},
                                  {{"N", 2}, {"T", kInt32}});
    const OutputId go = graph_.add("LoopCond", {graph_.add("Less", {i, limit})});
    const int chosen = graph_.add("Switch", {i, go}).node;
    const OutputId body = graph_.add("Identity", {{chosen, 1}});
    const OutputId count =
        graph_.add("AssignAddVariableOp", {handle, delta}, {{"dtype", kFloat}}, {body});
    inside_ = graph_.add("Less", {body, bound}, {}, {count});
    const OutputId check = graph_.add("Assert", {inside_, body}, {{"T", types_attr({kInt32})}});
    const OutputId next = graph_.add("AddV2", {body, one}, {}, {check});
    graph_.graph().set_input(i.node, 1, graph_.add("NextIteration", {next}));
    v1_ = graph_.add("Exit", {{chosen, 0}});
  }

  void add_while() {
    constexpr std::string_view kFunctions = R"(
library {
  function {
    signature { name: "below" input_arg { name: "i" type: DT_INT32 }
                input_arg { name: "n" type: DT_INT32 } input_arg { name: "bound" type: DT_INT32 }
                input_arg { name: "h" type: DT_RESOURCE }
                output_arg { name: "go" type: DT_BOOL } }
    node_def { name: "less" op: "Less" input: "i" input: "n"
               attr { key: "T" value { type: DT_INT32 } } }
    ret { key: "go" value: "less:z:0" }
  }
  function {
    signature { name: "step" input_arg { name: "i" type: DT_INT32 }
                input_arg { name: "n" type: DT_INT32 } input_arg { name: "bound" type: DT_INT32 }
                input_arg { name: "h" type: DT_RESOURCE }
                output_arg { name: "next" type: DT_INT32 } output_arg { name: "n2" type: DT_INT32 }
                output_arg { name: "bound2" type: DT_INT32 }
                output_arg { name: "h2" type: DT_RESOURCE } control_output: "check" is_stateful: true }
    node_def { name: "one" op: "Const" attr { key: "dtype" value { type: DT_INT32 } }
               attr { key: "value" value { tensor { dtype: DT_INT32 tensor_shape {} int_val: 1 } } } }
    node_def { name: "delta" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
               attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape {} float_val: 1 } } } }
    node_def { name: "count" op: "AssignAddVariableOp" input: "h" input: "delta:output:0"
               attr { key: "dtype" value { type: DT_FLOAT } } }
    node_def { name: "less" op: "Less" input: "i" input: "bound" input: "^count"
               attr { key: "T" value { type: DT_INT32 } } }
    node_def { name: "check" op: "Assert" input: "less:z:0" input: "i"
               attr { key: "T" value { list { type: DT_INT32 } } } }
    node_def { name: "add" op: "AddV2" input: "i" input: "one:output:0"
               attr { key: "T" value { type: DT_INT32 } } }
    ret { key: "next" value: "add:z:0" }
    ret { key: "n2" value: "n" }
    ret { key: "bound2" value: "bound" }
    ret { key: "h2" value: "h" }
    control_ret { key: "check" value: "check" }
  }
}
)";
    import_graph_def(parse_graph_def_text(kFunctions, "functions"), graph_.graph());
    FunctionRef condition;
    condition.name = "below";
    FunctionRef body;
    body.name = "step";
    v2_ = graph_.add("While", {graph_.constant(scalar(0)), n_, bound_, handle_},
                     {{"T", types_attr({kInt32, kInt32, kInt32, DType::kResource})},
                      {"cond", condition},
                      {"body", body}});
  }

  OutputId n_;
  OutputId bound_;
  OutputId handle_;
  OutputId inside_;
  OutputId v1_;
  OutputId v2_;
};

INSTANTIATE_TEST_SUITE_P(Modes, LoopStateTest, all_session_modes());

TEST_P(LoopStateTest, AnErrorInALoopKeepsTheIterationsBeforeIt) {
  float expected = 0;
  for (const OutputId loop : {v1_, v2_}) {
    EXPECT_EQ(run(limits(3, 5), {loop})[0].scalar<std::int32_t>(), 3);
    expected += 3;
    EXPECT_EQ(value(read_of(handle_)), expected);
    EXPECT_EQ(code(limits(30, 5), {loop}), ErrorCode::kInvalidArgument);
    expected += 6;
    EXPECT_EQ(value(read_of(handle_)), expected);
  }
}

TEST_P(LoopStateTest, TheNodesInsideOfALoopAreNoFetches) {
  EXPECT_EQ(code(limits(3, 5), {inside_}), ErrorCode::kInvalidArgument);
}

TEST_P(LoopStateTest, AFedExitLeavesTheLoopOut) {
  const OutputId negative = graph_.add("Neg", {v1_});
  EXPECT_EQ(run({{v1_, scalar(9)}}, {negative})[0].scalar<std::int32_t>(), -9);
  EXPECT_EQ(value(read_of(handle_)), 0);
}

TEST_P(LoopStateTest, ALoopIsStoppedByItsDeadlineOrFromOutsideAndTheSessionGoesOn) {
  constexpr std::int32_t kForever = std::numeric_limits<std::int32_t>::max();
  for (const OutputId loop : {v1_, v2_}) {
    EngineRunOptions options;
    const auto run_forever = [&] {
      graph_.engine().run(limits(kForever, kForever), std::vector{loop}, {}, options);
    };
    options.timeout = std::chrono::milliseconds(20);
    EXPECT_EQ(error_code_of(run_forever), ErrorCode::kDeadlineExceeded);
    std::atomic<bool> cancelled{false};
    options = {};
    options.cancelled = &cancelled;
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      cancelled = true;
    });
    EXPECT_EQ(error_code_of(run_forever), ErrorCode::kCancelled);
    canceller.join();
    EXPECT_EQ(run(limits(2, 5), {loop})[0].scalar<std::int32_t>(), 2);
  }
}

// A Switch runs in the last iteration too, though one of its outputs is dead: so does what only
// has a control edge from it.
class LoopNodesTest : public SessionTest {};

INSTANTIATE_TEST_SUITE_P(Modes, LoopNodesTest, all_session_modes());

TEST_P(LoopNodesTest, AControlEdgeFromALoopsSwitchIsAliveInTheLastIteration) {
  const auto enter = [&](OutputId value, bool constant) {
    return graph_.add("Enter", {value},
                      {{"frame_name", std::string("loop")}, {"is_constant", constant}});
  };
  const OutputId counter = graph_.variable(scalar(0.0f));
  const OutputId n = placeholder(kInt32);
  const OutputId limit = enter(n, true);
  const OutputId one = enter(graph_.constant(scalar(1)), true);
  const OutputId delta = enter(number(1), true);
  const OutputId handle = enter(counter, true);
  const OutputId i = graph_.add("Merge", {enter(graph_.constant(scalar(0)), false), OutputId{}},
                                {{"N", 2}, {"T", kInt32}});
  const OutputId go = graph_.add("LoopCond", {graph_.add("Less", {i, limit})});
  const int chosen = graph_.add("Switch", {i, go}).node;
  const OutputId count =
      graph_.add("AssignAddVariableOp", {handle, delta}, {{"dtype", kFloat}}, {{chosen, 0}});
  const OutputId next = graph_.add("AddV2", {{chosen, 1}, one}, {}, {count});
  graph_.graph().set_input(i.node, 1, graph_.add("NextIteration", {next}));
  const OutputId exit = graph_.add("Exit", {{chosen, 0}});
  EXPECT_EQ(run({{n, scalar(3)}}, {exit})[0].scalar<std::int32_t>(), 3);
  EXPECT_EQ(value(read_of(counter)), 4);
}

// A loop in a branch that is not taken: its exit is dead, and so is what depends on it.
TEST_P(LoopNodesTest, ALoopThatIsNotEnteredHasADeadExit) {
  const OutputId predicate = placeholder(kBool);
  const int branch = graph_.add("Switch", {number(1), predicate}).node;
  const auto enter = [&](OutputId value, bool constant) {
    return graph_.add("Enter", {value},
                      {{"frame_name", std::string("loop")}, {"is_constant", constant}});
  };
  // Enters that are alive, whatever the branch, do not start the loop.
  const OutputId limit = enter(number(10), true);
  const OutputId x =
      graph_.add("Merge", {enter({branch, 1}, false), OutputId{}}, {{"N", 2}, {"T", kFloat}});
  const OutputId go = graph_.add("LoopCond", {graph_.add("Less", {x, limit})});
  const int chosen = graph_.add("Switch", {x, go}).node;
  const OutputId next = graph_.add("AddV2", {{chosen, 1}, {chosen, 1}});
  graph_.graph().set_input(x.node, 1, graph_.add("NextIteration", {next}));
  const OutputId exit = graph_.add("Exit", {{chosen, 0}});
  const OutputId after = graph_.add("Neg", {exit});
  const OutputId merge = graph_.add("Merge", {after, {branch, 0}});
  EXPECT_EQ(value(merge, {{predicate, scalar(true)}}), -16);
  EXPECT_EQ(value(merge, {{predicate, scalar(false)}}), 1);
  EXPECT_EQ(code({{predicate, scalar(false)}}, {after}), ErrorCode::kInvalidArgument);
  const OutputId trigger = graph_.add("ControlTrigger", {}, {}, {after});
  const OutputId revived = graph_.add("Neg", {number(3)}, {}, {trigger});
  EXPECT_EQ(value(revived, {{predicate, scalar(false)}}), -3);
}

}  // namespace
}  // namespace hub::testing
