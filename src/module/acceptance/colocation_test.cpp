// What modules may place together, and what becomes of it where they are applied.

#include "module/acceptance/acceptance.h"

namespace hub::testing {
namespace {

Output placed(const Graph& graph, const Operation& with, const std::function<Output()>& make) {
  const Colocation colocation(graph, with);
  return make();
}

TEST(ColocationTest, N28_VariableAndInput) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Output x = b.placeholder(kFloat, {}, "x");
    const Variable v =
        get_variable(b.graph(), "var123", Shape{}, {.initializer = init::constant(100)});
    const Output value = v;
    const Colocation one(b.graph(), v.op());
    const Colocation two(b.graph(), x.op());
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"y", ops::add(value, x, "y")}}});
  });
  const Graph graph;
  const Module m(graph, spec);
  const Output u1 = ops::constant(graph, 1.0F, kFloat, "u1");
  const Output u2 = ops::constant(graph, 2.0F, kFloat, "u2");
  const Colocation one(graph, u1.op());
  Output x;
  {
    const Colocation two(graph, u2.op());
    x = ops::constant(graph, 1.0F, kFloat, "x");
  }
  const Output y = m.apply({{"x", x}})["y"];
  EXPECT_THAT(colocation_of(y.op()),
              ::testing::IsSupersetOf({"loc:@module/var123", "loc:@u1", "loc:@u2"}));
  Session session(graph);
  session.initialize();
  EXPECT_EQ(session.run(y).scalar<float>(), 101);
}

TEST(ColocationTest, N44_Valid) {
  const ModuleSpec spec = create_module_spec([](ModuleBuilder& b) {
    const Graph& graph = b.graph();
    const Output w = graph.op("VariableV2", {}, {{"shape", Shape{}}, {"dtype", kFloat}}, "w");
    placed(graph, w.op(), [&]() -> Output {
      return graph.op("VariableV2", {}, {{"shape", Shape{}}, {"dtype", kFloat}}, "v");
    });
    const Output x = b.placeholder(kFloat, {}, "x");
    const Output y = placed(graph, w.op(), [&] { return ops::constant(graph, 1.0F, kFloat, "y"); });
    const Output z = placed(graph, x.op(), [&] { return ops::add(x, y, "z"); });
    b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", z}, {"y", y}}});
  });
  const Graph graph;
  const Module m(graph, spec, {.name = "m"});
  const Output u = ops::constant(graph, 7.0F, kFloat, "u");
  const Outputs outputs = m.apply({{"x", u}});
  EXPECT_THAT(colocation_of(outputs["y"].dense().op()), ElementsAre("loc:@m/w"));
  EXPECT_THAT(colocation_of(outputs["default"].dense().op()), ElementsAre("loc:@u"));
  EXPECT_THAT(colocation_of(graph.operation("m/v")), ElementsAre("loc:@m/w"));
}

TEST(ColocationTest, N45_Input) {
  const Error error = error_of([] {
    create_module_spec([](ModuleBuilder& b) {
      const Output u = ops::constant(b.graph(), 42.0F, kFloat, "u");
      const Output x = placed(b.graph(), u.op(), [&] { return b.placeholder(kFloat, {}, "x"); });
      b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x + u}}});
    });
  });
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_THAT(error.message(), ::testing::ContainsRegex("input.*colocate.*loc:@u"));
}

TEST(ColocationTest, N46_State) {
  const Error error = error_of([] {
    create_module_spec([](ModuleBuilder& b) {
      const Output u = ops::constant(b.graph(), 42.0F, kFloat, "u");
      placed(b.graph(), u.op(), [&]() -> Output {
        return b.graph().op("VariableV2", {}, {{"shape", Shape{}}, {"dtype", kFloat}}, "v");
      });
      const Output x = b.placeholder(kFloat);
      b.add_signature({.inputs = {{"x", x}}, .outputs = {{"default", x}}});
    });
  });
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_THAT(error.message(), ::testing::ContainsRegex("state.*colocate.*loc:@u"));
}

// Both outputs of a Split as inputs; z is placed with it.
ModuleSpec split_spec() {
  return create_module_spec([](ModuleBuilder& b) {
    const Graph& graph = b.graph();
    const Output whole = b.placeholder(kFloat, {2}, "whole");
    const Operation split = graph.op("Split", {0, whole}, {{"num_split", 2}}, "split");
    const Output z =
        placed(graph, split, [&] { return ops::add(split.output(0), split.output(1), "z"); });
    const Value x = split.output(0);
    const Value y = split.output(1);
    b.add_signature({.name = "both", .inputs = {{"x", x}, {"y", y}}, .outputs = {{"z", z}}});
    b.add_signature({.name = "partial", .inputs = {{"x", x}}, .outputs = {{"z", z}}});
  });
}

TEST(ColocationTest, N49_TwoOutputsOfOneOp) {
  const Graph graph;
  const Module m(graph, split_spec(), {.name = "m"});
  const Output u = ops::constant(graph, make_vector<float>({1}), "u");
  const Output v =
      placed(graph, u.op(), [&] { return ops::constant(graph, make_vector<float>({2}), "v"); });
  const Output w = ops::constant(graph, make_vector<float>({3}), "w");
  const Output z = m.apply({{"x", u}, {"y", v}}, {.signature = "both"})["z"];
  EXPECT_THAT(colocation_of(z.op()), ElementsAre("loc:@u"));
  const Error error = error_of([&] { m.apply({{"x", u}, {"y", w}}, {.signature = "both"}); });
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_THAT(error.message(),
              ::testing::ContainsRegex("Failed to rewrite .*'loc:@m_apply_both_1/split'.*"
                                       "\\['loc:@u'\\] vs \\['loc:@w'\\]"));
}

TEST(ColocationTest, N50_OneOutputOfTwo) {
  const Graph graph;
  const Module m(graph, split_spec(), {.name = "m"});
  const Output u = ops::constant(graph, make_vector<float>({1}), "u");
  const Error error = error_of([&] { m.apply({{"x", u}}, {.signature = "partial"}); });
  EXPECT_EQ(error.kind(), ErrorKind::kValue);
  EXPECT_THAT(error.message(),
              ::testing::ContainsRegex("'loc:@m_apply_partial/split'.*\\['loc:@u'\\] vs "
                                       "\\['loc:@m_apply_partial/split'\\]"));
}

}  // namespace
}  // namespace hub::testing
