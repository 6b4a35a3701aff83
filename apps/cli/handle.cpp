#include "cli/handle.h"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/errors.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "resolve/settings.h"

namespace hub::cli {
namespace {

// Set by Ctrl-C while something is downloaded.
volatile std::sig_atomic_t interrupted = 0;

// Lets Ctrl-C end a download in order; restores what was before.
class CatchInterrupt {
 public:
  CatchInterrupt() : before_(std::signal(SIGINT, [](int) { interrupted = 1; })) {}
  ~CatchInterrupt() { std::signal(SIGINT, before_); }
  CatchInterrupt(const CatchInterrupt&) = delete;
  CatchInterrupt& operator=(const CatchInterrupt&) = delete;

 private:
  void (*before_)(int);
};

std::string time_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  constexpr std::int64_t kMinute = 60;
  if (whole < kMinute) return fmt::format("{} s", whole);
  return fmt::format("{}:{:02} min", whole / kMinute, whole % kMinute);
}

std::string progress_text(const DownloadProgress& progress) {
  if (!progress.waiting_for.empty()) {
    return fmt::format("{}: waiting for {}, who downloads it", printable(progress.handle),
                       progress.waiting_for);
  }
  std::string text =
      fmt::format("{}: {}", printable(progress.handle), size_text(progress.received_bytes));
  if (progress.total_bytes && !progress.done) {
    text += fmt::format(" of {}", size_text(*progress.total_bytes));
  }
  if (progress.bytes_per_second > 0) {
    text += fmt::format(", {}/s", size_text(static_cast<std::uint64_t>(progress.bytes_per_second)));
  }
  if (progress.seconds_left && !progress.done) {
    text += fmt::format(", {} left", time_text(*progress.seconds_left));
  }
  return text;
}

// One line that is written over.
class ProgressLine {
 public:
  void show(const DownloadProgress& progress) {
    const std::string text = progress_text(progress);
    fmt::print(stderr, "\r{:<{}}", text, width_);
    width_ = text.size();
    if (progress.done) end();
  }
  void end() {
    if (width_ > 0) fmt::print(stderr, "\n");
    width_ = 0;
  }

 private:
  std::size_t width_ = 0;
};

}  // namespace

void add_handle(CLI::App& command, HandleOptions& options) {
  command
      .add_option("MODULE", options.handle,
                  "Folder of a module or SavedModel, graph file, archive, or URL")
      ->required();
  command.add_flag("--offline", options.offline, "Do not use the network: only what is cached");
}

std::string resolve_handle(const HandleOptions& options) {
  ProgressLine line;
  const bool on_terminal = ::isatty(STDERR_FILENO) != 0;
  ResolveOptions resolve_options;
  resolve_options.offline = options.offline;
  bool warned = false;
  resolve_options.progress = [&](const DownloadProgress& progress) {
    if (!warned && !complete_options(resolve_options).network.verify_certificates)
      fmt::print(stderr, "tf1hub: certificates of servers are not checked\n");
    warned = true;
    if (on_terminal) line.show(progress);
    if (interrupted != 0) throw cancelled("Interrupted.");
  };
  const CatchInterrupt guard;
  try {
    std::string path = resolve(options.handle, resolve_options);
    if (interrupted != 0) throw cancelled("Interrupted.");
    return path;
  } catch (const Error& error) {
    line.end();
    if (error.code() == ErrorCode::kCancelled) throw;
    throw NotResolvedError(error.what());
  }
}

}  // namespace hub::cli
