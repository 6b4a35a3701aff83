#pragma once

// What is in a cache folder: listing, checking and removing.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "resolve/entry.h"

namespace hub {

struct CacheEntry {
  std::string key;   // the folder's name: the SHA-1 of the handle
  std::string path;  // of the folder
  Descriptor descriptor;
  EntryCheck check;
  std::uint64_t bytes = 0;
  std::size_t files = 0;
  std::int64_t last_use_seconds = 0;  // since 1970; exact to a day
};

// All modules, by handle. Nothing where there is no such folder.
std::vector<CacheEntry> list_cache(const std::string& cache_dir);

// The entry of a handle, or of a key or the beginning of one (at least 6 digits).
// Errors: of kind value for a beginning of several keys.
std::optional<CacheEntry> find_entry(const std::vector<CacheEntry>& entries,
                                     std::string_view handle_or_key);

// Compares every file with its checksum in the manifest; gives what is wrong. An entry of the
// original library has no checksums: only what check_entry sees.
std::vector<std::string> verify_entry(const CacheEntry& entry);

// The folder is gone at once, as far as others see.
void remove_entry(const CacheEntry& entry);

// What interrupted downloads left: temporary folders and locks whose process is gone,
// descriptors without a folder.
struct Leftover {
  std::string path;
  std::uint64_t bytes = 0;
};
std::vector<Leftover> find_leftovers(const std::string& cache_dir);

struct PruneOptions {
  std::optional<double> unused_days;       // entries not used for so long
  std::optional<std::uint64_t> max_bytes;  // the least recently used, until the rest is no more
};
// Entries to remove: damaged ones and those that the options say.
std::vector<CacheEntry> entries_to_prune(std::vector<CacheEntry> entries,
                                         const PruneOptions& options);

}  // namespace hub
