// Eight threads run one session: the same plan and different plans, for
// TF1HUB_THREADS_TEST_SECONDS (2 where it is not set).

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "format/graph_def.h"
#include "graph/import.h"
#include "runtime/session.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kThreads = 8;

Clock::duration test_duration() {
  const char* text = std::getenv("TF1HUB_THREADS_TEST_SECONDS");
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(text == nullptr ? 2.0 : std::atof(text)));
}

constexpr std::string_view kFunctions = R"(
library {
  function {
    signature { name: "twice" input_arg { name: "x" type: DT_FLOAT }
                output_arg { name: "y" type: DT_FLOAT } }
    node_def { name: "sum" op: "AddV2" input: "x" input: "x"
               attr { key: "T" value { type: DT_FLOAT } } }
    ret { key: "y" value: "sum:z:0" }
  }
  function {
    signature { name: "negative" input_arg { name: "x" type: DT_FLOAT }
                output_arg { name: "y" type: DT_FLOAT } }
    node_def { name: "call" op: "PartitionedCall" input: "x"
               attr { key: "Tin" value { list { type: DT_FLOAT } } }
               attr { key: "Tout" value { list { type: DT_FLOAT } } }
               attr { key: "f" value { func { name: "twice" } } } }
    node_def { name: "neg" op: "Neg" input: "call:output:0"
               attr { key: "T" value { type: DT_FLOAT } } }
    ret { key: "y" value: "neg:y:0" }
  }
  function {
    signature { name: "below" input_arg { name: "i" type: DT_INT32 }
                input_arg { name: "x" type: DT_FLOAT } input_arg { name: "limit" type: DT_INT32 }
                output_arg { name: "go" type: DT_BOOL } }
    node_def { name: "less" op: "Less" input: "i" input: "limit"
               attr { key: "T" value { type: DT_INT32 } } }
    ret { key: "go" value: "less:z:0" }
  }
  function {
    signature { name: "step" input_arg { name: "i" type: DT_INT32 }
                input_arg { name: "x" type: DT_FLOAT } input_arg { name: "limit" type: DT_INT32 }
                output_arg { name: "next" type: DT_INT32 } output_arg { name: "y" type: DT_FLOAT }
                output_arg { name: "same" type: DT_INT32 } }
    node_def { name: "one" op: "Const" attr { key: "dtype" value { type: DT_INT32 } }
               attr { key: "value" value { tensor { dtype: DT_INT32 tensor_shape {} int_val: 1 } } } }
    node_def { name: "add" op: "AddV2" input: "i" input: "one:output:0"
               attr { key: "T" value { type: DT_INT32 } } }
    node_def { name: "call" op: "PartitionedCall" input: "x"
               attr { key: "Tin" value { list { type: DT_FLOAT } } }
               attr { key: "Tout" value { list { type: DT_FLOAT } } }
               attr { key: "f" value { func { name: "twice" } } } }
    ret { key: "next" value: "add:z:0" }
    ret { key: "y" value: "call:output:0" }
    ret { key: "same" value: "limit" }
  }
}
)";

// What one thread does once with the session, `seed` being any number; true if all was right.
using Job = std::function<bool(Engine& engine, int seed)>;

bool all_equal(const Tensor& tensor, float value) {
  return std::ranges::all_of(tensor.values<float>(), [&](float x) { return x == value; });
}

Tensor filled(const Shape& shape, float value) {
  Tensor result(kFloat, shape);
  std::ranges::fill(result.mutable_values<float>(), value);
  return result;
}

// One session and what is done with it.
class Shared {
 public:
  explicit Shared(ExecutorKind executor) : graph_({.executor = executor}) {
    import_graph_def(parse_graph_def_text(kFunctions, "functions"), graph_.graph());
    x_ = placeholder(kFloat);
    n_ = placeholder(kInt32);
    add_straight_jobs();
    add_resource_variable_jobs();
    add_reference_variable_jobs();
    add_table_jobs();
    add_random_jobs();
    add_loop_jobs();
    add_conditional_jobs();
    add_function_jobs();
    add_oneDNN_jobs();
    add_failing_jobs();
  }

