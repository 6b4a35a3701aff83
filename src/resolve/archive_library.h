#pragma once

// The functions of libarchive that are used; loaded with the first call.

#include <archive.h>
#include <archive_entry.h>

#include "resolve/shared_library.h"

namespace hub {

struct ArchiveLibrary {
  decltype(&archive_read_new) read_new;
  decltype(&archive_read_free) read_free;
  decltype(&archive_read_support_filter_bzip2) support_bzip2;
  decltype(&archive_read_support_filter_xz) support_xz;
  decltype(&archive_read_support_filter_zstd) support_zstd;
  decltype(&archive_read_support_format_tar) support_tar;
  decltype(&archive_read_set_format_option) set_format_option;
  decltype(&archive_read_open) open;
  decltype(&archive_read_next_header) next_header;
  decltype(&archive_read_data) data;
  decltype(&archive_set_error) set_error;
  decltype(&archive_error_string) error_string;
  decltype(&archive_entry_pathname) pathname;
  decltype(&archive_entry_pathname_utf8) pathname_utf8;
  decltype(&archive_entry_hardlink) hardlink;
  decltype(&archive_entry_filetype) filetype;
  decltype(&archive_entry_size) size;
};

// Errors: UNIMPLEMENTED where there is no libarchive.
const ArchiveLibrary& archive_library();

}  // namespace hub
