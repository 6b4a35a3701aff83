// One process downloads, the others wait; the folder appears whole.

#include "resolve/atomic_download.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/failing_files.h"
#include "resolve/testing.h"

namespace hub::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const AtomicDownloadOptions kQuick = {
    .lock_timeout = 300ms, .poll_interval = 10ms, .heartbeat_interval = 20ms};

class AtomicDownload : public ::testing::Test {
 protected:
  DownloadFunction never() {
    return [](const auto&, const auto&, auto&) -> Downloaded {
      throw internal_error("This must not be called.");
    };
  }
  DownloadFunction one_file(std::string content = "content") {
    return [this, content](const auto&, const std::string& folder, auto&) -> Downloaded {
      ++calls_;
      write_file_atomically(folder + "/file", content);
      return {"source", make_manifest(folder)};
    };
  }
  std::vector<std::string> listed() const { return list_directory(temp_.path()); }

  TempDirectory temp_;
  std::string module_ = temp_.path() + "/module";
  std::string lock_ = lock_filename(module_);
  std::atomic<int> calls_ = 0;
};

TEST_F(AtomicDownload, R09_WaitingEndsWhenTheLockIsDeleted) {
  write_file_atomically(lock_, lock_contents("uid"));
  std::jthread other([&] {
    std::this_thread::sleep_for(100ms);
    std::filesystem::remove(lock_);
  });
  wait_for_lock(lock_, {.poll_interval = 10ms});
  EXPECT_FALSE(path_exists(lock_));
}

TEST_F(AtomicDownload, R10_ALockIsKeptWhileItsHoldersFolderGrows) {
  write_file_atomically(lock_, "elsewhere.1.uid");
  const std::string folder = temporary_folder_name(module_, "uid");
  file_system().create_directories(folder);
  std::atomic<bool> stolen = false;
  std::jthread holder([&] {
    for (int i = 0; i < 20; ++i) {
      write_file_atomically(cat(folder, "/", i), "content");
      std::this_thread::sleep_for(50ms);
      stolen = stolen || !path_exists(lock_);
    }
    std::filesystem::remove(lock_);
  });
  wait_for_lock(lock_, kQuick);
  holder.join();
  EXPECT_FALSE(stolen);
  EXPECT_TRUE(path_exists(folder));
}

TEST_F(AtomicDownload, ALockIsKeptWhileItBeats) {
  write_file_atomically(lock_, "elsewhere.1.uid");
  std::atomic<bool> stolen = false;
  std::jthread holder([&] {
    Heartbeat heartbeat(lock_, 20ms);
    for (int i = 0; i < 100; ++i) {
      heartbeat.beat();
      std::this_thread::sleep_for(10ms);
      stolen = stolen || !path_exists(lock_);
    }
    std::filesystem::remove(lock_);
  });
  wait_for_lock(lock_, kQuick);
  holder.join();
  EXPECT_FALSE(stolen);
}

TEST_F(AtomicDownload, R11_ADeadLockIsRemovedAfterTwoTimeouts) {
  write_file_atomically(lock_, "elsewhere.1.uid");
  const std::string folder = temporary_folder_name(module_, "uid");
  file_system().create_directories(folder);
  const auto start = std::chrono::steady_clock::now();
  wait_for_lock(lock_, kQuick);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, 600ms);
  EXPECT_LE(took, 900ms);
  EXPECT_THAT(listed(), IsEmpty());
}