  Engine& engine() { return graph_.engine(); }
  const std::vector<Job>& jobs() const { return jobs_; }

  // That no update was lost.
  void check_counts() {
    EXPECT_EQ(graph_.run(resource_read_).values<float>()[0], static_cast<float>(resource_adds_));
    EXPECT_EQ(graph_.run(reference_read_).values<float>()[0], static_cast<float>(reference_adds_));
    EXPECT_GT(resource_adds_, 0);
    EXPECT_GT(reference_adds_, 0);
  }

 private:
  OutputId placeholder(DType dtype) { return graph_.add("Placeholder", {}, {{"dtype", dtype}}); }
  OutputId scalar_constant(float value) { return graph_.constant(scalar(value)); }

  static EngineFeed number(OutputId output, float value) { return {output, scalar(value)}; }

  // A job that feeds `feeds(seed)`, fetches one tensor and checks it.
  void add_fetch(OutputId fetch, std::function<std::vector<EngineFeed>(int)> feeds,
                 std::function<bool(const Tensor&, int)> check) {
    jobs_.push_back([=](Engine& engine, int seed) {
      return check(engine.run(feeds(seed), std::vector{fetch})[0], seed);
    });
  }

  void add_straight_jobs() {
    OutputId y = x_;
    for (int i = 0; i < 6; ++i) y = graph_.add(i % 2 == 0 ? "Neg" : "Square", {y});
    y = graph_.add("Sqrt", {graph_.add("Sqrt", {graph_.add("Sqrt", {y})})});
    // Some are large enough for several threads inside of an op.
    const auto size = [](int seed) { return 1 + seed % 300 * (seed % 16 == 0 ? 1000 : 1); };
    const auto feeds = [x = x_, size](int seed) {
      return std::vector<EngineFeed>{{x, filled({size(seed)}, static_cast<float>(seed % 5))}};
    };
    add_fetch(y, feeds, [size](const Tensor& result, int seed) {
      return result.num_elements() == size(seed) && all_equal(result, static_cast<float>(seed % 5));
    });
    // A fed tensor cuts the plan: another plan of the same nodes.
    jobs_.push_back([=](Engine& engine, int seed) {
      const std::vector<EngineFeed> fed = {{y, scalar(static_cast<float>(seed))}};
      return engine.run(fed, std::vector{y, y})[1].scalar<float>() == static_cast<float>(seed);
    });
  }

  void add_resource_variable_jobs() {
    const OutputId counter = graph_.variable(filled({64}, 0));
    const OutputId add = graph_.add(
        "AssignAddVariableOp", {counter, graph_.constant(filled({64}, 1))}, {{"dtype", kFloat}});
    resource_read_ = graph_.add("ReadVariableOp", {counter}, {{"dtype", kFloat}});
    jobs_.push_back([=, this](Engine& engine, int) {
      engine.run({}, {}, std::vector{add.node});
      ++resource_adds_;
      return true;
    });
    const auto nothing = [](int) { return std::vector<EngineFeed>{}; };
    const auto whole = [](const Tensor& value, int) {
      return all_equal(value, value.values<float>()[0]);
    };
    add_fetch(resource_read_, nothing, whole);
    // Assigned as a whole by some, read by others.
    const OutputId plain = graph_.variable(filled({2, 3, 5}, 0));
    const OutputId assign = graph_.add("AssignVariableOp", {plain, x_}, {{"dtype", kFloat}});
    const OutputId read = graph_.add("ReadVariableOp", {plain}, {{"dtype", kFloat}});
    jobs_.push_back([=, x = x_](Engine& engine, int seed) {
      const std::vector<EngineFeed> feeds = {{x, filled({2, 3, 5}, static_cast<float>(seed))}};
      engine.run(feeds, {}, std::vector{assign.node});
      return true;
    });
    add_fetch(graph_.add("Neg", {read}), nothing, whole);
    jobs_.push_back([=](Engine& engine, int) {
      const Tensor value = engine.variable(plain.node);
      return all_equal(value, value.values<float>()[0]);
    });
  }

