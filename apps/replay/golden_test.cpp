#include "replay/golden.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "base/file.h"
#include "replay/golden_value.h"

namespace hub::replay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(GoldenNamesTest, AFolderIsNamedByWhatTells) {
  EXPECT_THAT(golden_names({"/x/zoo/nnlm", "/x/hub/mini/golden", "/x/saved/counter/00000123/golden",
                            "/x/net_1.0/golden_quantized"}),
              ElementsAre("nnlm", "mini", "counter", "net_1.0/golden_quantized"));
}

TEST(GoldenNamesTest, EqualNamesBecomeLonger) {
  EXPECT_THAT(golden_names({"/x/v1/mini/golden", "/x/v2/mini", "/x/v2/other"}),
              ElementsAre("v1/mini", "v2/mini", "other"));
}

// A golden folder with these arrays.
class GoldenValueTest : public ::testing::Test {
 protected:
  GoldenFolder golden(const std::map<std::string, Tensor>& arrays) const {
    write_file_atomically(folder_.path() + "/golden.json", R"({"cases": [], "model": "m"})");
    write_file_atomically(folder_.path() + "/golden.npz", serialize_npz(arrays));
    return GoldenFolder(folder_.path());
  }

  Tensor input(const GoldenFolder& folder, const Json& value) const {
    return folder.input("x", value, "/model").at("x");
  }

  TempDirectory folder_;
};

TEST_F(GoldenValueTest, ArraysHaveTheShapeAndDtypeOfTheJson) {
  const auto folder = golden({{"one", make_vector<float>({2})},
                              {"bits", make_vector<std::uint16_t>({0x3F80})},
                              {"bytes", make_vector<std::uint8_t>({0, 2})}});
  EXPECT_EQ(input(folder, {{"dtype", "float32"}, {"shape", Json::array()}, {"npz", "one"}}).shape(),
            Shape());
  const Tensor brain = input(folder, {{"dtype", "bfloat16"}, {"shape", {1}}, {"npz", "bits"}});
  EXPECT_EQ(static_cast<float>(brain.data<BFloat16>()[0]), 1);
  const Tensor scaled = input(
      folder,
      {{"dtype", "float32"}, {"shape", {2}}, {"npz", "bytes"}, {"scale", 0.5}, {"offset", 1.0}});
  EXPECT_THAT(scaled.values<float>(), ElementsAre(1, 2));
}

TEST_F(GoldenValueTest, StringsMayBeBytesOrPathsOfTheModel) {
  const Json value = {{"dtype", "string"},
                      {"shape", {3}},
                      {"strings", {"a", {{"base64", "/w=="}}, {{"module_path", "assets/x"}}}}};
  EXPECT_THAT(input(golden({}), value).values<std::string>(),
              ElementsAre("a", "\xff", "/model/assets/x"));
}

TEST_F(GoldenValueTest, SparseAndRaggedValuesHaveParts) {
  const auto folder = golden({{"i", Tensor(kInt64, {0, 1})},
                              {"v", Tensor(kFloat, {0})},
                              {"d", make_vector<std::int64_t>({3})},
                              {"s", make_vector<std::int64_t>({0, 0})}});
  const Json indices = {{"dtype", "int64"}, {"shape", {0, 1}}, {"npz", "i"}};
  const Json values = {{"dtype", "float32"}, {"shape", {0}}, {"npz", "v"}};
  const Json dense_shape = {{"dtype", "int64"}, {"shape", {1}}, {"npz", "d"}};
  const Json splits = {{"dtype", "int64"}, {"shape", {2}}, {"npz", "s"}};
  const auto names_of = [&](const Json& value) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : folder.input("x", value, "")) names.push_back(name);
    return names;
  };
  EXPECT_THAT(names_of({{"kind", "sparse"},
                        {"indices", indices},
                        {"values", values},
                        {"dense_shape", dense_shape}}),
              ElementsAre("x/dense_shape", "x/indices", "x/values"));
  EXPECT_THAT(names_of({{"kind", "ragged"}, {"flat_values", values}, {"row_splits", {splits}}}),
              ElementsAre("x/row_splits", "x/values"));
  EXPECT_THAT(
      names_of({{"kind", "ragged"}, {"flat_values", values}, {"row_splits", {splits, splits}}}),
      ElementsAre("x/row_splits_0", "x/row_splits_1", "x/values"));
}

TEST_F(GoldenValueTest, TheGeneralToleranceFollowsTheLargestMagnitude) {
  const auto folder = golden({{"want", make_vector<float>({100, 1, 0})}});
  const Json value = {{"dtype", "float32"}, {"shape", {3}}, {"npz", "want"}};
  const auto problem = [&](float third) {
    return folder.output_difference("y", value, Json::object(),
                                    {{"y", make_vector<float>({100, 1, third})}}, "");
  };
  EXPECT_FALSE(problem(0.0009f).has_value());
  EXPECT_TRUE(problem(0.0011f).has_value());
}

TEST_F(GoldenValueTest, ASampledOutputIsComparedByItsSampleAndItsTotals) {
  const auto folder = golden({{"want", make_vector<float>({1, 3})}});
  const Json value = {{"dtype", "float32"},        {"shape", {4}}, {"npz", "want"},
                      {"sample", {{"stride", 2}}}, {"sum", 10.0},  {"abs_max", 4.0}};
  const auto problem = [&](std::initializer_list<float> got) {
    return folder
        .output_difference("y", value, Json::object(), {{"y", make_vector<float>(got)}}, "")
        .value_or("");
  };
  EXPECT_EQ(problem({1, 2, 3, 4}), "");
  EXPECT_THAT(problem({1, 2, 4, 4}), HasSubstr("elements differ"));
  EXPECT_THAT(problem({1, 3, 3, 4}), HasSubstr("the sum"));
  EXPECT_THAT(problem({1, 1, 3, 5}), HasSubstr("the largest magnitude"));
}

TEST_F(GoldenValueTest, AMissingPartIsADifference) {
  const Json value = {{"dtype", "float32"}, {"shape", {1}}, {"shape_only", true}};
  EXPECT_THAT(golden({}).output_difference("y", value, Json::object(), {}, "").value_or(""),
              HasSubstr("y: missing"));
}

TEST(SyntheticWeightsTest, FollowTheFormula) {
  const Tensor gamma = synthetic_weights("w/gamma", {1000});
  for (const float value : gamma.values<float>()) {
    EXPECT_GE(value, 0.8f);
    EXPECT_LE(value, 1.2f);
  }
  EXPECT_NE(gamma.data<float>()[0], gamma.data<float>()[1]);
}

}  // namespace
}  // namespace hub::replay
