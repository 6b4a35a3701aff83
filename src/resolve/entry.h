#pragma once

// One module in the cache. Its folder D is named by the SHA-1 of its handle; beside it may be
//
//   D.descriptor.txt   what it is, and the manifest: three lines of text as the original library
//                      writes them, then those of Descriptor
//   D.lock             somebody downloads it; holds "<host>.<pid>.<uid>"
//   D.<uid>.tmp        what that somebody has got so far
//
// D appears by renaming, when it is whole.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace hub {

struct ManifestFile {
  std::string path;  // relative, with '/'
  std::uint64_t size = 0;
  std::string sha256;
  bool operator==(const ManifestFile&) const = default;
};
using Manifest = std::vector<ManifestFile>;

struct Descriptor {
  std::string handle;
  std::string download_time;  // local, "2024-05-01 12:00:00"
  std::string downloader;     // "host (PID:12)"
  std::string source;         // the URL that gave the bytes; empty: not known
  // None where the original library wrote the descriptor.
  std::optional<Manifest> manifest;
};

std::string serialize_descriptor(const Descriptor& descriptor);
// Unknown lines are skipped. Errors: DATA_LOSS for a manifest that is cut or makes no sense.
Descriptor parse_descriptor(std::string_view text);

std::string descriptor_filename(std::string_view module_dir);
std::string lock_filename(std::string_view module_dir);
std::string temporary_folder_name(std::string_view module_dir, std::string_view uid);

// "<host>.<pid>.<uid>".
std::string lock_contents(std::string_view uid);
struct LockOwner {
  std::string host;
  std::int64_t pid = 0;
  std::string uid;
};
// Nothing where it is no such text.
std::optional<LockOwner> parse_lock_contents(std::string_view contents);
// "host (PID 12)", or the text itself.
std::string describe_lock_owner(std::string_view contents);

// The bytes of all files below; 0 where there is no such folder.
std::uint64_t directory_size(const std::string& directory);
// Of the temporary folder of who holds the lock. Errors: NOT_FOUND where there is no lock; of
// kind value for a name that does not end in ".lock".
std::uint64_t temporary_size_of_lock(const std::string& lock);

enum class EntryState { kAbsent, kDamaged, kComplete };
struct EntryCheck {
  EntryState state = EntryState::kAbsent;
  std::string problem;  // of a damaged one: which file is missing, or has another size
};
// Looks at the names and sizes of the files that the manifest lists; without a manifest, at
// whether something is there and no model's folder is without its graph.
EntryCheck check_entry(const std::string& module_dir);

// Notes, once a day and where it may, that the module was used.
void mark_used(const std::string& module_dir);

// Paths, sizes and hashes of what is below a folder.
Manifest make_manifest(const std::string& directory);

// This machine's name.
std::string host_name();

}  // namespace hub
