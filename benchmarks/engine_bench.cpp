// What the engine costs beside its kernels: an op in a straight plan, an op in a loop.

#include <benchmark/benchmark.h>

#include "graph/graph_data.h"
#include "ops/builtin.h"
#include "runtime/session.h"

namespace hub {
namespace {

OutputId add(GraphData& graph, const std::string& op, std::vector<OutputId> inputs,
             AttrMap attrs = {}) {
  NodeSpec spec;
  spec.name = graph.unique_name(op);
  spec.op = op;
  spec.inputs = std::move(inputs);
  spec.attrs = std::move(attrs);
  return {graph.add(std::move(spec)), 0};
}

OutputId constant(GraphData& graph, const Tensor& value) {
  return add(graph, "Const", {}, {{"dtype", value.dtype()}, {"value", value}});
}

// The time divided by the number of ops, in nanoseconds.
benchmark::Counter ns_per_op(std::int64_t ops) {
  return {static_cast<double>(ops) * 1e-9,
          benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert};
}

// Adds to four floats, again and again.
void straight_plan(benchmark::State& state) {
  GraphData graph(builtin_ops());
  const OutputId x = add(graph, "Placeholder", {}, {{"dtype", kFloat}});
  const OutputId one = constant(graph, make_vector<float>({1, 1, 1, 1}));
  OutputId y = x;
  for (int i = 0; i < state.range(0); ++i) y = add(graph, "AddV2", {y, one});
  Engine engine(graph, {.threads = 1});
  const PreparedRun run = engine.prepare(std::vector{x}, std::vector{y});
  const Tensor input = make_vector<float>({1, 2, 3, 4});
  for (auto _ : state) {
    Tensor feed = input;
    Tensor fetch;
    run.run({&feed, 1}, {&fetch, 1});
    benchmark::DoNotOptimize(fetch.raw_data());
  }
  state.counters["ns_per_op"] = ns_per_op(state.range(0));
}
BENCHMARK(straight_plan)->Arg(1)->Arg(100);

// A v1 loop of 10,000 iterations: a counter, a comparison, and additions to four floats.
void v1_loop(benchmark::State& state, ExecutorKind executor) {
  constexpr std::int32_t kIterations = 10'000;
  GraphData graph(builtin_ops());
  const AttrMap frame = {{"frame_name", std::string("loop")}};
  AttrMap invariant = frame;
  invariant["is_constant"] = true;
  const auto captured = [&](const Tensor& value) {
    return add(graph, "Enter", {constant(graph, value)}, invariant);
  };
  const OutputId limit = captured(make_scalar(kIterations));
  const OutputId one = captured(make_scalar(1));
  const OutputId ones = captured(make_vector<float>({1, 1, 1, 1}));
  const auto variable = [&](const Tensor& first) {
    const OutputId enter = add(graph, "Enter", {constant(graph, first)}, frame);
    return add(graph, "Merge", {enter, OutputId{}}, {{"N", std::int64_t{2}}, {"T", first.dtype()}});
  };
  const OutputId i = variable(make_scalar(0));
  const OutputId value = variable(make_vector<float>({0, 0, 0, 0}));
  const OutputId go = add(graph, "LoopCond", {add(graph, "Less", {i, limit})});
  const OutputId i_switch = add(graph, "Switch", {i, go});
  const OutputId value_switch = add(graph, "Switch", {value, go});
  const OutputId next_i = add(graph, "AddV2", {OutputId{i_switch.node, 1}, one});
  OutputId next{value_switch.node, 1};
  for (int k = 0; k < state.range(0); ++k) next = add(graph, "AddV2", {next, ones});
  graph.set_input(i.node, 1, add(graph, "NextIteration", {next_i}));
  graph.set_input(value.node, 1, add(graph, "NextIteration", {next}));
  const OutputId exit = add(graph, "Exit", {value_switch});
  Engine engine(graph, {.threads = 1, .executor = executor});
  for (auto _ : state) {
    benchmark::DoNotOptimize(engine.run({}, std::vector{exit})[0].raw_data());
  }
  state.counters["ns_per_op"] = ns_per_op(kIterations * (state.range(0) + 2));
}
BENCHMARK_CAPTURE(v1_loop, structured, ExecutorKind::kStructured)
    ->Arg(1)
    ->Arg(10)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(v1_loop, frames, ExecutorKind::kFrames)
    ->Arg(1)
    ->Arg(10)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace hub
