// Conversion of inputs and outputs, scopes, the getters and evaluation of specs.

#include "module/acceptance/acceptance.h"
#include "module/apply_inputs.h"
#include "module/state_graph.h"

namespace hub::testing {
namespace {

BoundSignature declared(const std::vector<std::string>& inputs) {
  BoundSignature signature;
  signature.name = "default";
  for (const std::string& name : inputs)
    signature.inputs[name].info = {.dtype = kFloat, .shape = {-1}};
  return signature;
}

TEST(ModuleTest, M01_SingleInput) {
  const Graph graph;
  const BoundSignature one = declared({"x"});
  const Value vector = make_vector<float>({1, 2});
  EXPECT_EQ(convert_inputs(graph, one, only_input(one, vector)).at("x").info().shape,
            PartialShape({2}));
  EXPECT_EQ(convert_inputs(graph, one, {{"x", vector}}).at("x").info().dtype, kFloat);
  expect_error(ErrorKind::kType, "missing ['x']", [&] { convert_inputs(graph, one, {}); });
  expect_error(ErrorKind::kType, "extra given ['y']", [&] {
    convert_inputs(graph, one, {{"x", vector}, {"y", vector}});
  });
}

TEST(ModuleTest, M02_NoInputs) {
  const Graph graph;
  const BoundSignature none = declared({});
  EXPECT_TRUE(convert_inputs(graph, none, {}).empty());
  expect_error(ErrorKind::kType, "expects no inputs", [&] { only_input(none, 1); });
  expect_error(ErrorKind::kType, "extra given ['x']", [&] {
    convert_inputs(graph, none, {{"x", 1}});
  });
}

TEST(ModuleTest, M03_MultipleInputs) {
  const Graph graph;
  const BoundSignature two = declared({"x", "y"});
  const Value vector = make_vector<float>({1, 2});
  EXPECT_EQ(convert_inputs(graph, two, {{"x", vector}, {"y", vector}}).size(), 2u);
  expect_error(ErrorKind::kType, "missing ['x', 'y']", [&] { convert_inputs(graph, two, {}); });
  expect_error(ErrorKind::kType, "missing ['x', 'y']", [&] {
    convert_inputs(graph, two, {{"z", 1}});
  });
  expect_error(ErrorKind::kType, "Signature expects multiple inputs. Use a dict.",
               [&] { only_input(two, 1); });
}

ModuleSpec doubling() {
  return simple_spec(kFloat, {-1}, [](const Output& x) { return x * 2; });
}

TEST(ModuleTest, M04_M05_Outputs) {
  const Graph graph;
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat, {-1});
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x}, {"other", x * 2}}});
    b.add_signature({.name = "none", .inputs = {{"x", x}}, .outputs = {{"other", x}}});
  });
  const Module m(graph, spec);
  const Value x = make_vector<float>({1, 2});
  EXPECT_TRUE(m(x).is_dense());
  EXPECT_EQ(m.apply(x).size(), 2u);
  EXPECT_EQ(m.apply(x, {.signature = "none"}).size(), 1u);
  expect_error(ErrorKind::kType, "Use as_dict=True.", [&] { m(x, {.signature = "none"}); });
}

TEST(ModuleTest, M06_StateScopesAreUnique) {
  const Graph graph;
  EXPECT_EQ(take_state_scope(graph, "a"), "a");
  EXPECT_EQ(take_state_scope(graph, "a"), "a_1");
}

TEST(ModuleTest, M07_M08_ScopesAreUsed) {
  const Graph graph;
  EXPECT_EQ(take_state_scope(graph, "a"), "a");
  EXPECT_EQ(VariableScope(graph, DefaultName{"a"}, {.auxiliary_name_scope = false}).name(), "a_1");
  EXPECT_EQ(NameScope(graph, "a").name(), "a_1/");
}

TEST(ModuleTest, M09_UnmarkedNamesStayFree) {
  const Graph graph;
  EXPECT_EQ(graph.unique_name("a", false), "a");
  EXPECT_EQ(NameScope(graph, "a").name(), "a/");
  EXPECT_EQ(graph.unique_name("a", false), "a_1");
  EXPECT_EQ(NameScope(graph, "a").name(), "a_1/");
}

TEST(ModuleTest, M10_TakenNameScope) {
  const Graph graph;
  { const NameScope scope(graph, "a"); }
  expect_error(ErrorKind::kRuntime, "name_scope was already taken",
               [&] { take_state_scope(graph, "a"); });
}

