// Listing, checking and removing what is in a cache folder.

#include "resolve/cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "resolve/atomic_download.h"
#include "resolve/fetch.h"
#include "resolve/testing.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Cache : public ::testing::Test {
 protected:
  // A module with one file; gives its folder.
  std::string add(const std::string& handle, std::string_view content) {
    return atomic_download(
        handle,
        [&](const auto&, const std::string& folder, auto&) -> Downloaded {
          write_file_atomically(folder + "/saved_model.pb", content);
          return {"source of " + handle, make_manifest(folder)};
        },
        cache_entry_path(cache_, handle));
  }
  std::vector<std::string> handles() const {
    std::vector<std::string> all;
    for (const CacheEntry& entry : list_cache(cache_)) all.push_back(entry.descriptor.handle);
    return all;
  }
  static void set_last_use(const std::string& path, std::int64_t days_ago) {
    const timespec time = {::time(nullptr) - days_ago * 86400, 0};
    const timespec both[2] = {time, time};
    ::utimensat(AT_FDCWD, descriptor_filename(path).c_str(), both, 0);
  }

  TempDirectory temp_;
  std::string cache_ = temp_.path();
};

TEST_F(Cache, ListsModulesByHandle) {
  EXPECT_THAT(list_cache(cache_ + "/nothing"), IsEmpty());
  add("b", "12");
  add("a", "1");
  write_file_atomically(cache_ + "/other.txt", "");
  const auto entries = list_cache(cache_);
  EXPECT_THAT(handles(), ElementsAre("a", "b"));
  EXPECT_EQ(entries.at(1).bytes, 2u);
  EXPECT_EQ(entries.at(1).files, 1u);
  EXPECT_EQ(entries.at(1).check.state, EntryState::kComplete);
  EXPECT_EQ(find_entry(entries, "a")->path, entries.at(0).path);
  EXPECT_EQ(find_entry(entries, entries.at(1).key.substr(0, 8))->descriptor.handle, "b");
  EXPECT_FALSE(find_entry(entries, "c"));
  EXPECT_FALSE(find_entry(entries, ""));
}

TEST_F(Cache, RemovesAModuleWhole) {
  add("a", "1");
  remove_entry(list_cache(cache_).at(0));
  EXPECT_THAT(list_directory(cache_), IsEmpty());
}

TEST_F(Cache, VerifyingFindsWhatSizesDoNotShow) {
  const std::string path = add("a", "content");
  EXPECT_THAT(verify_entry(list_cache(cache_).at(0)), IsEmpty());
  write_file_atomically(path + "/saved_model.pb", "Content");
  write_file_atomically(path + "/more", "");
  const CacheEntry entry = list_cache(cache_).at(0);
  EXPECT_EQ(entry.check.state, EntryState::kComplete);
  EXPECT_THAT(verify_entry(entry), ElementsAre("\"saved_model.pb\" has another checksum",
                                               "\"more\" is not of the module"));
  std::filesystem::remove(path + "/saved_model.pb");
  EXPECT_THAT(verify_entry(list_cache(cache_).at(0)),
              ElementsAre("\"saved_model.pb\" is missing", "\"more\" is not of the module"));
}

TEST_F(Cache, PruningTakesDamagedOldAndTooLargeOnes) {
  set_last_use(add("old", "1234"), 100);
  set_last_use(add("middle", "1234"), 10);
  set_last_use(add("new", "1234"), 1);
  const std::string damaged = add("damaged", "1234");
  std::filesystem::remove(damaged + "/saved_model.pb");
  write_file_atomically(damaged + "/x", "");
  const std::string old = cache_entry_path(cache_, "old");
  mark_used(old);
  EXPECT_THAT(entries_to_prune(list_cache(cache_), {.unused_days = 30}), SizeIs(1));
  set_last_use(old, 100);
  const auto pruned = [&](const PruneOptions& options) {
    std::vector<std::string> all;
    for (const CacheEntry& entry : entries_to_prune(list_cache(cache_), options)) {
      all.push_back(entry.descriptor.handle);
    }
    return all;
  };
  EXPECT_THAT(pruned({}), ElementsAre("damaged"));
  EXPECT_THAT(pruned({.unused_days = 30}), ElementsAre("old", "damaged"));
  EXPECT_THAT(pruned({.max_bytes = 4}), ElementsAre("old", "middle", "damaged"));
}

TEST_F(Cache, LeftoversAreThoseOfProcessesThatAreGone) {
  add("a", "1");
  const std::string one = cache_ + "/" + std::string(40, '1');
  const std::string two = cache_ + "/" + std::string(40, '2');
  // This process lives.
  write_file_atomically(lock_filename(one), lock_contents("u1"));
  file_system().create_directories(temporary_folder_name(one, "u1"));
  file_system().create_directories(temporary_folder_name(one, "u0"));
  const pid_t child = ::fork();
  if (child == 0) {
    write_file_atomically(lock_filename(two), lock_contents("u2"));
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  file_system().create_directories(temporary_folder_name(two, "u2"));
  std::vector<std::string> found;
  for (const Leftover& leftover : find_leftovers(cache_)) found.push_back(leftover.path);
  EXPECT_THAT(found, ElementsAre(lock_filename(two), temporary_folder_name(one, "u0"),
                                 temporary_folder_name(two, "u2")));
}

}  // namespace
}  // namespace hub::testing
