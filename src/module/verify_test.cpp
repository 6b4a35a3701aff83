#include "module/verify.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/errors.h"

namespace hub::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string zoo(const std::string& name) {
  return cat(TF1HUB_TEST_DATA_DIR, "/zoo/", name, "/module");
}

// A copy of a module, to be damaged.
class VerifyTest : public ::testing::Test {
 protected:
  void copy(const std::string& name) const {
    std::filesystem::copy(zoo(name), path(), std::filesystem::copy_options::recursive);
  }
  std::string path() const { return temp_.path() + "/m"; }
  std::vector<std::string> problems() const {
    return verify_model(open_model_files(path())).problems;
  }
  void flip_byte(const std::string& file, std::size_t at) const {
    std::string bytes = read_file(path() + file);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
    write_file_atomically(path() + file, bytes);
  }

  TempDirectory temp_;
};

TEST_F(VerifyTest, CountsWhatItLookedAt) {
  const Verification result = verify_model(open_model_files(zoo("nnlm")));
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(result.graphs, 1);
  EXPECT_EQ(result.signatures, 1);
  EXPECT_EQ(result.variables, 1);
  EXPECT_EQ(result.tensors, 1);
  EXPECT_EQ(result.assets, 1);
}

TEST_F(VerifyTest, AFlippedByteOfAVariableIsFound) {
  copy("half_plus_two");
  flip_byte("/variables/variables.data-00000-of-00001", 5);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("stored tensor \"b\": ")));
}

TEST_F(VerifyTest, AMissingVariableIsFound) {
  copy("half_plus_two");
  std::filesystem::remove_all(path() + "/variables");
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("variable \"a\": The variables' checkpoint"),
                                      HasSubstr("variable \"b\": The variables' checkpoint")));
}

TEST_F(VerifyTest, AMissingAssetIsFound) {
  copy("old_tables");
  const std::string asset = list_directory(path() + "/assets").at(0);
  std::filesystem::remove(path() + "/assets/" + asset);
  EXPECT_THAT(problems(), ElementsAre(AllOf(HasSubstr("no asset"), HasSubstr(asset))));
}

TEST_F(VerifyTest, ASignatureThatContradictsItsGraphIsFound) {
  ModuleFiles files = open_model_files(zoo("half_plus_two"));
  auto& signatures = files.model.meta_graphs[0].signatures;
  signatures["default"].outputs["default"].dtype = kInt64;
  signatures["default"].inputs["default"].encoding = DenseEncoding{"nowhere:0"};
  EXPECT_THAT(verify_model(files).problems,
              ElementsAre(HasSubstr("signature 'default', input 'default': There is no such node"),
                          HasSubstr("signature 'default', output 'default': A signature says")));
}

TEST_F(VerifyTest, ModulesHaveOnlyTheCollectionsOfModules) {
  ModuleFiles files = open_model_files(zoo("half_plus_two"));
  files.model.meta_graphs[0].collections["losses"].value = NodeNames{{"mul:0"}};
  EXPECT_THAT(verify_model(files).problems,
              ElementsAre(HasSubstr("Unsupported collections in graph: [losses]")));
}

TEST_F(VerifyTest, ACollectionNamesWhatIsThere) {
  ModuleFiles files = open_model_files(zoo("half_plus_two"));
  files.model.meta_graphs[0].collections["update_ops"].value = NodeNames{{"mul", "nowhere"}};
  EXPECT_THAT(verify_model(files).problems,
              ElementsAre(HasSubstr("collection \"update_ops\": There is no such node")));
}

TEST_F(VerifyTest, TwoGraphsWithTheSameTags) {
  ModuleFiles files = open_model_files(zoo("half_plus_two"));
  files.model.meta_graphs.push_back(files.model.meta_graphs[0]);
  EXPECT_THAT(verify_model(files).problems, ElementsAre("Tags {} used repeatedly"));
}

TEST_F(VerifyTest, AFunctionThatCannotBeMade) {
  ModuleFiles files = open_model_files(zoo("functions"));
  auto& functions = files.model.meta_graphs[0].graph.library.functions;
  ASSERT_FALSE(functions.empty());
  functions[0].nodes.clear();
  EXPECT_THAT(verify_model(files).problems, ::testing::Contains(HasSubstr(", function \"")));
}

TEST_F(VerifyTest, AVariableWhoseNodeIsMissing) {
  ModuleFiles files = open_model_files(zoo("half_plus_two"));
  auto& nodes = files.model.meta_graphs[0].graph.nodes;
  for (NodeDef& node : nodes) {
    if (node.name == "a") node.name = "a_moved";
    for (std::string& input : node.inputs) {
      if (input == "a") input = "a_moved";
    }
    node.attrs.erase("_class");
  }
  EXPECT_THAT(verify_model(files).problems, ElementsAre(HasSubstr("there is no node \"a\"")));
}

}  // namespace
}  // namespace hub::testing
