// hub::Session: feeds and fetches, edits between and during runs, many threads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "graph/graph_state.h"
#include "hub/control_flow.h"
#include "hub/error.h"
#include "hub/ops.h"
#include "hub/session.h"

namespace hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> floats(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}

ErrorCode code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kUnknown;
}

TEST(GraphSessionTest, FeedsAndFetchesByTensorAndByName) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {-1}, "x");
  const Output y = ops::add(x * 2.0f, 1.0f, "y");
  Session session(graph);
  EXPECT_THAT(floats(session.run(y, {{x, make_vector<float>({1, 2})}})), ElementsAre(3, 5));
  EXPECT_THAT(floats(session.run("y:0", {{"x:0", make_vector<float>({3})}})), ElementsAre(7));
  const auto several = session.run({y, x, y.op()}, {{"x", make_vector<float>({4})}});
  EXPECT_THAT(floats(several[0]), ElementsAre(9));
  EXPECT_THAT(floats(several[1]), ElementsAre(4));
  EXPECT_FALSE(several[2].is_valid());
  EXPECT_EQ(code_of([&] { session.run("z:0"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { session.run(y); }), ErrorCode::kInvalidArgument);
}

TEST(GraphSessionTest, CompilesAnewAfterAnEditAndKeepsVariables) {
  Graph graph;
  const Output v =
      graph.op("VariableV2", {}, {{"dtype", kFloat}, {"shape", Shape{}}}, "v").output(0);
  const Output read = ops::identity(v, "v/read");
  const Output two = ops::constant(graph, 2.0f);
  const Output y = ops::multiply(read, two, "y");
  const Operation assign = graph.op("Assign", {v, 5.0f});
  Session session(graph);
  session.run(assign);
  EXPECT_EQ(session.run(y).scalar<float>(), 10);
  const Output z = y + 1.0f;
  EXPECT_EQ(session.run(z).scalar<float>(), 11);
  y.op().set_input(1, ops::constant(graph, 3.0f));
  EXPECT_EQ(session.run(z).scalar<float>(), 16);
  y.op().add_control_input(graph.op("AssignAdd", {v, 1.0f}));
  session.run(z);
  EXPECT_EQ(session.variable(v).scalar<float>(), 6);
  session.set_variable("v", make_scalar(1.0f));
  EXPECT_EQ(session.run(read).scalar<float>(), 1);
}

TEST(GraphSessionTest, ManyThreadsRunOneSession) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {-1, 4}, "x");
  const Output y = ops::reduce_sum(ops::relu(x * x - 1.0f), 1);
  Session session(graph);
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        const float a = static_cast<float>(t + 1);
        for (int i = 0; i < 50; ++i) {
          const int rows = 1 + (i + t) % 5;
          Tensor value(kFloat, Shape{rows, 4});
          for (float& element : value.mutable_values<float>()) element = a;
          const Tensor result = session.run(y, {{x, value}});
          if (result.num_elements() != rows) ++wrong;
          for (const float sum : result.values<float>()) {
            if (sum != 4 * (a * a - 1)) ++wrong;
          }
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(GraphSessionTest, AnEditDuringARunIsAnError) {
  Graph graph;
  const auto endless = while_loop(
      graph, [&](const std::vector<Output>&) { return ops::constant(graph, true); },
      [&](const std::vector<Output>& v) { return std::vector<Output>{v[0] * 1.0f}; }, {1.0f});
  Session session(graph);
  std::atomic<bool> stop{false};
  ErrorCode ended = ErrorCode::kUnknown;
  {
    std::jthread runner([&] {
      RunOptions options;
      options.cancelled = &stop;
      // The run itself may meet an edit, and then begins again.
      do {
        ended = code_of([&] { session.run(endless[0], {}, options); });
      } while (ended == ErrorCode::kFailedPrecondition);
    });
    ErrorCode edit = ErrorCode::kUnknown;
    // The run begins some time after its thread.
    for (int i = 0; i < 10000 && edit == ErrorCode::kUnknown; ++i) {
      edit = code_of([&] { ops::no_op(graph); });
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(edit, ErrorCode::kFailedPrecondition);
    stop = true;
  }
  EXPECT_EQ(ended, ErrorCode::kCancelled);
  EXPECT_NO_THROW(ops::no_op(graph));
}

TEST(GraphSessionTest, StopsAtItsDeadlineOrWhenCancelled) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {-1});
  const Output y = ops::exp(x);
  Session session(graph);
  RunOptions options;
  options.timeout = std::chrono::nanoseconds(0);
  EXPECT_EQ(code_of([&] {
              session.run(y, {{x, make_vector<float>({1})}}, options);
            }),
            ErrorCode::kDeadlineExceeded);
  const std::atomic<bool> cancelled{true};
  RunOptions stopped;
  stopped.cancelled = &cancelled;
  EXPECT_EQ(code_of([&] {
              session.run(y, {{x, make_vector<float>({1})}}, stopped);
            }),
            ErrorCode::kCancelled);
}

}  // namespace
}  // namespace hub
