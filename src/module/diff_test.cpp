#include "module/diff.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <limits>

#include "base/errors.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string zoo(const std::string& name) {
  return cat(TF1HUB_TEST_DATA_DIR, "/zoo/", name, "/module");
}

// "kind name: first | second" of each; "-" stands for what is not there.
std::vector<std::string> lines(const ModuleFiles& first, const ModuleFiles& second) {
  std::vector<std::string> result;
  for (const Difference& difference : diff_models(first, second)) {
    result.push_back(cat(difference.kind, " ", difference.name, ": ",
                         difference.first.value_or("-"), " | ", difference.second.value_or("-")));
  }
  return result;
}

TEST(DiffTest, AModuleEqualsItselfWhereverItLies) {
  const TempDirectory temp;
  for (const char* name : {"nested", "partitioned", "functions", "sparse_ragged", "messages"}) {
    const std::string copy = cat(temp.path(), "/", name);
    std::filesystem::copy(zoo(name), copy, std::filesystem::copy_options::recursive);
    EXPECT_THAT(lines(open_model_files(zoo(name)), open_model_files(copy)), IsEmpty()) << name;
  }
}

TEST(DiffTest, GraphsAreComparedPartByPart) {
  const ModuleFiles first = open_model_files(zoo("half_plus_two"));
  ModuleFiles second = open_model_files(zoo("half_plus_two"));
  MetaGraph& graph = second.model.meta_graphs[0];
  graph.signatures["default"].outputs["default"].dtype = kInt64;
  graph.signatures["other"] = {};
  for (NodeDef& node : graph.graph.nodes) {
    if (node.name == "mul") node.op = "Sub";
    if (node.name == "Placeholder") node.attrs["dtype"] = AttrValue(kInt32);
  }
  EXPECT_THAT(lines(first, second),
              ElementsAre("signature 'default', output 'default': float32 ? | int64 ?",
                          "signature 'other': - | ", "op Mul: 3 | 2", "op Sub: 2 | 3",
                          "node Placeholder, attribute dtype: Placeholder | Placeholder",
                          "node mul: Mul | Sub"));
}

TEST(DiffTest, AGraphThatOneDoesNotHave) {
  const ModuleFiles first = open_model_files(zoo("variants_shared"));
  ModuleFiles second = first;
  second.model.meta_graphs.erase(second.model.meta_graphs.begin() + 1);
  second.asset_bindings.clear();
  const std::vector<Difference> differences = diff_models(first, second);
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_EQ(differences[0].kind, DifferenceKind::kGraph);
  EXPECT_EQ(differences[0].tags, first.model.meta_graphs[1].tags);
  EXPECT_FALSE(differences[0].second.has_value());
}

// Two checkpoints, and nothing else.
std::vector<Difference> diff_values(const std::map<std::string, Tensor>& first,
                                    const std::map<std::string, Tensor>& second) {
  const TempDirectory temp;
  const auto open = [&](const std::string& name, const std::map<std::string, Tensor>& tensors) {
    const std::string prefix = cat(temp.path(), "/", name);
    BundleWriter writer(prefix);
    for (const auto& [key, tensor] : tensors) writer.add(key, tensor);
    writer.finish();
    return open_model_files(prefix);
  };
  return diff_models(open("a", first), open("b", second));
}

TEST(DiffTest, TheLargestDifferenceOfNumbersIsFound) {
  const auto differences = diff_values({{"same", make_scalar(1.0f)},
                                        {"text", make_scalar(std::string("x"))},
                                        {"w", make_tensor<float>({3}, {1, 2, 3})}},
                                       {{"same", make_scalar(1.0f)},
                                        {"text", make_scalar(std::string("y"))},
                                        {"w", make_tensor<float>({3}, {1.5, 2, 0})}});
  ASSERT_EQ(differences.size(), 2U);
  EXPECT_EQ(differences[0].name, "text");
  EXPECT_FALSE(differences[0].largest.has_value());
  EXPECT_EQ(differences[1].largest, 3);
}

TEST(DiffTest, NotANumberEqualsItselfAndNothingElse) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(diff_values({{"w", make_scalar(nan)}}, {{"w", make_scalar(nan)}}), IsEmpty());
  const auto differences = diff_values({{"w", make_scalar(nan)}}, {{"w", make_scalar(0.0f)}});
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_EQ(differences[0].largest, std::numeric_limits<double>::infinity());
}

TEST(DiffTest, MissingAndReshapedValuesAreNamed) {
  const auto differences = diff_values({{"a", make_scalar(1.0f)}, {"b", make_scalar(1.0f)}},
                                       {{"b", make_tensor<float>({1}, {1})}});
  ASSERT_EQ(differences.size(), 2U);
  EXPECT_EQ(differences[0].first, "float32 []");
  EXPECT_FALSE(differences[0].second.has_value());
  EXPECT_EQ(differences[1].second, "float32 [1]");
}

}  // namespace
}  // namespace hub::testing
