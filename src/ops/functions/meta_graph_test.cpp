// Graphs exported, imported again, and imported by real TensorFlow.

#include "hub/meta_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/strings.h"
#include "graph/flow_context.h"
#include "graph/meta_graph.h"
#include "hub/control_flow.h"
#include "hub/error.h"
#include "hub/ops.h"
#include "hub/session.h"
#include "hub/variables.h"

namespace hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A little of everything: variables of both kinds, a penalty, a conditional, loops, a function.
struct Sample {
  Graph graph;
  Output x, p, chosen, looped, mapped, called;
};

Sample sample() {
  Sample s;
  const Graph& graph = s.graph;
  s.x = ops::placeholder(graph, kFloat, Shape{}, "x");
  s.p = ops::placeholder(graph, kBool, Shape{}, "p");
  const Variable w = get_variable(
      graph, "w", {2}, {.initializer = init::constant(3), .regularizer = regularize::l2(0.5)});
  const Variable r = get_variable(graph, "r", PartialShape::scalar(),
                                  {.initializer = init::constant(2), .use_resource = true});
  s.chosen = ops::identity(cond(
                               s.p, [&] { return s.x * s.x * r; }, [&] { return s.x * 3.0; }),
                           "chosen");
  const auto loop = while_loop(
      graph, [&](const std::vector<Output>& v) { return ops::less(v[0], 3); },
      [&](const std::vector<Output>& v) {
        const auto inner = while_loop(
            graph, [&](const std::vector<Output>& u) { return ops::less(u[0], 2); },
            [&](const std::vector<Output>& u) {
              return std::vector<Output>{u[0] + 1, u[1] * s.x};
            },
            {0, v[1]});
        const Output next = cond(
            s.p, [&] { return inner[1] + s.x; }, [&] { return inner[1] - r; });
        return std::vector<Output>{v[0] + 1, next};
      },
      {0, s.x});
  s.looped = ops::identity(loop[1], "looped");
  MapOptions options;
  options.name = "rows";
  s.mapped = ops::reduce_sum(
      map_fn([&](const Output& row) { return row * s.x; }, ops::identity(w), options), {0},
      KeepDims::kNo, "mapped");
  define_function(graph, "cube", {{"a", kFloat, Shape{}}},
                  [](const Graph&, const std::vector<Output>& in) {
                    return std::vector<Output>{in[0] * in[0] * in[0]};
                  });
  s.called = ops::identity(call_function(graph, "cube", {s.x})[0], "called");
  return s;
}

Feeds feeds(const Graph& graph, const std::string& scope, float x, bool p) {
  return {{graph.tensor(scope + "x:0"), make_scalar(x)},
          {graph.tensor(scope + "p:0"), make_scalar(p)}};
}

const char* const kFetches[] = {"chosen:0", "looped:0", "mapped:0", "called:0"};

TEST(MetaGraphTest, ComesBackUnderAScope) {
  const Sample s = sample();
  const std::string bytes = export_meta_graph_def(s.graph, {.strip_default_attrs = true});
  Graph graph;
  EXPECT_EQ(import_meta_graph_def(graph, bytes, {.name = "m"}), "m/");
  EXPECT_EQ(import_meta_graph_def(graph, bytes, {.name = "m"}), "m_1/");
  const std::vector<Variable> variables = collection_variables(graph);
  ASSERT_EQ(variables.size(), 4u);
  EXPECT_EQ(variables[0].name(), "m/w");
  EXPECT_EQ(variables[3].name(), "m_1/r");
  EXPECT_TRUE(variables[3].is_resource());
  EXPECT_EQ(trainable_variables(graph)[1], variables[1]);
  EXPECT_EQ(regularization_losses(graph)[1].name(), "m_1/w/Regularizer/l2_regularizer:0");
  Session session(graph);
  session.initialize();
  Session original(s.graph);
  original.initialize();
  for (const char* fetch : kFetches) {
    for (const bool p : {false, true}) {
      const float expected = original.run(fetch, feeds(s.graph, "", 1.5f, p)).scalar<float>();
      EXPECT_EQ(session.run(cat("m/", fetch), feeds(graph, "m/", 1.5f, p)).scalar<float>(),
                expected)
          << fetch;
      EXPECT_EQ(session.run(cat("m_1/", fetch), feeds(graph, "m_1/", 1.5f, p)).scalar<float>(),
                expected)
          << fetch;
    }
  }
}

TEST(MetaGraphTest, IsTheSameWhenWrittenAgain) {
  const std::string bytes = export_meta_graph_def(sample().graph);
  Graph graph;
  EXPECT_EQ(import_meta_graph_def(graph, bytes), "");
  // The nodes may come in another order; what is said of loops and conditionals does not change.
  const MetaGraph before = parse_meta_graph(bytes, "before");
  const MetaGraph after = to_meta_graph(graph.state());
  EXPECT_EQ(after.graph.nodes.size(), before.graph.nodes.size());
  for (const char* key : {"cond_context", "while_context", "variables", "trainable_variables"}) {
    EXPECT_EQ(std::get<ByteStrings>(after.collections.at(key).value).values,
              std::get<ByteStrings>(before.collections.at(key).value).values)
        << key;
  }
  EXPECT_EQ(std::get<NodeNames>(after.collections.at("regularization_losses").value).values,
            std::get<NodeNames>(before.collections.at("regularization_losses").value).values);
}