TEST(ModuleTest, M11_ActiveScopes) {
  {
    const Graph graph;
    const NameScope names(graph, "foo");
    EXPECT_EQ(take_state_scope(graph, "a"), "a");
  }
  {
    const Graph graph;
    const VariableScope variables(graph, "vs");
    EXPECT_EQ(take_state_scope(graph, "a"), "vs/a");
    EXPECT_EQ(NameScope(graph, "a").name(), "vs/a_1/");
  }
  const Graph graph;
  const NameScope names(graph, "foo");
  const VariableScope variables(graph, "vs");
  EXPECT_EQ(take_state_scope(graph, "a"), "vs/a");
}

TEST(ModuleTest, M12_M13_M14_Applies) {
  const Graph graph;
  const Module m(graph, doubling());
  Session session(graph);
  const Tensor x = make_vector<float>({1, 2});
  EXPECT_THAT(floats(session.run(m(x).dense())), ElementsAre(2, 4));
  EXPECT_THAT(floats(session.run(m({{"x", x}}).dense())), ElementsAre(2, 4));
  const Outputs all = m.apply(x);
  EXPECT_EQ(all.size(), 1u);
  EXPECT_TRUE(all.contains("default"));
}

TEST(ModuleTest, M15_InsideAVariableScope) {
  const Graph graph;
  const VariableScope scope(graph, "foo");
  const Module m(graph, doubling());
  const Output y = m(make_vector<float>({1, 2}));
  EXPECT_THAT(floats(Session(graph).run(y)), ElementsAre(2, 4));
}

// A variant without tags, and one that takes all kinds of values.
ModuleSpec special() {
  const auto function = [](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat, {-1}, "x");
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x * 2}}});
    if (!b.argument("special", false)) return;
    const Output y = b.placeholder(kFloat, {-1}, "y");
    b.add_signature({.name = "extra",
                     .inputs = {{"x", x}, {"y", y}},
                     .outputs = {{"default", x * 2}, {"z", x * 2 + y * 3}}});
    const SparseValue s = b.sparse_placeholder(kFloat, {-1, -1}, "s");
    const Output dense = b.graph().op(
        "SparseTensorDenseMatMul", {s.indices, s.values, s.dense_shape,
                                    ops::constant(b.graph(), make_tensor<float>({2, 1}, {2, 2}))});
    b.add_signature(
        {.name = "sparse", .inputs = {{"x", s}}, .outputs = {{"default", ops::squeeze(dense)}}});
    const RaggedValue r = b.ragged_placeholder(kFloat, 2, {3}, "r");
    b.add_signature({.name = "ragged",
                     .inputs = {{"x", r}},
                     .outputs = {{"default", RaggedValue{r.values * 2, r.row_splits}}}});
  };
  return create_module_spec(
      function, {.variants = {{}, {.tags = {"special"}, .arguments = {{"special", true}}}}});
}

TEST(ModuleTest, M16_M17_Getters) {
  const ModuleSpec spec = special();
  EXPECT_THAT(spec.signature_names(), ElementsAre("default"));
  EXPECT_THAT(spec.signature_names({"special"}),
              ElementsAre("default", "extra", "ragged", "sparse"));
  const Signature extra = spec.signature("extra", {"special"});
  EXPECT_THAT(extra.inputs, UnorderedElementsAre(::testing::Key("x"), ::testing::Key("y")));
  EXPECT_THAT(extra.outputs, UnorderedElementsAre(::testing::Key("default"), ::testing::Key("z")));
}

TEST(ModuleTest, M18_M23_Evaluates) {
  const EvalFunction f(doubling());
  EXPECT_THAT(floats(f(make_vector<float>({1, 2}))), ElementsAre(2, 4));
  EXPECT_THAT(floats(f(make_vector<float>({1, 2}), "default")), ElementsAre(2, 4));
  expect_error(ErrorKind::kType, "missing ['x']", [&] { f(TensorMap{}); });
  expect_error(ErrorKind::kValue, "Signature 'other' is missing",
               [&] { f(make_vector<float>({1}), "other"); });
}

TEST(ModuleTest, M19_EvaluatesSparse) {
  const EvalFunction f(special(), {"special"});
  const Tensor y = f({{"x/indices", make_tensor<std::int64_t>({1, 2}, {0, 0})},
                      {"x/values", make_vector<float>({1})},
                      {"x/dense_shape", make_vector<std::int64_t>({2, 2})}},
                     "sparse");
  EXPECT_THAT(floats(y), ElementsAre(2, 0));
}

