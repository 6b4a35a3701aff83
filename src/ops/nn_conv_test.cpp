#include <random>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Attrs conv(std::vector<std::int64_t> strides, const char* padding) {
  return {{"strides", ints_attr(std::move(strides))}, {"padding", padding}};
}

Tensor noise(const Shape& shape) {
  Tensor result(kFloat, shape);
  std::mt19937 random(7);
  std::uniform_real_distribution<float> distribution(-1, 1);
  for (float& value : result.mutable_values<float>()) value = distribution(random);
  return result;
}

TEST(Conv2DTest, ShapesFollowPaddingStrideAndDilation) {
  EXPECT_EQ(infer("Conv2D", "[?,7,8,3];[3,3,3,5]", conv({1, 2, 2, 1}, "SAME")), "[?,4,4,5]");
  EXPECT_EQ(infer("Conv2D", "[2,7,8,3];[3,3,3,5]", conv({1, 2, 2, 1}, "VALID")), "[2,3,3,5]");
  EXPECT_EQ(infer("Conv2D", "[2,?,8,?];[?,3,3,5]", conv({1, 1, 1, 1}, "SAME")), "[2,?,8,5]");
  EXPECT_EQ(infer("Conv2D", "?;?", conv({1, 1, 1, 1}, "SAME")), "[?,?,?,?]");
  Attrs attrs = conv({1, 1, 1, 1}, "VALID");
  attrs.emplace("dilations", ints_attr({1, 2, 3, 1}));
  EXPECT_EQ(infer("Conv2D", "[1,9,9,2];[3,3,2,4]", attrs), "[1,5,3,4]");
  attrs = conv({1, 1, 1, 1}, "EXPLICIT");
  attrs.emplace("explicit_paddings", ints_attr({0, 0, 1, 2, 0, 3, 0, 0}));
  EXPECT_EQ(infer("Conv2D", "[1,4,4,2];[3,3,2,4]", attrs), "[1,5,5,4]");
}

TEST(Conv2DTest, ChannelsFirstKeepTheirPlace) {
  Attrs attrs = conv({1, 1, 2, 2}, "SAME");
  attrs.emplace("data_format", "NCHW");
  EXPECT_EQ(infer("Conv2D", "[2,3,7,?];[3,3,3,5]", attrs), "[2,5,4,?]");
}

TEST(Conv2DTest, AWindowLargerByOneGivesNothingByTwoAnError) {
  const auto run_with = [](std::int64_t height) {
    return run("Conv2D", {noise({1, height, 4, 1}), noise({5, 1, 1, 2})},
               conv({1, 1, 1, 1}, "VALID"))[0]
        .shape();
  };
  EXPECT_EQ(run_with(4), (Shape{1, 0, 4, 2}));
  EXPECT_THAT(error_of([&] { run_with(3); }), HasSubstr("the window must fit"));
}

TEST(Conv2DTest, DepthsAndAttributesAreChecked) {
  const auto x = noise({1, 4, 4, 4});
  const auto with = [&](const Shape& filter, const Attrs& attrs) {
    return [=] { run("Conv2D", {x, noise(filter)}, attrs); };
  };
  EXPECT_THAT(error_of(with({3, 3, 3, 2}, conv({1, 1, 1, 1}, "SAME"))),
              HasSubstr("multiple of the filter's"));
  EXPECT_THAT(error_of(with({3, 3, 2, 3}, conv({1, 1, 1, 1}, "SAME"))),
              HasSubstr("groups must divide"));
  EXPECT_THAT(error_of(with({0, 3, 4, 3}, conv({1, 1, 1, 1}, "SAME"))),
              HasSubstr("sizes must be in [1"));
  EXPECT_THAT(error_of(with({3, 3, 4, 2}, conv({1, 0, 1, 1}, "SAME"))),
              HasSubstr("strides must be in [1"));
  EXPECT_THAT(error_of(with({3, 3, 4, 2}, conv({1, 1, 1}, "SAME"))),
              HasSubstr("must have 4 elements"));
  EXPECT_EQ(error_code_of(with({3, 3, 4, 2}, conv({2, 1, 1, 1}, "SAME"))),
            ErrorCode::kUnimplemented);
  EXPECT_THAT(error_of(with({3, 3, 4, 2}, conv({1, 1, 1, 1}, "EXPLICIT"))),
              HasSubstr("must have 8 elements"));
}

// Large enough to be cut into bands of rows where there are threads.
TEST(Conv2DTest, ResultsDoNotDependOnThreadsOrOnTheBatch) {
  struct Case {
    Shape images, filter;
    std::int64_t stride;
  };
  const std::vector<Case> cases = {
      {{3, 33, 21, 40}, {3, 3, 40, 48}, 1}, {{3, 16, 16, 64}, {1, 1, 64, 128}, 1},
      {{3, 4, 4, 512}, {1, 1, 512, 72}, 1}, {{2, 65, 64, 3}, {3, 3, 3, 8}, 2},
      {{2, 29, 37, 21}, {5, 3, 21, 19}, 1}, {{2, 30, 30, 32}, {1, 1, 32, 64}, 2},
      {{2, 56, 56, 3}, {7, 7, 3, 64}, 2},   {{3, 13, 14, 256}, {3, 3, 256, 32}, 1},
  };
  for (const Case& c : cases) {
    const Tensor filter = noise(c.filter);
    const Tensor images = noise(c.images);
    const auto with = [&](int threads, const Tensor& x) {
      TestGraph graph({.threads = threads});
      return graph.run(graph.add("Conv2D", {graph.input(x), graph.constant(filter)},
                                 conv({1, c.stride, c.stride, 1}, "SAME")));
    };
    const Tensor all = with(1, images);
    EXPECT_THAT(with(2, images), is_tensor(all))
        << to_string(c.images) << " " << to_string(c.filter);
    EXPECT_THAT(with(4, images), is_tensor(all))
        << to_string(c.images) << " " << to_string(c.filter);
    EXPECT_THAT(with(4, images.rows(1, 2)), is_tensor(all.rows(1, 2).clone()))
        << to_string(c.images) << " " << to_string(c.filter);
  }
}

