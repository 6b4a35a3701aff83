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

}  // namespace
}  // namespace hub::testing
