// The helpers that tests of ops are written with.

#include "support/op_test.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(OpSupportTest, ShapesAreReadAndWritten) {
  for (const char* text : {"[]", "[2,3]", "[?,0]", "?"}) {
    EXPECT_EQ(to_string(partial_shape(text)), text);
  }
  EXPECT_EQ(error_code_of([] { partial_shape("2,3"); }), ErrorCode::kInvalidArgument);
}

TEST(OpSupportTest, InferGivesTheShapesOfAllOutputs) {
  EXPECT_EQ(infer("Identity", "[2,?]"), "[2,?]");
  EXPECT_EQ(infer("IdentityN", "[2,?];?", {{"T", types_attr({kFloat, kInt32})}}), "[2,?];?");
}

TEST(OpSupportTest, RunGivesTheOutputs) {
  EXPECT_THAT(run("Identity", {floats({2}, {1, 2})})[0], is_tensor(floats({2}, {1, 2})));
}

TEST(OpSupportTest, TensorsAreComparedByDtypeShapeAndValues) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(floats({2}, {1, nan}), is_tensor(floats({2}, {1, nan})));
  EXPECT_THAT(floats({2}, {1, 2}), Not(is_tensor(floats({2, 1}, {1, 2}))));
  EXPECT_THAT(floats({1}, {1}), Not(is_tensor(doubles({1}, {1}))));
  EXPECT_THAT(floats({1}, {1.01f}), is_near(floats({1}, {1}), 0.01));
  EXPECT_THAT(floats({1}, {1.03f}), Not(is_near(floats({1}, {1}), 0.01)));
  EXPECT_THAT(texts({2}, {"a", "b"}), Not(is_tensor(texts({2}, {"a", "c"}))));
  EXPECT_THAT(values<std::int32_t>(ints({2}, {1, 2})), ElementsAre(1, 2));
}

TEST(OpSupportTest, ErrorsAreTaken) {
  const auto fail = [] { throw invalid_argument("the rule. ", "Details: ", 1); };
  EXPECT_THAT(error_of(fail), HasSubstr("the rule"));
  EXPECT_EQ(error_code_of(fail), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace hub::testing
