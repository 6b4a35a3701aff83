#pragma once

// Handles that name something on a server, or an archive.

#include <memory>

#include "hub/resolver.h"

namespace hub {

// A .tar, .tar.gz or .tgz file of this machine.
std::shared_ptr<const Resolver> local_archive_resolver();
// http(s) URLs and models at Kaggle, as archives.
std::shared_ptr<const Resolver> http_compressed_resolver();
// http(s) URLs, whose server names a folder in storage (gs://).
std::shared_ptr<const Resolver> http_uncompressed_resolver();
// gs:// URLs of archives, and of folders.
std::shared_ptr<const Resolver> storage_archive_resolver();
std::shared_ptr<const Resolver> storage_folder_resolver();

}  // namespace hub
