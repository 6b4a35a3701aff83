// Losses, schedules, clipping, averages and initialisers against what real TensorFlow computed
// (tools/oracle/trajectories.json).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/strings.h"
#include "hub/hub.h"

namespace hub {
namespace {

using Json = nlohmann::json;

const Json& recorded() {
  static const Json kRecorded =
      Json::parse(read_file(cat(TF1HUB_SOURCE_DIR, "/tools/oracle/trajectories.json")));
  return kRecorded;
}

double number_of(const Json& value) {
  return value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr)
                           : value.get<double>();
}

// Nested lists as values in order and a shape.
void flatten_into(const Json& value, std::vector<double>& numbers) {
  if (!value.is_array()) {
    numbers.push_back(number_of(value));
    return;
  }
  for (const Json& element : value) flatten_into(element, numbers);
}
std::vector<double> numbers_of(const Json& value) {
  std::vector<double> result;
  flatten_into(value, result);
  return result;
}
Shape shape_of(const Json& value) {
  std::vector<std::int64_t> dims;
  for (const Json* level = &value; level->is_array(); level = &level->front())
    dims.push_back(static_cast<std::int64_t>(level->size()));
  return Shape(dims);
}
Tensor float_tensor(const Json& value) {
  const std::vector<double> numbers = numbers_of(value);
  return make_tensor<float>(shape_of(value), std::vector<float>(numbers.begin(), numbers.end()));
}
std::vector<double> numbers_of(const Tensor& tensor) {
  std::vector<double> result;
  for (std::int64_t i = 0; i < tensor.num_elements(); ++i) {
    result.push_back(tensor.dtype() == kDouble ? tensor.data<double>()[i]
                                               : static_cast<double>(tensor.data<float>()[i]));
  }
  return result;
}

void expect_near(const Tensor& got, const Json& wanted, double tolerance, const std::string& what) {
  const std::vector<double> actual = numbers_of(got);
  const std::vector<double> expected = numbers_of(wanted);
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(actual[i])) << what;
    } else if (std::isinf(expected[i])) {
      EXPECT_EQ(actual[i], expected[i]) << what;
    } else {
      EXPECT_NEAR(actual[i], expected[i], tolerance * (1e-2 + std::abs(expected[i]))) << what;
    }
  }
}

Tensor run_once(const Graph& graph, const Output& y) {
  Session session(graph);
  session.initialize();
  return session.run(y);
}

losses::Reduction reduction_of(const Json& entry) {
  using losses::Reduction;
  static const std::map<std::string, Reduction> kReductions = {
      {"none", Reduction::kNone},
      {"weighted_sum", Reduction::kSum},
      {"weighted_mean", Reduction::kMean},
      {"weighted_sum_over_batch_size", Reduction::kSumOverBatchSize},
      {"weighted_sum_by_nonzero_weights", Reduction::kSumByNonzeroWeights}};
  if (entry.at("reduction").is_null()) return Reduction::kSumByNonzeroWeights;
  return kReductions.at(entry.at("reduction").get<std::string>());
}

Output loss_of(const std::string& name, const Output& l, const Output& p, const Json& parameters,
               const losses::LossOptions& options) {
  const auto number = [&](const char* key, double otherwise) {
    return parameters.is_object() ? parameters.value(key, otherwise) : otherwise;
  };
  if (name == "absolute_difference") return losses::absolute_difference(l, p, options);
  if (name == "mean_squared_error") return losses::mean_squared_error(l, p, options);
  if (name == "huber_loss") return losses::huber_loss(l, p, number("delta", 1), options);
  if (name == "log_loss") return losses::log_loss(l, p, number("epsilon", 1e-7), options);
  if (name == "hinge_loss") return losses::hinge_loss(l, p, options);
  if (name == "mean_pairwise_squared_error")
    return losses::mean_pairwise_squared_error(l, p, options);
  if (name == "sigmoid_cross_entropy")
    return losses::sigmoid_cross_entropy(l, p, number("label_smoothing", 0), options);
  if (name == "softmax_cross_entropy")
    return losses::softmax_cross_entropy(l, p, number("label_smoothing", 0), options);
  if (name == "sparse_softmax_cross_entropy")
    return losses::sparse_softmax_cross_entropy(ops::cast(l, kInt32), p, options);
  if (name == "cosine_distance")
    return losses::cosine_distance(l, p, static_cast<int>(number("axis", 1)), options);
  ADD_FAILURE() << "no loss " << name;
  return {};
}

