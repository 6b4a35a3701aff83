#include "hub/optimizers.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/file.h"
#include "common/json_tensor.h"
#include "hub/hub.h"

namespace hub::train {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Json& recorded() {
  static const Json kRecorded =
      Json::parse(read_file(cat(TF1HUB_SOURCE_DIR, "/tools/oracle/trajectories.json")));
  return kRecorded;
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, const Json& p) {
  const auto number = [&](const char* key) { return p.value(key, 0.0); };
  if (name == "GradientDescent")
    return std::make_unique<GradientDescentOptimizer>(number("learning_rate"));
  if (name == "Momentum") {
    return std::make_unique<MomentumOptimizer>(number("learning_rate"), number("momentum"),
                                               p.at("use_nesterov").get<bool>());
  }
  if (name == "Adam") {
    return std::make_unique<AdamOptimizer>(
        number("learning_rate"),
        AdamParameters{
            .beta1 = number("beta1"), .beta2 = number("beta2"), .epsilon = number("epsilon")});
  }
  if (name == "Adagrad") {
    return std::make_unique<AdagradOptimizer>(number("learning_rate"),
                                              number("initial_accumulator_value"));
  }
  if (name == "Adadelta") {
    return std::make_unique<AdadeltaOptimizer>(
        number("learning_rate"),
        AdadeltaParameters{.rho = number("rho"), .epsilon = number("epsilon")});
  }
  if (name == "RMSProp") {
    return std::make_unique<RmsPropOptimizer>(
        number("learning_rate"), RmsPropParameters{.decay = number("decay"),
                                                   .momentum = number("momentum"),
                                                   .epsilon = number("epsilon"),
                                                   .centered = p.at("centered").get<bool>()});
  }
  if (name == "Ftrl") {
    return std::make_unique<FtrlOptimizer>(
        number("learning_rate"),
        FtrlParameters{
            .learning_rate_power = number("learning_rate_power"),
            .initial_accumulator_value = number("initial_accumulator_value"),
            .l1_regularization_strength = number("l1_regularization_strength"),
            .l2_regularization_strength = number("l2_regularization_strength"),
            .l2_shrinkage_regularization_strength = number("l2_shrinkage_regularization_strength"),
            .beta = number("beta")});
  }
  const ProximalParameters proximal = {
      .l1_regularization_strength = number("l1_regularization_strength"),
      .l2_regularization_strength = number("l2_regularization_strength")};
  if (name == "ProximalGradientDescent") {
    return std::make_unique<ProximalGradientDescentOptimizer>(number("learning_rate"), proximal);
  }
  return std::make_unique<ProximalAdagradOptimizer>(number("learning_rate"),
                                                    number("initial_accumulator_value"), proximal);
}

std::vector<double> doubles(const Tensor& tensor) {
  std::vector<double> result;
  if (tensor.dtype() == kDouble)
    return {tensor.values<double>().begin(), tensor.values<double>().end()};
  for (const float value : tensor.values<float>()) result.push_back(value);
  return result;
}

// One variable "v", a gradient for each step; every variable's value after each step.
void check_trajectory(const Json& recording, bool use_resource) {
  const DType dtype = dtype_from_name(recording.at("dtype").get<std::string>());
  const bool is_sparse = recording.at("sparse").get<bool>();
  const Graph graph;
  const Tensor start = tensor_from_json(recording.at("start"), dtype, "start");
  const Variable v = get_variable(
      graph, "v", start.shape(),
      {.dtype = dtype, .initializer = init::constant(start), .use_resource = use_resource});
  const Output rows = ops::placeholder(graph, dtype, {-1, start.dim(1)});
  const Output indices = ops::placeholder(graph, kInt32, {-1});
  GradientValue gradient;
  if (is_sparse) {
    gradient.slices =
        IndexedSlices{rows, indices, ops::constant(graph, make_vector<std::int32_t>({4, 2}))};
  } else {
    gradient.dense = rows;
  }
  const auto optimizer =
      make_optimizer(recording.at("optimizer").get<std::string>(), recording.at("parameters"));
  const Operation step = optimizer->apply_gradients({{gradient, v}});
  Session session(graph);
  session.initialize();
  const auto check = [&](const std::string& name, const Json& want, const std::string& when) {
    const Operation node = graph.find_operation(name);
    ASSERT_TRUE(node) << name;
    const std::vector<double> got = doubles(session.variable(node));
    const std::vector<double> expected = doubles(tensor_from_json(want, kDouble, "state"));
    const double tolerance = dtype == kDouble ? 1e-12 : 2e-6;
    ASSERT_EQ(got.size(), expected.size()) << name;
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], expected[i], tolerance * (1 + std::abs(expected[i]))) << name << when;
  };
  for (const auto& [name, value] : recording.at("state_before").items())
    check(name, value, " before");
  for (std::size_t i = 0; i < recording.at("gradients").size(); ++i) {
    const Json& given = recording.at("gradients")[i];
    Feeds feeds;
    if (is_sparse) {
      const Json& list = given.at("rows");
      const Tensor values =
          list.empty() ? Tensor(dtype, {0, start.dim(1)}) : tensor_from_json(list, dtype, "rows");
      feeds = {{rows, values},
               {indices, list.empty() ? Tensor(kInt32, {0})
                                      : tensor_from_json(given.at("indices"), kInt32, "indices")}};
    } else {
      feeds = {{rows, tensor_from_json(given, dtype, "gradient")}};
    }
    session.run(step, feeds);
    for (const auto& [name, values] : recording.at("state_after").items())
      check(name, values[i], cat(" after step ", static_cast<std::int64_t>(i)));
  }
}

