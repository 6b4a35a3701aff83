#pragma once

// Handles that name something on this machine.

#include <memory>
#include <string>
#include <string_view>

#include "hub/resolver.h"

namespace hub {

// "/a/b" of "file:///a/b", with percent escapes decoded where only that exists; other handles
// as they are.
std::string local_path(std::string_view handle);

// Takes every handle: what exists is the path itself.
std::shared_ptr<const Resolver> path_resolver();

}  // namespace hub
