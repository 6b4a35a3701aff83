#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "base/errors.h"
#include "base/failing_files.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FileTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return temp_.path() + "/" + name; }
  void write(const std::string& name, std::string_view bytes) const {
    const auto file = file_system().create(path(name));
    file->append(bytes);
    file->close();
  }
  template <class Body>
  ErrorCode code_of(Body body) const {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(temp_.path()));
      return error.code();
    }
    ADD_FAILURE() << "expected an error";
    return ErrorCode::kUnknown;
  }
  TempDirectory temp_;
};

TEST_F(FileTest, BytesAreReadAndMapped) {
  const std::string bytes = "some\0bytes\n";
  write("f", bytes);
  EXPECT_EQ(read_file(path("f")), bytes);
  EXPECT_EQ(file_size(path("f")), bytes.size());
  const auto mapped = MappedFile::open(path("f"));
  EXPECT_EQ(mapped->bytes(), bytes);
  char part[4];
  mapped->file().read_at(1, part, 3);
  EXPECT_EQ(std::string_view(part, 3), bytes.substr(1, 3));
  EXPECT_EQ(code_of([&] { mapped->file().read_at(bytes.size() - 1, part, 2); }),
            ErrorCode::kOutOfRange);
}

TEST_F(FileTest, AnEmptyFileHasNoBytes) {
  write("f", "");
  EXPECT_EQ(MappedFile::open(path("f"))->bytes(), "");
  EXPECT_EQ(read_file(path("f")), "");
}

TEST_F(FileTest, LargeAppendsKeepTheirOrder) {
  std::string expected;
  const auto file = file_system().create(path("f"));
  for (int i = 0; i < 100; ++i) {
    const std::string piece(static_cast<std::size_t>(i) * 1000, static_cast<char>('a' + i % 26));
    file->append(piece);
    expected += piece;
  }
  file->close();
  EXPECT_EQ(read_file(path("f")), expected);
}

TEST_F(FileTest, APipeIsReadToItsEnd) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  std::thread writer([&] { write("pipe", std::string(100000, 'x')); });
  const auto mapped = MappedFile::open(path("pipe"));
  writer.join();
  EXPECT_EQ(mapped->bytes().size(), 100000u);
}

TEST_F(FileTest, ErrorsCarryTheCodeAndThePath) {
  EXPECT_EQ(code_of([&] { read_file(path("nothing")); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { MappedFile::open(path("nothing")); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { read_file(temp_.path()); }), ErrorCode::kFailedPrecondition);
  write("f", "x");
  EXPECT_EQ(code_of([&] { read_file(path("f/g")); }), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code_of([&] { list_files_recursively(path("nothing")); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { list_directory(path("nothing")); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { file_size(path("nothing")); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { file_system().create(path("no/folder")); }), ErrorCode::kNotFound);
}

TEST_F(FileTest, FilesAreListedBelowTheFolder) {
  for (const char* name : {"b", "a/z", "a/b/c"}) {
    file_system().create_directories(std::filesystem::path(path(name)).parent_path().string());
    write(name, "");
  }
  std::filesystem::create_symlink("nowhere", path("dangling"));
  EXPECT_THAT(list_files_recursively(temp_.path()), ElementsAre("a/b/c", "a/z", "b"));
  EXPECT_THAT(list_directory(temp_.path()), ElementsAre("a", "b", "dangling"));
}

TEST_F(FileTest, RenamesReplaceRefuseOrExchange) {
  write("a", "1");
  write("b", "2");
  EXPECT_EQ(code_of([&] { file_system().rename_new(path("a"), path("b")); }),
            ErrorCode::kAlreadyExists);
  file_system().exchange(path("a"), path("b"));
  EXPECT_EQ(read_file(path("a")), "2");
  file_system().rename(path("a"), path("b"));
  EXPECT_EQ(read_file(path("b")), "2");
  file_system().rename_new(path("b"), path("c"));
  EXPECT_THAT(list_directory(temp_.path()), ElementsAre("c"));
}

TEST_F(FileTest, CopiesDoNotOverwrite) {
  write("a", "1");
  file_system().copy_file(path("a"), path("b"));
  EXPECT_EQ(read_file(path("b")), "1");
  EXPECT_EQ(code_of([&] { file_system().copy_file(path("a"), path("b")); }),
            ErrorCode::kAlreadyExists);
}

TEST_F(FileTest, WhicheverStepFailsAFileIsOldOrNew) {
  for (int fail_at = 1;; ++fail_at) {
    write("f", "old");
    const FailingFiles files(fail_at);
    try {
      write_file_atomically(path("f"), "new", IfExists::kReplace, files);
    } catch (const Error&) {
    }
    EXPECT_THAT(read_file(path("f")), ::testing::AnyOf("old", "new"));
    EXPECT_THAT(list_directory(temp_.path()), ElementsAre("f"));
    if (!files.failed()) break;
  }
  EXPECT_EQ(read_file(path("f")), "new");
  EXPECT_EQ(code_of([&] { write_file_atomically(path("f"), "x", IfExists::kRefuse); }),
            ErrorCode::kAlreadyExists);
}

TEST_F(FileTest, AFolderIsPutInPlaceWhole) {
  {
    const FolderWriter writer(path("target"));
    EXPECT_TRUE(is_directory(writer.path()));
  }
  EXPECT_THAT(list_directory(temp_.path()), IsEmpty());
  const auto fill = [&](std::string_view bytes, IfExists if_exists) {
    FolderWriter writer(path("target/"));
    const auto file = writer.files().create(writer.path() + "/f");
    file->append(bytes);
    file->close();
    writer.commit(if_exists);
  };
  fill("1", IfExists::kRefuse);
  EXPECT_EQ(read_file(path("target/f")), "1");
  EXPECT_EQ(code_of([&] { fill("2", IfExists::kRefuse); }), ErrorCode::kAlreadyExists);
  EXPECT_EQ(read_file(path("target/f")), "1");
  fill("3", IfExists::kReplace);
  EXPECT_EQ(read_file(path("target/f")), "3");
  EXPECT_THAT(list_directory(temp_.path()), ElementsAre("target"));
}

TEST_F(FileTest, TemporaryDirectoriesVanish) {
  std::string name;
  {
    const TempDirectory inner(temp_.path());
    name = inner.path();
    EXPECT_TRUE(is_directory(name));
  }
  EXPECT_FALSE(path_exists(name));
}

TEST(IsInsideTest, GoesByWholeComponents) {
  EXPECT_TRUE(is_inside("/a/assets", "/a/assets/x"));
  EXPECT_TRUE(is_inside("/a/assets", "/a/assets/b/../x"));
  EXPECT_TRUE(is_inside("assets", "assets/..x"));
  EXPECT_TRUE(is_inside(".", "x"));
  EXPECT_FALSE(is_inside("/a/assets", "/a/assets"));
  EXPECT_FALSE(is_inside("/a/assets", "/a/assets/"));
  EXPECT_FALSE(is_inside("/a/assets", "/a/assets_evil/x"));
  EXPECT_FALSE(is_inside("/a/assets", "/a/assets/../x"));
  EXPECT_FALSE(is_inside("assets", "assets/../../x"));
  EXPECT_FALSE(is_inside(".", "../x"));
  EXPECT_FALSE(is_inside("a", "/a/x"));
}

TEST(RandomHexTest, IsHexadecimalAndNew) {
  EXPECT_EQ(random_hex(16).size(), 32u);
  EXPECT_NE(random_hex(16), random_hex(16));
}

}  // namespace
}  // namespace hub::testing
