// Results larger than the caches are written past them, and rows are read in wide vectors: the
// numbers are those of small tensors, whose parts are computed one by one.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ops/kernels/streaming.h"
#include "support/op_test.h"

namespace hub::testing {
namespace {

constexpr std::int64_t kColumns = 208;  // not a multiple of a block
constexpr std::int64_t kRows =
    static_cast<std::int64_t>(kStreamedBytes / (2 * sizeof(float))) / kColumns + 37;

float value_at(std::int64_t i) { return static_cast<float>(i % 7919 - 3959) * 0.00211f; }

Tensor large(std::int64_t rows = kRows) {
  Tensor x(DType::kFloat32, Shape{rows, kColumns});
  for (std::int64_t i = 0; i < x.num_elements(); ++i) x.mutable_data<float>()[i] = value_at(i);
  return x;
}

// Rows [first, first + count) as a tensor of its own.
Tensor rows_of(const Tensor& x, std::int64_t first, std::int64_t count) {
  Tensor part(x.dtype(), Shape{count, x.dim(1)});
  const auto row = static_cast<std::size_t>(x.dim(1)) * dtype_size(x.dtype());
  std::memcpy(part.mutable_raw_data(),
              static_cast<const std::byte*>(x.raw_data()) + static_cast<std::size_t>(first) * row,
              part.size_bytes());
  return part;
}

void expect_same_bytes(const Tensor& a, const Tensor& b, const char* what) {
  ASSERT_EQ(a.size_bytes(), b.size_bytes());
  EXPECT_EQ(std::memcmp(a.raw_data(), b.raw_data(), a.size_bytes()), 0) << what;
}

TEST(MemorySpeedTest, LargeElementwiseResultsAreThoseOfTheirParts) {
  const Tensor x = large();
  const Tensor bias = rows_of(x, 3, 1).reshaped(Shape{kColumns});
  for (const char* op : {"Neg", "Sigmoid", "Softmax"}) {
    const Tensor y = run(op, {x})[0];
    for (const std::int64_t first : {std::int64_t{0}, kRows / 2, kRows - 5}) {
      expect_same_bytes(rows_of(y, first, 5), run(op, {rows_of(x, first, 5)})[0], op);
    }
  }
  for (const Tensor& other : {x, bias, scalar(1.5f)}) {
    const Tensor y = run("Mul", {x, other})[0];
    const std::int64_t first = kRows - 9;
    const Tensor part = other.rank() == 2 ? rows_of(other, first, 9) : other;
    expect_same_bytes(rows_of(y, first, 9), run("Mul", {rows_of(x, first, 9), part})[0], "Mul");
  }
}

TEST(MemorySpeedTest, TransposesMoveEachElement) {
  // Of whole lines, and of odd sizes.
  for (const std::int64_t rows :
       {kRows / 16 * 16 + 16, kRows, std::int64_t{67}, std::int64_t{32}}) {
    const Tensor x = large(rows);
    const Tensor y = run("Transpose", {x, ints({2}, {1, 0})})[0];
    ASSERT_EQ(y.shape(), (Shape{kColumns, rows}));
    bool same = true;
    for (std::int64_t c = 0; c < kColumns; ++c) {
      for (std::int64_t r = 0; r < rows; ++r)
        same = same && y.data<float>()[c * rows + r] == x.data<float>()[r * kColumns + c];
    }
    EXPECT_TRUE(same) << rows;
  }
}

TEST(MemorySpeedTest, ANaNStaysInMaximaWhereverItIs) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::int64_t n : {5, 32, 33, 100}) {
    for (std::int64_t at = 0; at < n; ++at) {
      Tensor x(DType::kFloat32, Shape{2, n});
      for (std::int64_t i = 0; i < 2 * n; ++i) x.mutable_data<float>()[i] = value_at(i);
      x.mutable_data<float>()[n + at] = nan;
      for (const char* op : {"Max", "Min"}) {
        const Tensor y = run(op, {x, scalar(1)})[0];
        EXPECT_FALSE(std::isnan(y.data<float>()[0])) << op << n;
        EXPECT_TRUE(std::isnan(y.data<float>()[1])) << op << n << " " << at;
      }
      EXPECT_NE(run("ArgMax", {x, scalar(1)})[0].data<std::int64_t>()[1], at);
      EXPECT_TRUE(std::isnan(run("Softmax", {x})[0].data<float>()[2 * n - 1]));
    }
  }
}

TEST(MemorySpeedTest, TheFirstOfEqualsIsTheLargest) {
  for (const std::int64_t n : {1, 31, 32, 64, 77}) {
    for (std::int64_t at = 0; at < n; ++at) {
      Tensor x(DType::kFloat32, Shape{1, n});
      for (std::int64_t i = 0; i < n; ++i) x.mutable_data<float>()[i] = i >= at ? 7.0f : -1.0f;
      EXPECT_EQ(run("ArgMax", {x, scalar(1)})[0].data<std::int64_t>()[0], at);
      const Tensor y = run("Neg", {x})[0];
      EXPECT_EQ(run("ArgMin", {y, scalar(1)})[0].data<std::int64_t>()[0], at);
    }
  }
}

}  // namespace
}  // namespace hub::testing
