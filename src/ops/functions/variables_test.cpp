// Variables, scopes and initialisers: names and values as real TensorFlow (2.15.1) gives them.

#include "hub/variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/strings.h"
#include "format/variable_def.h"
#include "graph/graph_state.h"
#include "hub/error.h"
#include "hub/ops.h"
#include "hub/session.h"

namespace hub {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

// "name op input (place)".
std::vector<std::string> lines(const Graph& graph) {
  std::vector<std::string> result;
  for (const Operation& op : graph.operations()) {
    std::string line = cat(op.name(), " ", op.type());
    for (int i = 0; i < op.num_inputs(); ++i) {
      const std::string input = op.input(i).name();
      line += cat(" ", input.ends_with(":0") ? input.substr(0, input.size() - 2) : input);
    }
    if (op.has_attr("_class")) {
      const auto places = std::get<std::vector<std::string>>(op.attr("_class").value());
      line += cat(" @", places.at(0).substr(5));
    }
    result.push_back(line);
  }
  return result;
}

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kValue);
    return error.what();
  }
  return "";
}

std::vector<double> numbers(const Tensor& tensor) {
  std::vector<double> result;
  for (std::int64_t i = 0; i < tensor.num_elements(); ++i) {
    switch (tensor.dtype()) {
      case DType::kFloat32: result.push_back(tensor.data<float>()[i]); break;
      case DType::kFloat64: result.push_back(tensor.data<double>()[i]); break;
      case DType::kInt32: result.push_back(tensor.data<std::int32_t>()[i]); break;
      default: result.push_back(static_cast<double>(tensor.data<std::int64_t>()[i]));
    }
  }
  return result;
}

TEST(VariablesTest, AReferenceVariableIsWrittenAsByTensorFlow) {
  Graph graph;
  const VariableScope scope(graph, "layer");
  get_variable(graph, "w", {3, 2});
  get_variable(graph, "c", {}, {.initial_value = ops::constant(graph, make_vector<float>({1, 2}))});
  const std::string base = "layer/w/Initializer/random_uniform";
  EXPECT_THAT(
      lines(graph),
      ElementsAre(base + "/shape Const @layer/w", base + "/min Const @layer/w",
                  base + "/max Const @layer/w",
                  base + "/RandomUniform RandomUniform " + base + "/shape @layer/w",
                  base + "/sub Sub " + base + "/max " + base + "/min @layer/w",
                  base + "/mul Mul " + base + "/RandomUniform " + base + "/sub @layer/w",
                  base + " AddV2 " + base + "/mul " + base + "/min @layer/w",
                  "layer/w VariableV2 @layer/w",
                  "layer/w/Assign Assign layer/w " + base + " @layer/w",
                  "layer/w/read Identity layer/w @layer/w", "layer/Const Const",
                  "layer/c VariableV2", "layer/c/Assign Assign layer/c layer/Const @layer/c",
                  "layer/c/read Identity layer/c @layer/c"));
}

TEST(VariablesTest, AResourceVariableIsWrittenAsByTensorFlow) {
  Graph graph;
  const VariableScope scope(graph, "layer", {.use_resource = true});
  const Variable b =
      get_variable(graph, "b", {2}, {.initializer = init::zeros(), .trainable = false});
  const Variable v = make_variable(graph, 1.5, "v");
  EXPECT_THAT(
      lines(graph),
      ElementsAre("layer/b/Initializer/zeros Const @layer/b", "layer/b VarHandleOp @layer/b",
                  "layer/b/IsInitialized/VarIsInitializedOp VarIsInitializedOp layer/b",
                  "layer/b/Assign AssignVariableOp layer/b layer/b/Initializer/zeros",
                  "layer/b/Read/ReadVariableOp ReadVariableOp layer/b",
                  "layer/v/Initializer/initial_value Const @layer/v",
                  "layer/v VarHandleOp @layer/v",
                  "layer/v/IsInitialized/VarIsInitializedOp VarIsInitializedOp layer/v",
                  "layer/v/Assign AssignVariableOp layer/v layer/v/Initializer/initial_value",
                  "layer/v/Read/ReadVariableOp ReadVariableOp layer/v"));
  const VariableDef& def = *b.def();
  EXPECT_EQ(def.variable_name, "layer/b:0");
  EXPECT_EQ(def.initial_value_name, "layer/b/Initializer/zeros:0");
  EXPECT_EQ(def.initializer_name, "layer/b/Assign");
  EXPECT_EQ(def.snapshot_name, "layer/b/Read/ReadVariableOp:0");
  EXPECT_TRUE(def.is_resource);
  EXPECT_FALSE(def.trainable);
  EXPECT_THAT(collection_variables(graph), ElementsAre(b, v));
  EXPECT_THAT(trainable_variables(graph), ElementsAre(v));
}