TEST(TrainingValuesTest, Losses) {
  for (const Json& entry : recorded().at("losses")) {
    const Graph graph;
    const Output labels = ops::constant(graph, float_tensor(entry.at("labels")));
    const Output predictions = ops::constant(graph, float_tensor(entry.at("predictions")));
    losses::LossOptions options;
    options.weights = ops::constant(graph, float_tensor(entry.at("weights")));
    options.reduction = reduction_of(entry);
    const std::string name = entry.at("name").get<std::string>();
    const Output loss =
        loss_of(name, labels, predictions, entry.value("parameters", Json()), options);
    expect_near(run_once(graph, loss), entry.at("value"), 1e-5, entry.dump());
    EXPECT_EQ(graph.collection(Collections::kLosses).size(), 1u);
  }
}

Output schedule_of(const std::string& name, const Output& step, const Json& p) {
  namespace s = schedules;
  const auto number = [&](const char* key, double otherwise = 0) {
    return p.value(key, otherwise);
  };
  const auto whole = [&](const char* key) { return p.at(key).get<int>(); };
  const bool staircase = p.value("staircase", false);
  if (name == "piecewise_constant") {
    return s::piecewise_constant(step, p.at("boundaries").get<std::vector<double>>(),
                                 p.at("values").get<std::vector<double>>());
  }
  const double rate = number("learning_rate");
  if (name == "cosine_decay_restarts") {
    return s::cosine_decay_restarts(
        rate, step, whole("first_decay_steps"),
        {.t_mul = number("t_mul", 2), .m_mul = number("m_mul", 1), .alpha = number("alpha")});
  }
  const int steps = whole("decay_steps");
  if (name == "exponential_decay")
    return s::exponential_decay(rate, step, steps, number("decay_rate"), {.staircase = staircase});
  if (name == "natural_exp_decay")
    return s::natural_exp_decay(rate, step, steps, number("decay_rate"), {.staircase = staircase});
  if (name == "inverse_time_decay")
    return s::inverse_time_decay(rate, step, steps, number("decay_rate"), {.staircase = staircase});
  if (name == "polynomial_decay") {
    return s::polynomial_decay(rate, step, steps,
                               {.end = number("end_learning_rate"),
                                .power = number("power"),
                                .cycle = p.value("cycle", false)});
  }
  if (name == "cosine_decay") return s::cosine_decay(rate, step, steps, number("alpha"));
  return s::linear_cosine_decay(rate, step, steps,
                                {.num_periods = number("num_periods", 0.5),
                                 .alpha = number("alpha"),
                                 .beta = number("beta", 0.001)});
}

TEST(TrainingValuesTest, Schedules) {
  for (const Json& entry : recorded().at("schedules")) {
    const Graph graph;
    const Output step = ops::placeholder(graph, kInt64, Shape{});
    const Output rate =
        schedule_of(entry.at("name").get<std::string>(), step, entry.at("parameters"));
    Session session(graph);
    for (std::size_t i = 0; i < entry.at("steps").size(); ++i) {
      const Tensor at = make_scalar<std::int64_t>(entry.at("steps")[i].get<std::int64_t>());
      expect_near(session.run(rate, {{step, at}}), entry.at("values")[i], 2e-6, entry.dump());
    }
  }
}

TEST(TrainingValuesTest, WarmUp) {
  const Graph graph;
  const Output step = ops::placeholder(graph, kInt64, Shape{});
  const Output rate = schedules::linear_warmup(
      schedules::polynomial_decay(5e-5, step, 20, {.end = 0}), 5e-5, step, 4);
  Session session(graph);
  const std::vector<std::pair<int, double>> wanted = {
      {0, 0}, {1, 1.25e-5}, {3, 3.75e-5}, {4, 4e-5}, {20, 0}};
  for (const auto& [at, value] : wanted) {
    const Tensor fed = make_scalar<std::int64_t>(at);
    EXPECT_NEAR(session.run(rate, {{step, fed}}).scalar<float>(), value, 1e-10) << at;
  }
}

Initializer variance_scaling_of(const Json& p, std::int64_t seed) {
  const std::string mode = p.value("mode", "fan_in");
  const std::string distribution = p.value("distribution", "truncated_normal");
  const init::FanMode fan = mode == "fan_in"    ? init::FanMode::kFanIn
                            : mode == "fan_out" ? init::FanMode::kFanOut
                                                : init::FanMode::kFanAverage;
  const init::Distribution shape = distribution == "uniform" ? init::Distribution::kUniform
                                   : distribution == "untruncated_normal"
                                       ? init::Distribution::kUntruncatedNormal
                                       : init::Distribution::kTruncatedNormal;
  return init::variance_scaling(p.value("scale", 1.0), fan, shape, seed);
}