TEST(Conv2DTest, TheLoopsAgreeWithOneDnn) {
  const Tensor x = noise({2, 9, 8, 6}), filter = noise({3, 2, 6, 5});
  const Attrs attrs = conv({1, 2, 1, 1}, "SAME");
  const auto as_double = [](const Tensor& t) {
    return run("Cast", {t}, {{"DstT", kDouble}, {"SrcT", kFloat}})[0];
  };
  const Tensor exact = run("Conv2D", {as_double(x), as_double(filter)}, attrs)[0];
  EXPECT_THAT(as_double(run("Conv2D", {x, filter}, attrs)[0]), is_near(exact, 1e-5));
}

TEST(Conv2DTest, IntegersWrap) {
  EXPECT_THAT(
      values<std::int32_t>(run("Conv2D", {ints({1, 1, 1, 1}, {1 << 30}), ints({1, 1, 1, 1}, {4})},
                               conv({1, 1, 1, 1}, "SAME"))[0]),
      ElementsAre(0));
}

TEST(Conv2DBackpropInputTest, TwoSizesAreThoseOfTheImage) {
  const Attrs attrs = conv({1, 2, 2, 1}, "SAME");
  const Tensor filter = noise({3, 3, 2, 4}), dy = noise({5, 3, 3, 4});
  EXPECT_EQ(run("Conv2DBackpropInput", {ints({2}, {5, 6}), filter, dy}, attrs)[0].shape(),
            (Shape{5, 5, 6, 2}));
  EXPECT_THAT(error_of([&] {
                run("Conv2DBackpropInput", {ints({3}, {5, 5, 6}), filter, dy}, attrs);
              }),
              HasSubstr("Shapes must be compatible"));
  EXPECT_THAT(error_of([&] {
                run("Conv2DBackpropInput", {ints({4}, {5, 8, 6, 2}), filter, dy}, attrs);
              }),
              HasSubstr("must have the shape of the convolution's result"));
}

TEST(Conv2DBackpropFilterTest, AnEmptyBatchGivesZeros) {
  const Tensor df =
      run("Conv2DBackpropFilter",
          {Tensor(kFloat, {0, 3, 3, 1}), ints({4}, {1, 1, 1, 2}), Tensor(kFloat, {0, 3, 3, 2})},
          conv({1, 1, 1, 1}, "SAME"))[0];
  EXPECT_THAT(values<float>(df), ElementsAre(0, 0));
}

TEST(DepthwiseConv2dNativeTest, ChannelsAreMultiplied) {
  EXPECT_EQ(infer("DepthwiseConv2dNative", "[1,4,4,3];[3,3,?,2]", conv({1, 1, 1, 1}, "SAME")),
            "[1,4,4,6]");
  EXPECT_THAT(values<float>(run("DepthwiseConv2dNative",
                                {floats({1, 1, 1, 2}, {2, 3}), floats({1, 1, 2, 2}, {1, 10, 5, 7})},
                                conv({1, 1, 1, 1}, "SAME"))[0]),
              ElementsAre(2, 20, 15, 21));
}

// Against the plain loops, in double; the sizes leave pixels and channels over at every block.
TEST(DepthwiseConv2dNativeTest, EverySizeIsSummedRight) {
  struct Case {
    Shape input, filter;
    std::vector<std::int64_t> strides, dilations;
    const char* padding;
  };
  const std::vector<Case> cases = {
      {{2, 9, 19, 45}, {3, 3, 45, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, "SAME"},
      {{1, 9, 23, 8}, {3, 3, 8, 1}, {1, 2, 2, 1}, {1, 1, 1, 1}, "SAME"},
      {{1, 7, 30, 33}, {5, 4, 33, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, "VALID"},
      {{1, 9, 17, 12}, {3, 3, 12, 1}, {1, 1, 1, 1}, {1, 2, 3, 1}, "SAME"},
      {{1, 1, 1, 16}, {3, 3, 16, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, "SAME"},
      {{1, 2, 3, 3}, {5, 7, 3, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, "SAME"},
  };
  const auto as_double = [](const Tensor& t) {
    return run("Cast", {t}, {{"DstT", kDouble}, {"SrcT", kFloat}})[0];
  };
  for (const Case& c : cases) {
    Attrs attrs = conv(c.strides, c.padding);
    attrs.emplace("dilations", ints_attr(c.dilations));
    const Tensor x = noise(c.input), filter = noise(c.filter);
    const Tensor exact = run("DepthwiseConv2dNative", {as_double(x), as_double(filter)}, attrs)[0];
    EXPECT_THAT(as_double(run("DepthwiseConv2dNative", {x, filter}, attrs)[0]),
                is_near(exact, 1e-5))
        << to_string(c.input) << " " << to_string(c.filter);
  }
}

// Windows that leave gaps are centred, as TensorFlow does with volumes only.
TEST(Conv3DTest, WindowsWithGapsAreCentred) {
  const auto x = floats({1, 8, 1, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_THAT(values<float>(run("Conv3D", {x, floats({1, 1, 1, 1, 1}, {1})},
                                conv({1, 4, 1, 1, 1}, "SAME"))[0]),
              ElementsAre(1, 5));
}

}  // namespace
}  // namespace hub::testing
