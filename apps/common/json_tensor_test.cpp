#include "common/json_tensor.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "common/base64.h"
#include "common/convert.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

Tensor parsed(const std::string& text, std::optional<DType> dtype = {}) {
  return tensor_from_json(Json::parse(text), dtype, "x");
}

// Text to tensor to text.
std::string round_trip(const std::string& text, std::optional<DType> dtype = {}) {
  return tensor_to_json(parsed(text, dtype)).dump();
}

std::string error_of(const std::string& text, std::optional<DType> dtype = {}) {
  try {
    parsed(text, dtype);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kType);
    return error.what();
  }
  return "no error";
}

TEST(JsonTensorTest, ValuesDecideWhereNoDTypeIsGiven) {
  EXPECT_EQ(to_string(parsed("[[1,2],[3,4]]")), "int64 [2,2] 1 2 3 4");
  EXPECT_EQ(parsed("[1, 2.5]").dtype(), kFloat);
  EXPECT_EQ(parsed("true").dtype(), kBool);
  EXPECT_EQ(parsed(R"(["a", {"b64": "/w=="}])").dtype(), kString);
  EXPECT_EQ(parsed("[[], []]").shape(), Shape({2, 0}));
  EXPECT_THAT(error_of(R"([1, "a"])"), HasSubstr("not all of one type"));
}

TEST(JsonTensorTest, EveryKindOfElementReturns) {
  EXPECT_EQ(round_trip("[0.1,-2.5,\"nan\",\"inf\",\"-inf\"]", kFloat),
            "[0.1,-2.5,\"nan\",\"inf\",\"-inf\"]");
  EXPECT_EQ(round_trip("0.1", DType::kFloat16), "0.099975586");
  EXPECT_EQ(round_trip("18446744073709551615", DType::kUint64), "18446744073709551615");
  EXPECT_EQ(round_trip("[true,false]"), "[true,false]");
  EXPECT_EQ(round_trip(R"({"imag":-1.0,"real":0.5})", DType::kComplex64),
            R"({"imag":-1.0,"real":0.5})");
  EXPECT_EQ(round_trip(R"(["gr\u00fcn",{"b64":"/wA="}])"), "[\"gr\xc3\xbcn\",{\"b64\":\"/wA=\"}]");
}

TEST(JsonTensorTest, ElementsMustBeOfTheDType) {
  EXPECT_THAT(error_of("3.5", kInt32), HasSubstr("Can't convert 'x': 3.5 is no int32."));
  EXPECT_THAT(error_of("300", DType::kUint8), HasSubstr("300 is no uint8"));
  EXPECT_THAT(error_of("-1", DType::kUint64), HasSubstr("-1 is no uint64"));
  EXPECT_THAT(error_of("1", kString), HasSubstr("1 is no string"));
  EXPECT_THAT(error_of("null", kFloat), HasSubstr("null is no float32"));
}

TEST(JsonTensorTest, ListsMustBeRectangular) {
  EXPECT_THAT(error_of("[[1],[2,3]]"), HasSubstr("different lengths"));
  EXPECT_THAT(error_of("[1,[2]]"), HasSubstr("different depths"));
  EXPECT_THAT(error_of("[[1],2]"), HasSubstr("different lengths"));
}

TEST(Base64Test, BytesReturn) {
  for (const std::string bytes : {"", "f", "fo", "foo", "foob", "\xff\x01"}) {
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
  EXPECT_EQ(base64_encode("foob"), "Zm9vYg==");
  EXPECT_THROW(base64_decode("Zm9vYg="), Error);
  EXPECT_THROW(base64_decode("Zm9v*g=="), Error);
  EXPECT_THROW(base64_decode("Z==="), Error);
}

TEST(ConvertTensorTest, NumbersGoWhereTheyFit) {
  EXPECT_EQ(convert_tensor(make_vector<double>({0.5}), kFloat, "x").data<float>()[0], 0.5f);
  EXPECT_EQ(convert_tensor(make_vector<std::int64_t>({-7}), kInt32, "x").data<std::int32_t>()[0],
            -7);
  EXPECT_EQ(convert_tensor(make_vector<std::uint8_t>({200}), kFloat, "x").data<float>()[0], 200);
  EXPECT_EQ(convert_tensor(Tensor(kFloat, {0, 2}), kInt32, "x").shape(), Shape({0, 2}));
}

TEST(ConvertTensorTest, IntegersStandForBits) {
  const Tensor bits = make_vector<std::uint16_t>({0x3f80});
  EXPECT_EQ(static_cast<float>(convert_tensor(bits, DType::kBfloat16, "x").data<BFloat16>()[0]),
            1.0f);
  EXPECT_EQ(convert_tensor(make_vector<std::int8_t>({3}), DType::kQint8, "x").dtype(),
            DType::kQint8);
}

TEST(ConvertTensorTest, WhatWouldBeLostIsRefused) {
  const auto refused = [](const Tensor& tensor, DType dtype) {
    EXPECT_THROW(convert_tensor(tensor, dtype, "x"), Error) << to_string(dtype);
  };
  refused(make_vector<std::int64_t>({1LL << 40}), kInt32);
  refused(make_vector<std::int32_t>({-1}), DType::kUint8);
  refused(make_vector<float>({1}), kInt32);
  refused(make_vector<float>({1}), kBool);
  refused(strings({"1"}), kFloat);
}

}  // namespace
}  // namespace hub::testing