TEST_F(AtomicDownload, TheLockOfAProcessThatIsGoneIsTakenOverSoon) {
  const pid_t child = ::fork();
  if (child == 0) {
    write_file_atomically(lock_, lock_contents("uid"));
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  const auto start = std::chrono::steady_clock::now();
  atomic_download("h", one_file(), module_, {.poll_interval = 10ms, .heartbeat_interval = 20ms});
  EXPECT_LE(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_THAT(listed(), ElementsAre("module", "module.descriptor.txt"));
}

TEST_F(AtomicDownload, R12_AFasterProcessWinsAndHitsNeedNoLock) {
  const DownloadFunction rogue = [&](const auto&, const auto&, auto&) -> Downloaded {
    file_system().create_directories(module_);
    write_file_atomically(module_ + "/file", "content");
    return {};
  };
  EXPECT_EQ(atomic_download("module", rogue, module_), module_);
  EXPECT_EQ(read_file(module_ + "/file"), "content");
  EXPECT_THAT(listed(), ElementsAre("module", "module.descriptor.txt"));
  const std::string text = read_file(descriptor_filename(module_));
  EXPECT_THAT(text, StartsWith("Module: module\nDownload Time: "));
  EXPECT_TRUE(
      text.ends_with(cat("\nDownloader Hostname: ", host_name(), " (PID:", ::getpid(), ")")))
      << text;
  // Every change of files would fail.
  const FailingFiles none(1);
  EXPECT_EQ(atomic_download("module", never(), module_, {.files = none}), module_);
  EXPECT_FALSE(none.failed());
}

TEST_F(AtomicDownload, R13_AnEmptyFolderIsDownloadedAnyway) {
  file_system().create_directories(module_);
  atomic_download("module", one_file(), module_);
  EXPECT_THAT(tree_of(module_), ElementsAre(std::pair("file", "content")));
  EXPECT_THAT(listed(), ElementsAre("module", "module.descriptor.txt"));
}

TEST_F(AtomicDownload, R14_OfTwoAtATimeOneDownloads) {
  const DownloadFunction slow = [&](const auto& handle, const auto& folder, auto& beat) {
    std::this_thread::sleep_for(200ms);
    return one_file()(handle, folder, beat);
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { atomic_download("module", slow, module_, kQuick); });
  }
  threads.clear();
  EXPECT_EQ(calls_, 1);
  EXPECT_THAT(listed(), ElementsAre("module", "module.descriptor.txt"));
}

// A file system that refuses new files.
class RefusingFiles final : public FileSystem {
 public:
  explicit RefusingFiles(ErrorCode code) : code_(code) {}
  std::unique_ptr<OutputFile> create(const std::string& path) const override {
    throw io_error(code_, "Creating ", path, " is refused.");
  }

 private:
  ErrorCode code_;
};

TEST_F(AtomicDownload, R15_AReadOnlyFolderIsPermissionDenied) {
  const RefusingFiles files(ErrorCode::kPermissionDenied);
  const auto error =
      error_of([&] { atomic_download("module", never(), module_, {.files = files}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kPermissionDenied);
  if (::geteuid() == 0) return;  // whom modes do not stop
  const std::string folder = temp_.path() + "/readonly";
  file_system().create_directories(folder);
  std::filesystem::permissions(
      folder, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  EXPECT_EQ(error_of([&] { atomic_download("module", never(), folder + "/m"); })->code(),
            ErrorCode::kPermissionDenied);
}

TEST_F(AtomicDownload, R16_AFailedDownloadWhoseLockIsLostLeavesNothing) {
  const auto error = error_of([&] {
    atomic_download(
        "module",
        [&](const auto&, const std::string& folder, auto&) -> Downloaded {
          write_file_atomically(folder + "/half", "x");
          std::filesystem::remove(lock_);
          throw data_loss("Error.");
        },
        module_);
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->message(), "Error.");
  EXPECT_THAT(listed(), IsEmpty());
}

TEST_F(AtomicDownload, R17_NotFoundOfTheLockPropagates) {
  const RefusingFiles files(ErrorCode::kNotFound);
  EXPECT_EQ(
      error_of([&] { atomic_download("module", never(), module_, {.files = files}); })->code(),
      ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { atomic_download("m", never(), temp_.path() + "/no/such/m"); })->code(),
            ErrorCode::kNotFound);
}

TEST_F(AtomicDownload, ADamagedFolderIsReplaced) {
  atomic_download("module", one_file(), module_);
  std::filesystem::remove(module_ + "/file");
  write_file_atomically(module_ + "/left", "x");
  atomic_download("module", one_file("new"), module_);
  EXPECT_THAT(tree_of(module_), ElementsAre(std::pair("file", "new")));
  EXPECT_THAT(listed(), ElementsAre("module", "module.descriptor.txt"));
  EXPECT_EQ(check_entry(module_).state, EntryState::kComplete);
  EXPECT_EQ(calls_, 2);
}

TEST_F(AtomicDownload, ADamagedFolderStaysWhereNoNewOneComes) {
  atomic_download("module", one_file(), module_);
  write_file_atomically(module_ + "/file", "x");
  EXPECT_TRUE(error_of([&] { atomic_download("module", never(), module_); }));
  EXPECT_EQ(check_entry(module_).state, EntryState::kDamaged);
}

TEST_F(AtomicDownload, AFullDiskAtAnyPointLeavesItCompleteOrAbsent) {
  for (int fail_at = 1;; ++fail_at) {
    const TempDirectory temp;
    const std::string module = temp.path() + "/module";
    const FailingFiles files(fail_at);
    const auto error = error_of([&] {
      atomic_download("module",
                      [&](const auto&, const std::string& folder, auto&) -> Downloaded {
                        const auto file = files.create(folder + "/file");
                        file->append("content");
                        file->close();
                        return {"source", make_manifest(folder)};
                      },
                      module, {.files = files});
    });
    const EntryState state = check_entry(module).state;
    ASSERT_NE(state, EntryState::kDamaged) << fail_at;
    if (!error) {
      EXPECT_EQ(state, EntryState::kComplete);
      EXPECT_GT(fail_at, 10);
      break;
    }
    EXPECT_FALSE(path_exists(lock_filename(module))) << fail_at;
    if (state == EntryState::kAbsent) {
      EXPECT_THAT(list_directory(temp.path()), IsEmpty()) << fail_at;
    }
  }
}

}  // namespace
}  // namespace hub::testing