  void add_reference_variable_jobs() {
    const OutputId counter = graph_.reference_variable(filled({64}, 0));
    const OutputId add = graph_.add("AssignAdd", {counter, graph_.constant(filled({64}, 1))});
    reference_read_ = graph_.add("Identity", {counter});
    jobs_.push_back([=, this](Engine& engine, int) {
      // What the run itself added is in what it fetches.
      const Tensor after = engine.run({}, std::vector{add})[0];
      ++reference_adds_;
      return all_equal(after, after.values<float>()[0]) && after.values<float>()[0] >= 1;
    });
    const auto nothing = [](int) { return std::vector<EngineFeed>{}; };
    const auto whole = [](const Tensor& value, int) {
      return all_equal(value, value.values<float>()[0]);
    };
    add_fetch(reference_read_, nothing, whole);
    add_fetch(graph_.add("Exp", {graph_.add("Neg", {reference_read_})}), nothing, whole);
    jobs_.push_back([=](Engine& engine, int) {
      const Tensor value = engine.variable(counter.node);
      return all_equal(value, value.values<float>()[0]);
    });
  }

  void add_table_jobs() {
    const OutputId table =
        graph_.add("MutableHashTableV2", {}, {{"key_dtype", kInt64}, {"value_dtype", kFloat}});
    const OutputId key = placeholder(kInt64);
    const OutputId insert = graph_.add("LookupTableInsertV2", {table, key, x_});
    const OutputId find = graph_.add("LookupTableFindV2", {table, key, scalar_constant(-1)},
                                     {{"Tin", kInt64}, {"Tout", kFloat}}, {insert});
    jobs_.push_back([=, x = x_](Engine& engine, int seed) {
      const auto k = static_cast<std::int64_t>(seed % 97);
      const std::vector<EngineFeed> feeds = {{key, scalar(k)},
                                             number(x, static_cast<float>(2 * k))};
      return engine.run(feeds, std::vector{find})[0].scalar<float>() == static_cast<float>(2 * k);
    });
    const OutputId size = graph_.add("LookupTableSizeV2", {table});
    jobs_.push_back([=](Engine& engine, int) {
      const auto entries = engine.run({}, std::vector{size})[0].scalar<std::int64_t>();
      return entries >= 0 && entries <= 97;
    });
    const OutputId fixed =
        graph_.add("HashTableV2", {}, {{"key_dtype", kInt64}, {"value_dtype", kFloat}});
    const OutputId init =
        graph_.add("InitializeTableV2", {fixed, graph_.constant(int64s({3}, {1, 2, 3})),
                                         graph_.constant(floats({3}, {10, 20, 30}))});
    const OutputId look = graph_.add("LookupTableFindV2", {fixed, key, scalar_constant(-1)},
                                     {{"Tin", kInt64}, {"Tout", kFloat}}, {init});
    jobs_.push_back([=](Engine& engine, int seed) {
      const std::int64_t k = seed % 4;
      const std::vector<EngineFeed> feeds = {{key, scalar(k)}};
      const float expected = k == 0 ? -1.0f : static_cast<float>(10 * k);
      return engine.run(feeds, std::vector{look})[0].scalar<float>() == expected;
    });
  }

