#include "cli/labels.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/strings.h"
#include "cli/commands.h"
#include "cli/lines.h"

namespace hub::cli {
namespace {

// Nobody names classes in so large a file.
constexpr std::uint64_t kMaxLabelBytes = std::uint64_t{1} << 24;

bool is_named_label(const std::string& asset) {
  std::string name = asset;
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.find("label") != std::string::npos;
}

// The lines of an asset, if they can be names of so many classes.
std::optional<std::vector<std::string>> label_lines(const std::string& path, std::size_t classes) {
  if (file_size(path) > kMaxLabelBytes) return std::nullopt;
  const std::string bytes = read_file(path);
  if (bytes.find('\0') != std::string::npos) return std::nullopt;
  std::vector<std::string> lines = lines_of(bytes);
  if (lines.size() != classes) return std::nullopt;
  return lines;
}

}  // namespace

std::string Labels::text(std::size_t index) const {
  return index < lines_.size() ? printable(lines_[index]) : cat("class ", index);
}

Labels read_labels(const ModuleFiles& files, const std::string& path, std::int64_t classes) {
  const auto count = static_cast<std::size_t>(classes);
  if (!path.empty()) {
    std::vector<std::string> lines = lines_of(read_file(path));
    if (lines.size() != count) {
      throw UsageError(cat("A label for each class is wanted. ", path, " has ", lines.size(),
                           " lines, the module ", classes, " classes"));
    }
    return Labels(std::move(lines));
  }
  std::vector<std::vector<std::string>> named;
  std::vector<std::vector<std::string>> others;
  for (const std::string& asset : files.assets) {
    auto lines = label_lines(cat(files.path, "/assets/", asset), count);
    if (lines) (is_named_label(asset) ? named : others).push_back(std::move(*lines));
  }
  for (auto* candidates : {&named, &others}) {
    if (candidates->size() == 1) return Labels(std::move(candidates->front()));
  }
  return Labels(std::vector<std::string>{});
}

}  // namespace hub::cli
