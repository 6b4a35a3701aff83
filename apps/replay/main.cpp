// tf1hub-replay: replays recorded TensorFlow runs on this library's engine.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/errors.h"
#include "base/file.h"
#include "replay/crash_report.h"
#include "replay/runner.h"
#include "replay/selection.h"

namespace hub::replay {
namespace {

enum ExitStatus { kDone = 0, kFailed = 1, kUsage = 2, kNotFound = 3 };

// More runners than this would only compete for the same memory bandwidth.
constexpr int kMaxRunners = 8;
constexpr const char* kExceptionsFile = "known_exceptions.json";

struct Options {
  std::vector<std::string> paths;
  std::string only;
  bool inference = false;
  bool training = false;
  std::string filter;
  std::string json_file;
  int threads = 0;
  bool no_passes = false;
  ExecutorKind executor = ExecutorKind::kStructured;
  bool all_modes = false;
};

void declare_options(CLI::App& app, Options& options) {
  app.add_option("PATH", options.paths,
                 "A .binpb of recorded cases, a golden folder, a misuse.json, or a folder that is "
                 "searched for all of these")
      ->required();
  auto* only =
      app.add_option("--only", options.only,
                     "Kinds of units: cases,gradients,scenarios,tuning,misuse,description");
  auto* inference = app.add_flag("--inference", options.inference, "As --only cases,description");
  auto* training = app.add_flag("--training", options.training,
                                "Gradients, tuning, and the gradients of scenarios");
  only->excludes(inference)->excludes(training);
  inference->excludes(training);
  app.add_option("--filter", options.filter, "Units whose id contains this");
  app.add_option("--json", options.json_file,
                 "Writes [{\"id\", \"status\", \"reason\"}] to this file");
  app.add_option("--threads", options.threads, "Threads to use; default: one for each CPU")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--no-passes", options.no_passes, "Nothing is folded or fused");
  app.add_option("--executor", options.executor, "structured or frames")
      ->transform(CLI::Transformer(std::map<std::string, ExecutorKind>{
          {"structured", ExecutorKind::kStructured}, {"frames", ExecutorKind::kFrames}}));
  app.add_flag("--all-modes", options.all_modes,
               "Each unit with passes on and off, 1 and N threads, both executors");
}

Selection selection_of(const Options& options) {
  Selection selection{.kinds = {}, .filter = options.filter};
  if (!options.only.empty()) selection.kinds = kinds_named(options.only);
  if (options.inference) selection.kinds = inference_kinds();
  if (options.training) selection.kinds = training_kinds();
  return selection;
}

// The units that are known to fail, with reasons, from the nearest known_exceptions.json in
// the folders above the paths.
std::map<std::string, std::string> known_exceptions(const std::vector<std::string>& paths) {
  std::map<std::string, std::string> result;
  for (const std::string& path : paths) {
    std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
    while (true) {
      const std::string file = (folder / kExceptionsFile).string();
      if (path_exists(file)) {
        const auto listed = nlohmann::json::parse(read_file(file));
        result.merge(listed.get<std::map<std::string, std::string>>());
        break;
      }
      if (folder == folder.parent_path()) break;
      folder = folder.parent_path();
    }
  }
  return result;
}

RunSettings settings_of(const Options& options) {
  RunSettings settings;
  if (options.all_modes) {
    settings.modes = all_modes(options.threads);
  } else {
    settings.modes = {
        {.threads = options.threads, .passes = !options.no_passes, .executor = options.executor}};
  }
  const int cpus = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  settings.runners = std::min({options.threads == 0 ? cpus : options.threads, cpus, kMaxRunners});
  settings.exceptions = known_exceptions(options.paths);
  return settings;
}

int run(const Options& options) {
  const std::vector<Unit> units = find_units(options.paths, selection_of(options));
  if (units.empty()) {
    fmt::print(stderr, "Nothing is selected.\n");
    return kUsage;
  }
  auto results = nlohmann::json::array();
  std::size_t passed = 0;
  run_units(units, settings_of(options), [&](const Unit& unit, const Outcome& outcome) {
    passed += outcome.passed ? 1 : 0;
    if (!outcome.passed) fmt::print("{}: {}\n", unit.id, outcome.reason);
    results.push_back({{"id", unit.id},
                       {"status", outcome.passed ? "passed" : "failed"},
                       {"reason", outcome.reason}});
  });
  if (!options.json_file.empty()) {
    // Reasons may quote bytes that are no UTF-8.
    write_file_atomically(
        options.json_file,
        results.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
  fmt::print("{} passed, {} failed\n", passed, units.size() - passed);
  return passed == units.size() ? kDone : kFailed;
}

int exit_status_of(const Error& error) {
  if (error.code() == ErrorCode::kNotFound) return kNotFound;
  if (error.code() == ErrorCode::kInvalidArgument) return kUsage;
  return kFailed;
}

int main_without_exceptions(int argc, char** argv) {
  CLI::App app("Replays recorded TensorFlow runs.", "tf1hub-replay");
  Options options;
  declare_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  try {
    return run(options);
  } catch (const Error& error) {
    fmt::print(stderr, "tf1hub-replay: {}\n", error.what());
    return exit_status_of(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "tf1hub-replay: {}\n", error.what());
    return kFailed;
  }
}

}  // namespace
}  // namespace hub::replay

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  hub::replay::report_crashes();
  return hub::replay::main_without_exceptions(argc, argv);
}