  void add_random_jobs() {
    const OutputId shape = graph_.constant(ints({1}, {1000}));
    const OutputId uniform = graph_.add("RandomUniform", {shape}, {{"dtype", kFloat}, {"seed", 7}});
    const auto nothing = [](int) { return std::vector<EngineFeed>{}; };
    add_fetch(uniform, nothing, [](const Tensor& value, int) {
      return std::ranges::all_of(value.values<float>(), [](float x) { return x >= 0 && x < 1; });
    });
    const OutputId shuffled =
        graph_.add("RandomShuffle", {graph_.constant(ints({5}, {1, 2, 3, 4, 5}))});
    add_fetch(shuffled, nothing, [](const Tensor& value, int) {
      std::vector<std::int32_t> elements = values<std::int32_t>(value);
      std::ranges::sort(elements);
      return elements == std::vector<std::int32_t>{1, 2, 3, 4, 5};
    });
    const OutputId fixed =
        graph_.add("StatelessRandomNormal", {shape, graph_.constant(ints({2}, {3, 4}))});
    add_fetch(fixed, nothing, [](const Tensor& value, int) {
      const auto sample = value.values<float>();
      return std::ranges::count(sample, sample[0]) == 1;  // whole, and not one value repeated
    });
  }

  struct LoopValue {
    OutputId merge;
    OutputId body;  // its value in the body
    int switch_node;
  };

  OutputId enter(OutputId value, std::string_view frame, bool constant) {
    return graph_.add("Enter", {value},
                      {{"frame_name", std::string(frame)}, {"is_constant", constant}});
  }

  // i = 0, sum = 0; while i < n: write i * i to the array; sum += x; the array and the sum.
  void add_loop_jobs() {
    const OutputId zero = graph_.constant(scalar(0));
    const int array = graph_.add("TensorArrayV3", {n_}, {{"dtype", kInt32}}).node;
    const OutputId limit = enter(n_, "loop", true);
    const OutputId one = enter(graph_.constant(scalar(1)), "loop", true);
    const OutputId handle = enter({array, 0}, "loop", true);
    const OutputId step = enter(x_, "loop", true);
    const auto merge = [&](OutputId first, DType dtype) {
      return graph_.add("Merge", {enter(first, "loop", false), OutputId{}},
                        {{"N", 2}, {"T", dtype}});
    };
    const OutputId i = merge(zero, kInt32);
    const OutputId sum = merge(scalar_constant(0), kFloat);
    const OutputId flow = merge({array, 1}, kFloat);
    const OutputId go = graph_.add("LoopCond", {graph_.add("Less", {i, limit})});
    const auto body = [&](OutputId value) {
      return OutputId{graph_.add("Switch", {value, go}).node, 1};
    };
    const OutputId i_body = body(i);
    const OutputId sum_body = body(sum);
    const OutputId flow_body = body(flow);
    const OutputId square = graph_.add("Mul", {i_body, i_body});
    const auto close = [&](OutputId value, OutputId next) {
      graph_.graph().set_input(value.node, 1, graph_.add("NextIteration", {next}));
    };
    close(i, graph_.add("AddV2", {i_body, one}));
    close(sum, graph_.add("AddV2", {sum_body, step}));
    close(flow, graph_.add("TensorArrayWriteV3", {handle, i_body, square, flow_body}));
    const OutputId sum_exit = graph_.add("Exit", {{sum_body.node, 0}});
    const OutputId flow_exit = graph_.add("Exit", {{flow_body.node, 0}});
    const OutputId range =
        graph_.add("Range", {zero, n_, graph_.constant(scalar(1))}, {{"Tidx", kInt32}});
    const OutputId gathered =
        graph_.add("TensorArrayGatherV3", {{array, 0}, range, flow_exit}, {{"dtype", kInt32}});
    jobs_.push_back([=, x = x_, n = n_](Engine& engine, int seed) {
      const std::int32_t count = 1 + seed % 40;
      const std::vector<EngineFeed> feeds = {number(x, 0.5f), {n, scalar(count)}};
      const auto results = engine.run(feeds, std::vector{gathered, sum_exit});
      bool right = results[1].scalar<float>() == 0.5f * static_cast<float>(count);
      for (std::int32_t k = 0; k < count; ++k)
        right &= results[0].values<std::int32_t>()[static_cast<std::size_t>(k)] == k * k;
      return right;
    });
    jobs_.push_back([=, x = x_, n = n_](Engine& engine, int) {
      const std::vector<EngineFeed> feeds = {number(x, 1),
                                             {n, scalar(std::numeric_limits<std::int32_t>::max())}};
      EngineRunOptions options;
      options.timeout = std::chrono::milliseconds(2);
      return error_code_of([&] { engine.run(feeds, std::vector{sum_exit}, {}, options); }) ==
             ErrorCode::kDeadlineExceeded;
    });
  }

