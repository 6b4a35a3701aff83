#include "resolve/entry.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <ctime>

#include "base/errors.h"
#include "resolve/digest.h"

namespace hub {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kHandle = "Module: ";
constexpr std::string_view kTime = "Download Time: ";
constexpr std::string_view kDownloader = "Downloader Hostname: ";
constexpr std::string_view kSource = "Source: ";
constexpr std::string_view kFiles = "Files: ";
constexpr std::string_view kEnd = "End";
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::size_t kSha256Length = 64;
constexpr std::size_t kMaxHandle = 65536;

std::string without_trailing_slashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

// Line breaks and what could be mistaken for an escape as %XX.
std::string escaped(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '%') {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

Error bad_manifest(std::string_view line) {
  return data_loss("A manifest is damaged. Details: line \"", printable(line), "\".");
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned byte = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || result.ptr != digits.data() + 2) throw bad_manifest(text);
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

std::uint64_t parse_number(std::string_view text, std::string_view line) {
  std::uint64_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    throw bad_manifest(line);
  }
  return number;
}

// "<sha256> <size> <path>".
ManifestFile parse_manifest_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == line.npos ? line.npos : line.find(' ', first + 1);
  if (first != kSha256Length || second == line.npos) throw bad_manifest(line);
  ManifestFile file;
  file.sha256 = line.substr(0, first);
  if (file.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw bad_manifest(line);
  }
  file.size = parse_number(line.substr(first + 1, second - first - 1), line);
  file.path = unescaped(line.substr(second + 1));
  if (!is_inside("/m", cat("/m/", file.path))) throw bad_manifest(line);
  return file;
}

// Reads lines from the front of a text.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 1);
    return true;
  }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

Manifest parse_manifest(Lines& lines, std::string_view count_text) {
  const std::uint64_t count = parse_number(count_text, count_text);
  if (count > lines.left() / kSha256Length) throw bad_manifest(count_text);
  Manifest manifest;
  manifest.reserve(static_cast<std::size_t>(count));
  std::string_view line;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!lines.next(line)) throw bad_manifest(line);
    manifest.push_back(parse_manifest_line(line));
  }
  if (!lines.next(line) || line != kEnd) throw bad_manifest(line);
  return manifest;
}

std::optional<std::uint64_t> size_of_regular_file(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size);
}

EntryCheck damaged(std::string problem) { return {EntryState::kDamaged, std::move(problem)}; }

EntryCheck check_manifest(const std::string& module_dir, const Manifest& manifest) {
  for (const ManifestFile& file : manifest) {
    const auto size = size_of_regular_file(cat(module_dir, "/", file.path));
    if (!size) return damaged(cat("\"", printable(file.path), "\" is missing"));
    if (*size != file.size) {
      return damaged(
          cat("\"", printable(file.path), "\" has ", *size, " bytes instead of ", file.size));
    }
  }
  return {EntryState::kComplete, {}};
}

// Cleaners of temporary folders delete files and leave the folders.
EntryCheck check_without_manifest(const std::string& module_dir) {
  const auto has = [&](std::string_view name) { return path_exists(cat(module_dir, "/", name)); };
  const bool has_graph =
      has("saved_model.pb") || has("saved_model.pbtxt") || has("tfhub_module.pb");
  if (has_graph) return {EntryState::kComplete, {}};
  if (has("variables") || has("assets")) {
    return damaged("\"saved_model.pb\" is missing");
  }
  if (list_files_recursively(module_dir).empty()) return damaged("all files are missing");
  return {EntryState::kComplete, {}};
}

bool lists_an_entry(const std::string& directory) {
  std::error_code error;
  const fs::directory_iterator entry(directory, error);
  return !error && entry != fs::directory_iterator();
}

}  // namespace

std::string serialize_descriptor(const Descriptor& descriptor) {
  std::string text = cat(kHandle, printable(descriptor.handle, kMaxHandle), "\n", kTime,
                         descriptor.download_time, "\n", kDownloader, descriptor.downloader);
  if (!descriptor.source.empty())
    text += cat("\n", kSource, printable(descriptor.source, kMaxHandle));
  if (descriptor.manifest) {
    text += cat("\n", kFiles, descriptor.manifest->size());
    for (const ManifestFile& file : *descriptor.manifest) {
      text += cat("\n", file.sha256, " ", file.size, " ", escaped(file.path));
    }
    text += cat("\n", kEnd);
  }
  return text;
}

