// Downloads that are killed at any point leave the module complete or absent.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "hub/resolver.h"
#include "resolve/entry.h"
#include "resolve/fetch.h"
#include "resolve/testing.h"
#include "resolve/testing_server.h"

namespace hub::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kFiles = 4;
constexpr std::size_t kFileSize = 30000;

std::string archive() {
  Tar tar;
  for (int i = 0; i < kFiles; ++i) tar.add(cat("folder/", i), std::string(kFileSize, 'x'));
  return gzipped(tar.finished());
}

// A server in a process of its own: the test's process has one thread and may fork.
class ServerProcess {
 public:
  ServerProcess() {
    int ends[2];
    if (::pipe(ends) != 0) throw internal_error("No pipe.");
    process_ = ::fork();
    if (process_ == 0) {
      const TestServer server([content = archive()](const TestServer::Request& request) {
        TestServer::Answer answer = TestServer::file(request, content);
        answer.piece_bytes = content.size() / 8;
        answer.delay_between_pieces = 1ms;
        return answer;
      });
      const int port = server.port();
      static_cast<void>(::write(ends[1], &port, sizeof port));
      for (;;) ::pause();
    }
    if (::read(ends[0], &port_, sizeof port_) != sizeof port_) throw internal_error("No server.");
    ::close(ends[0]);
    ::close(ends[1]);
  }
  ~ServerProcess() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  std::string url(int number) const { return cat("http://127.0.0.1:", port_, "/", number); }

 private:
  pid_t process_ = 0;
  int port_ = 0;
};

class Killed : public ::testing::Test {
 protected:
  Killed() {
    options_.cache_dir = cache_;
    options_.config_file = "/dev/null";
  }

  // Gives true where the child ended by itself.
  bool download_and_kill(const std::string& handle, std::chrono::microseconds after) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        resolve(handle, options_);
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    std::this_thread::sleep_for(after);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  void expect_whole(const std::string& path) const {
    const auto tree = tree_of(path);
    EXPECT_EQ(tree.size(), static_cast<std::size_t>(kFiles));
    for (const auto& [name, content] : tree) EXPECT_EQ(content.size(), kFileSize) << name;
  }

  TempDirectory temp_;
  std::string cache_ = temp_.path() + "/cache";
  ResolveOptions options_;
  Environment no_cache_dir_{"TFHUB_CACHE_DIR", nullptr};
  Environment no_proxy_{"no_proxy", "127.0.0.1"};
};

TEST_F(Killed, TheModuleIsCompleteOrAbsent) {
  const ServerProcess server;
  constexpr int kTimes = 250;
  std::mt19937 random(7);
  std::chrono::microseconds longest = 20ms;  // after which a download is killed
  int complete = 0;
  int last_absent = -1;
  for (int i = 0; i < kTimes; ++i) {
    const std::chrono::microseconds after(random() % static_cast<unsigned>(longest.count()));
    const bool ended = download_and_kill(server.url(i), after);
    const std::string path = cache_entry_path(cache_, server.url(i));
    const EntryState state = check_entry(path).state;
    ASSERT_NE(state, EntryState::kDamaged) << i;
    if (state == EntryState::kComplete) {
      expect_whole(path);
      ++complete;
    } else {
      EXPECT_FALSE(ended) << i;
      EXPECT_FALSE(path_exists(path)) << i;
      last_absent = i;
    }
    // The kills shall fall into the whole of a download, whatever the machine's speed.
    longest = complete * 4 > i ? longest * 9 / 10 : longest * 11 / 10;
    longest = std::max<std::chrono::microseconds>(longest, 1ms);
  }
  EXPECT_GT(complete, kTimes / 20);
  ASSERT_GE(last_absent, 0);
  // What was left behind is cleared away by the next who wants the module.
  const std::string path = resolve(server.url(last_absent), options_);
  expect_whole(path);
  EXPECT_FALSE(path_exists(lock_filename(path)));
}

TEST_F(Killed, SeveralProcessesShareOneDownload) {
  const ServerProcess server;
  constexpr int kProcesses = 8;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    try {
      resolve(server.url(0), options_);
      ::_exit(0);
    } catch (...) {
      ::_exit(1);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  expect_whole(cache_entry_path(cache_, server.url(0)));
  EXPECT_EQ(list_directory(cache_).size(), 2u);  // the folder and its descriptor
}

}  // namespace
}  // namespace hub::testing
