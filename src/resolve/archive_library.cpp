#include "resolve/archive_library.h"

namespace hub {
namespace {

ArchiveLibrary load_library() {
  const SharedLibrary library("libarchive.so.13", "libarchive13");
  ArchiveLibrary api = {};
  library.load(api.read_new, "archive_read_new");
  library.load(api.read_free, "archive_read_free");
  library.load(api.support_bzip2, "archive_read_support_filter_bzip2");
  library.load(api.support_xz, "archive_read_support_filter_xz");
  library.load(api.support_zstd, "archive_read_support_filter_zstd");
  library.load(api.support_tar, "archive_read_support_format_tar");
  library.load(api.set_format_option, "archive_read_set_format_option");
  library.load(api.open, "archive_read_open");
  library.load(api.next_header, "archive_read_next_header");
  library.load(api.data, "archive_read_data");
  library.load(api.set_error, "archive_set_error");
  library.load(api.error_string, "archive_error_string");
  library.load(api.pathname, "archive_entry_pathname");
  library.load(api.pathname_utf8, "archive_entry_pathname_utf8");
  library.load(api.hardlink, "archive_entry_hardlink");
  library.load(api.filetype, "archive_entry_filetype");
  library.load(api.size, "archive_entry_size");
  return api;
}

}  // namespace

const ArchiveLibrary& archive_library() {
  static const ArchiveLibrary kLibrary = load_library();
  return kLibrary;
}

}  // namespace hub
