#pragma once

// Tests of fusions: a graph is built and run with and without passes.

#include <string>
#include <vector>

#include "support/op_test.h"

namespace hub::testing {

// The value of a new resource variable.
inline OutputId stored(TestGraph& graph, const Tensor& value) {
  return graph.add("ReadVariableOp", {graph.variable(value)}, {{"dtype", value.dtype()}});
}

// The ops that ran with passes on. `build(graph)` gives what to fetch; the graph has no inputs but
// variables. Fails the test where the fetches differ from those without passes, or where threads
// change them.
template <class Build>
std::vector<std::string> ops_that_ran(Build&& build, double tolerance = 2e-5) {
  TestGraph fused({.threads = 1}), threaded({.threads = 4}), plain({.passes = false});
  const std::vector<OutputId> fetches = build(fused);
  std::vector<NodeProfile> profile;
  EngineRunOptions options;
  options.profile = &profile;
  const std::vector<Tensor> results = fused.engine().run({}, fetches, {}, options);
  const std::vector<Tensor> expected = plain.run(build(plain));
  const std::vector<Tensor> same = threaded.run(build(threaded));
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_THAT(results[i], is_near(expected[i], tolerance));
    EXPECT_THAT(results[i], is_tensor(same[i]));
  }
  std::vector<std::string> ops;
  for (const NodeProfile& node : profile) ops.push_back(node.op);
  return ops;
}

}  // namespace hub::testing
