#include "base/file.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Attrs kFloatVariable = {{"dtype", kFloat}};

TEST(StateTest, AValueThatWasReadDoesNotChange) {
  TestGraph graph;
  const OutputId variable = graph.variable(floats({2}, {1, 2}));
  const OutputId read = graph.add("ReadVariableOp", {variable}, kFloatVariable);
  const OutputId add = graph.add("AssignAddVariableOp",
                                 {variable, graph.constant(floats({2}, {10, 10}))}, {}, {read});
  const OutputId later = graph.add("ReadVariableOp", {variable}, kFloatVariable, {add});
  const auto results = graph.run({read, later});
  EXPECT_THAT(values<float>(results[0]), ElementsAre(1, 2));
  EXPECT_THAT(values<float>(results[1]), ElementsAre(11, 12));
}

TEST(StateTest, AssignedTensorsAreNotWrittenTo) {
  TestGraph graph;
  const OutputId one = graph.variable(floats({2}, {0, 0}));
  const OutputId other = graph.variable(floats({2}, {0, 0}));
  const OutputId value = graph.input(floats({2}, {1, 2}));
  const OutputId first = graph.add("AssignVariableOp", {one, value});
  const OutputId second = graph.add("AssignVariableOp", {other, value});
  const OutputId row = graph.add(
      "ResourceScatterUpdate", {one, graph.constant(ints({1}, {0})), graph.constant(scalar(9.0f))},
      {}, {first, second});
  const OutputId read = graph.add("ReadVariableOp", {other}, kFloatVariable, {row});
  const OutputId changed = graph.add("ReadVariableOp", {one}, kFloatVariable, {row});
  const auto results = graph.run({read, changed});
  EXPECT_THAT(values<float>(results[0]), ElementsAre(1, 2));
  EXPECT_THAT(values<float>(results[1]), ElementsAre(9, 2));
}

TEST(StateTest, UpdatesBeforeAWrongIndexAreDone) {
  TestGraph graph;
  const OutputId variable = graph.variable(floats({2}, {1, 2}));
  const OutputId add = graph.add(
      "ResourceScatterAdd",
      {variable, graph.constant(ints({3}, {1, 7, 0})), graph.constant(floats({3}, {10, 10, 10}))});
  EXPECT_THAT(error_of([&] { graph.run({}, {add}); }), HasSubstr("indices[1] = 7"));
  EXPECT_THAT(values<float>(graph.run(graph.add("ReadVariableOp", {variable}, kFloatVariable))),
              ElementsAre(1, 12));
}

