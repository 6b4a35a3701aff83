#pragma once

// Downloads into the cache: one process at a time does it, and the folder appears whole.

#include <chrono>
#include <functional>
#include <string>

#include "base/file.h"
#include "resolve/entry.h"

namespace hub {

// What a download brought, for the descriptor.
struct Downloaded {
  std::string source;  // the URL in the end
  Manifest manifest;
};

struct AtomicDownloadOptions {
  // A lock whose holder shows no life for so long, twice, is taken over; sooner where the
  // holder is a process of this machine that is gone.
  std::chrono::milliseconds lock_timeout{std::chrono::seconds(600)};
  // How often a waiting process looks.
  std::chrono::milliseconds poll_interval{200};
  // How often the holder shows that it is alive.
  std::chrono::milliseconds heartbeat_interval{1000};
  // Called each time that a waiting process looks; gets the lock's contents. May throw.
  std::function<void(const std::string& lock_contents)> on_wait = nullptr;
  const FileSystem& files = file_system();
};

// Shows that the holder of a lock is alive. Cheap: calls between two beats do nothing.
class Heartbeat {
 public:
  Heartbeat(std::string lock, std::chrono::milliseconds interval);
  void beat();

 private:
  std::string lock_;
  std::chrono::milliseconds interval_;
  std::chrono::steady_clock::time_point last_;
};

// Fills the folder that is given. Calls beat() now and then.
using DownloadFunction = std::function<Downloaded(const std::string& handle,
                                                  const std::string& folder, Heartbeat& heartbeat)>;

// Gives `module_dir` when it is there and whole; nothing is touched then, not even the lock.
// Else locks, downloads and renames; a damaged folder is exchanged for the new one.
// Errors: those of `download` and of the file system; nothing is left behind then.
std::string atomic_download(const std::string& handle, const DownloadFunction& download,
                            const std::string& module_dir,
                            const AtomicDownloadOptions& options = {});

// Whether a lock's contents name a process of this machine that is no more.
bool is_gone_process(const std::string& lock_contents);

// Returns when the lock is gone: its holder removed it, or shows no life and the lock was taken
// away, with what the holder had got so far.
void wait_for_lock(const std::string& lock, const AtomicDownloadOptions& options);

}  // namespace hub