TEST(MetaGraphTest, WhatIsAroundAnImportHoldsForIt) {
  Graph inner;
  const Output a = ops::placeholder(inner, kFloat, Shape{}, "a");
  ops::add(a, ops::constant(inner, 1.0f), "b");
  const std::string bytes = export_graph_def(inner);

  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, Shape{}, "x");
  const auto result = while_loop(
      graph, [&](const std::vector<Output>& v) { return ops::less(v[0], 3); },
      [&](const std::vector<Output>& v) {
        const std::string scope =
            import_graph_def(graph, bytes, {.name = "inner", .input_map = {{"a:0", v[1]}}});
        const Output b = graph.tensor(scope + "b:0");
        const Output next = cond(
            ops::less(v[0], 1),
            [&] {
              const std::string branch =
                  import_graph_def(graph, bytes, {.name = "branch", .input_map = {{"a:0", x}}});
              return b * graph.tensor(branch + "b:0");
            },
            [&] { return b; });
        return std::vector<Output>{v[0] + 1, next};
      },
      {0, x});
  for (const bool frames : {false, true}) {
    Session session(graph, {.frames_executor = frames});
    // ((2 + 1) * 3 + 1) + 1
    EXPECT_EQ(session.run(result[1], {{x, make_scalar(2.0f)}}).scalar<float>(), 11);
  }
  const Operation before = ops::no_op(graph, "before");
  const ControlDependencies after(graph, std::vector<Operation>{before});
  import_graph_def(graph, bytes, {.name = "late"});
  EXPECT_THAT(graph.operation("late/a").control_inputs(), ElementsAre(before));
  EXPECT_THAT(graph.operation("late/b").control_inputs(), ElementsAre());
}

TEST(MetaGraphTest, LoopsAreImportedIntoLoopsAndBranches) {
  Graph inner;
  const Output a = ops::placeholder(inner, kFloat, Shape{}, "a");
  const Output n = ops::constant(inner, 3);
  const auto loop = while_loop(
      inner, [&](const std::vector<Output>& v) { return ops::less(v[0], n); },
      [&](const std::vector<Output>& v) {
        return std::vector<Output>{v[0] + 1, cond(
                                                 ops::less(v[0], 1), [&] { return v[1] + a; },
                                                 [&] { return v[1] * 2.0; })};
      },
      {0, a});
  ops::identity(loop[1], "b");  // ((a + a) * 2) * 2
  const std::string bytes = export_meta_graph_def(inner);

  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, Shape{}, "x");
  const Output p = ops::placeholder(graph, kBool, Shape{}, "p");
  const auto eightfold = [&](const Output& value) {
    const std::string scope =
        import_meta_graph_def(graph, bytes, {.name = "inner", .input_map = {{"a:0", value}}});
    return graph.tensor(scope + "b:0");
  };
  const Output chosen = cond(
      p, [&] { return eightfold(x); }, [&] { return x; });
  const auto twice = while_loop(
      graph, [&](const std::vector<Output>& v) { return ops::less(v[0], 2); },
      [&](const std::vector<Output>& v) {
        const Output next = eightfold(v[1]);
        return std::vector<Output>{v[0] + 1, next};
      },
      {0, chosen});
  EXPECT_EQ(graph.state().collections.at("cond_context").size(), 2u);
  EXPECT_EQ(graph.state().collections.at("while_context").size(), 3u);
  for (const bool frames : {false, true}) {
    Session session(graph, {.frames_executor = frames});
    for (const bool yes : {false, true}) {
      EXPECT_EQ(
          session.run(twice[1], {{x, make_scalar(0.5f)}, {p, make_scalar(yes)}}).scalar<float>(),
          yes ? 256 : 32);
    }
  }
}

TEST(MetaGraphTest, BadBytesAndNamesAreErrors) {
  Graph graph;
  EXPECT_THROW(import_meta_graph_def(graph, "\xff\xff"), Error);
  const MetaImportOptions none;
  MetaGraph meta;
  meta.collections["losses"].value = NodeNames{{"nothing:0"}};
  try {
    import_meta_graph(meta, none, graph.state());
    FAIL() << "a collection that names a missing tensor";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("in collection \"losses\""));
  }
}

// Skipped unless TF1HUB_TENSORFLOW_PYTHON names a Python that has TensorFlow.
TEST(MetaGraphTest, TensorFlowRunsAndDifferentiatesIt) {
  const char* python = std::getenv("TF1HUB_TENSORFLOW_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "TF1HUB_TENSORFLOW_PYTHON names no Python";
  const Sample s = sample();
  const auto folder = std::filesystem::temp_directory_path() /
                      cat("tf1hub_meta_graph_", static_cast<std::int64_t>(getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "graph.meta", std::ios::binary)
      << export_meta_graph_def(s.graph, {.strip_default_attrs = true});
  Session session(s.graph);
  session.initialize();
  for (const bool p : {false, true}) {
    std::string fetches;
    std::string gradients;
    for (const char* fetch : kFetches) {
      const float value = session.run(fetch, feeds(s.graph, "", 1.1f, p)).scalar<float>();
      fetches += cat(fetches.empty() ? "" : ", ", "\"", fetch, "\": [", value, "]");
      // TensorFlow cannot differentiate an imported call of a function.
      if (std::string_view(fetch) != "called:0")
        gradients += cat(gradients.empty() ? "" : ", ", "[\"", fetch, "\", \"x:0\"]");
    }
    std::ofstream(folder / "cases.json")
        << "{\"feeds\": {\"x:0\": 1.1, \"p:0\": " << (p ? "true" : "false") << "}, \"fetches\": {"
        << fetches << "}, \"gradients\": [" << gradients << "]}";
    const std::string command =
        cat("'", python, "' '", TF1HUB_SOURCE_DIR, "/tests/tensorflow/run_meta_graph.py' '",
            (folder / "graph.meta").string(), "' '", (folder / "cases.json").string(), "'");
    const int status = std::system(command.c_str());
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
      std::filesystem::remove_all(folder);
      GTEST_SKIP() << python << " has no TensorFlow";
    }
    EXPECT_EQ(status, 0) << command;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hub
