#include "replay/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>
#include <limits>

namespace hub::replay {
namespace {

using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Tensor floats(std::initializer_list<float> values) { return make_vector<float>(values); }
bool same(const Tensor& got, const Tensor& want, Tolerance tolerance = {}) {
  return !difference(got, want, tolerance).has_value();
}

TEST(CompareTest, ToleranceIsAbsolutePlusRelative) {
  const Tolerance tolerance{.rtol = 0.01, .atol = 0.5};
  EXPECT_TRUE(same(floats({101.5f}), floats({100}), tolerance));
  EXPECT_FALSE(same(floats({101.6f}), floats({100}), tolerance));
  EXPECT_TRUE(same(floats({-0.0f}), floats({0})));
}

TEST(CompareTest, NanEqualsNanAndInfinitiesMatchBySign) {
  const Tolerance loose{.rtol = 1, .atol = 1};
  EXPECT_TRUE(same(floats({kNan, kInf, -kInf}), floats({kNan, kInf, -kInf})));
  EXPECT_FALSE(same(floats({kNan}), floats({1}), loose));
  EXPECT_FALSE(same(floats({1}), floats({kNan}), loose));
  EXPECT_FALSE(same(floats({kInf}), floats({-kInf}), loose));
  EXPECT_FALSE(same(floats({kInf}), floats({1}), loose));
}

TEST(CompareTest, ComplexNumbersAreComparedByDistanceOrByParts) {
  using C = std::complex<float>;
  const Tolerance tolerance{.rtol = 0, .atol = 1};
  EXPECT_TRUE(same(make_vector<C>({C(3, 4)}), make_vector<C>({C(3.6f, 4.7f)}), tolerance));
  EXPECT_FALSE(same(make_vector<C>({C(3, 4)}), make_vector<C>({C(3.8f, 4.8f)}), tolerance));
  EXPECT_TRUE(same(make_vector<C>({C(kNan, 4)}), make_vector<C>({C(kNan, 4.5f)}), tolerance));
  EXPECT_FALSE(same(make_vector<C>({C(kNan, 4)}), make_vector<C>({C(4, kNan)}), tolerance));
}

TEST(CompareTest, HalvesHaveATolerance) {
  EXPECT_TRUE(
      same(make_vector<Half>({Half(1.001f)}), make_vector<Half>({Half(1)}), {.atol = 0.01}));
  EXPECT_FALSE(same(make_vector<Half>({Half(1.1f)}), make_vector<Half>({Half(1)}), {.atol = 0.01}));
}

TEST(CompareTest, AllElseMustBeEqual) {
  const Tolerance loose{.rtol = 10, .atol = 10};
  EXPECT_FALSE(same(make_vector<std::int64_t>({1}), make_vector<std::int64_t>({2}), loose));
  EXPECT_FALSE(same(strings({"a"}), strings({"b"}), loose));
  EXPECT_FALSE(same(make_vector<bool>({true}), make_vector<bool>({false}), loose));
  const Tensor quantized = make_vector<std::uint8_t>({3}).bit_cast(DType::kQuint8);
  EXPECT_TRUE(same(quantized, quantized));
}

TEST(CompareTest, TheTextSaysWhatAndWhere) {
  EXPECT_THAT(*difference(make_tensor<float>({2, 2}, {1, 2, 9, 4}),
                          make_tensor<float>({2, 2}, {1, 2, 3, 4}), {}),
              HasSubstr("1 of 4 elements differ, at [1,0] got 9 for 3"));
  EXPECT_THAT(*difference(floats({1}), make_scalar<double>(1), {}),
              HasSubstr("got float32 [1] for float64 []"));
}

TEST(CompareTest, StaticFactsMustAllowTheRealOnes) {
  const Tensor real = floats({1, 2});
  EXPECT_FALSE(fact_difference(real, kFloat, PartialShape{-1}).has_value());
  EXPECT_FALSE(fact_difference(real, DType::kInvalid, {}).has_value());
  EXPECT_TRUE(fact_difference(real, kFloat, PartialShape{3}).has_value());
  EXPECT_TRUE(fact_difference(real, kDouble, PartialShape{2}).has_value());
}

}  // namespace
}  // namespace hub::replay
