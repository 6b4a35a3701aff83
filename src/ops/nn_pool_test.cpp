#include <limits>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Attrs pool(std::vector<std::int64_t> ksize, std::vector<std::int64_t> strides,
           const char* padding) {
  return {{"ksize", ints_attr(std::move(ksize))},
          {"strides", ints_attr(std::move(strides))},
          {"padding", padding}};
}

TEST(PoolTest, ShapesFollowTheWindow) {
  EXPECT_EQ(infer("MaxPool", "[?,7,8,3]", pool({1, 3, 3, 1}, {1, 2, 2, 1}, "SAME")), "[?,4,4,3]");
  EXPECT_EQ(infer("AvgPool", "[1,7,?,3]", pool({1, 3, 3, 1}, {1, 2, 2, 1}, "VALID")), "[1,3,?,3]");
  EXPECT_EQ(infer("MaxPool", "?", pool({1, 3, 3, 1}, {1, 2, 2, 1}, "SAME")), "[?,?,?,?]");
  EXPECT_EQ(infer("MaxPoolV2", "[2,7,8,3];[4];[4]", {{"padding", "SAME"}}), "[2,?,?,?]");
  EXPECT_EQ(infer("MaxPoolV2", "[2,7,8,3];[4];[4]", {{"padding", "SAME"}},
                  {{1, ints({4}, {1, 2, 2, 1})}, {2, ints({4}, {1, 2, 4, 1})}}),
            "[2,4,2,3]");
  EXPECT_EQ(infer("AvgPoolGrad", "[4];[1,2,2,3]", pool({1, 2, 2, 1}, {1, 2, 2, 1}, "SAME"),
                  {{0, ints({4}, {1, 4, 3, 3})}}),
            "[1,4,3,3]");
}

TEST(MaxPoolTest, NanIsPassedOverAndNothingIsTheLowestNumber) {
  const auto max_of = [](std::initializer_list<float> x) {
    return values<float>(
        run("MaxPool", {floats({1, 2, 2, 1}, x)}, pool({1, 2, 2, 1}, {1, 2, 2, 1}, "VALID"))[0]);
  };
  EXPECT_THAT(max_of({kNan, 1, 3, 2}), ElementsAre(3));
  EXPECT_THAT(max_of({-kInf, -kInf, -kInf, -kInf}),
              ElementsAre(std::numeric_limits<float>::lowest()));
}

TEST(MaxPoolTest, ExplicitPaddingIsSmallerThanTheWindow) {
  Attrs attrs = pool({1, 2, 2, 1}, {1, 1, 1, 1}, "EXPLICIT");
  attrs.emplace("explicit_paddings", ints_attr({0, 0, 2, 0, 0, 0, 0, 0}));
  EXPECT_THAT(error_of([&] {
                run("MaxPool", {floats({1, 1, 1, 1}, {1})}, attrs);
              }),
              HasSubstr("padding must be smaller than the window"));
}

TEST(MaxPoolTest, WindowsOverTheBatchAreRefusedThoseOverChannelsMustFit) {
  const auto x = floats({1, 1, 1, 4}, {1, 4, 3, 2});
  const auto with = [&](std::vector<std::int64_t> ksize, std::vector<std::int64_t> strides) {
    return run("MaxPool", {x}, pool(std::move(ksize), std::move(strides), "VALID"))[0];
  };
  EXPECT_THAT(values<float>(with({1, 1, 1, 2}, {1, 1, 1, 2})), ElementsAre(4, 3));
  EXPECT_EQ(error_code_of([&] { with({2, 1, 1, 1}, {1, 1, 1, 1}); }), ErrorCode::kUnimplemented);
  EXPECT_EQ(error_code_of([&] { with({1, 1, 1, 3}, {1, 1, 1, 3}); }), ErrorCode::kUnimplemented);
  EXPECT_EQ(error_code_of([&] { with({1, 1, 1, 2}, {1, 1, 1, 1}); }), ErrorCode::kUnimplemented);
}

TEST(MaxPoolGradTest, TheFirstOfEqualElementsGetsTheGradient) {
  const auto x = floats({1, 1, 3, 1}, {5, 5, 1}), y = floats({1, 1, 2, 1}, {5, 5}),
             dy = floats({1, 1, 2, 1}, {1, 10});
  EXPECT_THAT(
      values<float>(run("MaxPoolGrad", {x, y, dy}, pool({1, 1, 2, 1}, {1, 1, 1, 1}, "VALID"))[0]),
      ElementsAre(1, 10, 0));
  EXPECT_THAT(error_of([&] {
                run("MaxPoolGrad", {x, y, x}, pool({1, 1, 2, 1}, {1, 1, 1, 1}, "VALID"));
              }),
              HasSubstr("the gradient must have the shape"));
}

TEST(MaxPool3DGradTest, AllNearlyEqualElementsGetTheGradient) {
  const auto x = floats({1, 1, 1, 3, 1}, {2, 2.000005f, 1}),
             y = floats({1, 1, 1, 1, 1}, {2.000005f});
  EXPECT_THAT(values<float>(run("MaxPool3DGrad", {x, y, floats({1, 1, 1, 1, 1}, {3})},
                                pool({1, 1, 1, 3, 1}, {1, 1, 1, 1, 1}, "VALID"))[0]),
              ElementsAre(3, 3, 0));
}

TEST(MaxPoolGradWithArgmaxTest, AnIndexOutsideIsAnError) {
  const auto x = floats({1, 1, 2, 1}, {1, 2}), dy = floats({1, 1, 1, 1}, {1});
  for (const std::int64_t index : {-1, 2}) {
    EXPECT_THAT(error_of([&] {
                  run("MaxPoolGradWithArgmax", {x, dy, int64s({1, 1, 1, 1}, {index})},
                      pool({1, 1, 2, 1}, {1, 1, 2, 1}, "VALID"));
                }),
                HasSubstr("argmax must be in [0, 2)"));
  }
}

TEST(AvgPoolTest, OnlyCoveredElementsCount) {
  EXPECT_THAT(values<float>(run("AvgPool", {floats({1, 1, 3, 1}, {1, 2, 6})},
                                pool({1, 1, 2, 1}, {1, 1, 2, 1}, "SAME"))[0]),
              ElementsAre(1.5f, 6));
  EXPECT_EQ(
      error_code_of([] {
        run("AvgPool", {floats({1, 1, 1, 2}, {1, 2})}, pool({1, 1, 1, 2}, {1, 1, 1, 1}, "VALID"));
      }),
      ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace hub::testing
