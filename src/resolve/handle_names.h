#pragma once

// Handles as text: their kinds, the spellings of one module, and where to ask for it.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/resolver.h"

namespace hub {

bool is_http(std::string_view handle);
bool is_storage(std::string_view handle);  // gs://
// ".tar", ".tar.gz" or ".tgz".
bool has_archive_suffix(std::string_view handle);

// The URL with a pair added to its query; pairs without a value are lost, the others encoded
// anew, as Python's urllib does it.
std::string append_query(std::string_view url, std::string_view name, std::string_view value);

// A model at Kaggle.
struct KaggleModel {
  std::string owner, model, framework, variation;
  std::string version;  // empty: the latest
};
// Of "owner/model/framework/variation/version", of the model's page in both spellings.
std::optional<KaggleModel> parse_kaggle(std::string_view handle);

// The handle and others that name the same module: tfhub.dev and its Chinese twin, the spellings
// of Kaggle, aliases. The handle itself comes first.
std::vector<std::string> spellings_of(std::string_view handle, const ResolveOptions& options);

// Where to ask for the module, in this order: http(s) URLs with their query, paths of this
// machine (mirrors). The handle's own place is the first that is no mirror.
struct Place {
  std::string location;
  bool is_mirror = false;
};
std::vector<Place> places_of(std::string_view handle, const ResolveOptions& options);

}  // namespace hub
