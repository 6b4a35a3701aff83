#pragma once

// Handles: what a module is called, turned into a folder on this machine.
//
// A handle is a path, an archive (.tar, .tar.gz, .tgz), or a URL: file://, http(s)://, gs://.
// Archives are unpacked and downloads kept in the cache (docs/caching.md).

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hub/export.h"

namespace hub {

class ResolverRegistry;

// How http(s) handles are fetched: as an archive into the cache (kAuto too), or as a location
// in storage that the server names.
enum class LoadFormat : std::uint8_t { kAuto, kCompressed, kUncompressed };

// What is known of a download that is under way.
struct DownloadProgress {
  std::string handle;
  std::uint64_t received_bytes = 0;
  std::optional<std::uint64_t> total_bytes;  // where the server said so
  double bytes_per_second = 0;
  std::optional<double> seconds_left;
  bool done = false;
  // Not empty: another process downloads the module; who holds the lock ("host (PID 12)").
  std::string waiting_for;
};

struct NetworkOptions {
  // Empty: as http_proxy, https_proxy, all_proxy and no_proxy say.
  std::string proxy;
  // A file of certificates to trust (PEM). Empty: SSL_CERT_FILE, else the system's.
  std::string ca_file;
  // False as well where TFHUB_DISABLE_CERT_VALIDATION is "true".
  bool verify_certificates = true;
  // Logins by host. Empty: ~/.netrc, where there is one.
  std::string netrc_file;
  double connect_timeout_seconds = 30;
  // A transfer that brings nothing for so long is broken off (and tried again).
  double stall_timeout_seconds = 60;
  // How often a transfer that broke off, or a server that is busy, is tried again; what has
  // arrived is kept where the server can go on in the middle.
  int retries = 4;
  // Before the first of these; twice as long before each further one.
  double retry_wait_seconds = 1;
  int max_redirects = 10;
  // Where gs:// is read by HTTP. STORAGE_EMULATOR_HOST is stronger.
  std::string storage_endpoint = "https://storage.googleapis.com";
};

struct ResolveOptions {
  // Where downloads are kept. TFHUB_CACHE_DIR is stronger; where neither says: cache_dir in
  // the config file, else tf1hub/modules in the user's cache folder (XDG_CACHE_HOME, ~/.cache).
  std::string cache_dir = {};
  // TFHUB_MODEL_LOAD_FORMAT is stronger.
  LoadFormat load_format = LoadFormat::kAuto;
  // True as well where TF1HUB_OFFLINE is set: only what is in the cache is found.
  bool offline = false;
  // Mirrors, aliases and settings. Empty: TF1HUB_CONFIG, else tf1hub/config in the user's
  // folder for configuration, where there is one.
  std::string config_file = {};
  // Null: ResolverRegistry::standard().
  std::shared_ptr<const ResolverRegistry> registry = nullptr;
  // Called from the resolving thread, some times a second. An exception ends the download,
  // which leaves nothing behind, and reaches the caller of resolve().
  std::function<void(const DownloadProgress&)> progress = nullptr;
  // A lock whose holder shows no life for so long, twice, is taken over.
  double lock_timeout_seconds = 600;
  // Archives that unpack to more are refused. 0: what is free where the cache is.
  std::uint64_t max_unpacked_bytes = 0;
  // URLs that begin with the first are asked at the second before: a URL, or a folder of this
  // machine that holds folders or archives by the rest of the URL. Those of the config file
  // come after.
  std::vector<std::pair<std::string, std::string>> mirrors = {};
  // Pairs of handles that are spellings of one module. Those of the config file come after.
  std::vector<std::pair<std::string, std::string>> aliases = {};
  NetworkOptions network = {};
};

// One way of turning handles into paths. Any thread may call it.
class HUB_EXPORT Resolver {
 public:
  virtual ~Resolver();
  // For messages.
  virtual std::string name() const = 0;
  virtual bool supports(std::string_view handle, const ResolveOptions& options) const = 0;
  // The path. `options` are complete: environment and config file are in them.
  virtual std::string resolve(std::string_view handle, const ResolveOptions& options) const = 0;
};

// A resolver of two functions.
HUB_EXPORT std::shared_ptr<const Resolver> make_resolver(
    std::string name,
    std::function<bool(std::string_view handle, const ResolveOptions& options)> supports,
    std::function<std::string(std::string_view handle, const ResolveOptions& options)> resolve);

// The ways of resolving, a value: the one registered last that supports a handle is asked.
class HUB_EXPORT ResolverRegistry {
 public:
  // Of messages: "Missing implementation that supports: NAME(...)".
  explicit ResolverRegistry(std::string name = "resolver");

  // Paths, local archives, http(s) uncompressed, gs:// archives, http(s) archives.
  static ResolverRegistry standard();

  void add(std::shared_ptr<const Resolver> resolver);
  void clear();
  // Errors: of kind runtime where no resolver supports the handle; those of the resolver.
  std::string resolve(std::string_view handle, const ResolveOptions& options) const;

 private:
  std::string name_;
  std::vector<std::shared_ptr<const Resolver>> resolvers_;
};

// The path of the module that a handle names: a folder, or a file for a frozen graph. A module
// that is in the cache costs no network and no lock. Any thread, and any process, may resolve
// the same handle at the same time.
// Errors: of kind io and NOT_FOUND where there is nothing at the handle, UNAVAILABLE where a
// server cannot be reached or the options say offline, PERMISSION_DENIED and UNAUTHENTICATED
// as servers say, DATA_LOSS for an answer that is no archive; of kind value for archives with
// entries that leave their folder and for settings that make no sense; RESOURCE_EXHAUSTED for
// archives that are too large; those of the file system.
HUB_EXPORT std::string resolve(std::string_view handle, const ResolveOptions& options = {});

}  // namespace hub
