#include "resolve/cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "base/errors.h"
#include "resolve/atomic_download.h"
#include "resolve/digest.h"

namespace hub {
namespace {

constexpr std::size_t kKeyLength = 40;
constexpr std::size_t kShortestPrefix = 6;
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::string_view kDescriptorSuffix = ".descriptor.txt";
// A lock of another machine that shows no life for so long is left over.
constexpr std::chrono::hours kDeadAfter{1};

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_key(std::string_view name) { return name.size() == kKeyLength && is_hex(name); }

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// 0 where there is no such file.
std::int64_t last_touch(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mtim.tv_sec : 0;
}

CacheEntry read_entry(const std::string& cache_dir, const std::string& key) {
  CacheEntry entry;
  entry.key = key;
  entry.path = cat(cache_dir, "/", key);
  const std::string descriptor = descriptor_filename(entry.path);
  // Who resolves a module touches its descriptor (mark_used).
  entry.last_use_seconds = last_touch(path_exists(descriptor) ? descriptor : entry.path);
  try {
    entry.descriptor = parse_descriptor(read_file(descriptor));
  } catch (const Error&) {
    // A lost or damaged descriptor: the check says so where it matters.
  }
  entry.check = check_entry(entry.path);
  entry.files = list_files_recursively(entry.path).size();
  entry.bytes = directory_size(entry.path);
  return entry;
}

std::vector<std::string> names_in(const std::string& cache_dir) {
  return is_directory(cache_dir) ? list_directory(cache_dir) : std::vector<std::string>();
}

}  // namespace

std::vector<CacheEntry> list_cache(const std::string& cache_dir) {
  std::vector<CacheEntry> entries;
  for (const std::string& name : names_in(cache_dir)) {
    if (!is_key(name) || !is_directory(cat(cache_dir, "/", name))) continue;
    CacheEntry entry = read_entry(cache_dir, name);
    if (entry.check.state != EntryState::kAbsent) entries.push_back(std::move(entry));
  }
  std::ranges::stable_sort(entries, {}, [](const CacheEntry& e) { return e.descriptor.handle; });
  return entries;
}

std::optional<CacheEntry> find_entry(const std::vector<CacheEntry>& entries,
                                     std::string_view handle_or_key) {
  const std::string key = sha1_hex(handle_or_key);
  std::optional<CacheEntry> found;
  for (const CacheEntry& entry : entries) {
    if (entry.key == key || entry.key == handle_or_key) return entry;
    const bool begins = handle_or_key.size() >= kShortestPrefix && is_hex(handle_or_key) &&
                        entry.key.starts_with(handle_or_key);
    if (!begins) continue;
    if (found) {
      throw value_error("Several modules' keys begin so. Details: \"", printable(handle_or_key),
                        "\".");
    }
    found = entry;
  }
  return found;
}

std::vector<std::string> verify_entry(const CacheEntry& entry) {
  std::vector<std::string> problems;
  if (entry.check.state == EntryState::kDamaged) problems.push_back(entry.check.problem);
  if (!entry.descriptor.manifest) return problems;
  std::set<std::string> listed;
  for (const ManifestFile& file : *entry.descriptor.manifest) {
    listed.insert(file.path);
    const std::string path = cat(entry.path, "/", file.path);
    if (!path_exists(path) || file_size(path) != file.size) {
      // The check has named the first of these.
      const std::string problem = cat("\"", printable(file.path), "\" is not whole");
      if (problems.empty() || problems.front().find(printable(file.path)) == std::string::npos) {
        problems.push_back(problem);
      }
    } else if (sha256_of_file(path) != file.sha256) {
      problems.push_back(cat("\"", printable(file.path), "\" has another checksum"));
    }
  }
  for (const std::string& path : list_files_recursively(entry.path)) {
    if (!listed.contains(path)) {
      problems.push_back(cat("\"", printable(path), "\" is not of the module"));
    }
  }
  return problems;
}

void remove_entry(const CacheEntry& entry) {
  const FileSystem& files = file_system();
  const std::string aside = temporary_folder_name(entry.path, random_hex(16));
  files.rename(entry.path, aside);
  files.remove_all(descriptor_filename(entry.path));
  files.remove_all(aside);
}

std::vector<Leftover> find_leftovers(const std::string& cache_dir) {
  const std::vector<std::string> names = names_in(cache_dir);
  std::set<std::string> live;  // temporary folders of those who hold a lock and live
  std::vector<Leftover> leftovers;
  for (const std::string& name : names) {
    if (!name.ends_with(kLockSuffix)) continue;
    const std::string lock = cat(cache_dir, "/", name);
    std::string contents;
    try {
      contents = read_file(lock);
    } catch (const Error&) {
      continue;  // let go of meanwhile
    }
    const auto owner = parse_lock_contents(contents);
    const bool is_dead = is_gone_process(contents) ||
                         now_seconds() - last_touch(lock) >
                             std::chrono::duration_cast<std::chrono::seconds>(kDeadAfter).count();
    if (is_dead || !owner) {
      leftovers.push_back({lock, contents.size()});
    } else {
      live.insert(
          temporary_folder_name(name.substr(0, name.size() - kLockSuffix.size()), owner->uid));
    }
  }
  for (const std::string& name : names) {
    const std::string path = cat(cache_dir, "/", name);
    const bool is_orphan = name.ends_with(kDescriptorSuffix) &&
                           !path_exists(path.substr(0, path.size() - kDescriptorSuffix.size())) &&
                           // The descriptor is written just before its folder appears.
                           now_seconds() - last_touch(path) > 60;
    const bool is_temporary = name.ends_with(kTemporarySuffix) && !live.contains(name);
    if (is_orphan) leftovers.push_back({path, file_size(path)});
    if (is_temporary) {
      leftovers.push_back({path, is_directory(path) ? directory_size(path) : file_size(path)});
    }
  }
  return leftovers;
}

std::vector<CacheEntry> entries_to_prune(std::vector<CacheEntry> entries,
                                         const PruneOptions& options) {
  constexpr double kDay = 86400;
  std::vector<CacheEntry> removed;
  std::ranges::stable_sort(entries, {}, &CacheEntry::last_use_seconds);
  std::uint64_t total = 0;
  for (const CacheEntry& entry : entries) total += entry.bytes;
  const std::int64_t now = now_seconds();
  for (CacheEntry& entry : entries) {
    const bool is_old = options.unused_days && static_cast<double>(now - entry.last_use_seconds) >
                                                   *options.unused_days * kDay;
    const bool is_too_much = options.max_bytes && total > *options.max_bytes;
    if (entry.check.state == EntryState::kDamaged || is_old || is_too_much) {
      total -= entry.bytes;
      removed.push_back(std::move(entry));
    }
  }
  return removed;
}

}  // namespace hub
