#include "resolve/atomic_download.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <optional>
#include <thread>

#include "base/errors.h"

namespace hub {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kUidBytes = 16;
// How long the lock of a process that is gone must have been quiet: its number may be that of
// a process in another container with this machine's name.
constexpr int kQuietBeats = 3;

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string local_time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  ::localtime_r(&now, &local);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local)};
}

// What can be seen of the holder of a lock.
struct SignOfLife {
  std::string contents;
  std::uint64_t temporary_size = 0;
  std::int64_t beat_ns = 0;  // when the lock file was touched
  bool operator==(const SignOfLife&) const = default;
};

// Nothing where the lock is gone.
std::optional<SignOfLife> look_at(const std::string& lock) {
  struct stat status = {};
  if (::stat(lock.c_str(), &status) != 0) {
    if (errno == ENOENT) return std::nullopt;
    throw errno_error(errno, "Looking at", lock);
  }
  try {
    return SignOfLife{read_file(lock), temporary_size_of_lock(lock),
                      status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec};
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return std::nullopt;
    throw;
  }
}

// By the clock of the file system, which for processes of this machine is ours.
std::chrono::nanoseconds since_beat(const SignOfLife& sign) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now) -
         std::chrono::nanoseconds(sign.beat_ns);
}

// Takes a dead lock away, and what its holder had got so far.
void remove_dead_lock(const std::string& lock, const SignOfLife& seen,
                      const AtomicDownloadOptions& options) {
  const std::string aside = cat(lock, ".", random_hex(8), ".tmp");
  try {
    options.files.rename(lock, aside);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return;
    throw;
  }
  if (read_file(aside) != seen.contents) {
    // Somebody else took it over in this moment.
    try {
      options.files.rename_new(aside, lock);
    } catch (const Error&) {
      options.files.remove_all(aside);
    }
    return;
  }
  options.files.remove_all(aside);
  if (const auto owner = parse_lock_contents(seen.contents)) {
    const std::string module_dir = lock.substr(0, lock.size() - std::string_view(".lock").size());
    options.files.remove_all(temporary_folder_name(module_dir, owner->uid));
  }
}

// Holds the lock, or does not; the destructor lets go of it and of the temporary folder.
class LockedDownload {
 public:
  LockedDownload(const std::string& module_dir, const FileSystem& files)
      : files_(files),
        lock_(lock_filename(module_dir)),
        uid_(random_hex(kUidBytes)),
        contents_(lock_contents(uid_)),
        folder_(temporary_folder_name(module_dir, uid_)) {}

  ~LockedDownload() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    try {
      if (read_file(lock_) == contents_) fs::remove(lock_, ignored);
    } catch (const Error&) {
      // There is none.
    }
  }
  LockedDownload(const LockedDownload&) = delete;
  LockedDownload& operator=(const LockedDownload&) = delete;

  // False where somebody else holds it.
  bool try_lock() {
    try {
      write_file_atomically(lock_, contents_, IfExists::kRefuse, files_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kAlreadyExists) throw;
      return false;
    }
    return true;
  }

  const std::string& lock() const { return lock_; }
  const std::string& folder() const { return folder_; }

 private:
  const FileSystem& files_;
  std::string lock_;
  std::string uid_;
  std::string contents_;
  std::string folder_;
};

void sync_tree(const std::string& directory, const FileSystem& files) {
  std::vector<std::string> directories = {directory};
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_directory()) {
      directories.push_back(entry->path().string());
    } else {
      files.sync_file(entry->path().string());
    }
  }
  if (error) throw errno_error(error.value(), "Listing", directory);
  for (const std::string& each : directories) files.sync_directory(each);
}

void write_descriptor(const std::string& handle, const Downloaded& downloaded,
                      const std::string& module_dir, const FileSystem& files) {
  const Descriptor descriptor = {
      .handle = handle,
      .download_time = local_time_text(),
      .downloader = cat(host_name(), " (PID:", static_cast<std::int64_t>(::getpid()), ")"),
      .source = downloaded.source,
      .manifest = downloaded.manifest.empty() ? std::nullopt : std::optional(downloaded.manifest)};
  write_file_atomically(descriptor_filename(module_dir), serialize_descriptor(descriptor),
                        IfExists::kReplace, files);
}

