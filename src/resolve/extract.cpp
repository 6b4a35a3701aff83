#include "resolve/extract.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "base/errors.h"
#include "resolve/archive_library.h"
#include "resolve/digest.h"

namespace hub {
namespace {

constexpr std::size_t kBlock = 512;  // of tar
constexpr std::size_t kPiece = std::size_t{256} << 10;
// How much more than its files an archive may be: headers, padding.
constexpr std::uint64_t kOverhead = std::uint64_t{64} << 20;

bool is_compressed(std::string_view start) {
  using namespace std::literals;
  for (const std::string_view magic :
       {"\x1f\x8b"sv, "BZh"sv, "\xfd\x37zXZ"sv, "\x28\xb5\x2f\xfd"sv}) {
    if (start.starts_with(magic)) return true;
  }
  return false;
}

// What libarchive reads from. Remembers what a check of the end needs, and the exceptions that
// must not cross libarchive's frames.
class Feed {
 public:
  Feed(ByteSource& source, std::uint64_t max_bytes)
      : source_(source),
        max_bytes_(max_bytes > UINT64_MAX - kOverhead ? UINT64_MAX : max_bytes + kOverhead) {}

  std::string_view next() {
    const std::string_view bytes = source_.read();
    if (total_ == 0) is_compressed_ = is_compressed(bytes);
    total_ += bytes.size();
    if (total_ > max_bytes_) {
      throw resource_exhausted("An archive unpacks to more than may be. Details: over ", max_bytes_,
                               " bytes.");
    }
    tail_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kBlock)));
    if (tail_.size() > kBlock) tail_.erase(0, tail_.size() - kBlock);
    return bytes;
  }

  static la_ssize_t read(archive*, void* self_pointer, const void** buffer) {
    Feed& self = *static_cast<Feed*>(self_pointer);
    try {
      const std::string_view bytes = self.next();
      *buffer = bytes.data();
      return static_cast<la_ssize_t>(bytes.size());
    } catch (...) {
      self.failure_ = std::current_exception();
      return -1;
    }
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

  // Reads on to the end of the source, where its checksums are, and finds archives that are cut
  // between two entries.
  void finish() {
    while (!next().empty()) {
    }
    if (source_.knows_its_end() || is_compressed_) return;
    const bool is_zero = tail_.size() == kBlock && tail_.find_first_not_of('\0') == tail_.npos;
    if (!is_zero) throw decode_error("A tar archive is cut: its end is not marked.");
  }

 private:
  ByteSource& source_;
  std::uint64_t max_bytes_;
  std::uint64_t total_ = 0;
  std::string tail_;
  bool is_compressed_ = false;
  std::exception_ptr failure_;
};

class ArchiveReader {
 public:
  explicit ArchiveReader(Feed& feed)
      : api_(archive_library()), feed_(feed), archive_(api_.read_new(), api_.read_free) {
    if (archive_ == nullptr) throw resource_exhausted("No memory to read an archive with.");
    api_.support_bzip2(archive_.get());
    api_.support_xz(archive_.get());
    api_.support_zstd(archive_.get());
    api_.support_tar(archive_.get());
    // Names are bytes, whatever the locale is.
    api_.set_format_option(archive_.get(), "tar", "hdrcharset", "BINARY");
    if (api_.open(archive_.get(), &feed_, nullptr, &Feed::read, nullptr) != ARCHIVE_OK) fail();
  }

  // Null at the end.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int result = api_.next_header(archive_.get(), &entry);
    if (result == ARCHIVE_EOF) return nullptr;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) fail();
    return entry;
  }

  std::string pathname(archive_entry* entry) const {
    const char* name = api_.pathname(entry);
    if (name == nullptr) name = api_.pathname_utf8(entry);
    if (name == nullptr) throw value_error("An archive has an entry without a name.");
    return name;
  }

  // "regular file" is the empty string.
  std::string_view kind(archive_entry* entry) const {
    if (api_.hardlink(entry) != nullptr) return "hard link";
    switch (api_.filetype(entry)) {
      case AE_IFREG: return {};
      case AE_IFDIR: return "directory";
      case AE_IFLNK: return "symbolic link";
      case AE_IFCHR: return "character device";
      case AE_IFBLK: return "block device";
      case AE_IFIFO: return "fifo";
      case AE_IFSOCK: return "socket";
      default: return "unknown type";
    }
  }

  std::uint64_t size(archive_entry* entry) const {
    return static_cast<std::uint64_t>(std::max<la_int64_t>(0, api_.size(entry)));
  }

  // Of the entry; empty at its end.
  std::string_view data() {
    const la_ssize_t count = api_.data(archive_.get(), piece_.data(), piece_.size());
    if (count < 0) fail();
    return std::string_view(piece_).substr(0, static_cast<std::size_t>(count));
  }

 private:
  [[noreturn]] void fail() {
    feed_.rethrow();
    const char* reason = api_.error_string(archive_.get());
    throw decode_error("An archive cannot be read. Details: ",
                       reason == nullptr ? "no reason given" : printable(reason), ".");
  }

  const ArchiveLibrary& api_;
  Feed& feed_;
  std::unique_ptr<archive, decltype(&archive_read_free)> archive_;
  std::string piece_ = std::string(kPiece, '\0');
};

