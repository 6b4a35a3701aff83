#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/errors.h"
#include "base/file.h"

// Older headers lack these; they are the kernel's numbers.
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

namespace hub {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kBufferSize = std::size_t{256} << 10;
constexpr std::size_t kMaxWrite = std::size_t{1} << 30;

class PosixOutputFile final : public OutputFile {
 public:
  explicit PosixOutputFile(const std::string& path, int flags = O_TRUNC) : path_(path) {
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (descriptor_ < 0) throw errno_error(errno, "Creating", path);
  }
  ~PosixOutputFile() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  void append(std::string_view bytes) override {
    if (buffer_.size() + bytes.size() <= kBufferSize) {
      buffer_ += bytes;
      return;
    }
    flush();
    if (bytes.size() >= kBufferSize) {
      write_all(bytes);
    } else {
      buffer_ = bytes;
    }
  }

  void sync() override {
    flush();
    if (::fsync(descriptor_) != 0) throw errno_error(errno, "Syncing", path_);
  }

  void close() override {
    flush();
    const int result = ::close(descriptor_);
    descriptor_ = -1;
    if (result != 0) throw errno_error(errno, "Closing", path_);
  }

 private:
  void flush() {
    write_all(buffer_);
    buffer_.clear();
  }

  void write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMaxWrite));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw errno_error(errno, "Writing", path_);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  std::string path_;
  std::string buffer_;
  int descriptor_ = -1;
};

void sync_path(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (descriptor < 0) throw errno_error(errno, "Opening", path);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some file systems cannot sync a directory; they say EINVAL.
  if (error != 0 && error != EINVAL) throw errno_error(error, "Syncing", path);
}

int rename_with(const std::string& from, const std::string& to, unsigned flags) {
  const long result = ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
  return result == 0 ? 0 : errno;
}

// The folder that holds the entry, also for "name/" and "name".
std::string parent_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

OutputFile::~OutputFile() = default;
FileSystem::~FileSystem() = default;

const FileSystem& file_system() {
  static const FileSystem kFileSystem;
  return kFileSystem;
}

std::unique_ptr<OutputFile> FileSystem::create(const std::string& path) const {
  return std::make_unique<PosixOutputFile>(path);
}

void FileSystem::create_directories(const std::string& path) const {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw errno_error(error.value(), "Creating", path);
}

void FileSystem::rename(const std::string& from, const std::string& to) const {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    throw errno_error(errno, cat("Renaming ", from, " to"), to);
  }
}

void FileSystem::rename_new(const std::string& from, const std::string& to) const {
  int error = rename_with(from, to, RENAME_NOREPLACE);
  // Not every file system can do it atomically.
  if (error == EINVAL || error == ENOSYS) {
    error = path_exists(to) ? EEXIST : (::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno);
  }
  if (error != 0) throw errno_error(error, cat("Renaming ", from, " to"), to);
}

void FileSystem::exchange(const std::string& one, const std::string& other) const {
  int error = rename_with(one, other, RENAME_EXCHANGE);
  if (error == EINVAL || error == ENOSYS) {
    const std::string aside = cat(one, ".aside", random_hex(8));
    FileSystem::rename(other, aside);
    FileSystem::rename(one, other);
    FileSystem::rename(aside, one);
    return;
  }
  if (error != 0) throw errno_error(error, cat("Exchanging ", one, " with"), other);
}

void FileSystem::copy_file(const std::string& from, const std::string& to) const {
  const auto source = MappedFile::open(from);
  PosixOutputFile target(to, O_EXCL);
  target.append(source->bytes());
  target.close();
}

void FileSystem::sync_file(const std::string& path) const { sync_path(path, 0); }

void FileSystem::sync_directory(const std::string& path) const { sync_path(path, O_DIRECTORY); }

void FileSystem::remove_all(const std::string& path) const {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw errno_error(error.value(), "Removing", path);
}

void write_file_atomically(const std::string& path, std::string_view bytes, IfExists if_exists,
                           const FileSystem& files) {
  const std::string temporary = cat(path, ".tmp", random_hex(16));
  try {
    const auto file = files.create(temporary);
    file->append(bytes);
    file->sync();
    file->close();
    if (if_exists == IfExists::kReplace) {
      files.rename(temporary, path);
    } else {
      files.rename_new(temporary, path);
    }
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  files.sync_directory(parent_of(path));
}

FolderWriter::FolderWriter(std::string target, const FileSystem& files)
    : target_(without_trailing_slashes(std::move(target))),
      path_(cat(target_, ".tmp", random_hex(16))),
      files_(files) {
  files_.create_directories(path_);
}

FolderWriter::~FolderWriter() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void FolderWriter::sync_tree() const {
  std::vector<std::string> directories = {path_};
  std::error_code error;
  for (fs::recursive_directory_iterator entry(path_, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_directory()) {
      directories.push_back(entry->path().string());
    } else {
      files_.sync_file(entry->path().string());
    }
  }
  if (error) throw errno_error(error.value(), "Listing", path_);
  for (const std::string& directory : directories) files_.sync_directory(directory);
}

void FolderWriter::commit(IfExists if_exists) {
  sync_tree();
  if (if_exists == IfExists::kReplace && path_exists(target_)) {
    files_.exchange(path_, target_);  // from here the target is whole and new
    committed_ = true;
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  } else {
    files_.rename(path_, target_);  // succeeds on an empty folder, too
    committed_ = true;
  }
  files_.sync_directory(parent_of(target_));
}

}  // namespace hub
