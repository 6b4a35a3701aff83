// Archives, good and bad.

#include "resolve/extract.h"

#include <gmock/gmock.h>

#include "base/failing_files.h"
#include "resolve/testing.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// Gives a text in pieces of a fixed size.
class Pieces final : public ByteSource {
 public:
  Pieces(std::string_view bytes, std::size_t size, bool knows_its_end = false)
      : rest_(bytes), size_(size), knows_its_end_(knows_its_end) {}
  std::string_view read() override {
    const std::string_view piece = rest_.substr(0, size_);
    rest_.remove_prefix(piece.size());
    return piece;
  }
  bool knows_its_end() const override { return knows_its_end_; }

 private:
  std::string_view rest_;
  std::size_t size_;
  bool knows_its_end_;
};

class Extract : public ::testing::Test {
 protected:
  Manifest extract(std::string_view archive, const ExtractOptions& options = {},
                   std::size_t piece = 1000) {
    Pieces source(archive, piece);
    return extract_archive(source, temp_.path(), options);
  }
  Error refused(std::string_view archive, const ExtractOptions& options = {}) {
    const auto error = error_of([&] { extract(archive, options); });
    EXPECT_TRUE(error);
    return error ? *error : internal_error("no error");
  }

  TempDirectory temp_;
};

TEST_F(Extract, X01_PathsAreMergedBelowTheTarget) {
  const std::string base = "gs://module-cache";
  EXPECT_EQ(merge_relative_path(base, "./file"), base + "/file");
  EXPECT_EQ(merge_relative_path(base, "hello/../bla"), base + "/bla");
  EXPECT_EQ(merge_relative_path(base, "/"), base);
  EXPECT_EQ(merge_relative_path(base, "."), base);
  EXPECT_EQ(merge_relative_path(base, ""), base);
  EXPECT_EQ(merge_relative_path(base, "/asd"), base + "/asd");
  EXPECT_EQ(merge_relative_path(base, "///a//b/./c/"), base + "/a/b/c");
  EXPECT_EQ(merge_relative_path(base + "/", "a"), base + "/a");
  EXPECT_EQ(merge_relative_path("/", "a"), "/a");
  for (const char* bad : {"/../", "..", "hello/../../bla", "../module-cache/x"}) {
    const auto error = error_of([&] { merge_relative_path(base, bad); });
    ASSERT_TRUE(error) << bad;
    EXPECT_EQ(error->kind(), ErrorKind::kValue);
    EXPECT_THAT(error->message(), HasSubstr("is invalid"));
  }
}

TEST_F(Extract, X02_AnArchiveWithARootEntry) {
  const std::string archive = Tar()
                                  .directory("/")
                                  .add("/file", "one")
                                  .directory("/subdir")
                                  .add("/subdir/file", "two")
                                  .finished();
  extract(gzipped(archive));
  EXPECT_THAT(tree_of(temp_.path()), ElementsAre(Pair("file", "one"), Pair("subdir/file", "two")));
}

TEST_F(Extract, TheManifestSaysWhatWasWritten) {
  const std::string archive =
      Tar().directory("./").add("./b", "").add("./a/x y", std::string(70000, 'x')).finished();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{513}, archive.size()}) {
    const Manifest manifest = extract(archive, {}, piece);
    EXPECT_EQ(manifest, make_manifest(temp_.path())) << piece;
  }
  EXPECT_EQ(extract(archive).at(0).path, "a/x y");
}

TEST_F(Extract, AllCompressionsAreRecognisedByTheirBytes) {
  const TempDirectory folder;
  write_file_atomically(folder.path() + "/f", "content");
  for (const char* command : {"cf", "czf", "cjf", "cJf", "c --zstd -f"}) {
    const std::string archive = folder.path() + ".any";
    const std::string line =
        cat("tar -C '", folder.path(), "' -", command, " '", archive, "' . 2>/dev/null");
    if (std::system(line.c_str()) != 0) continue;  // no such compressor here
    EXPECT_TRUE(is_archive_file(archive)) << command;
    FileSource source(archive);
    const TempDirectory target;
    extract_archive(source, target.path());
    EXPECT_THAT(tree_of(target.path()), ElementsAre(Pair("f", "content"))) << command;
    std::filesystem::remove(archive);
  }
}

TEST_F(Extract, NamesMayBeInAnyScript) {
  const TempDirectory folder;
  const std::string name = "\xd0\xb8\xd0\xbc\xd1\x8f-\xe5\x90\x8d";
  write_file_atomically(cat(folder.path(), "/", name), "content");
  for (const char* format : {"gnu", "pax", "ustar"}) {
    const std::string archive = folder.path() + ".tar";
    ASSERT_EQ(
        std::system(cat("tar --format=", format, " -C '", folder.path(), "' -cf '", archive, "' .")
                        .c_str()),
        0);
    FileSource source(archive);
    const TempDirectory target;
    extract_archive(source, target.path());
    EXPECT_THAT(tree_of(target.path()), ElementsAre(Pair(name, "content"))) << format;
    std::filesystem::remove(archive);
  }
}

