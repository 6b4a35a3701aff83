// tf1hub bench: how long a model takes to load and to answer.

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/prepared.h"

namespace hub::cli {
namespace {

struct BenchCommand {
  ModelOptions model;
  InputOptions inputs;
  std::vector<std::string> fetches;
  int warmup = 3;
  int repeat = 20;
  std::string outputs;
  bool json = false;
  bool profile = false;
};

struct Timings {
  double load_ms = 0;
  double first_ms = 0;  // of the first run, warm-up or not
  std::vector<double> ms;
  std::vector<NodeProfile> profile;  // of one run more, the slowest node first

  double minimum() const { return *std::ranges::min_element(ms); }
  double median() const {
    std::vector<double> sorted = ms;
    std::ranges::sort(sorted);
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
};

template <class Work>
double time_ms(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// The most memory that this process had at a time.
double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes / 1024;
  }
  return 0;
}

Timings measure(const BenchCommand& command) {
  Timings timings;
  PreparedModel model;
  timings.load_ms = time_ms([&] {
    model = open_prepared(command.model);
    if (!model.signature.empty()) model.runner->prepare(model.signature);
  });
  if (model.signature.empty() == command.fetches.empty()) {
    throw UsageError("--fetch says what to compute of a graph without signatures, and only there");
  }
  const PreparedInputs inputs = prepare_inputs(model, command.inputs);
  CallOptions options{.feeds = inputs.feeds, .fetches = command.fetches};
  TensorMap outputs;
  const auto run = [&] {
    outputs = model.signature.empty()
                  ? model.runner->run(options)
                  : model.runner->call(model.signature, inputs.signature_inputs, options);
  };
  checking_usage([&] {
    for (int i = 0; i < command.warmup + command.repeat; ++i) {
      const double ms = time_ms(run);
      if (i == 0) timings.first_ms = ms;
      if (i >= command.warmup) timings.ms.push_back(ms);
    }
  });
  if (!command.outputs.empty()) write_outputs(command.outputs, outputs);
  if (command.profile) {
    options.run.profile = &timings.profile;
    run();
    std::ranges::sort(timings.profile, std::greater{}, &NodeProfile::nanoseconds);
  }
  return timings;
}

void print_profile(const std::vector<NodeProfile>& profile) {
  fmt::print("\n{:>10}  {:>8}  op and node\n", "us", "runs");
  for (const NodeProfile& node : profile) {
    fmt::print("{:10.2f}  {:8}  {} {}\n", static_cast<double>(node.nanoseconds) / 1000, node.runs,
               node.op, node.node);
  }
}

ExitStatus bench(const BenchCommand& command) {
  if (!command.outputs.empty()) check_output_name(command.outputs);
  const Timings timings = measure(command);
  if (command.json) {
    const nlohmann::ordered_json json = {
        {"ms", timings.ms},
        {"load_ms", timings.load_ms},
        {"first_ms", timings.first_ms},
        {"median_ms", timings.median()},
        {"min_ms", timings.minimum()},
        {"peak_rss_mb", peak_rss_mb()},
    };
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print(
        "load      {:10.3f} ms\nfirst run {:10.3f} ms\nmedian    {:10.3f} ms of {}\n"
        "minimum   {:10.3f} ms\npeak      {:10.1f} MB\n",
        timings.load_ms, timings.first_ms, timings.median(), timings.ms.size(), timings.minimum(),
        peak_rss_mb());
    if (command.profile) print_profile(timings.profile);
  }
  return kDone;
}

}  // namespace

CommandEntry add_bench(CLI::App& program) {
  auto options = std::make_shared<BenchCommand>();
  CLI::App* command =
      program.add_subcommand("bench", "Time loading a model and applying a signature");
  add_model_options(*command, options->model);
  command->add_option("--inputs", options->inputs.file,
                      ".npz or .json file with the inputs by name");
  command
      ->add_option("--input", options->inputs.single,
                   "An input: NAME=FILE.npy or NAME=JSON; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option("--fetch", options->fetches,
                   "A tensor to compute of a graph without signatures; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--warmup", options->warmup, "Runs before those that count")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--repeat", options->repeat, "Runs that count")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--outputs", options->outputs,
                      "Write the last run's outputs to this .npz or .json file");
  CLI::Option* json = command->add_flag("--json", options->json, "Print one JSON object");
  command->add_flag("--profile", options->profile, "Print what each node of one more run costs")
      ->excludes(json);
  command->footer(examples_text({
      "tf1hub bench MODULE --signature default --inputs images.npz --threads 1",
      "tf1hub bench MODULE --input 'default=[\"A sentence.\"]' --repeat 1000 --json",
  }));
  return {command, [options] { return bench(*options); }};
}

}  // namespace hub::cli