TEST(OptimizersTest, MoveAsTensorFlows) {
  for (const Json& recording : recorded().at("optimizers")) {
    SCOPED_TRACE(cat(recording.at("name").get<std::string>(), " ",
                     recording.at("dtype").get<std::string>(),
                     recording.at("sparse").get<bool>() ? " sparse" : ""));
    for (const bool use_resource : {false, true}) check_trajectory(recording, use_resource);
  }
}

TEST(OptimizersTest, WeightDecayMovesAsBerts) {
  for (const Json& recording : recorded().at("weight_decay")) {
    const Json& parameters = recording.at("parameters");
    const auto name = recording.at("name").get<std::string>();
    SCOPED_TRACE(name);
    const Graph graph;
    const Tensor start = tensor_from_json(recording.at("start"), kFloat, "start");
    const Variable v =
        get_variable(graph, name, start.shape(), {.initializer = init::constant(start)});
    const Output given = ops::placeholder(graph, kFloat, start.shape());
    // Clipped to a global norm.
    const double clip_norm = parameters.at("clip_norm").get<double>();
    const Output norm = ops::sqrt(ops::l2_loss(given) * 2.0F);
    const Output clipped = given * (ops::minimum(Input(clip_norm) / norm, 1.0F));
    AdamWeightDecayOptimizer optimizer(
        parameters.at("learning_rate").get<double>(),
        {.weight_decay_rate = parameters.at("weight_decay").get<double>(),
         .beta1 = parameters.at("beta1").get<double>(),
         .beta2 = parameters.at("beta2").get<double>(),
         .epsilon = parameters.at("epsilon").get<double>()});
    const Operation step = optimizer.apply_gradients({{GradientValue{.dense = clipped}, v}});
    Session session(graph);
    session.initialize();
    for (std::size_t i = 0; i < recording.at("gradients").size(); ++i) {
      session.run(step,
                  {{given, tensor_from_json(recording.at("gradients")[i], kFloat, "gradient")}});
      const std::vector<double> got = doubles(session.variable(v.op()));
      const std::vector<double> want =
          doubles(tensor_from_json(recording.at("state_after").at(name)[i], kDouble, "state"));
      for (std::size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], want[k], 1e-5) << i;
    }
  }
}

TEST(OptimizersTest, MinimizeCountsStepsAndNamesSlots) {
  const Graph graph;
  const Variable w = get_variable(graph, "layer/w", {2}, {.initializer = init::ones()});
  const Variable fixed = get_variable(graph, "fixed", {2}, {.trainable = false});
  const Variable steps = get_or_create_global_step(graph);
  AdamOptimizer optimizer(0.1);
  const Operation step =
      optimizer.minimize(ops::reduce_sum(ops::square(Output(w))), {.global_step = steps});
  EXPECT_EQ(optimizer.slot(w, "m").name(), "layer/w/Adam");
  EXPECT_EQ(optimizer.slot(w, "v").name(), "layer/w/Adam_1");
  EXPECT_FALSE(optimizer.slot(fixed, "m"));
  EXPECT_EQ(optimizer.variables().size(), 4u);
  EXPECT_EQ(graph.collection_operations("train_op").size(), 1u);
  Session session(graph);
  session.initialize();
  for (int i = 0; i < 3; ++i) session.run(step);
  EXPECT_EQ(session.variable(steps.op()).scalar<std::int64_t>(), 3);
  EXPECT_LT(session.variable(w.op()).values<float>()[0], 1);
}

TEST(OptimizersTest, WhatCannotTrainIsRefused) {
  const Graph graph;
  GradientDescentOptimizer optimizer(0.1);
  const Output x = ops::placeholder(graph, kFloat, {2});
  EXPECT_THAT([&] { optimizer.minimize(ops::reduce_sum(x)); },
              ::testing::ThrowsMessage<Error>(HasSubstr("No variables to optimize")));
  get_variable(graph, "w", {2});
  EXPECT_THAT([&] { optimizer.minimize(ops::reduce_sum(x)); },
              ::testing::ThrowsMessage<Error>(HasSubstr("No gradients provided")));
  EXPECT_THAT([&] { optimizer.minimize(ops::size(x)); },
              ::testing::ThrowsMessage<Error>(HasSubstr("floating dtype")));
  EXPECT_THROW(FtrlOptimizer(0.1, {.learning_rate_power = 0.5}), Error);
  EXPECT_THROW(AdagradOptimizer(0.1, -1), Error);
}

}  // namespace
}  // namespace hub::train
