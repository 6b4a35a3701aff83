#pragma once

// What tests of whole sessions share: a graph in one of the modes (executor, passes), short words
// to run it, and a resource variable's reads and writes.

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "runtime/session.h"
#include "support/op_test.h"

namespace hub::testing {

using Feeds = std::vector<EngineFeed>;

class SessionTest : public ::testing::TestWithParam<std::tuple<ExecutorKind, bool>> {
 protected:
  SessionTest()
      : graph_({.passes = std::get<1>(GetParam()), .executor = std::get<0>(GetParam())}) {}

  OutputId placeholder(DType dtype) { return graph_.add("Placeholder", {}, {{"dtype", dtype}}); }
  OutputId number(float value) { return graph_.constant(scalar(value)); }
  std::vector<Tensor> run(const Feeds& feeds, const std::vector<OutputId>& fetches,
                          const std::vector<OutputId>& targets = {}) {
    std::vector<int> nodes;
    for (const OutputId target : targets) nodes.push_back(target.node);
    return graph_.engine().run(feeds, fetches, nodes);
  }
  float value(OutputId fetch, const Feeds& feeds = {}) {
    return run(feeds, {fetch})[0].scalar<float>();
  }
  // The code of the error that the run ends with; kOk where it ends without one.
  ErrorCode code(const Feeds& feeds, const std::vector<OutputId>& fetches,
                 const std::vector<OutputId>& targets = {}) {
    return error_code_of([&] { run(feeds, fetches, targets); });
  }

  // A resource variable, its read, and what adds `delta` to it after `before`.
  OutputId read_of(OutputId handle, const std::vector<OutputId>& before = {}) {
    return graph_.add("ReadVariableOp", {handle}, {{"dtype", kFloat}}, before);
  }
  OutputId add_to(OutputId handle, float delta, const std::vector<OutputId>& before = {}) {
    return graph_.add("AssignAddVariableOp", {handle, number(delta)}, {{"dtype", kFloat}}, before);
  }

  TestGraph graph_;
};

inline auto all_session_modes() {
  return ::testing::Combine(::testing::Values(ExecutorKind::kStructured, ExecutorKind::kFrames),
                            ::testing::Bool());
}

}  // namespace hub::testing
