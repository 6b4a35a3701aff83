// What recorded cases do not show of trimming and n-grams: inputs that do not fit.

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

TEST(TrimTest, SegmentsShareTheLengthInTurn) {
  const auto trimmed = run("TFText>RoundRobinTrim",
                           {scalar(3), ints({4}, {1, 2, 3, 4}), ints({3}, {11, 12, 13}),
                            int64s({3}, {0, 3, 4}), int64s({3}, {0, 1, 3})},
                           {{"N", 2}, {"T", kInt32}, {"Tsplits", DType::kInt64}});
  EXPECT_THAT(trimmed[0], is_tensor(ints({3}, {1, 2, 4})));
  EXPECT_THAT(trimmed[1], is_tensor(ints({3}, {11, 12, 13})));
  EXPECT_THAT(trimmed[2], is_tensor(int64s({3}, {0, 2, 3})));
}

TEST(TrimTest, SegmentsHaveEqualNumbersOfRows) {
  EXPECT_THAT(error_of([] {
                run("TFText>RoundRobinTrim",
                    {scalar(3), ints({1}, {1}), ints({1}, {2}), int64s({2}, {0, 1}),
                     int64s({3}, {0, 1, 1})},
                    {{"N", 2}, {"T", kInt32}, {"Tsplits", DType::kInt64}});
              }),
              HasSubstr("as many rows"));
}

TEST(TrimTest, NGramsNeedRowSplitsThatFit) {
  EXPECT_EQ(error_code_of([] {
              run("TFText>NgramsStringJoin", {strings({"a", "b"}), int64s({2}, {0, 9})},
                  {{"width", 2},
                   {"axis", -1},
                   {"string_separator", " "},
                   {"RAGGED_RANK", 1},
                   {"Tsplits", DType::kInt64}});
            }),
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace hub::testing
