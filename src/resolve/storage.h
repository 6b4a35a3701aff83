#pragma once

// Google's storage by its public HTTP interface: single objects, and folders of them.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/resolver.h"
#include "resolve/fetch.h"

namespace hub {

// The URL of "gs://bucket/path". Errors: of kind value for a handle without a bucket.
std::string storage_url(std::string_view handle, const NetworkOptions& options);

struct StorageObject {
  std::string name;
  std::uint64_t size = 0;
};
struct StorageListing {
  std::vector<StorageObject> objects;
  std::string next;  // not empty: there is more
};
// Errors: DATA_LOSS (kind decode) for a text that is no listing.
StorageListing parse_storage_listing(std::string_view xml);

// Downloads all objects below "gs://bucket/path/". Errors: NOT_FOUND of kind io where there are
// none; RESOURCE_EXHAUSTED for more than `limit` bytes; those of HttpSource.
Downloaded fetch_storage_folder(const std::string& handle, const ResolveOptions& options,
                                const std::string& folder, std::uint64_t limit,
                                ProgressReport& progress, const std::function<void()>& beat);

}  // namespace hub
