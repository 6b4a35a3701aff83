#include "resolve/settings.h"

#include <cstdlib>
#include <optional>

#include "base/errors.h"
#include "base/file.h"

namespace hub {
namespace {

// The value of an environment variable; empty where it is not set.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// "XDG_CACHE_HOME", or the folder of this name in the user's home; empty without a home.
std::string user_folder(const char* variable, std::string_view below_home) {
  std::string folder = environment(variable);
  // The XDG rules say that relative paths do not count.
  if (folder.starts_with('/')) return folder;
  const std::string home = environment("HOME");
  return home.empty() ? std::string() : cat(home, "/", below_home);
}

std::optional<LoadFormat> parse_load_format(std::string_view text) {
  if (text == "AUTO") return LoadFormat::kAuto;
  if (text == "COMPRESSED") return LoadFormat::kCompressed;
  if (text == "UNCOMPRESSED") return LoadFormat::kUncompressed;
  return std::nullopt;
}

std::optional<bool> parse_bool(std::string_view text) {
  if (text == "1" || text == "true" || text == "yes" || text == "on") return true;
  if (text == "0" || text == "false" || text == "no" || text == "off") return false;
  return std::nullopt;
}

std::optional<double> parse_seconds(std::string_view text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  return whole && value >= 0 && value < 1e9 ? std::optional(value) : std::nullopt;
}

std::optional<int> parse_count(std::string_view text) {
  int value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  return whole && value >= 0 && value <= 1000 ? std::optional(value) : std::nullopt;
}

// "key rest": the first word of a line and what follows it.
std::pair<std::string_view, std::string_view> split_word(std::string_view line) {
  line = trim(line);
  const std::size_t end = line.find_first_of(" \t");
  if (end == std::string_view::npos) return {line, {}};
  return {line.substr(0, end), trim(line.substr(end))};
}

template <class T>
bool set(T& target, const std::optional<T>& value) {
  if (value) target = *value;
  return value.has_value();
}

// False for a value that makes no sense.
using ApplySetting = bool (*)(ResolveOptions& options, std::string_view value);

bool set_text(std::string& target, std::string_view value) {
  target = value;
  return !value.empty();
}

// "FROM TO".
bool add_pair(std::vector<std::pair<std::string, std::string>>& pairs, std::string_view value) {
  const auto [from, to] = split_word(value);
  if (from.empty() || to.empty() || to.find_first_of(" \t") != to.npos) return false;
  pairs.emplace_back(from, to);
  return true;
}

struct Setting {
  std::string_view key;
  ApplySetting apply;
};
constexpr Setting kSettings[] = {
    {"mirror", [](auto& options, auto value) { return add_pair(options.mirrors, value); }},
    {"alias", [](auto& options, auto value) { return add_pair(options.aliases, value); }},
    {"cache_dir", [](auto& options, auto value) { return set_text(options.cache_dir, value); }},
    {"load_format",
     [](auto& options, auto value) { return set(options.load_format, parse_load_format(value)); }},
    {"offline", [](auto& options, auto value) { return set(options.offline, parse_bool(value)); }},
    {"lock_timeout",
     [](auto& options, auto value) {
       return set(options.lock_timeout_seconds, parse_seconds(value));
     }},
    {"proxy", [](auto& options, auto value) { return set_text(options.network.proxy, value); }},
    {"ca_file", [](auto& options, auto value) { return set_text(options.network.ca_file, value); }},
    {"netrc_file",
     [](auto& options, auto value) { return set_text(options.network.netrc_file, value); }},
    {"connect_timeout",
     [](auto& options, auto value) {
       return set(options.network.connect_timeout_seconds, parse_seconds(value));
     }},
    {"stall_timeout",
     [](auto& options, auto value) {
       return set(options.network.stall_timeout_seconds, parse_seconds(value));
     }},
    {"retries",
     [](auto& options, auto value) { return set(options.network.retries, parse_count(value)); }},
    {"retry_wait",
     [](auto& options, auto value) {
       return set(options.network.retry_wait_seconds, parse_seconds(value));
     }},
    {"storage_endpoint",
     [](auto& options, auto value) { return set_text(options.network.storage_endpoint, value); }},
};

// False where the line makes no sense.
bool apply_setting(ResolveOptions& options, std::string_view key, std::string_view value) {
  for (const Setting& setting : kSettings) {
    if (setting.key == key) return setting.apply(options, value);
  }
  return false;
}

// Takes from the config file what the caller left as it is by default.
void take_defaults(ResolveOptions& options, const ResolveOptions& config) {
  const ResolveOptions untouched;
  const auto take = [&](auto member) {
    if (options.*member == untouched.*member) options.*member = config.*member;
  };
  const auto take_network = [&](auto member) {
    if (options.network.*member == untouched.network.*member) {
      options.network.*member = config.network.*member;
    }
  };
  take(&ResolveOptions::cache_dir);
  take(&ResolveOptions::load_format);
  take(&ResolveOptions::offline);
  take(&ResolveOptions::lock_timeout_seconds);
  take_network(&NetworkOptions::proxy);
  take_network(&NetworkOptions::ca_file);
  take_network(&NetworkOptions::netrc_file);
  take_network(&NetworkOptions::connect_timeout_seconds);
  take_network(&NetworkOptions::stall_timeout_seconds);
  take_network(&NetworkOptions::retries);
  take_network(&NetworkOptions::retry_wait_seconds);
  take_network(&NetworkOptions::storage_endpoint);
  const auto append = [](auto& list, const auto& more) {
    list.insert(list.end(), more.begin(), more.end());
  };
  append(options.mirrors, config.mirrors);
  append(options.aliases, config.aliases);
}

ResolveOptions read_config(const ResolveOptions& options) {
  std::string path =
      options.config_file.empty() ? environment("TF1HUB_CONFIG") : options.config_file;
  if (path.empty()) {
    const std::string folder = user_folder("XDG_CONFIG_HOME", ".config");
    path = cat(folder, "/tf1hub/config");
    if (folder.empty() || !path_exists(path)) return {};
  }
  return parse_resolve_config(read_file(path), path);
}

}  // namespace

ResolveOptions parse_resolve_config(std::string_view text, std::string_view path) {
  ResolveOptions config;
  int number = 0;
  for (const std::string& whole : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(std::string_view(whole).substr(0, whole.find('#')));
    if (line.empty()) continue;
    const auto [key, value] = split_word(line);
    if (!apply_setting(config, key, value)) {
      throw value_error("A line of the config file makes no sense. Details: ", path, ", line ",
                        number, ": \"", printable(line), "\".");
    }
  }
  return config;
}

ResolveOptions complete_options(const ResolveOptions& options) {
  ResolveOptions complete = options;
  take_defaults(complete, read_config(options));
  complete.cache_dir = without_file_scheme(
      choose_cache_directory({.environment = environment("TFHUB_CACHE_DIR"),
                              .option = complete.cache_dir,
                              .fallback = {},
                              .user_cache = user_folder("XDG_CACHE_HOME", ".cache")}));
  const std::string format = environment("TFHUB_MODEL_LOAD_FORMAT");
  if (!format.empty() && !set(complete.load_format, parse_load_format(format))) {
    throw value_error(
        "TFHUB_MODEL_LOAD_FORMAT must be COMPRESSED, UNCOMPRESSED or AUTO. Details: it is \"",
        printable(format), "\".");
  }
  const std::string offline = environment("TF1HUB_OFFLINE");
  if (!offline.empty() && parse_bool(offline).value_or(true)) complete.offline = true;
  if (environment("TFHUB_DISABLE_CERT_VALIDATION") == "true") {
    complete.network.verify_certificates = false;
  }
  if (complete.network.ca_file.empty()) complete.network.ca_file = environment("SSL_CERT_FILE");
  // As Google's own libraries do; a host without a scheme is one on this machine.
  const std::string emulator = environment("STORAGE_EMULATOR_HOST");
  if (!emulator.empty()) {
    const bool has_scheme = emulator.find("://") != std::string::npos;
    complete.network.storage_endpoint = has_scheme ? emulator : cat("http://", emulator);
  }
  return complete;
}

std::string kagglehub_cache() {
  std::string folder = environment("KAGGLEHUB_CACHE");
  if (!folder.empty()) return folder;
  const std::string home = environment("HOME");
  return home.empty() ? std::string() : home + "/.cache/kagglehub";
}

std::string choose_cache_directory(const CacheDirectoryChoice& choice) {
  for (const std::string* folder : {&choice.environment, &choice.option, &choice.fallback}) {
    if (!folder->empty()) return *folder;
  }
  return choice.user_cache.empty() ? std::string() : cat(choice.user_cache, "/tf1hub/modules");
}

}  // namespace hub
