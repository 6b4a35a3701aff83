// tf1hub: TF1 Hub modules, SavedModels and frozen graphs from the shell.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <vector>

#include "cli/commands.h"
#include "cli/handle.h"
#include "hub/error.h"

namespace hub::cli {
namespace {

constexpr const char* kVersion = "tf1hub " TF1HUB_VERSION;

ExitStatus exit_status_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kUnimplemented: return kNotSupported;
    case ErrorCode::kNotFound: return kNotFound;
    default: return kFailed;
  }
}

int report(const char* text, ExitStatus status) {
  std::fflush(stdout);
  fmt::print(stderr, "tf1hub: {}\n", text);
  return status;
}

int run(int argc, char** argv) {
  CLI::App program(
      "Loads and runs TF1 Hub modules, SavedModels and frozen graphs without TensorFlow.",
      "tf1hub");
  program.set_version_flag("--version", kVersion, "Print the version and exit");
  program.set_help_flag("-h,--help", "Print help and exit");
  program.require_subcommand(1);
  program.footer(
      "tf1hub COMMAND --help shows a command's options and examples.\n"
      "Exit status: 0 done; 1 failed; 2 wrong usage; 3 not found or not downloaded; 4 an op or\n"
      "feature is not supported; 5 verification failed.");
  const std::vector<CommandEntry> commands = {
      add_show(program),    add_run(program),    add_embed(program),  add_classify(program),
      add_bench(program),   add_export(program), add_verify(program), add_diff(program),
      add_resolve(program), add_cache(program)};
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? kDone : kUsage;
  }
  for (const CommandEntry& command : commands) {
    if (command.options->parsed()) return command.run();
  }
  return kUsage;
}

int main_without_exceptions(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const UsageError& error) {
    return report(error.what(), kUsage);
  } catch (const NotResolvedError& error) {
    return report(error.what(), kNotFound);
  } catch (const Error& error) {
    return report(error.what(), exit_status_of(error));
  } catch (const std::exception& error) {
    return report(error.what(), kFailed);
  }
}

}  // namespace
}  // namespace hub::cli

int main(int argc, char** argv) { return hub::cli::main_without_exceptions(argc, argv); }
