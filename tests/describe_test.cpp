// What `tf1hub show --json` says of every recorded model: the signatures, variables and
// attachments that TensorFlow saw.

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/strings.h"
#include "common/describe_json.h"
#include "ops/builtin.h"

namespace hub::testing {
namespace {

using Json = nlohmann::json;

struct RecordedModel {
  std::string path;
  Json golden;
};

// The models that the goldens below `folder` are about.
std::vector<RecordedModel> recorded_models(const std::string& folder) {
  std::vector<RecordedModel> models;
  for (const std::string& file : list_files_recursively(folder)) {
    if (!file.ends_with("golden.json")) continue;
    const std::filesystem::path path = std::filesystem::path(folder) / file;
    Json golden = Json::parse(read_file(path.string()));
    std::set<std::string> names;
    // A golden may be about several graph files.
    for (const Json& test : golden.value("cases", Json::array())) {
      if (test.contains("graph")) names.insert(test.at("graph"));
    }
    if (names.empty()) names.insert(golden.value("model", "module"));
    if (golden.value("kind", "") == "checkpoint") continue;
    for (const std::string& name : names) {
      models.push_back({(path.parent_path() / name).lexically_normal().string(), golden});
    }
  }
  return models;
}

// Recorded shapes have null for an unknown dimension.
Json shape_of(const Json& shape) {
  Json result = shape;
  if (result.is_array()) {
    for (Json& dim : result) {
      if (dim.is_null()) dim = -1;
    }
  }
  return result;
}

Json dtype_of(const Json& dtype) {
  if (!dtype.is_string()) return nullptr;
  const auto name = dtype.get<std::string>();
  return name.ends_with("_ref") ? name.substr(0, name.size() - 4) : name;
}

Json values_of(const Json& values) {
  Json result = Json::object();
  for (const auto& [name, value] : values.items()) {
    const char* kind = value.value("sparse", false) ? "sparse" : "dense";
    result[name] = {{"kind", value.value("kind", kind)},
                    {"dtype", dtype_of(value.at("dtype"))},
                    {"shape", shape_of(value.at("shape"))}};
  }
  return result;
}

// By name: a list has no order that both sides know.
Json by_name(const Json& variables) {
  Json result = Json::object();
  for (const Json& variable : variables) {
    result[variable.at("name").get<std::string>()] = {variable.at("dtype"), variable.at("shape")};
  }
  return result;
}

void check_variant(const Json& got, const Json& want) {
  Json signatures = Json::object();
  for (const auto& [name, signature] : want.at("signatures").items()) {
    signatures[name] = {{"inputs", values_of(signature.at("inputs"))},
                        {"outputs", values_of(signature.at("outputs"))}};
  }
  EXPECT_EQ(got.at("signatures"), signatures);
  if (want.contains("variable_map")) {
    Json variables = Json::object();
    for (const auto& [name, variable] : want.at("variable_map").items()) {
      variables[name] = {variable.at("dtype"), shape_of(variable.at("shape"))};
    }
    EXPECT_EQ(by_name(got.at("variables")), variables);
  }
  for (const char* key : {"attached_messages", "attached_messages_base64"}) {
    if (!want.contains(key)) continue;
    Json keys = Json::array();
    for (const auto& [name, message] : want.at(key).items()) keys.push_back(name);
    EXPECT_EQ(got.at("attachments"), keys);
  }
}

std::set<std::string> tags_of(const Json& variant) {
  return variant.at("tags").get<std::set<std::string>>();
}

void check_model(const RecordedModel& model) {
  SCOPED_TRACE(model.path);
  const Json got = to_json(describe(open_model_files(model.path), builtin_ops()));
  const Json& golden = model.golden;
  const char* key = golden.contains("variants") ? "variants" : "meta_graphs";
  for (const Json& want : golden.value(key, Json::array())) {
    const auto found = std::ranges::find_if(
        got.at("variants"), [&](const Json& variant) { return tags_of(variant) == tags_of(want); });
    ASSERT_NE(found, got.at("variants").end());
    check_variant(*found, want);
  }
  const Json& first = got.at("variants").at(0);
  if (golden.contains("ops")) {
    EXPECT_EQ(first.at("ops"), golden.at("ops"));
  }
  if (golden.contains("v2")) {
    Json variables = golden.at("v2").at("variables");
    for (Json& variable : variables) {
      auto name = variable.at("name").get<std::string>();
      variable["name"] = name.substr(0, name.find(':'));
    }
    EXPECT_EQ(by_name(first.at("variables")), by_name(variables));
  }
}

TEST(DescribeTest, AgreesWithTheZoo) {
  const auto models = recorded_models(TF1HUB_TEST_DATA_DIR "/zoo");
  EXPECT_GE(models.size(), 50U);
  for (const RecordedModel& model : models) check_model(model);
}

TEST(DescribeTest, AgreesWithRealModels) {
  const std::string folder = TF1HUB_SHARED_DIR "/real";
  if (!is_directory(folder)) GTEST_SKIP() << "no other people's models in " << folder;
  for (const RecordedModel& model : recorded_models(folder)) check_model(model);
}

// Ops of the zoo's modules that are not written yet; `show` must name exactly these.
const std::set<std::string> kNotWritten = {};

TEST(DescribeTest, NamesTheOpsOfTheZooThatAreNotWritten) {
  std::set<std::string> unsupported;
  for (const RecordedModel& model : recorded_models(TF1HUB_TEST_DATA_DIR "/zoo")) {
    const auto description = describe(open_model_files(model.path), builtin_ops());
    for (const VariantDescription& variant : description.variants) {
      unsupported.insert(variant.unsupported_ops.begin(), variant.unsupported_ops.end());
    }
  }
  EXPECT_EQ(unsupported, kNotWritten);
}

}  // namespace
}  // namespace hub::testing
