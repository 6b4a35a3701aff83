#pragma once

// Which units of which paths are replayed.

#include <set>
#include <string>
#include <vector>

#include "replay/unit.h"

namespace hub::replay {

struct Selection {
  std::set<UnitKind> kinds;  // empty: all
  std::string filter;        // part of the id; empty: all
};

// The kinds that a word of --only names. Errors: INVALID_ARGUMENT for other words.
std::set<UnitKind> kinds_named(const std::string& words);
std::set<UnitKind> inference_kinds();
std::set<UnitKind> training_kinds();

// The selected units of all paths, in order: a list of recorded cases, a golden folder, a
// misuse.json, or a folder that is searched for all of these.
// Errors: NOT_FOUND for a path that does not exist, INVALID_ARGUMENT for one that is none of
// these, DATA_LOSS for a file that cannot be read.
std::vector<Unit> find_units(const std::vector<std::string>& paths, const Selection& selection);

}  // namespace hub::replay
