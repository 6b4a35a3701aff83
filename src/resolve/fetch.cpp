#include "resolve/fetch.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstdlib>

#include "base/errors.h"
#include "resolve/digest.h"
#include "resolve/extract.h"
#include "resolve/settings.h"

namespace hub {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr Seconds kReportInterval{0.2};
constexpr Seconds kRateInterval{1};
constexpr double kRateMemory = 0.6;  // how much of the rate so far goes into the next one
// So much of a disk stays free.
constexpr std::uint64_t kReserve = std::uint64_t{64} << 20;

std::uint64_t free_bytes(const std::string& directory) {
  struct statvfs status = {};
  if (::statvfs(directory.c_str(), &status) != 0) throw errno_error(errno, "Looking at", directory);
  const std::uint64_t free = std::uint64_t{status.f_bavail} * status.f_frsize;
  return free > kReserve ? free - kReserve : 0;
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Seconds(seconds));
}

Error no_module_error(const std::string& handle, std::string_view reason) {
  return io_error(ErrorCode::kDataLoss, printable(handle, 4096),
                  " does not appear to be a valid module. Details: ", reason);
}

Downloaded unpack_url(const std::string& handle, const std::string& url,
                      const ResolveOptions& options, const std::string& folder, std::uint64_t limit,
                      ProgressReport& progress, const std::function<void()>& beat) {
  HttpSource* open = nullptr;
  HttpSource source(url, options.network, [&] {
    beat();
    if (open != nullptr) progress.received(open->received(), open->total());
  });
  open = &source;
  try {
    Manifest manifest = extract_archive(source, folder, {.max_bytes = limit, .on_piece = beat});
    progress.received(source.received(), source.total());
    return {source.final_url(), std::move(manifest)};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo || error.code() != ErrorCode::kDataLoss) throw;
    if (source.is_html()) {
      throw no_module_error(
          handle, cat("the server answered with a page for people, perhaps to sign in or to accept "
                      "a licence: ",
                      printable(source.final_url(), 4096), "."));
    }
    throw no_module_error(handle, cat(error.message(), " ", printable(source.final_url(), 4096)));
  }
}

Downloaded unpack_file(const std::string& handle, const std::string& path,
                       const std::string& folder, std::uint64_t limit, ProgressReport& progress,
                       const std::function<void()>& beat) {
  FileSource source(path);
  try {
    Manifest manifest =
        extract_archive(source, folder, {.max_bytes = limit, .on_piece = [&] {
                                           beat();
                                           progress.received(source.position(), source.size());
                                         }});
    return {cat("file://", path), std::move(manifest)};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo || error.code() != ErrorCode::kDataLoss) throw;
    throw no_module_error(handle, cat(error.message(), " ", path));
  }
}

void empty_folder(const std::string& folder) {
  for (const std::string& name : list_directory(folder)) {
    file_system().remove_all(cat(folder, "/", name));
  }
}

}  // namespace

std::string cache_entry_path(std::string_view cache_dir, std::string_view handle) {
  return cat(cache_dir, cache_dir.ends_with('/') ? "" : "/", sha1_hex(handle));
}

std::optional<std::string> find_cached(std::string_view handle, const ResolveOptions& options) {
  const auto whole = [](const std::string& path) {
    return check_entry(path).state == EntryState::kComplete;
  };
  for (const std::string& spelling : spellings_of(handle, options)) {
    std::string path = cache_entry_path(options.cache_dir, spelling);
    if (!options.cache_dir.empty() && whole(path)) {
      mark_used(path);
      return path;
    }
    const auto model = parse_kaggle(spelling);
    const std::string kagglehub = kagglehub_cache();
    if (!model || model->version.empty() || kagglehub.empty()) continue;
    path = cat(kagglehub, "/models/", spelling);
    // Kaggle's tool marks what is whole.
    if (path_exists(path + ".complete") && whole(path)) return path;
  }
  return std::nullopt;
}

ProgressReport::ProgressReport(std::string handle, const ResolveOptions& options)
    : handle_(std::move(handle)),
      callback_(options.progress),
      begin_(Clock::now()),
      rate_begin_(begin_) {}

void ProgressReport::report(DownloadProgress progress) {
  last_report_ = Clock::now();
  progress.handle = handle_;
  callback_(progress);
}

void ProgressReport::waiting(const std::string& lock_contents) {
  if (!callback_ || Clock::now() - last_report_ < kReportInterval) return;
  report({.waiting_for = describe_lock_owner(lock_contents)});
}

