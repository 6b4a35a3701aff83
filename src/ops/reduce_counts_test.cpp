#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Attrs kCounts = {{"binary_output", false}, {"output_type", kFloat}};

TEST(CountsTest, EachRowHasItsCounts) {
  const auto results =
      run("DenseCountSparseOutput", {ints({2, 3}, {1, 1, 4, 0, 0, 0}), floats({0}, {})}, kCounts);
  EXPECT_THAT(values<std::int64_t>(results[0]), ElementsAre(0, 1, 0, 4, 1, 0));
  EXPECT_THAT(values<float>(results[1]), ElementsAre(2, 1, 3));
  EXPECT_THAT(values<std::int64_t>(results[2]), ElementsAre(2, 5));
  EXPECT_EQ(infer("DenseCountSparseOutput", "[2,?];?", kCounts), "[?,2];[?];[2]");
}

TEST(CountsTest, ValuesAndIndicesAreChecked) {
  EXPECT_THAT(error_of([] {
                run("RaggedCountSparseOutput",
                    {int64s({2}, {0, 1}), ints({1}, {-1}), floats({0}, {})}, kCounts);
              }),
              HasSubstr("negative"));
  EXPECT_THAT(error_of([] {
                run("SparseCountSparseOutput",
                    {int64s({1, 2}, {3, 0}), ints({1}, {1}), int64s({2}, {3, 4}), floats({0}, {})},
                    kCounts);
              }),
              HasSubstr("3 is not in [0, 3)"));
}

}  // namespace
}  // namespace hub::testing
