#pragma once

// Should the process crash, which units ran? Their ids go to stderr before it dies.

#include <memory>
#include <string>

namespace hub::replay {

// Installs the handlers of the signals that mean a crash.
void report_crashes();

// Names the unit that this thread runs, for as long as it lives. `id` must live as long.
class RunningUnit {
 public:
  explicit RunningUnit(const std::string& id);
  ~RunningUnit();
  RunningUnit(const RunningUnit&) = delete;
  RunningUnit& operator=(const RunningUnit&) = delete;

 private:
  std::size_t slot_;
};

// While it lives, this thread's handlers have a stack of their own, so that a stack that
// overflowed can be reported too.
class CrashStack {
 public:
  CrashStack();
  ~CrashStack();
  CrashStack(const CrashStack&) = delete;
  CrashStack& operator=(const CrashStack&) = delete;

 private:
  std::unique_ptr<char[]> memory_;
};

}  // namespace hub::replay
