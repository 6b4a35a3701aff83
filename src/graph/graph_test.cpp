#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "graph/graph_data.h"
#include "graph/import.h"
#include "graph/shape_rules.h"

namespace hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr OpDef kOps[] = {
    {.name = "Source",
     .outputs = "y: T",
     .attrs = "T: {float, int32} = float; shape: shape = ?",
     .shape = [](ShapeContext& c) { return Shapes{c.attr<PartialShape>("shape")}; }},
    {.name = "Sum2",
     .inputs = "x: T, y: T",
     .outputs = "z: T",
     .attrs = "T: numbertype",
     .shape = broadcast_shape},
    {.name = "Join",
     .inputs = "values: N * T",
     .outputs = "all: T, parts: N * T",
     .attrs = "N: int >= 2; T: type"},
    {.name = "Pick",
     .inputs = "x: float",
     .outputs = "y: float",
     .attrs = "mode: {'near', 'far'} = 'near'; sizes: list(int) >= 1 = [1, 2]"},
    {.name = "Merge",
     .inputs = "inputs: N * T",
     .outputs = "output: T, index: int32",
     .attrs = "N: int >= 1; T: type",
     .control_flow = ControlFlow::kMerge},
    {.name = "NextIteration",
     .inputs = "data: T",
     .outputs = "output: T",
     .attrs = "T: type",
     .control_flow = ControlFlow::kNextIteration},
};

const OpRegistry& registry() {
  static const OpFamily families[] = {kOps};
  static const OpRegistry ops(families);
  return ops;
}

NodeDef node(std::string name, std::string op, std::vector<std::string> inputs,
             AttrMap attrs = {}) {
  NodeDef def;
  def.name = std::move(name);
  def.op = std::move(op);
  def.inputs = std::move(inputs);
  def.attrs = std::move(attrs);
  return def;
}

