#include "replay/selection.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/errors.h"
#include "base/file.h"
#include "replay/recorded.h"

namespace hub::replay {
namespace {

constexpr std::string_view kListExtension = ".binpb";

// Adds the units of a list that was named, or found in a search: there, files of other
// messages are passed over.
void add_recorded(const std::string& path, bool named, std::vector<Unit>& units) {
  try {
    auto found = RecordedCases::read(path)->units();
    std::ranges::move(found, std::back_inserter(units));
  } catch (const Error& error) {
    if (named || error.code() != ErrorCode::kDataLoss) throw;
  }
}

void add_path(const std::string& path, std::vector<Unit>& units) {
  if (!path_exists(path)) throw not_found("There is no such path. Details: \"", path, "\".");
  if (is_directory(path)) {
    for (const std::string& file : list_files_recursively(path)) {
      if (file.ends_with(kListExtension)) add_recorded(cat(path, "/", file), false, units);
    }
  } else if (path.ends_with(kListExtension)) {
    add_recorded(path, true, units);
  } else {
    throw invalid_argument(
        "A path is a .binpb of recorded cases, a golden folder, a misuse.json, "
        "or a folder that holds some. Details: \"",
        path, "\".");
  }
}

}  // namespace

std::set<UnitKind> kinds_named(const std::string& words) {
  static const std::vector<std::pair<std::string_view, std::set<UnitKind>>> kWords = {
      {"cases", {UnitKind::kCase}},
      {"gradients", {UnitKind::kGradient}},
      {"scenarios", {UnitKind::kScenario, UnitKind::kScenarioGradient}},
      {"tuning", {UnitKind::kTuning}},
      {"misuse", {UnitKind::kMisuse}},
      {"description", {UnitKind::kDescription}},
  };
  std::set<UnitKind> kinds;
  for (const std::string& word : split(words, ',')) {
    const auto found = std::ranges::find(kWords, word, &decltype(kWords)::value_type::first);
    if (found == kWords.end()) {
      throw invalid_argument(
          "--only takes cases, gradients, scenarios, tuning, misuse and "
          "description, separated by commas. Details: \"",
          word, "\".");
    }
    kinds.insert(found->second.begin(), found->second.end());
  }
  return kinds;
}

std::set<UnitKind> inference_kinds() { return {UnitKind::kCase, UnitKind::kDescription}; }

std::set<UnitKind> training_kinds() {
  return {UnitKind::kGradient, UnitKind::kTuning, UnitKind::kScenarioGradient};
}

std::vector<Unit> find_units(const std::vector<std::string>& paths, const Selection& selection) {
  std::vector<Unit> units;
  for (const std::string& path : paths) add_path(path, units);
  std::erase_if(units, [&](const Unit& unit) {
    return (!selection.kinds.empty() && !selection.kinds.contains(unit.kind)) ||
           unit.id.find(selection.filter) == std::string::npos;
  });
  return units;
}

}  // namespace hub::replay
