#include "common/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>
#include <fstream>

#include "base/errors.h"
#include "base/file.h"
#include "base/strings.h"
#include "common/npz.h"

namespace hub {
namespace {

using ::testing::ElementsAre;

template <class Callable>
ErrorCode code_of(Callable&& callable) {
  try {
    callable();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kUnknown;
}

// A version 1 file with this header and data.
std::string npy(const std::string& header, std::string_view data) {
  std::string bytes = "\x93NUMPY";
  bytes += '\1';
  bytes += '\0';
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  return bytes + header + std::string(data);
}

TEST(NpyTest, WhatIsWrittenIsReadAgain) {
  const Tensor numbers = make_tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor read = parse_npy(serialize_npy(numbers), "x");
  EXPECT_EQ(read.dtype(), kFloat);
  EXPECT_EQ(read.shape(), (Shape{2, 3}));
  EXPECT_THAT(read.values<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  const Tensor words = strings({"", "a", std::string("b\0c", 3), "\xff"});
  EXPECT_THAT(parse_npy(serialize_npy(words), "x").values<std::string>(),
              ElementsAre("", "a", std::string("b\0c", 3), "\xff"));
  EXPECT_EQ(parse_npy(serialize_npy(make_scalar<bool>(true)), "x").scalar<bool>(), true);
  EXPECT_EQ(parse_npy(serialize_npy(Tensor(kInt64, {0, 3})), "x").shape(), (Shape{0, 3}));
}

TEST(NpyTest, TheDataIsAligned) {
  const std::string bytes = serialize_npy(make_vector<std::uint8_t>({7}));
  EXPECT_EQ(bytes.size() % 64, 1u);
}

TEST(NpyTest, FortranOrderIsTransposed) {
  const std::string data = {1, 2, 3, 4, 5, 6};
  const Tensor read =
      parse_npy(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", data), "x");
  EXPECT_EQ(read.shape(), (Shape{2, 3}));
  EXPECT_THAT(read.values<std::uint8_t>(), ElementsAre(1, 3, 5, 2, 4, 6));
}

TEST(NpyTest, BigEndianNumbersAreSwapped) {
  const Tensor read = parse_npy(
      npy("{'descr': '>i2', 'fortran_order': False, 'shape': (1,), }", std::string("\1\2", 2)),
      "x");
  EXPECT_THAT(read.values<std::int16_t>(), ElementsAre(0x0102));
}

TEST(NpyTest, UnicodeArraysBecomeUtf8) {
  const std::string data("\xe4\0\0\0\x00\xf6\x01\0\0\0\0\0", 12);
  const Tensor read =
      parse_npy(npy("{'descr': '<U3', 'fortran_order': False, 'shape': (), }", data), "x");
  EXPECT_EQ(read.scalar<std::string>(), "\xc3\xa4\xf0\x9f\x98\x80");
}

TEST(NpyTest, ObjectsAreRefused) {
  EXPECT_EQ(code_of([] {
              parse_npy(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "x"), "x");
            }),
            ErrorCode::kUnimplemented);
}

TEST(NpyTest, SizesAreCheckedBeforeMemoryIsTaken) {
  for (const char* shape :
       {"(9223372036854775807,)", "(4611686018427387904, 2)", "(2,)", "(-1,)", "(1, 0,"}) {
    const std::string header =
        cat("{'descr': '<f4', 'fortran_order': False, 'shape': ", shape, ", }");
    EXPECT_NE(code_of([&] { parse_npy(npy(header, "1234"), "x"); }), ErrorCode::kUnknown) << shape;
  }
}

TEST(NpyTest, EveryPrefixIsAnError) {
  const std::string bytes = serialize_npy(make_vector<float>({1, 2}));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(code_of([&] { parse_npy(std::string_view(bytes).substr(0, size), "x"); }),
              ErrorCode::kDataLoss);
  }
}

TEST(NpyTest, AStringThatEndsInNulCannotBeWritten) {
  EXPECT_EQ(code_of([] { serialize_npy(strings({std::string("a\0", 2)})); }),
            ErrorCode::kInvalidArgument);
}

class NpzTest : public ::testing::Test {
 protected:
  // A new file each time, not synced: a test writes hundreds.
  std::string write(std::string_view bytes) {
    const std::string path = cat(folder_.path(), "/", count_++, ".npz");
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  TempDirectory folder_;
  int count_ = 0;
};

TEST_F(NpzTest, WhatIsWrittenIsReadAgain) {
  const std::string path =
      write(serialize_npz({{"a", make_vector<float>({1, 2})}, {"in/words", strings({"x"})}}));
  const NpzFile file(path);
  EXPECT_THAT(file.names(), ElementsAre("a", "in/words"));
  EXPECT_THAT(file.read("a").values<float>(), ElementsAre(1, 2));
  EXPECT_THAT(file.read("in/words").values<std::string>(), ElementsAre("x"));
  EXPECT_EQ(code_of([&] { file.read("b"); }), ErrorCode::kNotFound);
}

TEST_F(NpzTest, DamagedBytesAreAnErrorOrNoDifference) {
  const std::string bytes =
      serialize_npz({{"a", make_vector<float>({1, 2})}, {"b", make_vector<std::int32_t>({3})}});
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    try {
      const NpzFile file(write(damaged));
      if (file.contains("a")) {
        EXPECT_THAT(file.read("a").values<float>(), ElementsAre(1, 2));
      }
    } catch (const Error&) {
    }
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(code_of([&] { read_npz(write(bytes.substr(0, size))); }), ErrorCode::kUnknown);
  }
}

TEST_F(NpzTest, FilesOfNumPyAreRead) {
  const auto arrays = read_npz(TF1HUB_TEST_DATA_DIR "/numpy/deflated.npz");
  EXPECT_THAT(arrays.at("numbers").values<std::int64_t>(), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(arrays.at("numbers").shape(), (Shape{2, 3}));
  EXPECT_EQ(arrays.at("zeros").num_elements(), 10000);
  EXPECT_THAT(arrays.at("words").values<std::string>(), ElementsAre("\xc3\xa4", "bc"));
  EXPECT_THAT(arrays.at("waves").values<std::complex<float>>(),
              ElementsAre(std::complex<float>(1, 2)));
}

}  // namespace
}  // namespace hub
