#pragma once

// Files: reading, mapping, and writing so that a crash leaves nothing half-made.
// Errors carry errno's code, what was tried and the path.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hub {

// "/a" of "file:///a"; other paths as they are.
std::string without_file_scheme(std::string path);

// An open file for positioned reads, from any thread. The path may be a file:// URL, as in graphs
// that name their files so.
class InputFile {
 public:
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  bool is_regular() const { return is_regular_; }
  int descriptor() const { return descriptor_; }
  // Fills `out` from `offset`. Errors: OUT_OF_RANGE where the file ends before.
  void read_at(std::uint64_t offset, char* out, std::size_t count) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  bool is_regular_ = false;
};

// A file's bytes, read-only, mapped where the file can be mapped. Whoever shortens the file
// meanwhile makes reads of the lost part fault: replace files by rename.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return file_.path(); }
  std::string_view bytes() const { return bytes_; }
  // True where the bytes are pages of the file, not a copy.
  bool is_mapped() const { return mapped_; }
  // The same file for reads that leave no pages in this process.
  const InputFile& file() const { return file_; }

 private:
  explicit MappedFile(const std::string& path);

  InputFile file_;
  std::string_view bytes_;
  std::string read_;  // the bytes of what cannot be mapped (a pipe)
  bool mapped_ = false;
};

std::string read_file(const std::string& path);
bool path_exists(const std::string& path);
bool is_directory(const std::string& path);
std::uint64_t file_size(const std::string& path);

// The files below `directory` as paths relative to it with '/', sorted; links to files count,
// links to directories are not followed.
std::vector<std::string> list_files_recursively(const std::string& directory);
// The names in `directory`, sorted.
std::vector<std::string> list_directory(const std::string& directory);

// `count` random bytes as lower-case hexadecimal, for temporary names.
std::string random_hex(std::size_t count);

// Writes one file, buffered. A file that was not closed may be incomplete.
class OutputFile {
 public:
  virtual ~OutputFile();
  virtual void append(std::string_view bytes) = 0;
  // Returns when the bytes are on the disk.
  virtual void sync() = 0;
  virtual void close() = 0;
};

// Every change that the library makes to a file system goes through one of these, so that a
// test can make the n-th fail. The base class is the real one. Any thread may call.
class FileSystem {
 public:
  virtual ~FileSystem();

  // A new file, or an emptied one.
  virtual std::unique_ptr<OutputFile> create(const std::string& path) const;
  virtual void create_directories(const std::string& path) const;
  // Replaces `to`, atomically.
  virtual void rename(const std::string& from, const std::string& to) const;
  // Errors: ALREADY_EXISTS where there is a `to`, atomically too.
  virtual void rename_new(const std::string& from, const std::string& to) const;
  // Swaps two entries, atomically.
  virtual void exchange(const std::string& one, const std::string& other) const;
  // Errors: ALREADY_EXISTS where there is a `to`.
  virtual void copy_file(const std::string& from, const std::string& to) const;
  virtual void sync_file(const std::string& path) const;
  virtual void sync_directory(const std::string& path) const;
  // Nothing there is no error.
  virtual void remove_all(const std::string& path) const;
};

// The real one.
const FileSystem& file_system();

// Writes a file as a whole: a temporary name beside it, synced, then renamed.
enum class IfExists { kReplace, kRefuse };
void write_file_atomically(const std::string& path, std::string_view bytes,
                           IfExists if_exists = IfExists::kReplace,
                           const FileSystem& files = file_system());

// A fresh directory that its destructor removes.
class TempDirectory {
 public:
  // Below `parent`; by default below the system's directory for temporary files.
  explicit TempDirectory(const std::string& parent = {});
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Writes a folder as a whole: fill `path()`, then commit(). Without commit the destructor
// removes what was written; the target is untouched.
class FolderWriter {
 public:
  explicit FolderWriter(std::string target, const FileSystem& files = file_system());
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  // The temporary folder beside the target.
  const std::string& path() const { return path_; }
  const FileSystem& files() const { return files_; }
  // Syncs everything and puts the folder in its place. kRefuse: ALREADY_EXISTS where the
  // target exists and is not an empty folder.
  void commit(IfExists if_exists = IfExists::kRefuse);

 private:
  void sync_tree() const;

  std::string target_;
  std::string path_;
  const FileSystem& files_;
  bool committed_ = false;
};

// True where `path`, with "." and ".." resolved without looking at the disk, stays inside
// `directory` (by whole components).
bool is_inside(const std::filesystem::path& directory, const std::filesystem::path& path);

}  // namespace hub
