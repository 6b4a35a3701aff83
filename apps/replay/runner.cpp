#include "replay/runner.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "base/errors.h"
#include "replay/crash_report.h"

namespace hub::replay {
namespace {

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

// The reason for which `body` fails; empty where it does not.
template <class Body>
std::string failure_of(Body&& body) {
  try {
    body();
    return {};
  } catch (const Mismatch& mismatch) {
    return one_line(mismatch.what());
  } catch (const Error& error) {
    return one_line(cat(error_code_name(error.code()), ": ", error.what()));
  } catch (const std::exception& error) {
    return one_line(cat("an exception that is no hub::Error: ", error.what()));
  }
}

Outcome run_unit(const Unit& unit, const RunSettings& settings) {
  if (const auto known = settings.exceptions.find(unit.id); known != settings.exceptions.end()) {
    return {false, cat("known exception: ", known->second)};
  }
  const RunningUnit running(unit.id);
  Replay replay;
  if (std::string reason = failure_of([&] { replay = unit.open(); }); !reason.empty()) {
    return {false, std::move(reason)};
  }
  for (const EngineOptions& mode : settings.modes) {
    std::string reason = failure_of([&] { replay(mode); });
    if (!reason.empty()) return {false, cat("[", mode_text(mode), "] ", reason)};
    if (!unit.depends_on_mode) break;
  }
  return {.passed = true};
}

}  // namespace

std::string mode_text(const EngineOptions& mode) {
  return cat("passes ", mode.passes ? "on" : "off", ", ",
             mode.threads == 0   ? std::string("all threads")
             : mode.threads == 1 ? std::string("1 thread")
                                 : cat(mode.threads, " threads"),
             ", ", mode.executor == ExecutorKind::kFrames ? "frames" : "structured");
}

std::vector<EngineOptions> all_modes(int threads) {
  std::vector<EngineOptions> modes;
  for (const bool passes : {true, false}) {
    for (const int count : {threads, 1}) {
      for (const ExecutorKind executor : {ExecutorKind::kStructured, ExecutorKind::kFrames}) {
        modes.push_back({.threads = count, .passes = passes, .executor = executor});
      }
    }
  }
  return modes;
}

void run_units(const std::vector<Unit>& units, const RunSettings& settings,
               const std::function<void(const Unit&, const Outcome&)>& report) {
  std::vector<std::optional<Outcome>> outcomes(units.size());
  std::mutex mutex;
  std::condition_variable ready;
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> runners;
  for (int i = 0; i < settings.runners; ++i) {
    runners.emplace_back([&] {
      const CrashStack stack;
      for (std::size_t at = next++; at < units.size(); at = next++) {
        Outcome outcome = run_unit(units[at], settings);
        const std::lock_guard lock(mutex);
        outcomes[at] = std::move(outcome);
        ready.notify_one();
      }
    });
  }
  for (std::size_t at = 0; at < units.size(); ++at) {
    std::unique_lock lock(mutex);
    ready.wait(lock, [&] { return outcomes[at].has_value(); });
    lock.unlock();
    report(units[at], *outcomes[at]);
  }
}

}  // namespace hub::replay
