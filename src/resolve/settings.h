#pragma once

// The one place that reads the environment and the config file for resolving.

#include <string>
#include <utility>
#include <vector>

#include "hub/resolver.h"

namespace hub {

// What a config file says: a setting a line, `#` begins a comment. See docs/caching.md.
struct ResolveConfig {
  // URLs that begin with the first are asked at the second, too, in this order.
  std::vector<std::pair<std::string, std::string>> mirrors;
  // Spellings of one module.
  std::vector<std::pair<std::string, std::string>> aliases;
  ResolveOptions defaults;
};

// Errors: of kind value, naming `path` and the line.
ResolveConfig parse_resolve_config(std::string_view text, std::string_view path);
// Of the options' file, or of the user's; nothing where there is none.
// Errors: also NOT_FOUND where the options, or TF1HUB_CONFIG, name a file that is not there.
ResolveConfig read_resolve_config(const ResolveOptions& options);

// The options with the environment and the config file in them. Errors: those of the config
// file; of kind value for a setting of the environment that makes no sense.
ResolveOptions complete_options(const ResolveOptions& options, const ResolveConfig& config);

// Where downloads are kept, of all who may say so, the strongest first.
struct CacheDirectoryChoice {
  std::string environment;  // TFHUB_CACHE_DIR
  std::string option;
  std::string fallback;
  std::string user_cache;  // XDG_CACHE_HOME, ~/.cache
};
// Empty where nobody says.
std::string choose_cache_directory(const CacheDirectoryChoice& choice);

}  // namespace hub