void ProgressReport::received(std::uint64_t bytes, std::optional<std::uint64_t> total) {
  if (!callback_) return;
  bytes_ = bytes;
  total_ = total;
  const auto now = Clock::now();
  if (now - last_report_ < kReportInterval) return;
  const Seconds span = now - rate_begin_;
  if (span >= kRateInterval || rate_ == 0) {
    const double rate = static_cast<double>(bytes - std::min(bytes, rate_bytes_)) / span.count();
    rate_ = rate_ == 0 ? rate : kRateMemory * rate_ + (1 - kRateMemory) * rate;
    rate_begin_ = now;
    rate_bytes_ = bytes;
  }
  DownloadProgress progress{
      .received_bytes = bytes, .total_bytes = total, .bytes_per_second = rate_};
  if (total && rate_ > 0 && *total >= bytes) {
    progress.seconds_left = static_cast<double>(*total - bytes) / rate_;
  }
  report(std::move(progress));
}

void ProgressReport::done() {
  if (!callback_) return;
  const Seconds took = Clock::now() - begin_;
  report({.received_bytes = bytes_,
          .total_bytes = total_,
          .bytes_per_second = static_cast<double>(bytes_) / std::max(took.count(), 1e-3),
          .seconds_left = 0,
          .done = true});
}

Error offline_error(std::string_view handle) {
  return io_error(ErrorCode::kUnavailable,
                  "The module is not in the cache, and the network is not to be used (offline, "
                  "TF1HUB_OFFLINE). Details: ",
                  printable(handle, 4096), ".");
}

std::string fetch_into_cache(const std::string& handle, const ResolveOptions& options,
                             const FetchFunction& fetch, bool is_local) {
  if (options.cache_dir.empty()) {
    throw value_error(
        "There is no place for downloads: set TFHUB_CACHE_DIR, XDG_CACHE_HOME or HOME.");
  }
  if (options.cache_dir.find("://") != std::string::npos) {
    throw value_error("The cache must be a folder of this machine. Details: it is \"",
                      printable(options.cache_dir), "\".");
  }
  std::string module_dir = cache_entry_path(options.cache_dir, handle);
  const EntryCheck check = check_entry(module_dir);
  if (check.state == EntryState::kComplete) {
    mark_used(module_dir);
    return module_dir;
  }
  if (options.offline && !is_local) {
    Error error = offline_error(handle);
    if (check.state == EntryState::kDamaged) {
      error.add_context(cat("where its folder is damaged: ", check.problem, " in ", module_dir));
    }
    throw Error(error);
  }
  file_system().create_directories(options.cache_dir);
  ProgressReport progress(handle, options);
  const DownloadFunction download = [&](const std::string&, const std::string& folder,
                                        Heartbeat& heartbeat) {
    const std::uint64_t limit =
        options.max_unpacked_bytes > 0 ? options.max_unpacked_bytes : free_bytes(options.cache_dir);
    Downloaded downloaded = fetch(folder, limit, progress, [&] { heartbeat.beat(); });
    progress.done();
    return downloaded;
  };
  return with_context(
      [&] {
        return atomic_download(
            handle, download, module_dir,
            {.lock_timeout = milliseconds(options.lock_timeout_seconds),
             .on_wait = [&](const std::string& contents) { progress.waiting(contents); }});
      },
      [&] { return cat("while resolving \"", printable(handle, 4096), "\""); });
}

Downloaded fetch_archive(const std::string& handle, const std::vector<Place>& places,
                         const ResolveOptions& options, const std::string& folder,
                         std::uint64_t limit, ProgressReport& progress,
                         const std::function<void()>& beat) {
  std::optional<Error> own;  // of the handle's own place, else of the first
  std::vector<std::string> others;
  bool own_is_mirror = false;
  for (const Place& place : places) {
    try {
      empty_folder(folder);
      if (is_http(place.location)) {
        return unpack_url(handle, place.location, options, folder, limit, progress, beat);
      }
      return unpack_file(handle, place.location, folder, limit, progress, beat);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCancelled) throw;
      if (!own || (own_is_mirror && !place.is_mirror)) {
        if (own) others.push_back(own->message());
        own = error;
        own_is_mirror = place.is_mirror;
      } else {
        others.push_back(error.message());
      }
    }
  }
  if (!own) throw not_found("No place is known for ", printable(handle, 4096), ".");
  for (const std::string& other : others) own->add_context(cat("also asked: ", other));
  throw Error(*own);
}

}  // namespace hub