TEST(ModuleTest, M20_EvaluatesRagged) {
  const EvalFunction f(special(), {"special"});
  const Tensor outer = make_vector<std::int64_t>({0, 1});
  const Tensor inner = make_vector<std::int64_t>({0, 2});
  const TensorMap y = f.call({{"x/values", make_tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6})},
                              {"x/row_splits_0", outer},
                              {"x/row_splits_1", inner}},
                             "ragged");
  EXPECT_THAT(floats(y.at("default/values")), ElementsAre(2, 4, 6, 8, 10, 12));
  EXPECT_THAT(y.at("default/row_splits_1").values<std::int64_t>(), ElementsAre(0, 2));
}

TEST(ModuleTest, M21_M22_M24_EvaluatesSeveral) {
  const EvalFunction f(special(), {"special"});
  EXPECT_THAT(floats(f({{"x", make_vector<float>({1, 2})}})), ElementsAre(2, 4));
  EXPECT_EQ(f.call({{"x", make_vector<float>({1, 2})}}).size(), 1u);
  const TensorMap y =
      f.call({{"x", make_vector<float>({1})}, {"y", make_vector<float>({2})}}, "extra");
  EXPECT_THAT(floats(y.at("default")), ElementsAre(2));
  EXPECT_THAT(floats(y.at("z")), ElementsAre(8));
}

TEST(TensorInfoTest, T01_T07_T08_Values) {
  const Graph graph;
  const Value dense = ops::placeholder(graph, kFloat, {-1, 2});
  EXPECT_EQ(dense.info(), (ValueInfo{.dtype = kFloat, .shape = {-1, 2}}));
  const Value sparse =
      SparseValue{ops::placeholder(graph, kInt64, {-1, 3}), ops::placeholder(graph, kInt32, {-1}),
                  ops::placeholder(graph, kInt64, {3})};
  EXPECT_EQ(sparse.info(), (ValueInfo{.kind = ValueKind::kSparse,
                                      .dtype = kInt32,
                                      .shape = PartialShape::unknown_dims(3)}));
  const Value ragged =
      RaggedValue{ops::placeholder(graph, kFloat, {-1, 2}), {ops::placeholder(graph, kInt64, {4})}};
  EXPECT_EQ(
      ragged.info(),
      (ValueInfo{
          .kind = ValueKind::kRagged, .dtype = kFloat, .shape = {3, -1, 2}, .ragged_rank = 1}));
}

TEST(TensorInfoTest, T02_PrintableForms) {
  EXPECT_EQ(to_string(ValueInfo{.dtype = kInt32, .shape = {2}}), "int32 [2]");
  EXPECT_EQ(to_string(ValueInfo{
                .kind = ValueKind::kRagged, .dtype = kFloat, .shape = {-1, -1}, .ragged_rank = 1}),
            "ragged float32 [?,?] with 1 ragged dimension");
}

TEST(TensorInfoTest, T03_Match) {
  const ValueInfo dense = {.dtype = kFloat, .shape = {2}};
  EXPECT_EQ(dense, dense);
  EXPECT_FALSE(dense == (ValueInfo{.kind = ValueKind::kSparse, .dtype = kFloat, .shape = {2}}));
  EXPECT_FALSE(dense == (ValueInfo{.dtype = kFloat, .shape = {-1}}));
}

TEST(TensorInfoTest, T04_T05_Parts) {
  const Graph graph;
  const Output a = ops::placeholder(graph, kInt64, {-1, 3});
  const Output b = ops::placeholder(graph, kInt32, {-1});
  const Output c = ops::placeholder(graph, kInt64, {3});
  const Value sparse = SparseValue{a, b, c};
  EXPECT_THAT(sparse.parts(), ElementsAre(a, b, c));
  EXPECT_EQ(Value::from_parts(sparse.info(), {a, b, c}).sparse().values, b);
  const Value ragged = RaggedValue{b, {a, c}};
  EXPECT_THAT(ragged.parts(), ElementsAre(b, a, c));
  EXPECT_THAT(Value::from_parts(ragged.info(), {b, a, c}).ragged().row_splits, ElementsAre(a, c));
}

TEST(TensorInfoTest, T06_Conversion) {
  const Graph graph;
  BoundSignature signature;
  signature.inputs["x"].info = {.dtype = kInt32, .shape = {-1}};
  const ValueMap inputs = {{"x", make_vector<std::int64_t>({1, 2})}};
  EXPECT_EQ(convert_inputs(graph, signature, inputs).at("x").info().dtype, kInt32);
  const Value sparse =
      SparseValue{ops::placeholder(graph, kInt64, {-1, 1}), ops::placeholder(graph, kInt32, {-1}),
                  ops::placeholder(graph, kInt64, {1})};
  expect_error(ErrorKind::kType, "Got SparseTensor. Expected Tensor.", [&] {
    convert_inputs(graph, signature, {{"x", sparse}});
  });
}

}  // namespace
}  // namespace hub::testing