TEST(VariablesTest, AreReadWhereTheyAreUsed) {
  Graph graph;
  const Output x = ops::placeholder(graph, kFloat, {-1, 3}, "x");
  const Variable w = get_variable(graph, "w", {3, 2}, {.use_resource = true});
  const int before = graph.num_operations();
  ops::matmul(x, w);
  const auto all = lines(graph);
  EXPECT_THAT(std::vector(all.begin() + before, all.end()),
              ElementsAre("MatMul/ReadVariableOp ReadVariableOp w",
                          "MatMul MatMul x MatMul/ReadVariableOp"));
}

TEST(VariablesTest, AssignmentsBothKinds) {
  for (const bool resource : {false, true}) {
    Graph graph;
    const Variable v =
        get_variable(graph, "v", {2}, {.initializer = init::ones(), .use_resource = resource});
    const Operation add = v.assign_add(make_vector<float>({1, 2}));
    const Operation sub = v.assign_sub(ops::constant(graph, make_vector<float>({0.5f, 0.5f})));
    const Output there = v.is_initialized();
    Session session(graph);
    EXPECT_FALSE(session.run(there).scalar<bool>());
    session.initialize();
    EXPECT_TRUE(session.run(there).scalar<bool>());
    session.run(add);
    session.run(sub);
    EXPECT_THAT(numbers(session.run(v.value())), ElementsAre(1.5, 2.5));
    EXPECT_THAT(numbers(session.run(v.read_value())), ElementsAre(1.5, 2.5));
    session.run(v.assign(make_vector<float>({7, 8})));
    EXPECT_THAT(numbers(session.variable(v.op())), ElementsAre(7, 8));
  }
}

struct InitializerCase {
  Initializer initializer;
  Shape shape;
  DType dtype;
  std::vector<double> expected;
};

TEST(InitializersTest, GiveTensorFlowsValuesForTheirSeeds) {
  using enum init::FanMode;
  using enum init::Distribution;
  const InitializerCase cases[] = {
      {init::random_uniform(-1, 1, 6),
       {2, 3},
       kFloat,
       {0.286608219, -0.753179789, 0.789212942, -0.71540761, -0.880650043, 0.0907740593}},
      {init::random_uniform(0, 10, 6), {2, 3}, kInt32, {4, 5, 3, 3, 8, 4}},
      {init::random_uniform(-1, 1, 6),
       {2, 3},
       kDouble,
       {-0.707134127, -0.686294704, -0.0451997051, -0.185539343, 0.540600162, 0.281952353}},
      {init::random_normal(1, 2, 4),
       {2, 3},
       kFloat,
       {1.592592, 0.937173545, 0.890578806, 1.07526362, 6.12995577, -0.298916578}},
      {init::truncated_normal(0, 0.02, 5),
       {2, 3},
       kFloat,
       {-0.0235616565, -0.0141988276, -0.034963157, -0.00990744494, -0.0172830652, 0.0249140188}},
      {init::uniform_unit_scaling(1.43, 7),
       {2, 3},
       kFloat,
       {-0.0562511683, 0.0217279196, -0.857675195, -1.31444168, 1.51673508, 0.576588631}},
      {init::glorot_uniform(8),
       {3, 2},
       kFloat,
       {0.616755128, 0.821091294, 0.728680491, -0.374623179, -0.289612174, -0.55461812}},
      {init::glorot_normal(8),
       {3, 2},
       kFloat,
       {-0.357502013, 0.356493443, 0.382693201, -0.207293868, -0.532036841, 0.73332727}},
      {init::he_uniform(9),
       {1, 2, 3, 1},
       kFloat,
       {-0.0901887417, -0.372045279, -0.907304049, -0.0573935509, -0.757352114, 0.424240589}},
      {init::he_normal(9),
       {1, 2, 3, 1},
       kFloat,
       {0.758142531, -0.322309911, 0.291738808, -1.31010544, 0.0586954989, 0.726533175}},
      {init::lecun_uniform(9),
       {6},
       kFloat,
       {-0.0637730956, -0.263075739, -0.641560853, -0.0405833721, -0.535528779, 0.299983442}},
      {init::lecun_normal(9),
       {6},
       kFloat,
       {0.536087692, -0.227907524, 0.206290498, -0.926384389, 0.0415039845, 0.513736486}},
      {init::variance_scaling(3, kFanOut, kUntruncatedNormal, 2),
       {2, 3},
       kFloat,
       {-0.858110845, -0.196622983, 0.138950452, -1.22127676, -0.403412849, -1.1454041}},
      {init::orthogonal(1.5, 8),
       {2, 3},
       kFloat,
       {-0.468886793, 0.501926541, 1.33349729, 1.20819318, -0.604073524, 0.652199507}},
      {init::orthogonal(1, 8),
       {3, 1, 2},
       kFloat,
       {-0.312591195, 0.805462122, 0.334617674, -0.402715683, 0.88899821, 0.434799671}},
      {init::identity(2), {2, 3}, kFloat, {2, 0, 0, 0, 2, 0}},
      {init::identity(2), {2, 2}, kFloat, {2, 0, 0, 2}},
      {init::constant(0.5), {2, 2}, kFloat, {0.5, 0.5, 0.5, 0.5}},
      {init::constant(make_vector<std::int32_t>({1, 2, 3})), {2, 2}, kFloat, {1, 2, 3, 3}},
      {init::zeros(), {2}, kInt64, {0, 0}},
      {init::ones(), {2}, kFloat, {1, 1}},
  };
  int index = 0;
  for (const InitializerCase& c : cases) {
    Graph graph;
    const Variable v =
        get_variable(graph, "v", c.shape, {.dtype = c.dtype, .initializer = c.initializer});
    Session session(graph);
    session.initialize();
    const std::vector<double> values = numbers(session.run(v.value()));
    ASSERT_EQ(values.size(), c.expected.size()) << index;
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], c.expected[i], 1e-6 + 1e-6 * std::abs(c.expected[i])) << index;
    }
    ++index;
  }
}

