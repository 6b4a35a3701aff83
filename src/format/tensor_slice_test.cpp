#include "format/tensor_slice.h"

#include <gmock/gmock.h>

#include <limits>

#include "format/testing.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;

const std::string kHead(1, '\0');

std::string key_of_dimension(std::int64_t start, std::int64_t length) {
  const std::string key = slice_key("", {{{start, length}}});
  return key.substr(from_hex("00 00 01 01 01").size());
}

TEST(SliceKeyTest, KnownAnswers) {
  EXPECT_EQ(slice_key("partition", {{{0, 2}}}),
            kHead + "partition" + from_hex("00 01 01 01 80 82"));
  EXPECT_EQ(slice_key("partition", {{{2, 1}}}),
            kHead + "partition" + from_hex("00 01 01 01 82 81"));
  EXPECT_EQ(slice_key("partition", {{{3, 1}}}),
            kHead + "partition" + from_hex("00 01 01 01 83 81"));
  EXPECT_EQ(slice_key("partitioned_variable", {{{0, 3}, {0, 3}}}),
            kHead + "partitioned_variable" + from_hex("00 01 01 02 80 83 80 83"));
}

TEST(SliceKeyTest, NumbersAreWrittenInOrder) {
  EXPECT_EQ(key_of_dimension(600, 0), from_hex("c2 58 80"));
  EXPECT_EQ(key_of_dimension(64, 63), from_hex("c0 40 bf"));
  EXPECT_EQ(key_of_dimension(8192, 0), from_hex("e0 20 00 80"));
  EXPECT_EQ(key_of_dimension(0, SliceExtent::kFull), from_hex("80 7f"));
  std::string previous;
  for (std::int64_t value = 1; value > 0 && value < std::numeric_limits<std::int64_t>::max() / 3;
       value *= 3) {
    const std::string key = key_of_dimension(value, 0);
    EXPECT_GT(key, previous) << value;
    previous = key;
  }
}

TEST(SliceKeyTest, NamesAreEscaped) {
  EXPECT_EQ(slice_key(std::string("a\0b\xff", 4), {}), from_hex("00 61 00 ff 62 ff 00 00 01 00"));
}

TEST(SliceSpecTest, IsReadAndWritten) {
  const SliceSpec spec = parse_slice_spec("7 3 0,3:-");
  EXPECT_EQ(spec.full_shape, (Shape{7, 3}));
  EXPECT_EQ(spec.slice, (TensorSlice{{{0, 3}, {0, SliceExtent::kFull}}}));
  EXPECT_EQ(to_string(spec), "7 3 0,3:-");
  EXPECT_EQ(to_string(parse_slice_spec("5 1,2")), "5 1,2");
}

TEST(SliceSpecTest, NonsenseIsRefused) {
  for (const char* text :
       {"", " ", "5", "5 ", "5 1", "5 1,", "5 1,x", "5 -1,2", "x 1,2", "5 1,2:0,1", "5 4,2",
        "5 6,0", "5  1,2", "5 9223372036854775807,2", "99999999999999999999 0,1"}) {
    const Error error = error_of([&] { parse_slice_spec(text); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << text;
  }
}

TEST(TensorSliceTest, ResolvedSlicesLieInsideTheShape) {
  const TensorSlice resolved = resolve_slice({{{}, {1, 2}}}, Shape{4, 3});
  EXPECT_EQ(resolved, (TensorSlice{{{0, 4}, {1, 2}}}));
  EXPECT_EQ(slice_shape(resolved), (Shape{4, 2}));
  EXPECT_THAT(error_of([] { resolve_slice({{{0, 5}}}, Shape{4}); }).what(), HasSubstr("0,5"));
  EXPECT_THAT(error_of([] {
                resolve_slice({{{0, 5}}}, Shape{4, 4});
              }).what(),
              HasSubstr("each dimension"));
}

TEST(TensorSliceTest, IntersectionsAreBoxes) {
  EXPECT_EQ(intersect({{{0, 4}, {0, 2}}}, {{{2, 5}, {1, 7}}}), (TensorSlice{{{2, 2}, {1, 1}}}));
  EXPECT_EQ(intersect({{{0, 2}}}, {{{2, 2}}}), std::nullopt);
}

}  // namespace
}  // namespace hub::testing
