// exp, log, tanh, erf and sigmoid of float32 are within 2 ulp of the exact value, everywhere.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "support/op_test.h"

namespace hub::testing {
namespace {

// Every so many floats of all: a prime, so that all exponents and mantissas have their turn.
constexpr std::uint32_t kStep = 2053;

Tensor floats_of_all_sizes() {
  std::vector<float> sample;
  for (std::uint64_t bits = 1; bits <= 0xffffffffULL; bits += kStep) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (std::isfinite(x) && std::abs(x) >= std::numeric_limits<float>::min()) sample.push_back(x);
  }
  // Results are neither all 0 nor 1 here.
  for (float x = -90; x < 90; x += 0.00037f) sample.push_back(x);
  return make_tensor<float>(Shape{static_cast<std::int64_t>(sample.size())}, sample);
}

// The distance from `got` to `exact`, in units of the last place of a float near `exact`.
double error_in_ulp(float got, double exact) {
  const int exponent = std::max(std::ilogb(exact), std::numeric_limits<float>::min_exponent - 1);
  return std::abs(got - exact) / std::ldexp(1.0, exponent - 23);
}

struct Case {
  const char* op;
  double (*exact)(double);
};

class AccuracyTest : public ::testing::TestWithParam<Case> {};

TEST_P(AccuracyTest, WithinTwoUlp) {
  const Tensor x = floats_of_all_sizes();
  const Tensor y = run(GetParam().op, {x})[0];
  double worst = 0;
  float worst_x = 0;
  for (std::int64_t i = 0; i < x.num_elements(); ++i) {
    const auto index = static_cast<std::size_t>(i);
    const float argument = x.values<float>()[index];
    const float got = y.values<float>()[index];
    const double exact = GetParam().exact(static_cast<double>(argument));
    if (std::isnan(exact)) {
      EXPECT_TRUE(std::isnan(got)) << argument;
      continue;
    }
    // Denormal results are flushed to zero, and what is too large is infinite.
    if (exact == 0 || std::abs(exact) < std::numeric_limits<float>::min() ||
        std::abs(exact) > static_cast<double>(std::numeric_limits<float>::max())) {
      continue;
    }
    const double error = error_in_ulp(got, exact);
    if (!(error <= worst)) {
      worst = error;
      worst_x = argument;
    }
  }
  EXPECT_LE(worst, 2) << GetParam().op << "(" << worst_x << ")";
  RecordProperty("worst_ulp", std::to_string(worst));
}

// In a vector's lane, or left over at the end.
TEST_P(AccuracyTest, AnElementsBitsDoNotDependOnItsPlace) {
  std::vector<float> sample;
  for (int i = 0; i < 1000; ++i) sample.push_back(static_cast<float>(i - 500) * 0.0371f);
  const Tensor whole = run(GetParam().op, {make_tensor<float>(Shape{1000}, sample)})[0];
  for (const std::size_t count : std::initializer_list<std::size_t>{1, 7, 31, 63, 64, 65, 130}) {
    const std::span<const float> end = std::span(sample).last(count);
    const Tensor part =
        run(GetParam().op, {make_tensor<float>(Shape{static_cast<std::int64_t>(count)}, end)})[0];
    const auto expected = whole.values<float>().last(count);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(part.values<float>()[i]),
                std::bit_cast<std::uint32_t>(expected[i]))
          << sample[sample.size() - count + i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Functions, AccuracyTest,
                         ::testing::Values(Case{"Exp", [](double x) { return std::exp(x); }},
                                           Case{"Log", [](double x) { return std::log(x); }},
                                           Case{"Tanh", [](double x) { return std::tanh(x); }},
                                           Case{"Erf", [](double x) { return std::erf(x); }},
                                           Case{"Sigmoid",
                                                [](double x) { return 1 / (1 + std::exp(-x)); }}),
                         [](const auto& parameter) { return std::string(parameter.param.op); });

}  // namespace
}  // namespace hub::testing