Descriptor parse_descriptor(std::string_view text) {
  Descriptor descriptor;
  Lines lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.starts_with(kHandle)) {
      descriptor.handle = line.substr(kHandle.size());
    } else if (line.starts_with(kTime)) {
      descriptor.download_time = line.substr(kTime.size());
    } else if (line.starts_with(kDownloader)) {
      descriptor.downloader = line.substr(kDownloader.size());
    } else if (line.starts_with(kSource)) {
      descriptor.source = line.substr(kSource.size());
    } else if (line.starts_with(kFiles)) {
      descriptor.manifest = parse_manifest(lines, line.substr(kFiles.size()));
    }
  }
  return descriptor;
}

std::string descriptor_filename(std::string_view module_dir) {
  return cat(without_trailing_slashes(module_dir), ".descriptor.txt");
}

std::string lock_filename(std::string_view module_dir) {
  return cat(without_trailing_slashes(module_dir), kLockSuffix);
}

std::string temporary_folder_name(std::string_view module_dir, std::string_view uid) {
  return cat(without_trailing_slashes(module_dir), ".", uid, ".tmp");
}

std::string host_name() {
  char name[256] = "";
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

std::string lock_contents(std::string_view uid) {
  return cat(host_name(), ".", static_cast<std::int64_t>(::getpid()), ".", uid);
}

std::optional<LockOwner> parse_lock_contents(std::string_view contents) {
  const std::size_t last = contents.rfind('.');
  if (last == contents.npos || last == 0) return std::nullopt;
  LockOwner owner;
  owner.uid = contents.substr(last + 1);
  const std::size_t before = contents.rfind('.', last - 1);
  if (before != contents.npos) {
    owner.host = contents.substr(0, before);
    const std::string_view pid = contents.substr(before + 1, last - before - 1);
    std::from_chars(pid.data(), pid.data() + pid.size(), owner.pid);
  }
  // The uid becomes a part of a path.
  if (owner.uid.empty() || owner.uid.find('/') != std::string::npos) return std::nullopt;
  return owner;
}

std::string describe_lock_owner(std::string_view contents) {
  const auto owner = parse_lock_contents(contents);
  if (!owner || owner->host.empty()) return printable(contents);
  return cat(printable(owner->host), " (PID ", owner->pid, ")");
}

std::uint64_t directory_size(const std::string& directory) {
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    // Files may vanish meanwhile.
    total += size_of_regular_file(entry->path().string()).value_or(0);
  }
  return total;
}

std::uint64_t temporary_size_of_lock(const std::string& lock) {
  if (!lock.ends_with(kLockSuffix)) {
    throw value_error("The name of a lock must end in ", kLockSuffix, ". Details: \"",
                      printable(lock), "\".");
  }
  const auto owner = parse_lock_contents(read_file(lock));
  if (!owner) return 0;
  const std::string_view module_dir =
      std::string_view(lock).substr(0, lock.size() - kLockSuffix.size());
  return directory_size(temporary_folder_name(module_dir, owner->uid));
}

EntryCheck check_entry(const std::string& module_dir) {
  if (!lists_an_entry(module_dir)) return {};
  Descriptor descriptor;
  try {
    descriptor = parse_descriptor(read_file(descriptor_filename(module_dir)));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kDataLoss) return damaged(error.message());
    // Without one, or unreadable: what the original library goes by.
  }
  if (descriptor.manifest) return check_manifest(module_dir, *descriptor.manifest);
  return check_without_manifest(module_dir);
}

void mark_used(const std::string& module_dir) {
  constexpr std::time_t kDay = 86400;
  const std::string descriptor = descriptor_filename(module_dir);
  struct stat status = {};
  if (::stat(descriptor.c_str(), &status) != 0) return;
  if (std::time(nullptr) - status.st_mtim.tv_sec < kDay) return;
  ::utimensat(AT_FDCWD, descriptor.c_str(), nullptr, 0);  // a read-only cache stays as it is
}

Manifest make_manifest(const std::string& directory) {
  Manifest manifest;
  for (std::string& path : list_files_recursively(directory)) {
    const std::string full = cat(directory, "/", path);
    const std::uint64_t size = file_size(full);
    manifest.push_back({std::move(path), size, sha256_of_file(full)});
  }
  return manifest;
}

}  // namespace hub