TEST(InitializersTest, UseTheGraphsSeed) {
  Graph graph;
  graph.set_seed(12, OpSeedRule::kCounter);
  const Variable a = get_variable(graph, "a", {2, 2});
  const Variable b = get_variable(graph, "b", {3}, {.initializer = init::random_normal(0, 1, 3)});
  const Variable c = get_variable(graph, "c", {2}, {.initializer = init::truncated_normal()});
  Session session(graph);
  session.initialize();
  const auto near = [&](const Variable& v, std::vector<float> expected) {
    const Tensor value = session.run(v.value());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(value.data<float>()[i], expected[i], 1e-6) << v.name();
  };
  near(a, {0.826367497f, 0.885580897f, -0.388761461f, -1.02442169f});
  near(b, {1.68581295f, -0.242844403f, -0.315525651f});
  near(c, {-0.518156111f, 0.491267771f});
}

TEST(PartitionsTest, PartsAreVariablesAndAreReadAsOne) {
  Graph graph;
  const VariableScope scope(graph, "a", {.use_resource = true});
  const Variable w = get_variable(graph, "w", {5, 2},
                                  {.initializer = init::glorot_uniform(3),
                                   .regularizer = [](const Input& v) { return ops::l2_loss(v); },
                                   .partitioner = partition::fixed_size(2)});
  ASSERT_EQ(w.parts().size(), 2u);
  EXPECT_EQ(w.parts()[1].name(), "a/w/part_1");
  EXPECT_EQ(w.parts()[1].full_name(), "a/w");
  EXPECT_THAT(w.parts()[1].partition().offset, ElementsAre(3, 0));
  EXPECT_EQ(w.parts()[0].shape(), PartialShape({3, 2}));
  const std::vector<Output> losses = regularization_losses(graph);
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_EQ(losses[1].name(), "a/w/part_1/Regularizer/L2Loss:0");
  const int before = graph.num_operations();
  const Output read = ops::identity(w);
  EXPECT_EQ(read.op().input(0).name(), "a/w:0");
  const auto all = lines(graph);
  const std::string concat = "a/w/ConcatPartitions/concat";
  EXPECT_THAT(
      std::vector(all.begin() + before, all.begin() + before + 5),
      ElementsAre(concat + "/ReadVariableOp ReadVariableOp a/w/part_0",
                  concat + "/ReadVariableOp_1 ReadVariableOp a/w/part_1", concat + "/axis Const",
                  concat + " ConcatV2 " + concat + "/ReadVariableOp " + concat +
                      "/ReadVariableOp_1 " + concat + "/axis",
                  "a/w Identity " + concat));
  Session session(graph);
  session.initialize();
  const Tensor value = session.run(read);
  EXPECT_NEAR(value.data<float>()[0], -0.209366083, 1e-6);
  EXPECT_NEAR(value.data<float>()[6], -0.209366083, 1e-6);  // each part begins its stream
  EXPECT_EQ(get_variable(graph, "u", {3, 1}, {.partitioner = partition::fixed_size(1)})
                .parts()
                .at(0)
                .name(),
            "a/u/part_0");
}

