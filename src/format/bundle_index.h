#pragma once

// Private to this layer: the bytes of a bundle's index file.

#include <functional>
#include <map>
#include <string>

#include "format/tensor_bundle.h"

namespace hub {

inline constexpr int kBundleVersion = 1;

using BundleEntries = std::map<std::string, BundleEntry, std::less<>>;
std::string bundle_index(const BundleEntries& entries, int num_shards);

}  // namespace hub
