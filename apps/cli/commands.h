#pragma once

// The commands of tf1hub. Each adds itself to the program with its options and gives what
// runs it; results go to standard output, an Error leaves through main.

#include <CLI/CLI.hpp>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "hub/error.h"

namespace hub::cli {

// Promised to scripts: 0 done; 1 failed; 2 wrong usage; 3 not found; 4 not supported; 5 not
// verified.
enum ExitStatus {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kNotSupported = 4,
  kNotVerified = 5,
};

using Command = std::function<ExitStatus()>;

struct CommandEntry {
  CLI::App* options;
  Command run;
};

CommandEntry add_show(CLI::App& program);
CommandEntry add_run(CLI::App& program);
CommandEntry add_embed(CLI::App& program);
CommandEntry add_classify(CLI::App& program);
CommandEntry add_bench(CLI::App& program);
CommandEntry add_export(CLI::App& program);
CommandEntry add_verify(CLI::App& program);
CommandEntry add_diff(CLI::App& program);
CommandEntry add_resolve(CLI::App& program);
CommandEntry add_cache(CLI::App& program);

// What the user asked for makes no sense: exit status 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Runs `body`, which looks at what the user asked for: errors that Python would raise as
// ValueError, TypeError or KeyError are wrong usage.
template <class Body>
decltype(auto) checking_usage(Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    const ErrorKind kind = error.kind();
    if (kind != ErrorKind::kValue && kind != ErrorKind::kType && kind != ErrorKind::kKey) throw;
    throw UsageError(error.what());
  }
}

// The text under the options of a command's help.
inline std::string examples_text(std::initializer_list<std::string_view> lines) {
  std::string text = "Examples:\n";
  for (const std::string_view line : lines) text.append("  ").append(line).append("\n");
  return text;
}

}  // namespace hub::cli
