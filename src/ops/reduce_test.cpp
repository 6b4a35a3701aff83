#include <algorithm>

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

// One accumulator would round away every further 1.
TEST(ReduceTest, LongSumsKeepTheirPrecision) {
  constexpr std::int64_t kCount = 40'000'000;
  Tensor ones(kFloat, Shape{kCount});
  std::ranges::fill(ones.mutable_values<float>(), 1.0F);
  const Tensor first = ints({1}, {0});
  EXPECT_EQ(run("Sum", {ones, first})[0].scalar<float>(), 4e7F);
  const Tensor columns = ones.reshaped(Shape{kCount / 4, 4});
  EXPECT_EQ(values<float>(run("Sum", {columns, first})[0]), std::vector<float>(4, 1e7F));
}

Tensor noise(const Shape& shape) {
  Tensor tensor(kFloat, shape);
  std::uint32_t state = 1;
  for (float& value : tensor.mutable_values<float>()) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(state >> 8) / 8388608 - 1;
  }
  return tensor;
}

// The sums of `x` over the reduced axes, element by element.
std::vector<double> plain_sums(const Tensor& x, const std::vector<bool>& reduced) {
  std::vector<std::int64_t> strides(static_cast<std::size_t>(x.rank()));
  std::int64_t count = 1;
  for (int axis = x.rank(); axis-- > 0;) {
    const auto i = static_cast<std::size_t>(axis);
    strides[i] = reduced[i] ? 0 : count;
    if (!reduced[i]) count *= x.dim(axis);
  }
  std::vector<double> sums(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < x.num_elements(); ++i) {
    std::int64_t rest = i;
    std::int64_t at = 0;
    for (int axis = x.rank(); axis-- > 0;) {
      at += rest % x.dim(axis) * strides[static_cast<std::size_t>(axis)];
      rest /= x.dim(axis);
    }
    sums[static_cast<std::size_t>(at)] += static_cast<double>(x.data<float>()[i]);
  }
  return sums;
}

TEST(ReduceTest, AnySetOfAxesIsReduced) {
  for (const Shape& shape : {Shape{2, 3, 4, 5}, Shape{1, 700, 3, 17}, Shape{300, 1, 2, 33},
                             Shape{3, 2, 1, 20000}, Shape{5000, 2, 3, 1}}) {
    const Tensor x = noise(shape);
    for (unsigned mask = 0; mask < 16; ++mask) {
      std::vector<bool> reduced;
      std::vector<std::int32_t> axes;
      for (int axis = 0; axis < 4; ++axis) {
        reduced.push_back((mask >> axis & 1) != 0);
        if (reduced.back()) axes.push_back(axis);
      }
      const Tensor axis_tensor =
          make_tensor<std::int32_t>(Shape{static_cast<std::int64_t>(axes.size())}, axes);
      const Tensor sum = run("Sum", {x, axis_tensor})[0];
      const std::vector<double> expected = plain_sums(x, reduced);
      ASSERT_EQ(sum.num_elements(), static_cast<std::int64_t>(expected.size()));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(sum.data<float>()[i], expected[i], 1e-3)
            << to_string(shape) << ", set of axes " << mask;
      }
    }
  }
}

TEST(ReduceTest, ARowHasTheSameSumInAnyBatchAndWithAnyThreads) {
  const Tensor batch = noise({64, 30001});
  const auto sums = [](const Tensor& x, int threads) {
    TestGraph graph({.threads = threads});
    return graph.run(graph.add("Sum", {graph.input(x), graph.constant(scalar(1))}));
  };
  const Tensor one = sums(batch.rows(7, 8), 1);
  EXPECT_EQ(sums(batch, 2).data<float>()[7], one.data<float>()[0]);
}