  // x > 2 ? 2x : -x, of Switch and Merge.
  void add_conditional_jobs() {
    const OutputId positive = graph_.add("Greater", {x_, scalar_constant(2)});
    const int chosen = graph_.add("Switch", {x_, positive}).node;
    const OutputId yes = graph_.add("AddV2", {{chosen, 1}, {chosen, 1}});
    const OutputId no = graph_.add("Neg", {{chosen, 0}});
    const OutputId merge = graph_.add("Merge", {no, yes});
    jobs_.push_back([=, x = x_](Engine& engine, int seed) {
      const auto value = static_cast<float>(seed % 5);
      const std::vector<EngineFeed> feeds = {number(x, value)};
      const float result = engine.run(feeds, std::vector{merge})[0].scalar<float>();
      return result == (value > 2 ? 2 * value : -value);
    });
    jobs_.push_back([=, x = x_](Engine& engine, int) {
      const std::vector<EngineFeed> feeds = {number(x, 5)};
      return error_code_of([&] { engine.run(feeds, std::vector{no}); }) ==
             ErrorCode::kInvalidArgument;
    });
  }

  static Attr function(const char* name) {
    FunctionRef ref;
    ref.name = name;
    return ref;
  }

  void add_function_jobs() {
    const Attr one_float = types_attr({kFloat});
    const OutputId condition = graph_.add("Greater", {x_, scalar_constant(2)});
    const OutputId chosen = graph_.add("If", {condition, x_},
                                       {{"Tcond", kBool},
                                        {"Tin", one_float},
                                        {"Tout", one_float},
                                        {"then_branch", function("twice")},
                                        {"else_branch", function("negative")}});
    jobs_.push_back([=, x = x_](Engine& engine, int seed) {
      const auto value = static_cast<float>(seed % 5);
      const std::vector<EngineFeed> feeds = {number(x, value)};
      const float result = engine.run(feeds, std::vector{chosen})[0].scalar<float>();
      return result == (value > 2 ? 2 * value : -2 * value);
    });
    const int loop = graph_
                         .add("While", {graph_.constant(scalar(0)), x_, n_},
                              {{"T", types_attr({kInt32, kFloat, kInt32})},
                               {"cond", function("below")},
                               {"body", function("step")}})
                         .node;
    jobs_.push_back([=, x = x_, n = n_](Engine& engine, int seed) {
      const std::int32_t count = seed % 20;
      const std::vector<EngineFeed> feeds = {number(x, 3), {n, scalar(count)}};
      return engine.run(feeds, std::vector{OutputId{loop, 1}})[0].scalar<float>() ==
             3 * static_cast<float>(1 << count);
    });
  }

