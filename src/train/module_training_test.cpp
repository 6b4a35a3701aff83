// Modules that are trained: the acceptance tests that need optimisers (docs/acceptance.md).

#include <gmock/gmock.h>

#include "hub/hub.h"
#include "module/acceptance/acceptance.h"

namespace hub::testing {
namespace {

Output mean_squared_error(const Output& labels, const Output& predictions) {
  return ops::reduce_mean(ops::squared_difference(predictions, labels));
}

TEST(ModuleTrainingTest, N31_AVariableIsTrained) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Variable v = get_variable(b.graph(), "var123", {3},
                                    {.initializer = init::constant(make_vector<float>({1, 2, 3}))});
    b.add_signature({.outputs = {{"default", ops::identity(v)}}});
  });
  const Graph graph;
  const Module m(graph, spec, {.trainable = true});
  const Output x = m();
  const Output target = ops::constant(graph, make_vector<float>({3.1f, 3.2f, 3.3f}));
  train::GradientDescentOptimizer optimizer(0.40);
  const Operation step = optimizer.minimize(mean_squared_error(target, x));
  Session session(graph);
  session.initialize();
  for (int i = 0; i < 50; ++i) session.run(step);
  const std::vector<float> got = floats(session.run(x));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(got[i], 3.1 + 0.1 * static_cast<double>(i), 1e-3);
}

TEST(ModuleTrainingTest, N43_PenaltiesOfALayer) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat, {-1, 2}, "x");
    // As an l2 regularizer, but under a control dependency.
    const Regularizer penalty = [](const Input& weights) {
      const Output w = ops::identity(weights);
      const ControlDependencies after(w.graph(), std::vector<Output>{w});
      return ops::l2_loss(w) * 2.0F;
    };
    const VariableScope scope(b.graph(), "dense");
    const Variable kernel = get_variable(b.graph(), "kernel", {2, 2}, {.regularizer = penalty});
    const Variable bias = get_variable(b.graph(), "bias", {2},
                                       {.initializer = init::zeros(), .regularizer = penalty});
    b.add_signature({.inputs = {{"x", x}},
                     .outputs = {{"default", ops::bias_add(ops::matmul(x, kernel), bias)}}});
  });
  const Graph graph;
  const Module m(graph, spec, {.trainable = true});
  const Output x = ops::placeholder(graph, kFloat, {-1, 2});
  const Output y = m(x);
  const Output target = ops::constant(graph, make_tensor<float>({1, 2}, {4, 4}));
  EXPECT_EQ(regularization_losses(graph).size(), 2u);
  const Output loss = mean_squared_error(target, y) * 2.0F + total_regularization_loss(graph);
  train::GradientDescentOptimizer optimizer(0.1);
  const Operation step = optimizer.minimize(loss);
  Session session(graph);
  session.initialize();
  for (int i = 0; i < 50; ++i) session.run(step, {{x, make_tensor<float>({1, 2}, {1, 1})}});
  const std::vector<float> got =
      floats(session.run(y, {{x, make_tensor<float>({3, 2}, {0, 0, 0, 1, 1, 0})}}));
  const std::vector<float> want = {1, 1, 2, 2, 2, 2};
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-3);
}

TEST(ModuleTrainingTest, N51_UpdateOps) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Graph& graph = b.graph();
    const Output x = b.placeholder(kFloat, PartialShape::scalar(), "x");
    const Variable w = get_variable(graph, "w", Shape{}, {.initializer = init::constant(1)});
    const Variable counter =
        get_variable(graph, "counter", Shape{},
                     {.dtype = kInt64, .initializer = init::zeros(), .trainable = false});
    graph.add_to_collection(Collections::kUpdateOps, counter.assign_add(1));
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", w * x}}});
  });
  const Graph graph;
  const Module trained(graph, spec, {.name = "trained", .trainable = true});
  const Module fixed(graph, spec, {.name = "fixed"});
  const Output loss = ops::square(Output(trained(3.0F)) - Output(fixed(2.0F)));
  const std::vector<Operation> updates = graph.collection_operations(Collections::kUpdateOps);
  ASSERT_EQ(updates.size(), 1u);
  train::GradientDescentOptimizer optimizer(0.1);
  const Operation step = optimizer.minimize(loss);
  Session session(graph);
  session.initialize();
  session.run({updates[0], step});
  const auto count = [&](const Module& m) {
    return session.variable(m.variable_map().at("counter").op()).scalar<std::int64_t>();
  };
  EXPECT_EQ(count(trained), 1);
  EXPECT_EQ(count(fixed), 0);
}

