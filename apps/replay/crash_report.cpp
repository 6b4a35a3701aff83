#include "replay/crash_report.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string_view>

namespace hub::replay {
namespace {

constexpr std::size_t kStackBytes = 64 << 10;

// The ids of what runs, for the signal handler; nullptr is a free slot. More runners than
// slots go unnamed.
std::array<std::atomic<const char*>, 64> running;

void write_text(std::string_view text) {
  // Nothing can be done about a failure here.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

// Only calls that are safe in a signal handler.
extern "C" void on_crash(int number) {
  write_text("tf1hub-replay crashed while these units ran:\n");
  for (const auto& slot : running) {
    if (const char* id = slot.load()) {
      write_text("  ");
      write_text({id, std::strlen(id)});
      write_text("\n");
    }
  }
  ::signal(number, SIG_DFL);
  ::raise(number);
}

}  // namespace

void report_crashes() {
  struct sigaction action = {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    ::sigaction(number, &action, nullptr);
  }
}

RunningUnit::RunningUnit(const std::string& id) : slot_(0) {
  for (; slot_ < running.size(); ++slot_) {
    const char* free = nullptr;
    if (running[slot_].compare_exchange_strong(free, id.c_str())) return;
  }
}

RunningUnit::~RunningUnit() {
  if (slot_ < running.size()) running[slot_].store(nullptr);
}

CrashStack::CrashStack() : memory_(new char[kStackBytes]) {
  const stack_t stack = {.ss_sp = memory_.get(), .ss_flags = 0, .ss_size = kStackBytes};
  ::sigaltstack(&stack, nullptr);
}

CrashStack::~CrashStack() {
  const stack_t none = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  ::sigaltstack(&none, nullptr);
}

}  // namespace hub::replay