TEST(ReduceTest, ShapesAreKnownAsFarAsTheAxesAre) {
  EXPECT_EQ(infer("Sum", "[2,?,4];[1]", {}, {{1, ints({1}, {-1})}}), "[2,?]");
  EXPECT_EQ(infer("Sum", "[2,?,4];[1]", {{"keep_dims", true}}, {{1, ints({1}, {-1})}}), "[2,?,1]");
  EXPECT_EQ(infer("Sum", "[2,3];[1]"), "?");
  EXPECT_EQ(infer("Sum", "[2,3];[1]", {{"keep_dims", true}}), "[?,?]");
  EXPECT_EQ(infer("ArgMax", "[2,3,?];[]", {}, {{1, scalar(1)}}), "[2,?]");
  EXPECT_EQ(infer("ArgMax", "[2,3];[]"), "[?]");
  EXPECT_EQ(infer("L2Loss", "?"), "[]");
}

TEST(ReduceTest, WrongAxesAreErrors) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  EXPECT_THAT(error_of([&] { run("Sum", {x, ints({1}, {2})}); }), HasSubstr("must be in [-2, 2)"));
  EXPECT_THAT(error_of([&] { run("Max", {x, ints({2}, {0, -2})}); }), HasSubstr("once only"));
  EXPECT_THAT(error_of([&] {
                run("ArgMax", {floats({0, 2}, {}), scalar(0)});
              }),
              HasSubstr("not be empty"));
  EXPECT_THAT(error_of([&] { run("Cumsum", {x, ints({1}, {0})}); }), HasSubstr("must be a scalar"));
}

TEST(SegmentTest, GapsOfSortedSegmentsAreTheNeutralElement) {
  const Tensor ids = ints({2}, {1, 3});
  const Tensor x = floats({2}, {5, 7});
  EXPECT_THAT(run("SegmentSum", {x, ids})[0], is_tensor(floats({4}, {0, 5, 0, 7})));
  EXPECT_THAT(run("SegmentProd", {x, ids})[0], is_tensor(floats({4}, {1, 5, 1, 7})));
  EXPECT_THAT(run("SegmentMax", {x, ids})[0], is_tensor(floats({4}, {0, 5, 0, 7})));
}

TEST(SegmentTest, WrongIdsAreErrors) {
  const Tensor x = floats({2}, {5, 7});
  const auto code = [](std::string_view op, const std::vector<Tensor>& inputs) {
    return error_code_of([&] { run(op, inputs); });
  };
  const ErrorCode invalid = ErrorCode::kInvalidArgument;
  EXPECT_EQ(code("SegmentSum", {x, ints({2}, {1, 0})}), invalid);
  EXPECT_EQ(code("SegmentSum", {x, ints({2}, {-1, 0})}), invalid);
  EXPECT_EQ(code("UnsortedSegmentSum", {x, ints({2}, {0, 2}), scalar(2)}), invalid);
  EXPECT_EQ(code("SparseSegmentSum", {x, ints({1}, {2}), ints({1}, {0})}), invalid);
  EXPECT_EQ(code("SparseSegmentSumGrad", {x, ints({1}, {0}), ints({1}, {2}), scalar(3)}), invalid);
}

TEST(TopKTest, UnsortedResultsAreTheSameElements) {
  const Tensor x = floats({6}, {3, 1, 6, 5, 2, 4});
  auto indices = values<std::int32_t>(run("TopKV2", {x, scalar(3)}, {{"sorted", false}})[1]);
  std::ranges::sort(indices);
  EXPECT_EQ(indices, (std::vector<std::int32_t>{2, 3, 5}));
  EXPECT_THAT(run("TopKV2", {x, scalar(3)})[0], is_tensor(floats({3}, {6, 5, 4})));
}

TEST(TopKTest, ShapesFollowK) {
  EXPECT_EQ(infer("TopKV2", "[?,5];[]", {}, {{1, scalar(2)}}), "[?,2];[?,2]");
  EXPECT_EQ(infer("TopKV2", "[?,5];[]"), "[?,?];[?,?]");
  EXPECT_THAT(error_of([] {
                infer("TopKV2", "[?,5];[]", {}, {{1, scalar(6)}});
              }),
              HasSubstr("at least 6"));
}

}  // namespace
}  // namespace hub::testing
