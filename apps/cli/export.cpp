// tf1hub export: reads a module and writes it again.

#include <fmt/core.h>

#include <memory>

#include "base/errors.h"
#include "cli/commands.h"
#include "cli/handle.h"
#include "cli/table.h"
#include "format/module_files.h"
#include "hub/module_spec.h"
#include "module/describe.h"
#include "ops/builtin.h"

namespace hub::cli {
namespace {

struct ExportCommand {
  HandleOptions module;
  std::string target;
  std::vector<std::string> drop_collections;
};

ModuleSpec read_spec(const std::string& path, const ExportCommand& command) {
  const ModelKind kind = open_model_files(path, {.checksums = Checksums::kNever}).kind;
  switch (kind) {
    case ModelKind::kTf1Hub:
      if (!command.drop_collections.empty()) {
        throw UsageError("--drop-collection is for SavedModels: a module has no others");
      }
      return load_module_spec(path);
    case ModelKind::kSavedModelV1:
      return create_module_spec_from_saved_model(path, command.drop_collections);
    default:
      throw unimplemented(
          "TF1 Hub modules and SavedModels of TensorFlow 1 can be exported as modules. Details: ",
          command.module.handle, " is a ", model_kind_name(kind), ".");
  }
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(count), noun, count == 1 ? "" : "s");
}

// What is on the disk now, not what was meant.
void print_written(const std::string& target) {
  const ModuleFiles files = open_model_files(target);
  std::uint64_t variable_bytes = 0;
  std::uint64_t variables = 0;
  if (files.checkpoint != nullptr) {
    variables = files.checkpoint->keys().size();
    for (const std::string& file : files.checkpoint->files()) variable_bytes += file_size(file);
  }
  std::uint64_t asset_bytes = 0;
  for (const std::string& asset : files.assets) {
    asset_bytes += file_size(cat(target, "/assets/", asset));
  }
  fmt::print(
      "{}: {}, {}, {}; {} in all\n", target, counted(files.model.meta_graphs.size(), "graph"),
      counted(variables, "variable") + (variables > 0 ? " in " + size_text(variable_bytes) : ""),
      counted(files.assets.size(), "asset") +
          (files.assets.empty() ? "" : " in " + size_text(asset_bytes)),
      size_text(files.size_bytes));
}

ExitStatus export_command(const ExportCommand& command) {
  read_spec(resolve_handle(command.module), command).export_to(command.target);
  print_written(command.target);
  return kDone;
}

}  // namespace

CommandEntry add_export(CLI::App& program) {
  auto options = std::make_shared<ExportCommand>();
  CLI::App* command = program.add_subcommand(
      "export", "Write a module again: all graphs, variables, assets and messages");
  add_handle(*command, options->module);
  command->add_option("OUT_DIR", options->target, "Folder to write; all or nothing")->required();
  command->add_option("--drop-collection", options->drop_collections,
                      "Collection of a SavedModel to leave out; may be repeated");
  command->footer(examples_text({
                      "tf1hub export MODULE copy",
                      "tf1hub export saved_model module --drop-collection queue_runners",
                  }) +
                  "A SavedModel of TensorFlow 1 becomes a module with its own tags and signatures. "
                  "SavedModels\n"
                  "of TensorFlow 2 and frozen graphs cannot be modules (exit status 4).");
  command->get_option("--drop-collection")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return {command, [options] { return export_command(*options); }};
}

}  // namespace hub::cli
