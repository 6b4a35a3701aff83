#include "module/unsupported.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/builtin.h"

namespace hub {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

NodeDef node(const std::string& name, const std::string& op, std::vector<std::string> inputs = {},
             AttrMap attrs = {}) {
  NodeDef def;
  def.name = name;
  def.op = op;
  def.inputs = std::move(inputs);
  def.attrs = std::move(attrs);
  return def;
}

NodeDef placeholder(const std::string& name, DType dtype) {
  return node(name, "Placeholder", {}, {{"dtype", dtype}});
}

std::vector<UnsupportedNode> check(const GraphDef& graph) {
  return unsupported_nodes(graph, builtin_ops());
}

TEST(UnsupportedTest, UnknownOpsAreNamedWithTheirNodes) {
  GraphDef graph;
  graph.nodes = {placeholder("x", kFloat), node("a", "MyOp", {"x"}),
                 node("b", "Neg", {"a"}, {{"T", kFloat}}), node("c", "OtherOp", {"b", "a:1"})};
  const auto found = check(graph);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].node, "a");
  EXPECT_EQ(found[0].op, "MyOp");
  EXPECT_EQ(found[0].function, "");
  EXPECT_THAT(found[0].reason, HasSubstr("not known"));
  EXPECT_EQ(found[1].node, "c");
}

TEST(UnsupportedTest, AttributesThatTheOpOrItsKernelRefusesAreNamed) {
  GraphDef graph;
  graph.nodes = {
      placeholder("x", DType::kString),
      node("relu", "Relu", {"x"}, {{"T", DType::kString}}),
      node("hash", "StringToHashBucketFast", {"x"}, {{"num_buckets", std::int64_t{0}}}),
      node("upper", "StringUpper", {"x"}, {{"encoding", std::string("latin-1")}}),
      node("missing", "Cast", {"x"}, {{"SrcT", DType::kString}}),
  };
  const auto found = check(graph);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].node, "relu");
  EXPECT_THAT(found[0].reason, HasSubstr("value that the op does not take"));
  EXPECT_EQ(found[1].node, "hash");
  EXPECT_THAT(found[1].reason, HasSubstr("below its minimum"));
  EXPECT_EQ(found[2].node, "upper");
  EXPECT_EQ(found[3].node, "missing");
  EXPECT_THAT(found[3].reason, HasSubstr("required attribute is missing"));
}

TEST(UnsupportedTest, DtypesWithoutAKernelAreNamed) {
  GraphDef graph;
  graph.nodes = {placeholder("x", DType::kString),
                 node("number", "Cast", {"x"}, {{"SrcT", DType::kString}, {"DstT", kFloat}}),
                 placeholder("y", kFloat),
                 node("copy", "Cast", {"y"}, {{"SrcT", kFloat}, {"DstT", DType::kInt8}})};
  const auto found = check(graph);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].node, "number");
}

TEST(UnsupportedTest, BodiesOfCalledFunctionsAreLookedAt) {
  GraphDef graph;
  for (const char* name : {"called", "other"}) {
    FunctionDef& function = graph.library.functions.emplace_back();
    function.signature.name = name;
    function.signature.inputs.push_back({.name = "x", .type = kFloat});
    function.signature.outputs.push_back({.name = "y", .type = kFloat});
    function.nodes = {node("inner", "MyOp", {"x"})};
    function.returns["y"] = "inner:y:0";
  }
  AttrList floats;
  floats.types = {kFloat};
  FunctionRef called, absent;
  called.name = "called";
  absent.name = "absent";
  graph.nodes = {
      placeholder("x", kFloat),
      node("call", "PartitionedCall", {"x"}, {{"Tin", floats}, {"Tout", floats}, {"f", called}}),
      node("lost", "PartitionedCall", {"x"}, {{"Tin", floats}, {"Tout", floats}, {"f", absent}}),
  };
  const auto found = check(graph);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].node, "lost");
  EXPECT_THAT(found[0].reason, HasSubstr("there is no function \"absent\""));
  EXPECT_EQ(found[1].node, "inner");
  EXPECT_EQ(found[1].function, "called");
}

TEST(UnsupportedTest, AGraphThatCannotBeImportedSaysWhy) {
  GraphDef graph;
  graph.nodes = {node("a", "Neg", {"nowhere"}, {{"T", kFloat}})};
  const auto found = check(graph);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].reason, HasSubstr("nowhere"));
  EXPECT_THAT(check(GraphDef{}), IsEmpty());
}

}  // namespace
}  // namespace hub