TEST(StateTest, IntegerDivisionByZeroIsAnError) {
  const Attrs int32 = {{"T", kInt32}, {"Tindices", kInt32}};
  EXPECT_EQ(error_code_of([&] {
              run("ScatterDiv", {ints({2}, {8, 4}), ints({2}, {0, 1}), ints({2}, {1, 0})}, int32);
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(
      values<std::int32_t>(run(
          "ScatterDiv", {ints({2}, {INT32_MIN, 4}), ints({1}, {0}), ints({1}, {-1})}, int32)[0]),
      ElementsAre(INT32_MIN, 4));
}

TEST(StateTest, IntegersWrapAround) {
  EXPECT_THAT(values<std::int32_t>(
                  run("AssignAdd", {ints({1}, {INT32_MAX}), ints({1}, {1})}, {{"T", kInt32}})[0]),
              ElementsAre(INT32_MIN));
}

TEST(StateTest, ACounterSaysWhenItIsAtItsLimit) {
  TestGraph graph;
  const OutputId counter = graph.reference_variable(scalar(2));
  const OutputId count = graph.add("CountUpTo", {counter}, {{"limit", 4}});
  EXPECT_EQ(graph.run(count).scalar<std::int32_t>(), 2);
  EXPECT_EQ(graph.run(count).scalar<std::int32_t>(), 3);
  EXPECT_EQ(error_code_of([&] { graph.run(count); }), ErrorCode::kOutOfRange);
}

TEST(StateTest, ShapesOfUpdatesAreCheckedWhenTheGraphIsBuilt) {
  EXPECT_EQ(infer("ScatterAdd", "[4,3];[2];[2,3]"), "[4,3]");
  EXPECT_EQ(infer("ScatterAdd", "[?,3];?;[]"), "[?,3]");
  EXPECT_EQ(infer("ScatterNdUpdate", "[4,3];[5,1];[5,3]"), "[4,3]");
  EXPECT_THAT(error_of([] { infer("ScatterAdd", "[4,3];[2];[2,4]"); }), HasSubstr("ScatterAdd"));
  EXPECT_THAT(error_of([] { infer("ScatterNdUpdate", "[4,3];[5,3];[5]"); }),
              HasSubstr("ScatterNdUpdate"));
  EXPECT_EQ(infer("Assign", "[2,?];[?,3]"), "[2,3]");
  EXPECT_EQ(infer("Assign", "[2,?];[4]", {{"validate_shape", false}}), "[4]");
}

TEST(StateTest, RestoredShapesFollowFromTheirSlices) {
  EXPECT_EQ(infer("RestoreV2", "[];[2];[2]", {{"dtypes", types_attr({kFloat, kInt32})}},
                  {{2, texts({2}, {"7 3 2,4:-", ""})}}),
            "[4,3];?");
  EXPECT_EQ(error_code_of([] {
              infer("RestoreV2", "[];[1];[1]", {{"dtypes", types_attr({kFloat})}},
                    {{2, texts({1}, {"7 3 6,4:-"})}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(StateTest, CheckpointsOfVersion1AreWrittenAndRead) {
  const TempDirectory temp;
  const Tensor path = texts({}, {temp.path() + "/part-00000-of-00001"});
  const Tensor pattern = texts({}, {temp.path() + "/part-*"});
  run("SaveSlices",
      {path, texts({2}, {"a", "b"}), texts({2}, {"", "4 2,2"}), scalar(7), floats({2}, {1, 2})},
      {{"T", types_attr({kInt32, kFloat})}});
  const auto restore = [&](const Tensor& name, DType dtype) {
    return run("Restore", {pattern, name}, {{"dt", dtype}})[0];
  };
  EXPECT_EQ(restore(texts({}, {"a"}), kInt32).scalar<std::int32_t>(), 7);
  EXPECT_EQ(error_code_of([&] { restore(texts({}, {"a"}), kFloat); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] { restore(texts({}, {"b"}), kFloat); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] { restore(texts({}, {"c"}), kFloat); }), ErrorCode::kNotFound);
  const Tensor part =
      run("RestoreSlice", {pattern, texts({}, {"b"}), texts({}, {"4 3,1"})}, {{"dt", kFloat}})[0];
  EXPECT_THAT(values<float>(part), ElementsAre(2));
  // RestoreV2 reads them where there is no bundle.
  EXPECT_EQ(run("RestoreV2", {path, texts({1}, {"a"}), texts({1}, {""})},
                {{"dtypes", types_attr({kInt32})}})[0]
                .scalar<std::int32_t>(),
            7);
  run("Save", {path, texts({1}, {"a"}), scalar(8)}, {{"T", types_attr({kInt32})}});
  EXPECT_EQ(restore(texts({}, {"a"}), kInt32).scalar<std::int32_t>(), 8);
  EXPECT_EQ(infer("RestoreSlice", "[];[];[]", {{"dt", kFloat}}, {{2, texts({}, {"7 3 2,4:-"})}}),
            "[4,3]");
}

TEST(StateTest, FilesOfShardsAreNumbered) {
  const auto name = run("ShardedFilename", {texts({}, {"a"}), scalar(2), scalar(123456)});
  EXPECT_EQ(name[0].scalar<std::string>(), "a-00002-of-123456");
}

}  // namespace
}  // namespace hub::testing
