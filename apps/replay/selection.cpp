#include "replay/selection.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "base/errors.h"
#include "base/file.h"
#include "replay/golden.h"
#include "replay/misuse.h"
#include "replay/recorded.h"

namespace hub::replay {
namespace {

constexpr std::string_view kListExtension = ".binpb";
constexpr std::string_view kGoldenFile = "golden.json";
constexpr std::string_view kMisuseFile = "misuse.json";

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

// The folder that a file lies in.
std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// A file of units. In a search, files of another kind that only look like it are passed over.
struct Source {
  std::string path;
  bool is_named = false;
};

std::vector<Source> find_sources(const std::vector<std::string>& paths) {
  std::vector<Source> sources;
  for (const std::string& path : paths) {
    if (!path_exists(path)) throw not_found("There is no such path. Details: \"", path, "\".");
    if (!is_directory(path)) {
      sources.push_back({path, true});
      continue;
    }
    for (const std::string& file : list_files_recursively(path)) {
      const std::string name = file_name(file);
      if (name == kGoldenFile || name == kMisuseFile || name.ends_with(kListExtension)) {
        sources.push_back({(std::filesystem::path(path) / file).string(), false});
      }
    }
  }
  return sources;
}

void add_recorded(const Source& source, std::vector<Unit>& units) {
  try {
    auto found = RecordedCases::read(source.path)->units();
    std::ranges::move(found, std::back_inserter(units));
  } catch (const Error& error) {
    if (source.is_named || error.code() != ErrorCode::kDataLoss) throw;
  }
}

void add_source(const Source& source, const std::map<std::string, std::string>& names,
                std::vector<Unit>& units) {
  const std::string name = file_name(source.path);
  std::vector<Unit> found;
  if (name == kGoldenFile) {
    const std::string folder = folder_of(source.path);
    found = golden_units(folder, names.at(folder));
  } else if (name == kMisuseFile) {
    found = misuse_units(source.path);
  } else if (name.ends_with(kListExtension)) {
    add_recorded(source, units);
  } else {
    throw invalid_argument(
        "A path is a .binpb of recorded cases, a golden folder, a misuse.json, or a folder that "
        "holds some. Details: \"",
        source.path, "\".");
  }
  std::ranges::move(found, std::back_inserter(units));
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
  const std::vector<Source> sources = find_sources(paths);
  std::vector<std::string> goldens;
  for (const Source& source : sources) {
    if (file_name(source.path) == kGoldenFile) goldens.push_back(folder_of(source.path));
  }
  std::ranges::sort(goldens);
  goldens.erase(std::unique(goldens.begin(), goldens.end()), goldens.end());
  const std::vector<std::string> short_names = golden_names(goldens);
  std::map<std::string, std::string> names;
  for (std::size_t i = 0; i < goldens.size(); ++i) names[goldens[i]] = short_names[i];
  std::vector<Unit> units;
  for (const Source& source : sources) add_source(source, names, units);
  std::erase_if(units, [&](const Unit& unit) {
    return (!selection.kinds.empty() && !selection.kinds.contains(unit.kind)) ||
           unit.id.find(selection.filter) == std::string::npos;
  });
  return units;
}

}  // namespace hub::replay
