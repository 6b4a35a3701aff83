#pragma once

// Lists of recorded cases (conformance.proto) as units.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "replay/unit.h"

namespace hub::replay {

// One case of a list, without the details that only a replay needs.
struct CaseSummary {
  std::string name;
  std::vector<std::string> ops;  // the op types in the graph, functions included
};

// A file of recorded cases, parsed.
class RecordedCases {
 public:
  // Errors: DATA_LOSS where the file holds no such list; those of reading it.
  static std::shared_ptr<const RecordedCases> read(const std::string& path);
  virtual ~RecordedCases() = default;

  virtual std::vector<CaseSummary> summaries() const = 0;
  // The units of the list: each case, and each of its gradients. They keep the list alive.
  virtual std::vector<Unit> units() const = 0;
};

}  // namespace hub::replay
