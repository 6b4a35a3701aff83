#pragma once

// From a place into the cache.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "hub/resolver.h"
#include "resolve/atomic_download.h"
#include "resolve/byte_source.h"
#include "resolve/handle_names.h"
#include "resolve/http_source.h"

namespace hub {

// "<cache>/<sha1 of the handle>".
std::string cache_entry_path(std::string_view cache_dir, std::string_view handle);

// The first spelling of the handle that is whole in the cache, or in that of Kaggle's own tool.
std::optional<std::string> find_cached(std::string_view handle, const ResolveOptions& options);

// Tells who waits what there is of a download. Costs nothing where nobody asked.
class ProgressReport {
 public:
  ProgressReport(std::string handle, const ResolveOptions& options);
  void waiting(const std::string& lock_contents);
  void received(std::uint64_t bytes, std::optional<std::uint64_t> total);
  void done();

 private:
  void report(DownloadProgress progress);

  std::string handle_;
  std::function<void(const DownloadProgress&)> callback_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point last_report_;
  // The rate is that of the last seconds.
  std::chrono::steady_clock::time_point rate_begin_;
  std::uint64_t rate_bytes_ = 0;
  double rate_ = 0;
  std::uint64_t bytes_ = 0;
  std::optional<std::uint64_t> total_;
};

// Fills a folder of the cache; `limit` is how many bytes there may be.
using FetchFunction =
    std::function<Downloaded(const std::string& folder, std::uint64_t limit,
                             ProgressReport& progress, const std::function<void()>& beat)>;

// The handle's folder in the cache, filled where it is not there. Errors: UNAVAILABLE (kind io)
// where it is not there and the options say offline, unless `is_local`; those of `fetch`.
std::string fetch_into_cache(const std::string& handle, const ResolveOptions& options,
                             const FetchFunction& fetch, bool is_local = false);

// Unpacks the archive of one of the places, the first that gives one. Errors: those of the
// handle's own place, with what the others said.
Downloaded fetch_archive(const std::string& handle, const std::vector<Place>& places,
                         const ResolveOptions& options, const std::string& folder,
                         std::uint64_t limit, ProgressReport& progress,
                         const std::function<void()>& beat);

// The error of what cannot be fetched because the options say so.
Error offline_error(std::string_view handle);

}  // namespace hub