class Extraction {
 public:
  Extraction(std::string target, const ExtractOptions& options)
      : target_(std::move(target)), options_(options) {}

  void add(ArchiveReader& reader, archive_entry* entry) {
    if (++entries_ > options_.max_entries) {
      throw resource_exhausted("An archive has too many entries. Details: over ",
                               options_.max_entries, ".");
    }
    const std::string name = reader.pathname(entry);
    const std::string path = merge_relative_path(target_, name);
    const std::string_view kind = reader.kind(entry);
    if (kind == "directory") {
      make_directory(path);
    } else if (kind.empty()) {
      write_file(reader, entry, name, path);
    } else {
      throw value_error("An archive may hold regular files and directories only. Details: \"",
                        printable(name), "\" is a ", kind, ".");
    }
  }

  std::size_t entries() const { return entries_; }

  Manifest manifest() {
    std::ranges::sort(manifest_, {}, &ManifestFile::path);
    return std::move(manifest_);
  }

 private:
  void make_directory(const std::string& path) {
    if (!directories_.insert(path).second) return;
    options_.files.create_directories(path);
  }

  void check_size(std::uint64_t size, std::string_view name) const {
    if (size <= options_.max_bytes - total_) return;
    throw resource_exhausted("An archive unpacks to more than may be. Details: over ",
                             options_.max_bytes, " bytes with \"", printable(name), "\".");
  }

  void write_file(ArchiveReader& reader, archive_entry* entry, const std::string& name,
                  const std::string& path) {
    if (path == target_) {
      throw value_error("An archive's file must have a name. Details: \"", printable(name), "\".");
    }
    check_size(reader.size(entry), name);
    make_directory(std::filesystem::path(path).parent_path().string());
    const auto file = options_.files.create(path);
    Sha256 hash;
    std::uint64_t size = 0;
    for (std::string_view bytes = reader.data(); !bytes.empty(); bytes = reader.data()) {
      check_size(bytes.size(), name);
      file->append(bytes);
      hash.update(bytes);
      size += bytes.size();
      total_ += bytes.size();
      if (options_.on_piece) options_.on_piece();
    }
    file->close();
    record({std::filesystem::path(path).lexically_relative(target_).generic_string(), size,
            hash.hex()});
  }

  // A later file of the same name replaces the earlier one.
  void record(ManifestFile file) {
    const auto [place, is_new] = places_.try_emplace(file.path, manifest_.size());
    if (is_new) {
      manifest_.push_back(std::move(file));
    } else {
      manifest_[place->second] = std::move(file);
    }
  }

  std::string target_;
  const ExtractOptions& options_;
  std::uint64_t total_ = 0;
  std::uint64_t entries_ = 0;
  std::unordered_set<std::string> directories_;
  std::unordered_map<std::string, std::size_t> places_;
  Manifest manifest_;
};

}  // namespace

Manifest extract_archive(ByteSource& source, const std::string& target,
                         const ExtractOptions& options) {
  const std::unique_ptr<ByteSource> plain = gunzipped(source);
  Feed feed(*plain, options.max_bytes);
  ArchiveReader reader(feed);
  Extraction extraction(target, options);
  while (archive_entry* entry = reader.next()) extraction.add(reader, entry);
  feed.finish();
  if (extraction.entries() == 0) throw decode_error("An archive is empty.");
  return extraction.manifest();
}

std::string merge_relative_path(std::string_view base, std::string_view relative) {
  std::vector<std::string> parts;
  for (std::string& part : split(relative, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(std::move(part));
      continue;
    }
    if (parts.empty()) {
      throw value_error("Relative path \"", printable(relative),
                        "\" is invalid: it leads out of its folder.");
    }
    parts.pop_back();
  }
  std::string path(base);
  if (parts.empty()) return path;
  if (!path.ends_with('/')) path += '/';
  return path + join(parts, "/");
}

bool is_archive_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  constexpr std::size_t kMagicAt = 257;
  constexpr std::string_view kTarMagic = "ustar";
  const InputFile file(path);
  std::string start(
      static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kMagicAt + kTarMagic.size())),
      '\0');
  file.read_at(0, start.data(), start.size());
  if (is_compressed(start)) return true;
  return start.size() == kMagicAt + kTarMagic.size() && start.ends_with(kTarMagic);
}

}  // namespace hub
