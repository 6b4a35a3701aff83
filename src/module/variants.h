#pragma once

// Which graph of a model, by its set of tags.

#include <cstddef>
#include <span>
#include <string>

#include "format/module_files.h"

namespace hub {

// The index of the variant with this set of tags. Without tags: the one that has none, or the
// only one. Errors: of kind value, listing what there is.
std::size_t find_variant(const ModuleFiles& files, std::span<const std::string> tags);

// "{}", "{serve, train}", sorted.
std::string tags_text(std::span<const std::string> tags);

}  // namespace hub
