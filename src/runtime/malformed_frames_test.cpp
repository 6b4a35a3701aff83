// Loops that are not where a loop may be: TensorFlow's codes.

#include <gtest/gtest.h>

#include "runtime/session_fixture.h"

namespace hub::testing {
namespace {

class MalformedFramesTest : public SessionTest {
 protected:
  OutputId enter(OutputId value, const char* frame) {
    return graph_.add("Enter", {value}, {{"frame_name", frame}, {"is_constant", true}});
  }

  // x = 1; while x < limit: x += x. `limit` and the Enter's frame may be wrong.
  OutputId loop(OutputId limit, const char* frame) {
    const OutputId first =
        graph_.add("Enter", {number(1)}, {{"frame_name", frame}, {"is_constant", false}});
    const OutputId x = graph_.add("Merge", {first, OutputId{}}, {{"N", 2}, {"T", kFloat}});
    condition_ = graph_.add("Less", {x, limit});
    const OutputId go = graph_.add("LoopCond", {condition_});
    const int chosen = graph_.add("Switch", {x, go}).node;
    const OutputId next = graph_.add("AddV2", {{chosen, 1}, {chosen, 1}});
    graph_.graph().set_input(x.node, 1, graph_.add("NextIteration", {next}));
    return graph_.add("Exit", {{chosen, 0}});
  }

  OutputId condition_;
};

INSTANTIATE_TEST_SUITE_P(Modes, MalformedFramesTest, all_session_modes());

TEST_P(MalformedFramesTest, AWellFormedLoopRuns) {
  EXPECT_EQ(value(loop(enter(number(10), "a"), "a")), 16);
}

TEST_P(MalformedFramesTest, AValueFromOutsideComesThroughAnEnterOfTheSameFrame) {
  EXPECT_EQ(code({}, {loop(number(10), "a")}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({}, {loop(enter(number(10), "other"), "b")}), ErrorCode::kInvalidArgument);
}

TEST_P(MalformedFramesTest, AFrameHasAName) {
  EXPECT_EQ(code({}, {loop(enter(number(10), ""), "")}), ErrorCode::kInvalidArgument);
}

TEST_P(MalformedFramesTest, AFrameLiesInOneFrame) {
  const OutputId inner = enter(enter(number(1), "outer"), "a");
  const OutputId outside = graph_.add("Exit", {graph_.add("Exit", {inner})});
  const OutputId sum = graph_.add("AddV2", {outside, loop(enter(number(10), "a"), "a")});
  EXPECT_EQ(code({}, {sum}), ErrorCode::kInternal);
}

TEST_P(MalformedFramesTest, ALoopHasOneCondition) {
  const OutputId exit = loop(enter(number(10), "a"), "a");
  const OutputId more = graph_.add("LoopCond", {condition_});
  EXPECT_EQ(code({}, {exit}, {more}), ErrorCode::kInvalidArgument);
}

TEST_P(MalformedFramesTest, ATensorInsideOfALoopCannotBeFed) {
  const OutputId exit = loop(enter(number(10), "a"), "a");
  EXPECT_EQ(code({{condition_, scalar(false)}}, {exit}), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace hub::testing
