#pragma once

// The one place that reads the environment and the config file for resolving.

#include <string>
#include <string_view>

#include "hub/resolver.h"

namespace hub {

// What a config file says: a setting a line, `#` begins a comment. See docs/caching.md.
// Errors: of kind value, naming `path` and the line.
ResolveOptions parse_resolve_config(std::string_view text, std::string_view path);

// The options with the environment and the config file in them: the options' own, or the user's.
// Errors: those of the config file; NOT_FOUND where the options, or TF1HUB_CONFIG, name a file
// that is not there; of kind value for a setting of the environment that makes no sense.
ResolveOptions complete_options(const ResolveOptions& options);

// Where downloads are kept, of all who may say so, the strongest first.
struct CacheDirectoryChoice {
  std::string environment;  // TFHUB_CACHE_DIR
  std::string option;
  std::string fallback;
  std::string user_cache;  // XDG_CACHE_HOME, ~/.cache
};
// Empty where nobody says.
std::string choose_cache_directory(const CacheDirectoryChoice& choice);

// Where Kaggle's own tool keeps models: KAGGLEHUB_CACHE, else kagglehub in the user's cache
// folder; empty where there is none.
std::string kagglehub_cache();

}  // namespace hub
