#include <numeric>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor iota(const Shape& shape) {
  Tensor tensor(kFloat, shape);
  std::iota(tensor.mutable_values<float>().begin(), tensor.mutable_values<float>().end(), 0.0f);
  return tensor;
}

TEST(ArrayTest, AnUnfedPlaceholderSaysWhichItIs) {
  TestGraph graph;
  const OutputId x = graph.add("Placeholder", {}, {{"dtype", kFloat}});
  const std::string name = graph.graph().node(x.node).name;
  EXPECT_THAT(error_of([&] { graph.run(x); }), HasSubstr(name));
}

TEST(ArrayTest, ReshapeRefusesWhatDoesNotFit) {
  const auto reshape = [](std::initializer_list<std::int32_t> sizes) {
    run("Reshape", {iota({2, 3}), ints({static_cast<std::int64_t>(sizes.size())}, sizes)});
  };
  EXPECT_THAT(error_of([&] { reshape({-1, -1}); }), HasSubstr("at most one"));
  EXPECT_THAT(error_of([&] { reshape({-2, 3}); }), HasSubstr(">= -1"));
  EXPECT_THAT(error_of([&] { reshape({4, -1}); }), HasSubstr("[2,3] to [4,?]"));
  EXPECT_EQ(error_code_of([&] {
              reshape({2147483647, 2147483647, 2147483647, 2});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(ArrayTest, SizesThatCannotBeAreRefusedBeforeMemoryIsTaken) {
  EXPECT_EQ(error_code_of([] {
              run("Fill",
                  {int64s({2}, {std::int64_t{1} << 40, std::int64_t{1} << 40}), scalar(0.0f)},
                  {{"index_type", kInt64}});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([] {
              run("Tile", {iota({2}), int64s({1}, {INT64_MAX})}, {{"Tmultiples", kInt64}});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([] {
              run("OneHot", {int64s({2}, {0, 1}), scalar(-1), scalar(1.0f), scalar(0.0f)});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(
      error_code_of([] {
        run("Pad", {iota({1}), int64s({1, 2}, {INT64_MAX, INT64_MAX})}, {{"Tpaddings", kInt64}});
      }),
      ErrorCode::kInvalidArgument);
}

TEST(ArrayTest, RangeCountsWithoutOverflow) {
  const Attrs int64 = {{"Tidx", kInt64}};
  EXPECT_THAT(values<std::int32_t>(
                  run("Range", {scalar(INT32_MIN), scalar(INT32_MAX), scalar(1 << 30)})[0]),
              ElementsAre(INT32_MIN, -(1 << 30), 0, 1 << 30));
  EXPECT_EQ(error_code_of([&] {
              run("Range",
                  {scalar(std::int64_t{INT64_MIN}), scalar(std::int64_t{INT64_MAX}),
                   scalar(std::int64_t{1})},
                  int64);
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(error_of([] { run("Range", {scalar(0), scalar(3), scalar(0)}); }), HasSubstr("zero"));
}

TEST(ArrayTest, TransposesOfAnySizeMoveEveryElement) {
  // Sizes around those of blocks and vector tiles, for each size of element.
  for (const DType dtype : {DType::kUint8, DType::kInt16, kFloat, kDouble, DType::kComplex128}) {
    for (const std::int64_t rows : {1, 3, 16, 65, 130}) {
      for (const std::int64_t columns : {2, 17, 64}) {
        Tensor x(dtype, Shape{rows, columns});
        std::uint32_t state = 1;
        for (std::byte& byte : x.mutable_bytes())
          byte = static_cast<std::byte>((state = state * 1664525 + 1) >> 24);
        const std::size_t size = dtype_size(dtype);
        const Tensor y = run("Transpose", {x, ints({2}, {1, 0})})[0];
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t c = 0; c < columns; ++c) {
            const auto from =
                x.bytes().subspan(static_cast<std::size_t>(r * columns + c) * size, size);
            const auto to = y.bytes().subspan(static_cast<std::size_t>(c * rows + r) * size, size);
            ASSERT_TRUE(std::ranges::equal(from, to))
                << dtype_name(dtype) << " " << rows << "x" << columns;
          }
        }
      }
    }
  }
}

TEST(ArrayTest, TransposeRefusesWhatIsNoPermutation) {
  for (const auto& perm :
       {ints({2}, {0, 0}), ints({2}, {0, 2}), ints({2}, {0, -1}), ints({1}, {0})}) {
    EXPECT_EQ(error_code_of([&] {
                run("Transpose", {iota({2, 2}), perm});
              }),
              ErrorCode::kInvalidArgument);
  }
}

TEST(ArrayTest, ViewsDoNotOutliveWrites) {
  // A slice shares its input's memory; a later op in place must not change it.
  TestGraph graph;
  const OutputId x = graph.input(floats({4}, {1, 2, 3, 4}));
  const OutputId y = graph.add("Identity", {x});
  const OutputId half =
      graph.add("Slice", {y, graph.constant(ints({1}, {2})), graph.constant(ints({1}, {2}))});
  const OutputId updated = graph.add("TensorScatterUpdate", {y, graph.constant(ints({1, 1}, {3})),
                                                             graph.constant(floats({1}, {9}))});
  const auto results = graph.run({half, updated});
  EXPECT_THAT(values<float>(results[0]), ElementsAre(3, 4));
  EXPECT_THAT(values<float>(results[1]), ElementsAre(1, 2, 3, 9));
}

TEST(ArrayTest, BitcastOfAnOddViewIsAligned) {
  TestGraph graph;
  Tensor bytes(DType::kUint8, Shape{9});
  for (std::uint8_t i = 0; i < 9; ++i) bytes.mutable_data<std::uint8_t>()[i] = i;
  const OutputId x = graph.input(bytes);
  const OutputId tail =
      graph.add("Slice", {x, graph.constant(ints({1}, {1})), graph.constant(ints({1}, {8}))});
  const OutputId pair = graph.add("Reshape", {tail, graph.constant(ints({2}, {2, 4}))});
  const Tensor result = graph.run(graph.add("Bitcast", {pair}, {{"type", kInt32}}));
  EXPECT_THAT(values<std::int32_t>(result), ElementsAre(0x04030201, 0x08070605));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(result.raw_data()) % alignof(std::int32_t), 0u);
}

TEST(ArrayTest, GatherNamesTheIndexThatIsOut) {
  EXPECT_THAT(error_of([] {
                run("GatherV2", {iota({3}), ints({2}, {0, 3}), scalar(0)});
              }),
              HasSubstr("element 1 is 3"));
  EXPECT_THAT(error_of([] {
                run("GatherNd", {iota({2, 2}), ints({1, 2}, {1, -1})});
              }),
              HasSubstr("axis 1"));
  EXPECT_EQ(run("GatherV2", {iota({0, 3}), ints({1}, {7}), scalar(1)})[0].shape(), (Shape{0, 1}));
}

TEST(ArrayTest, ScatterNdAddsWhereAnIndexComesTwice) {
  EXPECT_THAT(values<float>(run("ScatterNd", {ints({3, 1}, {1, 0, 1}), floats({3}, {1, 2, 4}),
                                              ints({1}, {3})})[0]),
              ElementsAre(2, 5, 0));
  EXPECT_THAT(error_of([] {
                run("ScatterNd", {ints({1, 1}, {3}), floats({1}, {1}), ints({1}, {3})});
              }),
              HasSubstr("must lie"));
}

TEST(ArrayTest, StringsGoWhereNumbersGo) {
  const Tensor words = texts({2, 2}, {"a", "b", "c", "d"});
  EXPECT_THAT(values<std::string>(run("Transpose", {words, ints({2}, {1, 0})})[0]),
              ElementsAre("a", "c", "b", "d"));
  EXPECT_THAT(values<std::string>(run("Pad", {texts({1}, {"x"}), ints({1, 2}, {1, 1})})[0]),
              ElementsAre("", "x", ""));
  EXPECT_THAT(values<std::string>(run("ReverseV2", {words, ints({1}, {-1})})[0]),
              ElementsAre("b", "a", "d", "c"));
  EXPECT_THAT(values<std::string>(run(
                  "SelectV2", {bools({2}, {true, false}), texts({}, {"y"}), texts({}, {"n"})})[0]),
              ElementsAre("y", "n"));
  EXPECT_THAT(values<std::string>(run("Unique", {texts({3}, {"q", "p", "q"})})[0]),
              ElementsAre("q", "p"));
}

TEST(ArrayTest, MirrorsMustFitTheAxis) {
  const auto pad = [](std::int32_t before, const char* mode) {
    return run("MirrorPad", {floats({2}, {1, 2}), ints({1, 2}, {before, 0})}, {{"mode", mode}})[0];
  };
  EXPECT_THAT(values<float>(pad(2, "SYMMETRIC")), ElementsAre(2, 1, 1, 2));
  EXPECT_THAT(values<float>(pad(1, "REFLECT")), ElementsAre(2, 1, 2));
  EXPECT_THAT(error_of([&] { pad(2, "REFLECT"); }), HasSubstr("larger"));
}

TEST(ArrayTest, UniqueCountsSlicesOfAnAxis) {
  const auto results = run("UniqueWithCountsV2", {ints({2, 3}, {1, 2, 1, 3, 4, 3}), ints({1}, {1})},
                           {{"Taxis", kInt32}});
  EXPECT_THAT(results[0], is_tensor(ints({2, 2}, {1, 2, 3, 4})));
  EXPECT_THAT(results[1], is_tensor(ints({3}, {0, 1, 0})));
  EXPECT_THAT(results[2], is_tensor(ints({2}, {2, 1})));
}

TEST(ArrayTest, FakeQuantKeepsZeroExact) {
  const auto results =
      run("FakeQuantWithMinMaxVars", {floats({3}, {0, -9, 9}), scalar(0.5f), scalar(3.0f)});
  EXPECT_THAT(results[0], is_near(floats({3}, {0, 0, 2.5f}), 1e-6));
  EXPECT_THAT(error_of([] {
                run("FakeQuantWithMinMaxArgs", {floats({1}, {0})}, {{"min", 2.0}, {"max", 1.0}});
              }),
              HasSubstr("less than"));
}

}  // namespace
}  // namespace hub::testing
