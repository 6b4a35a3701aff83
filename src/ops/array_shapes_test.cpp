#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

TEST(ArrayShapesTest, ReshapeFillsInWhatFollows) {
  EXPECT_EQ(infer("Reshape", "[2,6];[2]", {}, {{1, ints({2}, {3, -1})}}), "[3,4]");
  EXPECT_EQ(infer("Reshape", "[?,6];[2]", {}, {{1, ints({2}, {-1, 3})}}), "[?,3]");
  EXPECT_EQ(infer("Reshape", "[0,3];[2]", {}, {{1, ints({2}, {0, -1})}}), "[0,?]");
  EXPECT_EQ(infer("Reshape", "[2,6];[3]"), "[?,?,?]");
  EXPECT_THAT(error_of([] {
                infer("Reshape", "[2,6];[1]", {}, {{1, ints({1}, {5})}});
              }),
              HasSubstr("number of elements"));
}

TEST(ArrayShapesTest, SqueezeAndExpandDimsCountAxesFromEitherEnd) {
  EXPECT_EQ(infer("Squeeze", "[1,2,1]"), "[2]");
  EXPECT_EQ(infer("Squeeze", "[1,2,1]", {{"squeeze_dims", ints_attr({-1})}}), "[1,2]");
  EXPECT_EQ(infer("Squeeze", "[?,2]"), "?");
  EXPECT_EQ(infer("ExpandDims", "[2];[]", {}, {{1, scalar(-1)}}), "[2,1]");
  EXPECT_EQ(infer("ExpandDims", "[2];[]"), "[?,?]");
}

TEST(ArrayShapesTest, ConcatAddsAlongTheAxis) {
  const Attrs two = {{"N", 2}};
  EXPECT_EQ(infer("ConcatV2", "[2,?];[3,4];[]", two, {{2, scalar(0)}}), "[5,4]");
  EXPECT_EQ(infer("ConcatV2", "[2,?];[2,4];[]", two, {{2, scalar(-1)}}), "[2,?]");
  EXPECT_EQ(infer("ConcatV2", "?;[2,4];[]", two), "[?,?]");
  EXPECT_THAT(error_of([&] {
                infer("ConcatV2", "[2,3];[2,4];[]", two, {{2, scalar(0)}});
              }),
              HasSubstr("compatible"));
}

TEST(ArrayShapesTest, SplitDividesTheAxis) {
  const Attrs three = {{"num_split", 3}};
  EXPECT_EQ(infer("Split", "[];[2,6]", three, {{0, scalar(1)}}), "[2,2];[2,2];[2,2]");
  EXPECT_EQ(infer("SplitV", "[7];[3];[]", three, {{1, int64s({3}, {2, -1, 1})}, {2, scalar(0)}}),
            "[2];[4];[1]");
}

TEST(ArrayShapesTest, StridedSliceKnowsWhatMasksSay) {
  const std::map<int, Tensor> bounds = {
      {1, ints({2}, {1, 0})}, {2, ints({2}, {0, 3})}, {3, ints({2}, {1, 2})}};
  const Attrs shrink_first = {{"Index", kInt32}, {"shrink_axis_mask", 1}};
  EXPECT_EQ(infer("StridedSlice", "[4,5,6];[2];[2];[2]", shrink_first, bounds), "[2,6]");
  EXPECT_EQ(infer("StridedSlice", "[?,5];[2];[2];[2]", shrink_first, bounds), "[2]");
  const Attrs whole = {{"Index", kInt32}, {"begin_mask", 1}, {"end_mask", 1}};
  EXPECT_EQ(infer("StridedSlice", "[4,5];[1];[1];[1]", whole, {{3, ints({1}, {-2})}}), "[2,5]");
}

TEST(ArrayShapesTest, ValuesOfShapeVectorsAreFollowed) {
  TestGraph graph;
  const OutputId x =
      graph.add("Placeholder", {}, {{"dtype", kFloat}, {"shape", partial_shape("[?,3,4]")}});
  const OutputId shape = graph.add("Shape", {x});
  const OutputId rows = graph.add("StridedSlice",
                                  {shape, graph.constant(ints({1}, {0})),
                                   graph.constant(ints({1}, {1})), graph.constant(ints({1}, {1}))},
                                  {{"shrink_axis_mask", 1}});
  const OutputId wanted = graph.add("Pack", {rows, graph.constant(scalar(12))}, {{"N", 2}});
  const OutputId flat = graph.add("Reshape", {x, wanted});
  EXPECT_EQ(to_string(graph.graph().fact(flat).shape), "[?,12]");
  const OutputId joined = graph.add(
      "ConcatV2", {shape, graph.constant(ints({1}, {7})), graph.constant(scalar(0))}, {{"N", 2}});
  EXPECT_EQ(
      to_string(
          graph.graph().fact(graph.add("Fill", {joined, graph.constant(scalar(0.0f))})).shape),
      "[?,3,4,7]");
}

TEST(ArrayShapesTest, GatherPutsTheIndicesInPlaceOfTheAxis) {
  EXPECT_EQ(infer("GatherV2", "[2,3,4];[5,6];[]", {}, {{2, scalar(1)}}), "[2,5,6,4]");
  EXPECT_EQ(infer("GatherV2", "[2,3,4];[2,6];[]", {{"batch_dims", 1}}, {{2, scalar(1)}}),
            "[2,6,4]");
  EXPECT_EQ(infer("GatherV2", "[2,3];[5];[]"), "[?,?]");
  EXPECT_EQ(infer("GatherNd", "[2,3,4];[5,2]"), "[5,4]");
}

TEST(ArrayShapesTest, TransposeAndPadFollowConstants) {
  EXPECT_EQ(infer("Transpose", "[2,?,4];[3]", {}, {{1, ints({3}, {2, 0, 1})}}), "[4,2,?]");
  EXPECT_EQ(infer("Transpose", "[2,3];[2]"), "[?,?]");
  EXPECT_EQ(infer("Pad", "[2,?];[2,2]", {}, {{1, ints({2, 2}, {1, 2, 0, 1})}}), "[5,?]");
  EXPECT_EQ(infer("Tile", "[2,3];[2]", {}, {{1, ints({2}, {2, 0})}}), "[4,0]");
}

TEST(ArrayShapesTest, SpaceAndBatchTradeSizes) {
  EXPECT_EQ(infer("SpaceToBatchND", "[?,4,6,1];[2];[2,2]", {},
                  {{1, ints({2}, {2, 3})}, {2, ints({2, 2}, {0, 0, 0, 0})}}),
            "[?,2,2,1]");
  EXPECT_EQ(infer("DepthToSpace", "[1,2,2,?]", {{"block_size", 2}}), "[1,4,4,?]");
  EXPECT_EQ(infer("ExtractImagePatches", "[1,5,5,3]",
                  {{"ksizes", ints_attr({1, 3, 3, 1})},
                   {"strides", ints_attr({1, 2, 2, 1})},
                   {"rates", ints_attr({1, 1, 1, 1})},
                   {"padding", "VALID"}}),
            "[1,2,2,27]");
}

}  // namespace
}  // namespace hub::testing
