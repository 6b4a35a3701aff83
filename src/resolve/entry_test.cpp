// Names, locks' texts and descriptors of the cache.

#include "resolve/entry.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "resolve/digest.h"
#include "resolve/testing.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(CacheEntry, HandlesAreHashedAsTheOriginalDoes) {
  EXPECT_EQ(sha1_hex("https://tfhub.dev/google/model/1"),
            "6acc608af210ed6a940edbf9bd241a0593d96b9b");
  EXPECT_EQ(sha1_hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(Sha256().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(CacheEntry, R05_SizesOfFoldersCountAllFilesBelow) {
  const TempDirectory temp;
  const std::string folder = temporary_folder_name(cat(temp.path(), "/module"), "uid");
  file_system().create_directories(folder + "/subdir");
  for (const char* name : {"/file1", "/file2", "/subdir/file3"}) {
    write_file_atomically(folder + name, "12345678");
  }
  EXPECT_EQ(directory_size(folder), 24u);
  EXPECT_EQ(directory_size(folder + "/subdir"), 8u);
  EXPECT_EQ(directory_size(temp.path() + "/nothing"), 0u);
  const std::string lock = lock_filename(cat(temp.path(), "/module"));
  write_file_atomically(lock, lock_contents("uid"));
  EXPECT_EQ(temporary_size_of_lock(lock), 24u);
  write_file_atomically(lock, lock_contents("other"));
  EXPECT_EQ(temporary_size_of_lock(lock), 0u);
  EXPECT_EQ(error_of([&] { temporary_size_of_lock(temp.path()); })->kind(), ErrorKind::kValue);
}

TEST(CacheEntry, R06_TheLockIsBesideTheFolder) {
  EXPECT_EQ(lock_filename("/a/b/c/"), "/a/b/c.lock");
}

TEST(CacheEntry, R07_SoIsTheTemporaryFolder) {
  EXPECT_EQ(temporary_folder_name("/a/b/", "t"), "/a/b.t.tmp");
  EXPECT_EQ(descriptor_filename("/a/b/"), "/a/b.descriptor.txt");
}

TEST(CacheEntry, R08_TheUidIsReadBackFromTheLock) {
  const auto owner = parse_lock_contents(lock_contents("0123abcd"));
  ASSERT_TRUE(owner);
  EXPECT_EQ(owner->uid, "0123abcd");
  EXPECT_EQ(owner->host, host_name());
  EXPECT_EQ(owner->pid, ::getpid());
  EXPECT_EQ(parse_lock_contents("my.host.example.12.u")->host, "my.host.example");
  EXPECT_FALSE(parse_lock_contents("nothing"));
  EXPECT_FALSE(parse_lock_contents("host.1.a/b"));
}

Descriptor example() {
  return {.handle = "https://host/m 1?x=%20",
          .download_time = "2024-05-01 12:00:00",
          .downloader = "host (PID:12)",
          .source = "https://other/m.tgz",
          .manifest = Manifest{{"assets/a b%\nc", 3, std::string(64, 'a')},
                               {"saved_model.pb", 12345678901, std::string(64, '0')}}};
}

TEST(CacheEntry, DescriptorsBeginAsTheOriginalsDo) {
  EXPECT_THAT(serialize_descriptor(example()),
              StartsWith("Module: https://host/m 1?x=%20\nDownload Time: 2024-05-01 12:00:00\n"
                         "Downloader Hostname: host (PID:12)"));
  const Descriptor original =
      parse_descriptor("Module: h\nDownload Time: t\nDownloader Hostname: n (PID:3)");
  EXPECT_EQ(original.handle, "h");
  EXPECT_EQ(original.downloader, "n (PID:3)");
  EXPECT_FALSE(original.manifest);
}

TEST(CacheEntry, DescriptorsAreReadBack) {
  const Descriptor read = parse_descriptor(serialize_descriptor(example()));
  EXPECT_EQ(read.handle, example().handle);
  EXPECT_EQ(read.source, example().source);
  EXPECT_EQ(read.manifest, example().manifest);
}

TEST(CacheEntry, EveryPrefixOfAManifestIsRefused) {
  const std::string text = serialize_descriptor(example());
  const std::size_t begin = text.find("Files:");
  for (std::size_t size = begin + 7; size < text.size(); ++size) {
    EXPECT_TRUE(error_of([&] { parse_descriptor(text.substr(0, size)); })) << size;
  }
}

TEST(CacheEntry, ManifestsStayInTheirFolder) {
  for (const char* path : {"../x", "/etc/passwd", "a/../../b", ""}) {
    const std::string text = cat("Files: 1\n", std::string(64, 'a'), " 1 ", path, "\nEnd");
    // An absolute path is below the folder, too.
    EXPECT_EQ(error_of([&] { parse_descriptor(text); }).has_value(), path[0] != '/') << path;
  }
  EXPECT_TRUE(error_of([] { parse_descriptor("Files: 99999999999999\nEnd"); }));
  EXPECT_TRUE(error_of([] { parse_descriptor("Files: -1\nEnd"); }));
}

class CheckedEntry : public ::testing::Test {
 protected:
  void write(const std::string& name, std::string_view content) const {
    const std::string path = cat(module_, "/", name);
    file_system().create_directories(std::filesystem::path(path).parent_path().string());
    write_file_atomically(path, content);
  }
  void describe() const {
    write_file_atomically(
        descriptor_filename(module_),
        serialize_descriptor({.handle = "h", .manifest = make_manifest(module_)}));
  }

  TempDirectory temp_;
  std::string module_ = temp_.path() + "/m";
};

TEST_F(CheckedEntry, NothingAndAnEmptyFolderAreAbsent) {
  EXPECT_EQ(check_entry(module_).state, EntryState::kAbsent);
  file_system().create_directories(module_);
  EXPECT_EQ(check_entry(module_).state, EntryState::kAbsent);
}

TEST_F(CheckedEntry, WhatTheManifestListsMustBeThere) {
  write("saved_model.pb", "graph");
  write("variables/variables.index", "index");
  describe();
  EXPECT_EQ(check_entry(module_).state, EntryState::kComplete);
  write("variables/variables.index", "in");
  EXPECT_THAT(check_entry(module_).problem,
              HasSubstr("\"variables/variables.index\" has 2 bytes instead of 5"));
  std::filesystem::remove(module_ + "/variables/variables.index");
  EXPECT_EQ(check_entry(module_).state, EntryState::kDamaged);
  EXPECT_EQ(check_entry(module_).problem, "\"variables/variables.index\" is missing");
}

TEST_F(CheckedEntry, TheOriginalsEntriesAreSeenToBeHalfEaten) {
  write("variables/variables.index", "index");
  EXPECT_EQ(check_entry(module_).state, EntryState::kDamaged);
  write("saved_model.pb", "graph");
  EXPECT_EQ(check_entry(module_).state, EntryState::kComplete);
  std::filesystem::remove_all(module_);
  file_system().create_directories(module_ + "/some");
  EXPECT_EQ(check_entry(module_).state, EntryState::kDamaged);
  write("some/file", "");
  EXPECT_EQ(check_entry(module_).state, EntryState::kComplete);
}

}  // namespace
}  // namespace hub::testing
