#pragma once

// What tf1hub-replay counts: something recorded that passes or fails in each mode.

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/strings.h"
#include "runtime/session.h"

namespace hub::replay {

enum class UnitKind : std::uint8_t {
  kCase,
  kGradient,
  kScenario,
  kScenarioGradient,
  kTuning,
  kMisuse,
  kDescription,
};

// Thrown where what happened is not what was recorded.
class Mismatch : public std::runtime_error {
 public:
  template <class... Pieces>
  explicit Mismatch(const Pieces&... pieces) : std::runtime_error(cat(pieces...)) {}
};

// Replays a unit in one mode. Throws Mismatch, or what the engine threw.
using Replay = std::function<void(const EngineOptions&)>;

struct Unit {
  std::string id;
  UnitKind kind = UnitKind::kCase;
  // Reads what every mode needs (the graph); called once, maybe by another thread than the
  // one that found the unit.
  std::function<Replay()> open;
  // False where nothing is run: one mode says all.
  bool depends_on_mode = true;
};

}  // namespace hub::replay
