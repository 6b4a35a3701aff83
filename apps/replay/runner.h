#pragma once

// Runs units in modes, several at a time, and says how each ended.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "replay/unit.h"

namespace hub::replay {

struct Outcome {
  bool passed = false;
  std::string reason;  // why it failed, with the mode
};

// "passes off, 1 thread, frames".
std::string mode_text(const EngineOptions& mode);
// Passes on and off, 1 and N threads (`threads`; 0: all CPUs), both executors.
std::vector<EngineOptions> all_modes(int threads);

struct RunSettings {
  std::vector<EngineOptions> modes;
  int runners = 1;                                // units at a time
  std::map<std::string, std::string> exceptions;  // id -> why the unit is known to fail
};

// Runs each unit in every mode until it fails in one. `report` gets the outcomes one by one
// in the order of the units. A unit that is a known exception is not run, and fails.
void run_units(const std::vector<Unit>& units, const RunSettings& settings,
               const std::function<void(const Unit&, const Outcome&)>& report);

}  // namespace hub::replay
