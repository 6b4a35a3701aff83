#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "base/errors.h"
#include "base/file.h"
#include "hub/tensor.h"
#include "tensor/buffer_pool.h"
#include "tensor/buffers.h"

namespace hub {
namespace {

using ::testing::ElementsAre;

TEST(ShapeTest, CountsElements) {
  EXPECT_EQ(Shape({2, 3}).num_elements(), 6);
  EXPECT_EQ(Shape{}.num_elements(), 1);
  EXPECT_EQ(Shape({4, 0}).num_elements(), 0);
  EXPECT_EQ(to_string(Shape({2, 3})), "[2,3]");
}

TEST(ShapeTest, ManyDimensionsKeepTheirValues) {
  const Shape shape({1, 2, 3, 4, 5, 6, 7, 8});
  Shape copy = shape;
  const Shape moved = std::move(copy);
  EXPECT_THAT(moved.dims(), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(moved, shape);
}

TEST(ShapeTest, HostileSizesAreErrors) {
  EXPECT_THROW(Shape({-1}), Error);
  EXPECT_THROW(Shape({1LL << 40, 1LL << 40}), Error);
  EXPECT_THROW(Shape({0, 1LL << 40, 1LL << 40}), Error);  // a zero hides no overflow
  EXPECT_THROW(Shape(std::vector<std::int64_t>(255, 1)), Error);
}

TEST(PartialShapeTest, MergesWhatIsKnown) {
  EXPECT_EQ((PartialShape{-1, 3}).merge_with(PartialShape{2, -1}), (PartialShape{2, 3}));
  EXPECT_EQ(PartialShape().merge_with(PartialShape{2}), PartialShape{2});
  EXPECT_THROW((PartialShape{2}).merge_with(PartialShape{3}), Error);
  EXPECT_EQ(PartialShape::scalar().rank(), 0);
  EXPECT_EQ(to_string(PartialShape{-1, 3}), "[?,3]");
}

TEST(TensorTest, CopiesShareAndClonesDoNot) {
  Tensor a = make_vector<float>({1, 2, 3});
  const Tensor b = a;
  EXPECT_TRUE(a.shares_buffer_with(b));
  EXPECT_FALSE(a.is_exclusive());
  Tensor c = a.clone();
  c.mutable_data<float>()[0] = 9;
  EXPECT_THAT(a.values<float>(), ElementsAre(1, 2, 3));
}

TEST(TensorTest, AMovedTensorIsNone) {
  Tensor a = make_vector<float>({1});
  const Tensor b = std::move(a);
  EXPECT_FALSE(a.is_valid());  // NOLINT: that is what is tested
  EXPECT_TRUE(b.is_exclusive());
}

TEST(TensorTest, StringsHoldAnyBytes) {
  const Tensor text = strings({std::string("a\0b", 3), "\xff"});
  EXPECT_EQ(text.values<std::string>()[0].size(), 3u);
  EXPECT_EQ(text.clone().values<std::string>()[1], "\xff");
}

TEST(TensorTest, RowsShareTheBuffer) {
  const Tensor matrix = make_tensor<int>(Shape{3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor rows = matrix.rows(1, 3);
  EXPECT_THAT(rows.values<int>(), ElementsAre(3, 4, 5, 6));
  EXPECT_TRUE(rows.shares_buffer_with(matrix));
}

TEST(TensorTest, WrongUseIsAnError) {
  const Tensor numbers = make_vector<float>({1, 2});
  EXPECT_THROW(numbers.values<int>(), Error);
  EXPECT_THROW(numbers.reshaped(Shape{3}), Error);
  EXPECT_THROW(numbers.scalar<float>(), Error);
  EXPECT_THROW(make_tensor<float>(Shape{3}, {1, 2}), Error);
  EXPECT_THROW(Tensor(DType::kFloat64, Shape{1LL << 50}), Error);
}

TEST(TensorTest, BorrowedMemoryIsNeverExclusive) {
  auto owner = std::make_shared<std::vector<float>>(4, 1.5f);
  const Tensor tensor(DType::kFloat32, Shape{4}, borrow_buffer(owner->data(), 16, owner));
  EXPECT_FALSE(tensor.is_exclusive());
  owner.reset();
  EXPECT_EQ(tensor.values<float>()[3], 1.5f);
}

TEST(TensorTest, PagesOfAFileThatWereReleasedAreReadAgain) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/bytes";
  std::string bytes(100'000, 0);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i % 251);
  std::ofstream(path, std::ios::binary) << bytes;
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file->is_mapped());
  const Tensor mapped(DType::kUint8, Shape{100'000},
                      borrow_buffer(file->bytes().data(), bytes.size(), file, Pages::kOfFile));
  const auto copy = std::make_shared<std::string>(bytes);
  const Tensor other(DType::kUint8, Shape{100'000},
                     borrow_buffer(copy->data(), bytes.size(), copy));
  for (const Tensor& tensor : {mapped, other, mapped.clone()}) {
    release_pages(tensor);
    EXPECT_EQ(std::memcmp(tensor.raw_data(), bytes.data(), bytes.size()), 0);
  }
}

TEST(HalfTest, RoundsToNearestEven) {
  for (int bits = 0; bits < 0x10000; ++bits) {
    const Half half = Half::from_bits(static_cast<std::uint16_t>(bits));
    const auto value = static_cast<float>(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(Half(value))));
    } else {
      EXPECT_EQ(Half(value).bits, half.bits) << bits;
    }
  }
  EXPECT_EQ(Half(65519.0f).bits, 0x7bff);
  EXPECT_EQ(Half(65520.0f).bits, 0x7c00);
  EXPECT_EQ(Half(1.0f + 0x1p-11f).bits, 0x3c00);  // a tie goes to even
  EXPECT_EQ(Half(0x1p-25f).bits, 0);
  EXPECT_EQ(BFloat16(1.0f + 0x1p-8f).bits, 0x3f80);
}

TEST(BufferPoolTest, MemoryIsHandedOutAgain) {
  BufferPool pool;
  const void* first = nullptr;
  {
    const Tensor tensor = pool.tensor(DType::kFloat32, Shape{1000});
    first = tensor.raw_data();
  }
  EXPECT_EQ(pool.tensor(DType::kFloat32, Shape{999}).raw_data(), first);
  EXPECT_EQ(pool.used_bytes(), 0u);
  EXPECT_GE(pool.peak_bytes(), 4000u);
}

TEST(BufferPoolTest, BuffersMayOutliveThePool) {
  Tensor tensor;
  {
    BufferPool pool;
    tensor = pool.tensor(DType::kInt32, Shape{8});
  }
  tensor.mutable_data<int>()[7] = 1;
  EXPECT_EQ(tensor.values<int>()[7], 1);
}

}  // namespace
}  // namespace hub
