#include "resolve/remote.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "base/errors.h"
#include "resolve/extract.h"
#include "resolve/fetch.h"
#include "resolve/local.h"
#include "resolve/storage.h"

namespace hub {
namespace {

// The cache key of a file: another file under the same name is another module.
std::string file_identity(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) throw errno_error(errno, "Looking at", path);
  std::error_code error;
  const std::string full = std::filesystem::canonical(path, error).string();
  return cat("file://", error ? path : full, "#", static_cast<std::int64_t>(status.st_size), "-",
             static_cast<std::int64_t>(status.st_mtim.tv_sec), ".",
             static_cast<std::int64_t>(status.st_mtim.tv_nsec));
}

std::string fetch_places(const std::string& handle, const std::vector<Place>& places,
                         const ResolveOptions& options, bool is_local = false) {
  return fetch_into_cache(
      handle, options,
      [&](const std::string& folder, std::uint64_t limit, ProgressReport& progress,
          const std::function<void()>& beat) {
        return fetch_archive(handle, places, options, folder, limit, progress, beat);
      },
      is_local);
}

class LocalArchiveResolver final : public Resolver {
 public:
  std::string name() const override { return "LocalArchiveResolver"; }
  bool supports(std::string_view handle, const ResolveOptions&) const override {
    return has_archive_suffix(handle) && is_archive_file(local_path(handle));
  }
  std::string resolve(std::string_view handle, const ResolveOptions& options) const override {
    const std::string path = local_path(handle);
    return fetch_places(file_identity(path), {{path, false}}, options, true);
  }
};

// Of a mirror in a folder of this machine: the module's folder, or its archive.
std::optional<std::string> local_mirror(const Place& place) {
  const std::string path = local_path(place.location);
  for (const char* suffix : {"", ".tar.gz", ".tgz", ".tar"}) {
    if (path_exists(path + suffix)) return path + suffix;
  }
  return std::nullopt;
}

class HttpCompressedResolver final : public Resolver {
 public:
  std::string name() const override { return "HttpCompressedFileResolver"; }
  bool supports(std::string_view handle, const ResolveOptions& options) const override {
    if (is_http(handle)) return options.load_format != LoadFormat::kUncompressed;
    return !handle.starts_with('/') && parse_kaggle(handle) && !path_exists(std::string(handle));
  }
  std::string resolve(std::string_view handle, const ResolveOptions& options) const override {
    if (auto cached = find_cached(handle, options)) return *cached;
    std::vector<Place> places;
    for (const Place& place : places_of(handle, options)) {
      if (is_http(place.location)) {
        places.push_back(place);
      } else if (const auto path = local_mirror(place)) {
        if (!is_archive_file(*path)) return *path;
        return fetch_places(std::string(handle), {{*path, true}}, options, true);
      }
    }
    return fetch_places(std::string(handle), places, options);
  }
};

class HttpUncompressedResolver final : public Resolver {
 public:
  std::string name() const override { return "HttpUncompressedFileResolver"; }
  bool supports(std::string_view handle, const ResolveOptions& options) const override {
    return is_http(handle) && options.load_format == LoadFormat::kUncompressed;
  }
  std::string resolve(std::string_view handle, const ResolveOptions& options) const override {
    if (options.offline) {
      if (auto cached = find_cached(handle, options)) return *cached;
      throw Error(offline_error(handle));
    }
    const HttpAnswer answer =
        http_get(append_query(handle, "tf-hub-format", "uncompressed"), options.network, nullptr);
    constexpr int kSeeOther = 303;
    if (answer.status != kSeeOther) {
      throw value_error("Expected 303 See other HTTP response but received code ", answer.status);
    }
    const std::string location(trim(answer.body));
    if (!is_storage(location)) {
      throw value_error("Expected server to return a GCS location but received ",
                        printable(location, 4096));
    }
    return storage_folder_resolver()->resolve(location, options);
  }
};

class StorageArchiveResolver final : public Resolver {
 public:
  std::string name() const override { return "GcsCompressedFileResolver"; }
  bool supports(std::string_view handle, const ResolveOptions&) const override {
    return is_storage(handle) && has_archive_suffix(handle);
  }
  std::string resolve(std::string_view handle, const ResolveOptions& options) const override {
    return fetch_places(std::string(handle), {{storage_url(handle, options.network), false}},
                        options);
  }
};

class StorageFolderResolver final : public Resolver {
 public:
  std::string name() const override { return "GcsFolderResolver"; }
  bool supports(std::string_view handle, const ResolveOptions&) const override {
    return is_storage(handle) && !has_archive_suffix(handle);
  }
  std::string resolve(std::string_view handle, const ResolveOptions& options) const override {
    return fetch_into_cache(std::string(handle), options,
                            [&](const std::string& folder, std::uint64_t limit,
                                ProgressReport& progress, const std::function<void()>& beat) {
                              return fetch_storage_folder(std::string(handle), options, folder,
                                                          limit, progress, beat);
                            });
  }
};

}  // namespace

std::shared_ptr<const Resolver> local_archive_resolver() {
  return std::make_shared<LocalArchiveResolver>();
}
std::shared_ptr<const Resolver> http_compressed_resolver() {
  return std::make_shared<HttpCompressedResolver>();
}
std::shared_ptr<const Resolver> http_uncompressed_resolver() {
  return std::make_shared<HttpUncompressedResolver>();
}
std::shared_ptr<const Resolver> storage_archive_resolver() {
  return std::make_shared<StorageArchiveResolver>();
}
std::shared_ptr<const Resolver> storage_folder_resolver() {
  return std::make_shared<StorageFolderResolver>();
}

}  // namespace hub
