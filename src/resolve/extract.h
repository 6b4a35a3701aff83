#pragma once

// Tar archives, plain or compressed (gzip, bzip2, xz, zstd), unpacked while they arrive.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "resolve/byte_source.h"
#include "resolve/entry.h"

namespace hub {

struct ExtractOptions {
  // The sum of all files. Errors: RESOURCE_EXHAUSTED.
  std::uint64_t max_bytes = UINT64_MAX;
  std::uint64_t max_entries = 1'000'000;
  std::function<void()> on_piece = nullptr;  // after each piece that was written
  const FileSystem& files = file_system();
};

// Unpacks into `target`, a folder that exists, and gives what was written. Only regular files
// and folders; owners, permissions and times are not taken over.
// Errors: DATA_LOSS (kind decode) for what is no tar archive or is cut; of kind value for an
// entry of another type, or outside the target; those of `source` and of the file system.
Manifest extract_archive(ByteSource& source, const std::string& target,
                         const ExtractOptions& options = {});

// `relative` below `base`: leading slashes do not count, "." and ".." are resolved.
// Errors: of kind value where it leaves `base`.
std::string merge_relative_path(std::string_view base, std::string_view relative);

// True where the first bytes of a file say that it is a compressed file or a tar archive.
bool is_archive_file(const std::string& path);

}  // namespace hub
