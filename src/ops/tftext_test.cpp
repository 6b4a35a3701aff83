#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> regex_split(const std::string& text, const std::string& delimiter,
                                     const std::string& kept = "") {
  return values<std::string>(run(
      "RegexSplitWithOffsets", {texts({1}, {text}), texts({}, {delimiter}), texts({}, {kept})})[0]);
}

TEST(TfTextTest, ADelimiterIsTheFirstGroup) {
  EXPECT_THAT(regex_split("a, b", "(,)"), ElementsAre("a", " b"));
  EXPECT_THAT(regex_split("a, b", "(,) *", ","), ElementsAre("a", ",", "b"));
  EXPECT_THAT(regex_split("a, b", ","), ElementsAre("a, b"));
}

// TensorFlow runs for ever, or reads where nothing is.
TEST(TfTextTest, ADelimiterThatMatchesNothingIsAnError) {
  for (const char* bad : {"(x*)", "()", "a|(b)", "(^)"}) {
    EXPECT_EQ(error_code_of([&] { regex_split("a b", bad); }), ErrorCode::kInvalidArgument) << bad;
  }
}

TEST(TfTextTest, LabelsMustReachTheCharacters) {
  const auto tokens = [](const Tensor& labels, const Tensor& splits) {
    return values<std::string>(
        run("SplitMergeTokenizeWithOffsets", {texts({1}, {"añ"}), labels, splits})[0]);
  };
  EXPECT_THAT(tokens(ints({2}, {0, 1}), ints({2}, {0, 2})), ElementsAre("añ"));
  EXPECT_THAT(tokens(ints({2}, {0, 0}), ints({2}, {0, 2})), ElementsAre("a", "ñ"));
  EXPECT_EQ(error_code_of([&] {
              tokens(ints({1}, {0}), ints({2}, {0, 1}));
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] {
              tokens(ints({2}, {0, 0}), ints({2}, {0, 3}));
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] {
              tokens(ints({2}, {0, 0}), ints({3}, {0, 1, 2}));
            }),
            ErrorCode::kInvalidArgument);
}

TEST(TfTextTest, LogitsChooseBetweenSplitAndMerge) {
  const auto tokens = [](const Tensor& logits) {
    return values<std::string>(
        run("TokenizerFromLogits", {texts({1}, {"ab c"}), logits, scalar(true)})[0]);
  };
  EXPECT_THAT(tokens(floats({1, 4, 2}, {0, 1, 0, 1, 0, 1, 0, 1})), ElementsAre("ab", "c"));
  EXPECT_EQ(error_code_of([&] {
              tokens(floats({1, 3, 2}, {0, 1, 0, 1, 0, 1}));
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_code_of([&] { tokens(floats({2, 0, 2}, {})); }), ErrorCode::kInvalidArgument);
}

TEST(TfTextTest, NormalisationFormsAreFour) {
  const auto normalized = [](const char* form) {
    return run("NormalizeUTF8", {texts({1}, {"ﬁ"})}, {{"normalization_form", form}})[0]
        .scalar<std::string>();
  };
  EXPECT_EQ(normalized("nfkc"), "fi");
  EXPECT_THAT(error_of([&] { normalized("NFX"); }), HasSubstr("NFX"));
  EXPECT_EQ(error_code_of([&] { normalized(""); }), ErrorCode::kInvalidArgument);
}

TEST(TfTextTest, AWordPieceModelIsReadWithCare) {
  const auto code = [](const std::string& bytes) {
    Tensor model(DType::kUint8, Shape{static_cast<std::int64_t>(bytes.size())});
    std::ranges::copy(bytes, reinterpret_cast<char*>(model.mutable_raw_data()));
    return error_code_of([&] {
      run("FastWordpieceTokenizeWithOffsets", {texts({1}, {"a"}), model});
    });
  };
  EXPECT_EQ(code(""), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(std::string(64, '\0')), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(std::string(64, '\xff')), ErrorCode::kInvalidArgument);
}

TEST(TfTextTest, ShapesOfTokens) {
  EXPECT_EQ(infer("RegexSplitWithOffsets", "[3];[];[]"), "[?];[?];[?];[4]");
  EXPECT_EQ(infer("UnicodeScriptTokenizeWithOffsets", "[?];[5]"), "[?];[?];[?];[?];[5]");
  EXPECT_EQ(infer("TFText>WhitespaceTokenizeWithOffsetsV2", "[?];[]"), "[?];[?];[?];[?]");
}

}  // namespace
}  // namespace hub::testing
