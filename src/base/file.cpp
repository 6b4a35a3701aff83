#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/errors.h"

namespace hub {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxRead = std::size_t{1} << 30;  // one system call moves at most 2 GiB

// Reads until the end; for what has no size (a pipe).
std::string read_to_end(int descriptor, const std::string& path) {
  std::string bytes;
  char chunk[65536];
  for (;;) {
    const ssize_t count = ::read(descriptor, chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw errno_error(errno, "Reading", path);
    if (count == 0) return bytes;
    bytes.append(chunk, static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string without_file_scheme(std::string path) {
  constexpr std::string_view kScheme = "file://";
  if (path.starts_with(kScheme)) path.erase(0, kScheme.size());
  return path;
}

InputFile::InputFile(std::string path) : path_(without_file_scheme(std::move(path))) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) throw errno_error(errno, "Opening", path_);
  struct stat status = {};
  int error = ::fstat(descriptor_, &status) == 0 ? 0 : errno;
  if (error == 0 && S_ISDIR(status.st_mode)) error = EISDIR;
  if (error != 0) {
    ::close(descriptor_);
    throw errno_error(error, "Opening", path_);
  }
  is_regular_ = S_ISREG(status.st_mode);
  size_ = is_regular_ ? static_cast<std::uint64_t>(status.st_size) : 0;
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read_at(std::uint64_t offset, char* out, std::size_t count) const {
  while (count > 0) {
    const ssize_t got =
        ::pread(descriptor_, out, std::min(count, kMaxRead), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw errno_error(errno, "Reading", path_);
    if (got == 0) {
      throw out_of_range("The file ends too early. Details: ", path_, " has nothing at offset ",
                         offset, ".");
    }
    out += got;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::size_t>(got);
  }
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  return std::shared_ptr<const MappedFile>(new MappedFile(path));
}

MappedFile::MappedFile(const std::string& path) : file_(path) {
  if (!file_.is_regular() || file_.size() == 0) {
    read_ = read_to_end(file_.descriptor(), path);
    bytes_ = read_;
    return;
  }
  void* data = ::mmap(nullptr, file_.size(), PROT_READ, MAP_SHARED, file_.descriptor(), 0);
  if (data == MAP_FAILED) throw errno_error(errno, "Mapping", path);
  mapped_ = true;
  bytes_ = std::string_view(static_cast<const char*>(data), file_.size());
}

MappedFile::~MappedFile() {
  if (mapped_) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

std::string read_file(const std::string& path) {
  const InputFile file(path);
  if (!file.is_regular() || file.size() == 0) return read_to_end(file.descriptor(), path);
  std::string bytes(file.size(), '\0');
  file.read_at(0, bytes.data(), bytes.size());
  return bytes;
}

bool path_exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_directory(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::uint64_t file_size(const std::string& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) throw errno_error(error.value(), "Looking at", path);
  return size;
}

std::vector<std::string> list_files_recursively(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> files;
  fs::recursive_directory_iterator entry(directory, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    std::error_code ignored;  // an entry that vanished or a dangling link is no file
    if (entry->is_regular_file(ignored)) {
      files.push_back(entry->path().lexically_relative(directory).generic_string());
    }
    entry.increment(error);
  }
  if (error) throw errno_error(error.value(), "Listing", directory);
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> list_directory(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entry(directory, error);
  while (!error && entry != fs::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  if (error) throw errno_error(error.value(), "Listing", directory);
  std::sort(names.begin(), names.end());
  return names;
}

std::string random_hex(std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t filled = 0;
  while (filled < count) {
    const ssize_t got = ::getrandom(bytes.data() + filled, count - filled, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw errno_error(errno, "Reading", "random bytes");
    filled += static_cast<std::size_t>(got);
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    hex += kDigits[static_cast<unsigned char>(byte) >> 4];
    hex += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return hex;
}

TempDirectory::TempDirectory(const std::string& parent) {
  const fs::path base = parent.empty() ? fs::temp_directory_path() : fs::path(parent);
  path_ = (base / "tf1hub-XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr) throw errno_error(errno, "Creating", path_);
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

bool is_inside(const fs::path& directory, const fs::path& path) {
  const fs::path base = (directory / "").lexically_normal();
  const fs::path full = path.lexically_normal();
  if (base.is_absolute() != full.is_absolute()) return false;
  auto part = full.begin();
  for (const fs::path& wanted : base) {
    if (wanted.empty()) break;  // the trailing separator
    if (wanted == ".") continue;
    if (part == full.end() || *part != wanted) return false;
    ++part;
  }
  return part != full.end() && !part->empty() && *part != "..";
}

}  // namespace hub