TEST(PartitionsTest, PartitionersFollowTensorFlowsRules) {
  EXPECT_THAT(partition::fixed_size(4)({3, 2}, kFloat), ElementsAre(3, 1));
  EXPECT_THAT(partition::variable_axis_size(100, 1)({4, 64}, kFloat), ElementsAre(1, 11));
  EXPECT_THAT(partition::variable_axis_size(100, 1, 16, 3)({4, 64}, kFloat), ElementsAre(1, 3));
  EXPECT_THAT(partition::min_max(8, 0, 1024)({100, 10}, kFloat), ElementsAre(4, 1));
  EXPECT_THAT(partition::min_max(2, 0, 1024)({100, 10}, kFloat), ElementsAre(2, 1));
}

TEST(VariableScopeTest, NamesAreTensorFlows) {
  Graph graph;
  std::vector<std::string> names;
  const auto add = [&](std::string_view name = "v") {
    names.push_back(get_variable(graph, name, PartialShape::scalar()).name());
  };
  const auto op = [&] { names.push_back(cat("op ", ops::no_op(graph, "o").name())); };
  VariableScopeState a, b;
  {
    const VariableScope scope(graph, "a");
    a = scope.state();
    add(), op();
    const VariableScope inner(graph, "b");
    b = inner.state();
    add(), op();
  }
  {
    const VariableScope scope(graph, "a");
    op(), add("v2");
  }
  {
    const VariableScope scope(graph, a, {.reuse = Reuse::kYes});
    add(), op();
  }
  {
    const VariableScope scope(graph, "c");
    const VariableScope inner(graph, b, {.reuse = Reuse::kAuto});
    add(), op(), add("w");
  }
  for (int i = 0; i < 2; ++i) {
    const VariableScope scope(graph, DefaultName{"d"});
    add(), op();
  }
  {
    const VariableScope scope(graph, "d_1", {.reuse = Reuse::kAuto});
    add(), op();
  }
  {
    const VariableScope scope(graph, "e");
    for (int i = 0; i < 2; ++i) {
      const VariableScope inner(graph, DefaultName{"f"});
      add(), op();
    }
  }
  {
    const VariableScope scope(graph, "e");
    const VariableScope inner(graph, DefaultName{"f"});
    names.push_back(inner.name());
    op();
  }
  {
    const VariableScope scope(graph, "h", {.auxiliary_name_scope = false});
    add(), op();
  }
  {
    const NameScope n(graph, "n");
    {
      const VariableScope k(graph, "k");
      add(), op();
      names.push_back(k.original_name_scope());
    }
    const VariableScope again(graph, a, {.reuse = Reuse::kYes, .auxiliary_name_scope = false});
    add(), op();
    names.push_back(again.original_name_scope());
    const NameScope original(graph, again.original_name_scope());
    op();
  }
  {
    const VariableScope top(graph, "");
    add("top"), op();
  }
  {
    const VariableScope scope(graph, a);
    {
      const VariableScope inner(graph, DefaultName{"b"});
      names.push_back(inner.name());
    }
    const VariableScope z(graph, "z");
    add();
  }
  {
    const VariableScope scope(graph, DefaultName{"a"});
    names.push_back(scope.name());
  }
  {
    const VariableScope scope(graph, a);
    const VariableScope z(graph, DefaultName{"z"});
    names.push_back(z.name());
  }
  EXPECT_THAT(names, ElementsAreArray(
                         {"a/v",      "op a/o",   "a/b/v",      "op a/b/o", "op a_1/o",   "a/v2",
                          "a/v",      "op a_2/o", "a/b/v",      "op c/b/o", "a/b/w",      "d/v",
                          "op d/o",   "d_1/v",    "op d_1/o",   "d_1/v",    "op d_1_1/o", "e/f/v",
                          "op e/f/o", "e/f_1/v",  "op e/f_1/o", "e/f",      "op e_1/f/o", "h/v",
                          "op o",     "k/v",      "op n/k/o",   "n/k/",     "a/v",        "op n/o",
                          "a/",       "op a/o_1", "top",        "op o_1",   "a/b_1",      "a/z/v",
                          "a_1",      "a/z"}));
}

