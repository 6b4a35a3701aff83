#pragma once

#include <string>
#include <vector>

#include "format/module_files.h"

namespace hub::cli {

// The names of classes.
class Labels {
 public:
  Labels() = default;
  explicit Labels(std::vector<std::string> lines) : lines_(std::move(lines)), is_read_(true) {}

  bool is_read() const { return is_read_; }
  // "class 7" where classes have no names.
  std::string text(std::size_t index) const;

 private:
  std::vector<std::string> lines_;
  bool is_read_ = false;
};

// Those of the file, if one is named; else of the module's asset that has a line for each class
// ("label" in its name tells it from others); else none.
// Errors: UsageError for a file with another number of lines.
Labels read_labels(const ModuleFiles& files, const std::string& path, std::int64_t classes);

}  // namespace hub::cli