TEST_F(Extract, OtherTypesThanFilesAndFoldersAreRefused) {
  const auto kind_of = [&](char type, std::string_view link) {
    return refused(Tar().add("entry", {}, type, link).finished());
  };
  EXPECT_THAT(kind_of(Tar::kSymbolicLink, "/etc/passwd").message(),
              HasSubstr("\"entry\" is a symbolic link"));
  EXPECT_THAT(kind_of(Tar::kHardLink, "other").message(), HasSubstr("hard link"));
  EXPECT_THAT(kind_of(Tar::kCharacterDevice, {}).message(), HasSubstr("character device"));
  EXPECT_THAT(kind_of(Tar::kFifo, {}).message(), HasSubstr("fifo"));
  EXPECT_EQ(kind_of(Tar::kSymbolicLink, "a").kind(), ErrorKind::kValue);
  EXPECT_THAT(tree_of(temp_.path()), IsEmpty());
}

TEST_F(Extract, NothingIsWrittenOutsideTheTarget) {
  const std::string outside = temp_.path() + "/out";
  const std::string inside = temp_.path() + "/in";
  file_system().create_directories(inside);
  for (const char* name : {"../out", "a/../../out", "/../out"}) {
    const std::string archive = Tar().add(name, "x").finished();
    Pieces source(archive, 1000);
    const auto error = error_of([&] { extract_archive(source, inside); });
    ASSERT_TRUE(error) << name;
    EXPECT_EQ(error->kind(), ErrorKind::kValue);
    EXPECT_FALSE(path_exists(outside));
  }
}

TEST_F(Extract, BombsAreRefused) {
  const std::string big = Tar().add("big", std::string(3 << 20, '\0')).finished();
  EXPECT_EQ(refused(gzipped(big), {.max_bytes = 1 << 20}).code(), ErrorCode::kResourceExhausted);
  const std::string promise = Tar().add_header("big", std::uint64_t{1} << 32).finished();
  const Error error = refused(promise, {.max_bytes = 1 << 20});
  EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
  EXPECT_THAT(error.message(), HasSubstr("\"big\""));
  Tar many;
  for (int i = 0; i < 20; ++i) many.directory(cat("d", i));
  EXPECT_EQ(refused(many.finished(), {.max_entries = 10}).code(), ErrorCode::kResourceExhausted);
  // Behind the end of the archive.
  const std::string tail = Tar().add("a", "x").finished() + std::string(70 << 20, '\0');
  EXPECT_EQ(refused(gzipped(tail), {.max_bytes = 1 << 20}).code(), ErrorCode::kResourceExhausted);
}

TEST_F(Extract, WhatIsNoArchiveIsRefused) {
  for (const std::string& bytes :
       {std::string(), std::string("This is not an archive"), std::string("<!doctype html>"),
        std::string(2048, '\0'), gzipped("nor is this"), gzipped("")}) {
    const Error error = refused(bytes);
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss) << printable(bytes);
  }
}

TEST_F(Extract, EveryCutIsFound) {
  const std::string archive =
      Tar().add("a", std::string(700, 'x')).add("b", "y").directory("c").finished();
  for (const std::string& bytes : {archive.substr(0, archive.size() - 512), gzipped(archive)}) {
    for (std::size_t size = 0; size < bytes.size(); size += 5) {
      EXPECT_TRUE(error_of([&] { extract(bytes.substr(0, size)); })) << size;
    }
    extract(bytes);
  }
}

TEST_F(Extract, ABitThatFlippedInGzipIsFound) {
  const std::string bytes = gzipped(Tar().add("a", std::string(700, 'x')).finished());
  const Manifest good = extract(bytes);
  for (std::size_t i = 10; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    // A few bits behind the last code mean nothing.
    Manifest manifest;
    if (!error_of([&] { manifest = extract(bad); })) {
      EXPECT_EQ(manifest, good) << i;
    }
  }
}

TEST_F(Extract, AFullDiskIsSaidAsSuch) {
  const std::string archive = Tar().directory("a").add("a/b", "x").add("c", "y").finished();
  int fail_at = 1;
  for (;; ++fail_at) {
    const FailingFiles files(fail_at);
    const auto error = error_of([&] { extract(archive, {.files = files}); });
    if (!error) break;
    EXPECT_EQ(error->code(), ErrorCode::kResourceExhausted);
  }
  EXPECT_GT(fail_at, 6);
}

TEST_F(Extract, TheLaterOfTwoEqualNamesWins) {
  extract(Tar().add("a", "long content").add("./a", "short").finished());
  EXPECT_THAT(tree_of(temp_.path()), ElementsAre(Pair("a", "short")));
}

}  // namespace
}  // namespace hub::testing