TEST(ModuleTrainingTest, N52_BatchNormalization) {
  const auto function = [](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat, {-1, 1}, "x");
    const Output y = layers::batch_normalization(
        x, {.momentum = 0.4, .training = b.argument("is_training", false), .fused = false});
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", y}}});
  };
  const ModuleSpec spec = create_module_spec(
      function, {.variants = {{.tags = {"train"}, .arguments = {{"is_training", true}}},
                              {.tags = {"fixed"}, .arguments = {{"is_training", false}}}}});
  const TempDirectory folder;
  const std::string path = folder.path() + "/module";
  const char* const kMean = "module/batch_normalization/moving_mean/Read/ReadVariableOp:0";
  {
    const Graph graph;
    const Module m(graph, spec, {.trainable = true, .tags = {"train"}});
    const Output x = ops::constant(graph, make_tensor<float>({3, 1}, {11, 12, 13}));
    const Output y = m(x);
    const std::vector<Operation> updates = graph.collection_operations(Collections::kUpdateOps);
    const std::vector<Output> updated = graph.collection(Collections::kUpdateOps);
    std::vector<Operation> waits = updates;
    for (const Output& update : updated) waits.push_back(update.op());
    EXPECT_EQ(waits.size(), 2u);
    train::GradientDescentOptimizer optimizer(0.1);
    const Output loss = mean_squared_error(x * 2.0F, y);
    const auto gradients = optimizer.compute_gradients(loss);
    Operation step;
    {
      const ControlDependencies after(graph, waits);
      step = optimizer.apply_gradients(gradients);
    }
    Session session(graph);
    session.initialize();
    EXPECT_NEAR(session.run(kMean).values<float>()[0], 0, 1e-6);
    for (int i = 0; i < 100; ++i) session.run(step);
    EXPECT_NEAR(session.run(kMean).values<float>()[0], 12, 1e-3);
    const std::vector<float> got = floats(session.run(y));
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(got[i], 22 + 2 * static_cast<double>(i), 1e-2);
    m.export_to(path, session);
  }
  const Graph graph;
  const Module m(graph, path, {.tags = {"fixed"}});
  const Output y = m(make_tensor<float>({3, 1}, {10, 20, 30}));
  Session session(graph);
  session.initialize();
  for (int i = 0; i < 100; ++i) session.run(y);
  EXPECT_NEAR(session.run(kMean).values<float>()[0], 12, 1e-3);
  const std::vector<float> got = floats(session.run(y));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(got[i], 20 * (1 + static_cast<double>(i)), 0.1);
}

TEST(ModuleTrainingTest, N57_TrainedExportedAndReloaded) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat, {-1}, "x");
    const Variable w = get_variable(b.graph(), "w", {1}, {.initializer = init::constant(3)});
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", w * x}}});
  });
  const TempDirectory folder;
  const std::string path = folder.path() + "/module";
  {
    const Graph graph;
    const Module m(graph, spec, {.trainable = true});
    const Output trained = m(make_vector<float>({2}));
    const Output other = m(make_vector<float>({3}));
    train::GradientDescentOptimizer optimizer(0.05);
    const Operation step = optimizer.minimize(
        mean_squared_error(ops::constant(graph, make_vector<float>({4})), trained));
    Session session(graph);
    session.initialize();
    for (int i = 0; i < 50; ++i) session.run(step);
    EXPECT_NEAR(session.run(trained).values<float>()[0], 4, 1e-3);
    EXPECT_NEAR(session.run(other).values<float>()[0], 6, 1e-3);
    m.export_to(path, session);
  }
  const Function f = load(path);
  EXPECT_NEAR(f(make_vector<float>({4})).values<float>()[0], 8, 1e-3);
  EXPECT_NEAR(f(make_vector<float>({5})).values<float>()[0], 10, 1e-3);
}

}  // namespace
}  // namespace hub::testing