std::string error_of_import(std::vector<NodeDef> nodes) {
  GraphDef def;
  def.nodes = std::move(nodes);
  GraphData graph(registry());
  try {
    import_graph_def(def, graph);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(SchemaTest, ReadsTheWholeNotation) {
  const OpDefMessage schema = parse_schema(kOps[3]);
  EXPECT_EQ(schema.attrs[0].type, "string");
  EXPECT_EQ(std::get<std::string>(schema.attrs[0].default_value->value), "near");
  EXPECT_EQ(schema.attrs[1].type, "list(int)");
  EXPECT_EQ(schema.attrs[1].minimum, 1);
  EXPECT_THAT(std::get<AttrList>(schema.attrs[1].default_value->value).ints, ElementsAre(1, 2));
}

TEST(SchemaTest, AWrongEntryNamesTheOp) {
  const OpDef wrong{.name = "Odd", .inputs = "x: nonsense"};
  EXPECT_THROW(parse_schema(wrong), Error);
}

TEST(GraphTest, AddInfersTypesAndShapes) {
  GraphData graph(registry());
  const int a = graph.add(
      {.name = "a", .op = "Source", .inputs = {}, .attrs = {{"shape", PartialShape{2, -1}}}});
  const int b =
      graph.add({.name = "b", .op = "Source", .inputs = {}, .attrs = {{"shape", PartialShape{3}}}});
  const int sum = graph.add({.name = "s", .op = "Sum2", .inputs = {{a, 0}, {b, 0}}});
  EXPECT_EQ(to_string(graph.fact({sum, 0}).shape), "[2,3]");
  EXPECT_EQ(graph.fact({sum, 0}).dtype, DType::kFloat32);
  const int join = graph.add({.name = "j", .op = "Join", .inputs = {{a, 0}, {b, 0}, {sum, 0}}});
  EXPECT_EQ(graph.node(join).outputs.size(), 4u);
  EXPECT_EQ(graph.output_name(graph.find_output("j:3")), "j:3");
}

TEST(GraphTest, MistakesNameTheNodeAndTheRule) {
  EXPECT_THAT(error_of_import({node("a", "Source", {}), node("a", "Source", {})}),
              HasSubstr("unique"));
  EXPECT_THAT(error_of_import({node("s", "Sum2", {"x", "y"})}),
              HasSubstr("there is no node for \"x\""));
  EXPECT_THAT(error_of_import({node("a", "Source", {}), node("s", "Sum2", {"a"})}),
              HasSubstr("wrong number of inputs"));
  EXPECT_THAT(
      error_of_import({node("a", "Source", {}), node("i", "Source", {}, {{"T", DType::kInt32}}),
                       node("s", "Sum2", {"a", "i"}, {{"T", DType::kFloat32}})}),
      HasSubstr("wrong dtype"));
  EXPECT_THAT(error_of_import({node("a", "Source", {}, {{"T", DType::kString}})}),
              HasSubstr("does not take"));
  EXPECT_THAT(error_of_import({node("a", "Source", {}), node("p", "Pick", {"a:1"})}),
              HasSubstr("does not have"));
  EXPECT_THAT(error_of_import({node("a", "Source", {}), node("p", "Pick", {"^a", "a"})}),
              HasSubstr("after all data"));
  EXPECT_THAT(error_of_import(
                  {node("a", "Source", {}), node("p", "Pick", {"a"}, {{"mode", std::int64_t{1}}})}),
              HasSubstr("wrong type"));
  EXPECT_THAT(error_of_import({node("p", "Pick", {"q"}), node("q", "Pick", {"p"})}),
              HasSubstr("cycle"));
  EXPECT_THAT(error_of_import({node("a", "Source", {"^a"})}), HasSubstr("cycle"));
  EXPECT_THAT(error_of_import({node("p", "Pick", {"a:b:c"})}), HasSubstr("\"a:b:c\""));
}

TEST(GraphTest, NodesMayStandInAnyOrderAndLoopsClose) {
  GraphDef def;
  def.nodes = {node("next", "NextIteration", {"merge"}),
               node("merge", "Merge", {"a", "next"}, {{"N", std::int64_t{2}}}),
               node("a", "Source", {})};
  for (NodeDef& n : def.nodes) n.attrs["T"] = DType::kFloat32;
  GraphData graph(registry());
  const std::vector<int> added = import_graph_def(def, graph);
  EXPECT_EQ(graph.node(added[1]).inputs[1].node, added[0]);
}

TEST(GraphTest, AnUnknownOpIsNoError) {
  GraphDef def;
  def.nodes = {node("a", "Unheard", {}), node("p", "Pick", {"a:7"})};
  GraphData graph(registry());
  import_graph_def(def, graph);
  EXPECT_EQ(graph.node(graph.find("a")).op, nullptr);
}

TEST(ImportTest, PrefixInputMapAndColocation) {
  GraphData graph(registry());
  const int outside = graph.add({.name = "outside", .op = "Source", .inputs = {}});
  GraphDef def;
  AttrList colocated;
  colocated.strings = {"loc:@a", "other"};
  def.nodes = {node("a", "Source", {}), node("p", "Pick", {"a"}, {{"_class", colocated}})};
  ImportOptions options;
  options.prefix = "m";
  options.input_map["a:0"] = {outside, 0};
  import_graph_def(def, options, graph);
  const Node& pick = graph.node(graph.find("m/p"));
  EXPECT_EQ(pick.inputs[0].node, outside);
  EXPECT_THAT(std::get<AttrList>(pick.attrs.at("_class").value).strings,
              ElementsAre("loc:@m/a", "other"));
  EXPECT_GE(graph.find("m/a"), 0);  // imported all the same
}

TEST(ImportTest, ExportGivesTheSameGraph) {
  GraphDef def;
  def.nodes = {node("a", "Source", {}), node("j", "Join", {"a", "a"}),
               node("s", "Sum2", {"j:1", "j:2", "^a"})};
  def.nodes[1].attrs["N"] = std::int64_t{2};
  GraphData graph(registry());
  import_graph_def(def, graph);
  const GraphDef again = export_graph_def(graph);
  ASSERT_EQ(again.nodes.size(), 3u);
  EXPECT_THAT(again.nodes[2].inputs, ElementsAre("j:1", "j:2", "^a"));
}

TEST(ShapeRulesTest, BroadcastKnowsWhatItCan) {
  EXPECT_EQ(broadcast(PartialShape{-1, 1}, PartialShape{3}), (PartialShape{-1, 3}));
  EXPECT_EQ(broadcast(PartialShape{-1}, PartialShape{-1}), PartialShape{-1});
  EXPECT_EQ(broadcast(PartialShape(), PartialShape{3}), PartialShape());
  EXPECT_THROW(broadcast(PartialShape{2}, PartialShape{3}), Error);
}

}  // namespace
}  // namespace hub
