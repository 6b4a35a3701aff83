#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

Tensor scalar_summary(std::string tag, float value) {
  return run("ScalarSummary", {make_scalar(std::move(tag)), scalar(value)})[0];
}

TEST(SummaryTest, AScalarIsItsTagAndValue) {
  EXPECT_EQ(scalar_summary("loss", 1).scalar<std::string>(),
            std::string("\x0A\x0B\x0A\x04loss\x15\0\0\x80\x3F", 13));
  EXPECT_THAT(error_of([] {
                run("ScalarSummary", {texts({2}, {"a", "b"}), scalar(1.0F)});
              }),
              HasSubstr("same shape"));
}

TEST(SummaryTest, MergingKeepsTheOrderAndRefusesATagTwice) {
  const Tensor a = scalar_summary("a", 1);
  const Tensor b = scalar_summary("b", 2);
  EXPECT_EQ(run("MergeSummary", {a, b}, {{"N", 2}})[0].scalar<std::string>(),
            a.scalar<std::string>() + b.scalar<std::string>());
  EXPECT_THAT(error_of([&] { run("MergeSummary", {a, a}, {{"N", 2}}); }), HasSubstr("\"a\""));
  EXPECT_EQ(error_code_of([] {
              run("MergeSummary", {make_scalar(std::string("\x0A\x09no"))}, {{"N", 1}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST(SummaryTest, AHistogramHasOnlyNumbers) {
  const Tensor tag = make_scalar(std::string("weights"));
  EXPECT_EQ(run("HistogramSummary", {tag, floats({2}, {1, -1e30F})})[0].shape(), Shape{});
  EXPECT_THAT(error_of([&] {
                run("HistogramSummary", {tag, floats({1}, {NAN})});
              }),
              HasSubstr("finite"));
}

TEST(SummaryTest, PicturesAndSoundsAreCheckedAndNumbered) {
  const Tensor tag = make_scalar(std::string("a"));
  const Tensor pictures(DType::kUint8, Shape{2, 1, 1, 1});
  const std::string summary =
      run("ImageSummary", {tag, pictures}, {{"T", DType::kUint8}})[0].scalar<std::string>();
  EXPECT_THAT(summary, HasSubstr("a/image/0"));
  EXPECT_THAT(summary, HasSubstr("a/image/1"));
  EXPECT_EQ(error_code_of([&] {
              run("ImageSummary", {tag, Tensor(DType::kUint8, Shape{2, 1, 1, 2})},
                  {{"T", DType::kUint8}});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(error_of([&] {
                run("AudioSummaryV2", {tag, floats({1, 2}, {0, 0}), scalar(0.0F)});
              }),
              HasSubstr("sample rate must be positive"));
}

}  // namespace
}  // namespace hub::testing