Initializer initializer_of(const std::string& name, const Json& p, std::int64_t seed) {
  const auto number = [&](const char* key) { return p.at(key).get<double>(); };
  if (name == "glorot_uniform") return init::glorot_uniform(seed);
  if (name == "glorot_normal") return init::glorot_normal(seed);
  if (name == "he_normal") return init::he_normal(seed);
  if (name == "he_uniform") return init::he_uniform(seed);
  if (name == "lecun_normal") return init::lecun_normal(seed);
  if (name == "lecun_uniform") return init::lecun_uniform(seed);
  if (name == "truncated_normal")
    return init::truncated_normal(number("mean"), number("stddev"), seed);
  if (name == "random_normal") return init::random_normal(number("mean"), number("stddev"), seed);
  if (name == "random_uniform")
    return init::random_uniform(number("minval"), number("maxval"), seed);
  if (name == "orthogonal") return init::orthogonal(number("gain"), seed);
  if (name == "constant") return init::constant(number("value"));
  if (name == "zeros") return init::zeros();
  if (name == "ones") return init::ones();
  if (name == "uniform_unit_scaling") return init::uniform_unit_scaling(number("factor"), seed);
  return variance_scaling_of(p, seed);
}

TEST(TrainingValuesTest, Initializers) {
  constexpr std::int64_t kNoGraphSeed = 87654321;
  for (const Json& entry : recorded().at("initializers")) {
    const Graph graph;
    const auto graph_seed = entry.at("seed")[0].get<std::int64_t>();
    if (graph_seed != kNoGraphSeed) graph.set_seed(graph_seed);
    const Initializer initializer =
        initializer_of(entry.at("name").get<std::string>(), entry.at("parameters"),
                       entry.at("seed")[1].get<std::int64_t>());
    const Shape shape(entry.at("shape").get<std::vector<std::int64_t>>());
    const DType dtype = entry.at("dtype") == "float64" ? kDouble : kFloat;
    const Output value = initializer(graph, shape, dtype, nullptr);
    expect_near(run_once(graph, value), entry.at("values"), 1e-5, entry.dump());
  }
}

TEST(TrainingValuesTest, Clipping) {
  for (const Json& entry : recorded().at("clipping")) {
    const Graph graph;
    std::vector<GradientValue> gradients;
    for (const Json& gradient : entry.at("gradients"))
      gradients.push_back({ops::constant(graph, float_tensor(gradient))});
    const auto clipped = ops::clip_by_global_norm(gradients, entry.at("clip_norm").get<double>());
    expect_near(run_once(graph, clipped.norm), entry.at("global_norm"), 1e-6, entry.dump());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      expect_near(run_once(graph, clipped.gradients[i].dense), entry.at("clipped")[i], 1e-6,
                  entry.dump());
    }
  }
}

TEST(TrainingValuesTest, MovingAverages) {
  for (const bool use_resource : {false, true}) {
    for (const Json& entry : recorded().at("moving_averages")) {
      const Graph graph;
      VariableScopeOptions scope_options;
      scope_options.use_resource = use_resource;
      const VariableScope scope(graph, "", scope_options);
      const Output x = ops::placeholder(graph, kFloat, {2}, "x");
      const Output n = ops::placeholder(graph, kInt32, Shape{}, "n");
      MovingAverageOptions options;
      options.zero_debias = entry.at("zero_debias").get<bool>();
      const bool counted = entry.at("num_updates").is_array();
      if (counted) options.num_updates = Input(n);
      ExponentialMovingAverage average(entry.at("decay").get<double>(), options);
      const Operation update = average.apply(std::vector<Output>{x});
      const Output now = average.average(x).read_value();
      Session session(graph);
      session.initialize();
      for (std::size_t i = 0; i < entry.at("values").size(); ++i) {
        const int count = counted ? entry.at("num_updates")[i].get<int>() : 0;
        session.run(update, {{x, float_tensor(entry.at("values")[i])},
                             {n, make_scalar<std::int32_t>(count)}});
        expect_near(session.run(now), entry.at("averages")[i], 1e-5, entry.dump());
      }
    }
  }
}

TEST(TrainingValuesTest, MovingAveragesOfVariablesBeginAtTheirValues) {
  for (const bool use_resource : {false, true}) {
    const Graph graph;
    const Variable v = get_variable(
        graph, "v", {2}, {.initializer = init::constant(2), .use_resource = use_resource});
    ExponentialMovingAverage average(0.5);
    const Operation update = average.apply(std::vector<Variable>{v});
    const Output now = average.average(v).read_value();
    const Operation assign = v.assign(make_vector<float>({4, 0}));
    Session session(graph);
    session.initialize();
    EXPECT_EQ(numbers_of(session.run(now)), (std::vector<double>{2, 2}));
    session.run(assign);
    session.run(update);
    EXPECT_EQ(numbers_of(session.run(now)), (std::vector<double>{3, 1}));
    EXPECT_EQ(average.average_name(v), "v/ExponentialMovingAverage");
    EXPECT_TRUE(average.variables_to_restore(graph).contains("v/ExponentialMovingAverage"));
  }
}

}  // namespace
}  // namespace hub
