// tf1hub run: applies a signature once.

#include <fmt/core.h>

#include <memory>

#include "base/strings.h"
#include "cli/commands.h"
#include "cli/prepared.h"
#include "cli/print_tensor.h"

namespace hub::cli {
namespace {

struct RunCommand {
  ModelOptions model;
  InputOptions inputs;
  std::vector<std::string> fetches;
  std::string output;
};

// What to fetch: outputs of the signature by their names, else tensors of the graph.
CallOptions call_options(const PreparedModel& model, const std::vector<std::string>& fetches) {
  CallOptions options;
  if (fetches.empty()) return options;
  options.outputs.emplace();
  for (const std::string& name : fetches) {
    const bool is_output =
        !model.signature.empty() && model.runner->signature(model.signature).outputs.contains(name);
    if (is_output) {
      options.outputs->insert(name);
    } else {
      options.fetches.push_back(name);
    }
  }
  return options;
}

TensorMap run_model(const RunCommand& command) {
  const PreparedModel model = open_prepared(command.model);
  PreparedInputs inputs = prepare_inputs(model, command.inputs);
  CallOptions options = call_options(model, command.fetches);
  options.feeds = std::move(inputs.feeds);
  if (model.signature.empty()) {
    if (options.fetches.empty()) {
      throw UsageError("The graph has no signatures: say what to compute with --fetch NAME");
    }
    return model.runner->run(options);
  }
  return checking_usage(
      [&] { return model.runner->call(model.signature, inputs.signature_inputs, options); });
}

ExitStatus run_command(const RunCommand& command) {
  if (!command.output.empty()) check_output_name(command.output);
  const TensorMap outputs = run_model(command);
  if (!command.output.empty()) {
    write_outputs(command.output, outputs);
    return kDone;
  }
  for (const auto& [name, tensor] : outputs) fmt::print("{}", tensor_table(name, tensor));
  return kDone;
}

}  // namespace

CommandEntry add_run(CLI::App& program) {
  auto options = std::make_shared<RunCommand>();
  CLI::App* command = program.add_subcommand("run", "Apply a signature to arrays, once");
  add_model_options(*command, options->model);
  command->add_option("--inputs", options->inputs.file,
                      ".npz or .json file with the inputs by name");
  command->add_option("--input", options->inputs.single,
                      "An input: NAME=FILE.npy or NAME=JSON; may be repeated");
  command->add_option(
      "--fetch", options->fetches,
      "Only this output of the signature, or a tensor of the graph (\"conv1/Relu:0\"); "
      "may be repeated");
  command->add_option("--output", options->output,
                      "Write the outputs to this .npz or .json file; default: print a table");
  command->add_option("--seed", options->model.seed, "Seed of random ops that have none");
  command->footer(
      examples_text({
          "tf1hub run MODULE --input 'default=[\"A sentence.\", \"Another one.\"]'",
          "tf1hub run MODULE --signature image_classification --inputs images.npz --output out.npz",
          "tf1hub run frozen.pb --input input:0=picture.npy --fetch final_result:0",
      }) +
      "A sparse input x is x/indices, x/values and x/dense_shape; a ragged one x/values and\n"
      "x/row_splits (x/row_splits_0, x/row_splits_1... for more levels). Strings are NumPy S or U\n"
      "arrays, or JSON; bytes that are no UTF-8 are {\"b64\": \"...\"} in JSON.");
  // Each value is one input: JSON holds spaces and commas.
  for (CLI::Option* option : {command->get_option("--input"), command->get_option("--fetch")}) {
    option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  return {command, [options] { return run_command(*options); }};
}

}  // namespace hub::cli