  void add_oneDNN_jobs() {
    const OutputId filter = graph_.variable(filled({3, 3, 4, 16}, 0.5f));
    const OutputId read = graph_.add("ReadVariableOp", {filter}, {{"dtype", kFloat}});
    const OutputId image = placeholder(kFloat);
    const OutputId conv = graph_.add("Conv2D", {image, read},
                                     {{"strides", ints_attr({1, 1, 1, 1})}, {"padding", "VALID"}});
    const OutputId bias = graph_.add("BiasAdd", {conv, graph_.constant(filled({16}, -1))});
    const OutputId relu = graph_.add("Relu", {bias});
    for (const OutputId wanted : {relu, conv}) {
      jobs_.push_back([=](Engine& engine, int seed) {
        const auto value = static_cast<float>(seed % 3);
        const std::vector<EngineFeed> feeds = {{image, filled({1 + seed % 4, 8, 9, 4}, value)}};
        const Tensor result = engine.run(feeds, std::vector{wanted})[0];
        const float product = 18 * value;
        return result.shape() == Shape({1 + seed % 4, 6, 7, 16}) &&
               all_equal(result, wanted == conv ? product : std::max(0.0f, product - 1));
      });
    }
    // Weights that somebody writes: what was packed of them is made again.
    const OutputId weights = graph_.variable(filled({32, 24}, 1));
    const OutputId weights_read = graph_.add("ReadVariableOp", {weights}, {{"dtype", kFloat}});
    const OutputId product = graph_.add("MatMul", {image, weights_read});
    const OutputId assign = graph_.add("AssignVariableOp", {weights, x_}, {{"dtype", kFloat}});
    jobs_.push_back([=](Engine& engine, int seed) {
      const std::vector<EngineFeed> feeds = {{image, filled({1 + seed % 20, 32}, 1)}};
      const Tensor result = engine.run(feeds, std::vector{product})[0];
      return all_equal(result, result.values<float>()[0]);
    });
    jobs_.push_back([=, x = x_](Engine& engine, int seed) {
      const auto value = static_cast<float>(1 + seed % 7);
      const std::vector<EngineFeed> feeds = {{x, filled({32, 24}, value)}};
      engine.run(feeds, {}, std::vector{assign.node});
      return true;
    });
  }

  void add_failing_jobs() {
    const OutputId indices = graph_.constant(ints({1}, {5}));
    const OutputId bad = graph_.add("GatherV2", {x_, indices, graph_.constant(scalar(0))});
    jobs_.push_back([=, x = x_](Engine& engine, int seed) {
      const std::vector<EngineFeed> feeds = {{x, filled({seed % 4}, 1)}};
      return error_code_of([&] { engine.run(feeds, std::vector{bad}); }) ==
             ErrorCode::kInvalidArgument;
    });
  }

  TestGraph graph_;
  OutputId x_;
  OutputId n_;
  std::vector<Job> jobs_;
  OutputId resource_read_;
  OutputId reference_read_;
  std::atomic<int> resource_adds_{0};
  std::atomic<int> reference_adds_{0};
};

class ThreadsTest : public ::testing::TestWithParam<ExecutorKind> {};

TEST_P(ThreadsTest, EightRunTheSameAndDifferentPlansOfOneSession) {
  Shared shared(GetParam());
  Engine& engine = shared.engine();
  const std::vector<Job>& jobs = shared.jobs();
  const auto end = Clock::now() + test_duration();
  std::vector<std::thread> threads;
  std::vector<std::atomic<int>> wrong(jobs.size());
  std::atomic<long> runs{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      // All begin with one plan, two threads stay together, and then they go apart.
      for (std::size_t i = 0; i < 3 * jobs.size() || Clock::now() < end; ++i) {
        const std::size_t job =
            (i + i / jobs.size() * static_cast<std::size_t>(t / 2)) % jobs.size();
        const int seed = static_cast<int>(i) * kThreads + t;
        if (!jobs[job](engine, seed)) ++wrong[job];
        ++runs;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t job = 0; job < jobs.size(); ++job) EXPECT_EQ(wrong[job], 0) << "job " << job;
  shared.check_counts();
  RecordProperty("runs", std::to_string(runs));
}

INSTANTIATE_TEST_SUITE_P(Executors, ThreadsTest,
                         ::testing::Values(ExecutorKind::kStructured, ExecutorKind::kFrames));

}  // namespace
}  // namespace hub::testing
