// Graphs of losses, metrics, schedules, clipping and moving averages as real TensorFlow writes
// them.

#include "train/training_graphs.h"

namespace hub {
namespace {

using losses::Reduction;

const Initializer kZeros = init::zeros();

using Loss = std::function<Output(const Output& labels, const Output& predictions)>;

Case loss_case(const std::string& title, const Loss& loss, const PartialShape& labels = {-1, 2},
               const PartialShape& predictions = {-1, 2}, DType label_dtype = kFloat,
               std::string_view predictions_name = "predictions") {
  const std::string name(predictions_name);
  return {title, [=](const Graph& g) {
            const Output l = input(g, "labels", labels, label_dtype);
            return Results{loss(l, input(g, name, predictions))};
          }};
}

Case mse_case(const std::string& title, const losses::LossOptions& options) {
  return loss_case(title, [=](const Output& l, const Output& p) {
    return losses::mean_squared_error(l, p, options);
  });
}

Case weighted_mse_case(const std::string& title, const PartialShape& weights) {
  return loss_case(title,
                   [=](const Output& l, const Output& p) {
                     return losses::mean_squared_error(l, p,
                                                       {.weights = input(l.graph(), "w", weights)});
                   },
                   {3, 2}, {3, 2});
}

std::vector<Case> loss_cases() {
  const auto plain = [](Output (*loss)(const Output&, const Output&, const losses::LossOptions&)) {
    return [loss](const Output& l, const Output& p) { return loss(l, p, {}); };
  };
  return {
      loss_case("absolute_difference", plain(losses::absolute_difference)),
      loss_case("mean_squared_error", plain(losses::mean_squared_error)),
      loss_case("hinge_loss", plain(losses::hinge_loss)),
      loss_case("huber_loss",
                [](const Output& l, const Output& p) { return losses::huber_loss(l, p); }),
      loss_case("log_loss",
                [](const Output& l, const Output& p) { return losses::log_loss(l, p); }),
      loss_case(
          "sigmoid_cross_entropy",
          [](const Output& l, const Output& p) { return losses::sigmoid_cross_entropy(l, p); }),
      loss_case("sigmoid_cross_entropy smoothing",
                [](const Output& l, const Output& p) {
                  return losses::sigmoid_cross_entropy(l, p, 0.2);
                }),
      loss_case("cosine_distance",
                [](const Output& l, const Output& p) { return losses::cosine_distance(l, p, 1); }),
      loss_case("mean_pairwise_squared_error", plain(losses::mean_pairwise_squared_error)),
      loss_case("mean_pairwise_squared_error weights",
                [](const Output& l, const Output& p) {
                  return losses::mean_pairwise_squared_error(
                      l, p, {.weights = input(l.graph(), "w", {3, 1})});
                },
                {3, 2}, {3, 2}),
      mse_case("mean_squared_error none", {.weights = 0.5, .reduction = Reduction::kNone}),
      mse_case("mean_squared_error weighted_sum", {.weights = 0.5, .reduction = Reduction::kSum}),
      mse_case("mean_squared_error weighted_mean", {.weights = 0.5, .reduction = Reduction::kMean}),
      mse_case("mean_squared_error weighted_sum_over_batch_size",
               {.weights = 0.5, .reduction = Reduction::kSumOverBatchSize}),
      weighted_mse_case("mean_squared_error column weights", {3, 1}),
      weighted_mse_case("mean_squared_error same weights", {3, 2}),
      loss_case(
          "softmax_cross_entropy",
          [](const Output& l, const Output& p) { return losses::softmax_cross_entropy(l, p); },
          {-1, 4}, {-1, 4}, kFloat, "logits"),
      loss_case(
          "softmax_cross_entropy smoothing rank 3",
          [](const Output& l, const Output& p) {
            return losses::softmax_cross_entropy(l, p, 0.1,
                                                 {.weights = input(l.graph(), "w", {2, 3})});
          },
          {2, 3, 4}, {2, 3, 4}, kInt32, "logits"),
      loss_case("sparse_softmax_cross_entropy", plain(losses::sparse_softmax_cross_entropy), {-1},
                {-1, 4}, kInt32, "logits"),
      loss_case(
          "sparse_softmax_cross_entropy column",
          [](const Output& l, const Output& p) {
            return losses::sparse_softmax_cross_entropy(l, p,
                                                        {.weights = input(l.graph(), "w", {3, 1})});
          },
          {3, 1}, {3, 4}, kInt64, "logits"),
      {"compute_weighted_loss int",
       [](const Graph& g) {
         return Results{
             losses::compute_weighted_loss(input(g, "losses", {3}, kInt32), {.weights = 0.5})};
       }},
  };
}

Case metric_case(const std::string& title,
                 const std::function<metrics::Metric(const Output&, const Output&)>& metric,
                 DType dtype, const std::string& labels = "labels") {
  return {title, [=](const Graph& g) {
            const Output l = input(g, labels, {-1}, dtype);
            const Output p = input(g, "predictions", {-1}, dtype);
            const metrics::Metric result = metric(l, p);
            return Results{result.value, result.update};
          }};
}

std::vector<Case> metric_cases() {
  using Compared = metrics::Metric (*)(const Output&, const Output&, const metrics::MetricOptions&);
  const auto plain = [](Compared metric) {
    return [metric](const Output& l, const Output& p) { return metric(l, p, {}); };
  };
  return {
      {"metrics mean",
       [](const Graph& g) {
         const metrics::Metric result = metrics::mean(input(g, "values", {-1}));
         return Results{result.value, result.update};
       }},
      {"metrics mean weighted",
       [](const Graph& g) {
         const Output values = input(g, "values", {3, 2});
         const metrics::Metric result = metrics::mean(values, {.weights = input(g, "w", {3})});
         return Results{result.value, result.update};
       }},
      {"metrics accuracy cast",
       [](const Graph& g) {
         const Output labels = input(g, "labels", {3, 1}, kInt64);
         const Output predictions = input(g, "predictions", {3});
         const metrics::Metric result =
             metrics::accuracy(labels, predictions, {.weights = input(g, "w", {3})});
         return Results{result.value, result.update};
       }},
      metric_case("metrics accuracy", plain(metrics::accuracy), kInt64),
      metric_case("metrics precision", plain(metrics::precision), kInt64),
      metric_case("metrics mean_squared_error", plain(metrics::mean_squared_error), kFloat),
      metric_case("metrics mean_absolute_error", plain(metrics::mean_absolute_error), kFloat),
      metric_case("metrics root_mean_squared_error", plain(metrics::root_mean_squared_error),
                  kFloat),
  };
}

std::vector<Case> schedule_cases() {
  namespace s = schedules;
  return {
      {"exponential_decay",
       [](const Graph& g) { return Results{s::exponential_decay(0.1, step_of(g), 4, 0.5)}; }},
      {"exponential_decay staircase",
       [](const Graph& g) {
         return Results{
             s::exponential_decay(0.1, step_of(g), 4, 0.5, {.staircase = true, .name = "rate"})};
       }},
      {"exponential_decay variable",
       [](const Graph& g) {
         return Results{s::exponential_decay(0.1, get_or_create_global_step(g), 4, 0.5)};
       }},
      {"exponential_decay resource",
       [](const Graph& g) {
         return Results{s::exponential_decay(0.1, get_or_create_global_step(g), 4, 0.5)};
       },
       true},
      {"natural_exp_decay",
       [](const Graph& g) { return Results{s::natural_exp_decay(0.1, step_of(g), 4, 0.5)}; }},
      {"inverse_time_decay",
       [](const Graph& g) {
         return Results{s::inverse_time_decay(0.1, step_of(g), 4, 0.5, {.staircase = true})};
       }},
      {"polynomial_decay",
       [](const Graph& g) { return Results{s::polynomial_decay(0.1, step_of(g), 6)}; }},
      {"polynomial_decay cycle",
       [](const Graph& g) {
         return Results{
             s::polynomial_decay(0.1, step_of(g), 3, {.end = 0.01, .power = 0.5, .cycle = true})};
       }},
      {"cosine_decay",
       [](const Graph& g) { return Results{s::cosine_decay(0.1, step_of(g), 6, 0.2)}; }},
      {"cosine_decay_restarts",
       [](const Graph& g) { return Results{s::cosine_decay_restarts(0.1, step_of(g), 3)}; }},
      {"linear_cosine_decay",
       [](const Graph& g) { return Results{s::linear_cosine_decay(0.1, step_of(g), 6)}; }},
  };
}

std::vector<Case> clipping_cases() {
  return {
      {"clip_by_value",
       [](const Graph& g) {
         return Results{ops::clip_by_value(x_of(g, {3, 2}), -1.0, 1.0)};
       }},
      {"clip_by_norm",
       [](const Graph& g) {
         return Results{ops::clip_by_norm(x_of(g, {3, 2}), 1.0)};
       }},
      {"clip_by_norm axes",
       [](const Graph& g) {
         return Results{ops::clip_by_norm(x_of(g, {3, 2}), 1.0, std::vector<int>{1}, "clip")};
       }},
      {"clip_by_average_norm",
       [](const Graph& g) {
         return Results{ops::clip_by_average_norm(x_of(g, {3, 2}), 0.5)};
       }},
      {"global_norm",
       [](const Graph& g) {
         const Output x = x_of(g, {3});
         return Results{ops::global_norm({{x}, {}, {input(g, "y", {1, 2})}})};
       }},
      {"clip_by_global_norm",
       [](const Graph& g) {
         const Output x = x_of(g, {3});
         const Output y = input(g, "y", {2, 2});
         IndexedSlices rows;
         rows.values = input(g, "values", {-1, 2});
         rows.indices = input(g, "indices", {-1}, kInt32);
         rows.dense_shape = ops::constant(g, make_vector<std::int32_t>({4, 2}));
         const auto [clipped, norm] = ops::clip_by_global_norm({{x}, {}, {y}, {{}, rows}}, 1.5);
         return Results{clipped[0].dense, clipped[2].dense, clipped[3].slices->values, norm};
       }},
      {"clip_by_global_norm given",
       [](const Graph& g) {
         const Output x = x_of(g, {3});
         return Results{
             ops::clip_by_global_norm({{x}}, 1.5, input(g, "norm", Shape{})).gradients[0].dense};
       }},
  };
}

Case tensor_average_case(const std::string& title, bool debias, bool resource) {
  return {title,
          [debias](const Graph& g) {
            const Output x = x_of(g, {2});
            ExponentialMovingAverage average(0.9, {.zero_debias = debias});
            average.apply(Results{x});
            return Results{};
          },
          resource};
}

std::vector<Case> average_cases() {
  return {
      tensor_average_case("moving average of tensor", false, false),
      tensor_average_case("moving average of tensor resource", false, true),
      tensor_average_case("moving average of tensor debiased", true, false),
      {"moving average resource",
       [](const Graph& g) {
         const Variable v = get_variable(g, "v", {2}, {.initializer = kZeros});
         ExponentialMovingAverage average(0.9);
         average.apply(std::vector<Variable>{v});
         return Results{};
       },
       true},
      {"moving average num_updates resource",
       [](const Graph& g) {
         const Output n = input(g, "n", Shape{}, kInt32);
         const Variable v = get_variable(g, "v", {2}, {.initializer = kZeros});
         ExponentialMovingAverage average(0.9, {.num_updates = n});
         average.apply(std::vector<Variable>{v});
         return Results{};
       },
       true},
  };
}

class LossGraphsTest : public ::testing::TestWithParam<Case> {};

TEST_P(LossGraphsTest, IsTensorFlows) { expect_tensorflows_graph(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Losses, LossGraphsTest, ::testing::ValuesIn(loss_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Metrics, LossGraphsTest, ::testing::ValuesIn(metric_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Schedules, LossGraphsTest, ::testing::ValuesIn(schedule_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Clipping, LossGraphsTest, ::testing::ValuesIn(clipping_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Averages, LossGraphsTest, ::testing::ValuesIn(average_cases()), name_of);

}  // namespace
}  // namespace hub
