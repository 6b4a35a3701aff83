// Values of what recorded graphs do not show: metrics over batches, shapes that are known late.

#include <gtest/gtest.h>

#include "hub/hub.h"

namespace hub {
namespace {

TEST(MetricsTest, AddUpOverBatches) {
  const Graph graph;
  const Output labels = ops::placeholder(graph, kInt64, {-1}, "labels");
  const Output predictions = ops::placeholder(graph, kFloat, {-1}, "predictions");
  const metrics::Metric recall = metrics::recall(labels, predictions);
  const metrics::Metric auc = metrics::auc(labels, predictions, {.num_thresholds = 6});
  Session session(graph);
  session.initialize();
  EXPECT_EQ(session.run(recall.value).scalar<float>(), 0);
  const Tensor l = make_vector<std::int64_t>({1, 0, 1, 1});
  const Tensor p = make_vector<float>({0.9F, 0, 0, 0.7F});
  session.run({recall.update, auc.update}, {{labels, l}, {predictions, p}});
  EXPECT_NEAR(session.run(recall.value).scalar<float>(), 2.0 / 3, 1e-6);
  EXPECT_NEAR(session.run(auc.value).scalar<float>(), 5.0 / 6, 1e-3);
  const Tensor bad = make_vector<float>({2, 0, 0, 1});
  EXPECT_THROW(session.run(auc.update, {{labels, l}, {predictions, bad}}), Error);
}

TEST(LossesTest, WeightsOfUnknownShapeAreCheckedAtRunTime) {
  const Graph graph;
  const Output l = ops::placeholder(graph, kFloat, {}, "l");
  const Output w = ops::placeholder(graph, kFloat, {}, "w");
  const Output loss = losses::mean_squared_error(l, ops::zeros_like(l), {.weights = w});
  Session session(graph);
  const Tensor values = make_tensor<float>({2, 2}, std::vector<float>{1, 2, 3, 4});
  const auto run = [&](const Tensor& weights) {
    return session.run(loss, {{l, values}, {w, weights}}).scalar<float>();
  };
  EXPECT_EQ(run(make_scalar<float>(2)), 15);
  EXPECT_EQ(run(make_tensor<float>({2, 1}, std::vector<float>{1, 0})), 2.5);
  EXPECT_THROW(run(make_vector<float>({1, 2, 3})), Error);
}

TEST(EmbeddingTest, PartsGiveWhatTheWholeGives) {
  const Graph graph;
  VariableOptions options = {.partitioner = partition::fixed_size(2)};
  options.initial_value = make_tensor<float>({5, 1}, std::vector<float>{0, 1, 2, 3, 4});
  const Variable table = get_variable(graph, "table", {}, options);
  const Output ids = ops::constant(graph, make_vector<std::int64_t>({4, 0, 3, 2}));
  const Output rows =
      layers::embedding_lookup(table, ids, {.partition_strategy = layers::PartitionStrategy::kDiv});
  Session session(graph);
  session.initialize();
  const Tensor got = session.run(rows);
  EXPECT_EQ(got.data<float>()[0], 4);
  EXPECT_EQ(got.data<float>()[1], 0);
  EXPECT_EQ(got.data<float>()[2], 3);
  EXPECT_EQ(got.data<float>()[3], 2);
}

}  // namespace
}  // namespace hub