TEST(VariableScopeTest, WhatIsNotSaidIsInherited) {
  Graph graph;
  const VariableScope outer(graph, "outer",
                            {.initializer = init::constant(3),
                             .regularizer = regularize::l2(0.5),
                             .dtype = kDouble,
                             .use_resource = true});
  const VariableScope inner(graph, "inner");
  const Variable v = get_variable(graph, "v", {2});
  EXPECT_EQ(v.dtype(), kDouble);
  EXPECT_TRUE(v.is_resource());
  const Output loss = regularization_losses(graph).at(0);
  EXPECT_EQ(loss.name(), "outer/inner/v/Regularizer/l2_regularizer:0");
  Session session(graph);
  session.initialize();
  EXPECT_EQ(session.run(loss).scalar<double>(), 4.5);
}

TEST(RegularizersTest, GiveScaledPenalties) {
  Graph graph;
  const Output w = ops::constant(graph, make_vector<float>({1, -2, 3}));
  const Output l1 = regularize::l1(0.5)(w);
  const Output l2 = regularize::l2(0.5)(w);
  const Output both = regularize::l1_l2(0.5, 0.5)(w);
  EXPECT_EQ(l1.name(), "l1_regularizer:0");
  EXPECT_EQ(both.name(), "sum_regularizer:0");
  EXPECT_FALSE(regularize::l1(0)(w));
  EXPECT_FALSE(regularize::sum({regularize::l2(0)})(w));
  EXPECT_THAT(error_of([] { regularize::l2(-1); }), HasSubstr("less than 0"));
  Session session(graph);
  EXPECT_EQ(session.run(l1).scalar<float>(), 3);
  EXPECT_EQ(session.run(l2).scalar<float>(), 3.5);
  EXPECT_EQ(session.run(both).scalar<float>(), 6.5);
}

TEST(VariableScopeTest, ReuseIsChecked) {
  Graph graph;
  get_variable(graph, "v", {2});
  EXPECT_THAT(error_of([&] { get_variable(graph, "v", {2}); }), HasSubstr("already exists"));
  {
    const VariableScope scope(graph, "", {.reuse = Reuse::kYes});
    EXPECT_EQ(get_variable(graph, "v", {2}).name(), "v");
    EXPECT_EQ(get_variable(graph, "v").name(), "v");
    EXPECT_THAT(error_of([&] { get_variable(graph, "v", {3}); }), HasSubstr("specified shape"));
    EXPECT_THAT(error_of([&] { get_variable(graph, "v", {2}, {.dtype = kDouble}); }),
                HasSubstr("specified dtype"));
    EXPECT_THAT(error_of([&] { get_variable(graph, "w", {2}); }), HasSubstr("does not exist"));
  }
  EXPECT_THAT(error_of([&] { get_variable(graph, "w"); }), HasSubstr("fully defined"));
  EXPECT_THAT(
      error_of([&] { get_variable(graph, "v", {2}, {.partitioner = partition::fixed_size(2)}); }),
      HasSubstr("unpartitioned version"));
}

TEST(VariableScopeTest, AGetterStandsInForTheInnerOnes) {
  Graph graph;
  const VariableScope outer(
      graph, "s",
      {.custom_getter = [](const VariableGetter& getter, const std::string& name,
                           const PartialShape& shape, const VariableOptions& options) {
        return getter(name + "_outer", shape, options);
      }});
  const VariableScope inner(
      graph, "t",
      {.custom_getter = [](const VariableGetter& getter, const std::string& name,
                           const PartialShape& shape, const VariableOptions& options) {
        return getter(name + "_inner", shape, options);
      }});
  EXPECT_EQ(get_variable(graph, "v", {1}).name(), "s/t/v_inner_outer");
}

TEST(VariablesTest, GlobalStepIsOne) {
  Graph graph;
  EXPECT_FALSE(find_global_step(graph));
  const Variable step = get_or_create_global_step(graph);
  EXPECT_EQ(step.name(), "global_step");
  EXPECT_EQ(step.dtype(), kInt64);
  EXPECT_FALSE(step.trainable());
  EXPECT_EQ(get_or_create_global_step(graph), step);
}

}  // namespace
}  // namespace hub