// Puts the new folder in its place.
void publish(const std::string& folder, const std::string& module_dir, bool replace,
             const FileSystem& files) {
  if (replace && path_exists(module_dir)) {
    files.exchange(folder, module_dir);
  } else {
    files.rename_new(folder, module_dir);
  }
  const std::string parent = fs::path(module_dir).parent_path().string();
  files.sync_directory(parent.empty() ? "." : parent);
}

void download_locked(const std::string& handle, const DownloadFunction& download,
                     const std::string& module_dir, const LockedDownload& locked,
                     const AtomicDownloadOptions& options) {
  const FileSystem& files = options.files;
  const EntryCheck before = check_entry(module_dir);
  if (before.state == EntryState::kComplete) return;
  if (before.state == EntryState::kAbsent) files.remove_all(module_dir);  // an empty folder
  Heartbeat heartbeat(locked.lock(), options.heartbeat_interval);
  files.create_directories(locked.folder());
  const Downloaded downloaded = download(handle, locked.folder(), heartbeat);
  sync_tree(locked.folder(), files);
  try {
    // The descriptor comes first: a folder without its manifest would count as whole.
    write_descriptor(handle, downloaded, module_dir, files);
    publish(locked.folder(), module_dir, before.state == EntryState::kDamaged, files);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAlreadyExists) {
      std::error_code ignored;
      if (!path_exists(module_dir)) fs::remove(descriptor_filename(module_dir), ignored);
      throw;
    }
    // Somebody who did not care for the lock was faster; his folder stays, and our manifest is
    // not its.
    write_descriptor(handle, {downloaded.source, {}}, module_dir, files);
  }
}

}  // namespace

bool is_gone_process(const std::string& contents) {
  const auto owner = parse_lock_contents(contents);
  if (!owner || owner->host != host_name() || owner->pid <= 0) return false;
  return ::kill(static_cast<pid_t>(owner->pid), 0) != 0 && errno == ESRCH;
}

Heartbeat::Heartbeat(std::string lock, std::chrono::milliseconds interval)
    : lock_(std::move(lock)), interval_(interval), last_(Clock::now()) {}

void Heartbeat::beat() {
  const auto now = Clock::now();
  if (now - last_ < interval_) return;
  last_ = now;
  // A lock that is gone cannot be touched, which is no error: another process took it over.
  ::utimensat(AT_FDCWD, lock_.c_str(), nullptr, 0);
}

void wait_for_lock(const std::string& lock, const AtomicDownloadOptions& options) {
  std::optional<SignOfLife> last = look_at(lock);
  auto last_change = Clock::now();
  // The first look says nothing of life, so it takes a second time-out: a holder on a slow
  // network is not robbed.
  bool is_first_look = true;
  while (last) {
    if (options.on_wait) options.on_wait(last->contents);
    std::this_thread::sleep_for(options.poll_interval);
    const std::optional<SignOfLife> now = look_at(lock);
    if (now != last) {
      last = now;
      last_change = Clock::now();
      is_first_look = false;
      continue;
    }
    const bool is_dead =
        Clock::now() - last_change > options.lock_timeout * (is_first_look ? 2 : 1) ||
        (since_beat(*last) > options.heartbeat_interval * kQuietBeats &&
         is_gone_process(last->contents));
    if (!is_dead) continue;
    remove_dead_lock(lock, *last, options);
    return;
  }
}

std::string atomic_download(const std::string& handle, const DownloadFunction& download,
                            const std::string& module_dir, const AtomicDownloadOptions& options) {
  const std::string target = without_trailing_slashes(module_dir);
  if (check_entry(target).state == EntryState::kComplete) return module_dir;
  LockedDownload locked(target, options.files);
  while (!locked.try_lock()) {
    wait_for_lock(locked.lock(), options);
    if (check_entry(target).state == EntryState::kComplete) return module_dir;
  }
  download_locked(handle, download, target, locked, options);
  return module_dir;
}

}  // namespace hub
