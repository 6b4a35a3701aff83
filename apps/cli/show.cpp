// tf1hub show: what a model is.

#include <fmt/core.h>

#include <memory>

#include "base/strings.h"
#include "cli/commands.h"
#include "cli/handle.h"
#include "cli/table.h"
#include "common/describe_json.h"
#include "module/describe.h"
#include "module/variants.h"
#include "ops/builtin.h"

namespace hub::cli {
namespace {

// Beyond this the table of variables is cut; --json lists all.
constexpr std::size_t kMaxVariables = 40;
constexpr std::size_t kLineWidth = 96;

std::string kind_text(ModelKind kind) {
  switch (kind) {
    case ModelKind::kTf1Hub: return "TF1 Hub module";
    case ModelKind::kSavedModelV1: return "SavedModel of TensorFlow 1";
    case ModelKind::kSavedModelV2: return "SavedModel of TensorFlow 2";
    case ModelKind::kGraphDef: return "graph";
    case ModelKind::kMetaGraph: return "graph of a training run";
    case ModelKind::kCheckpoint: return "checkpoint";
  }
  return "";
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(count), noun, count == 1 ? "" : "s");
}

void print_signature(const std::string& name, const Signature& signature) {
  fmt::print("\n  signature {}\n", printable(name));
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::map<std::string, ValueInfo>& values, std::string_view direction) {
    for (const auto& [key, info] : values) {
      rows.push_back({std::string(direction), printable(key),
                      info.dtype == DType::kInvalid ? "operation" : to_string(info)});
    }
  };
  add(signature.inputs, "input");
  add(signature.outputs, "output");
  fmt::print("{}", aligned(rows, 4));
}

// Numbers of elements, and bytes of those that have a fixed size.
void print_variables(const std::vector<ModelVariable>& variables) {
  if (variables.empty()) return;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
  std::vector<std::vector<std::string>> rows;
  for (const ModelVariable& variable : variables) {
    if (const auto shape = variable.shape.as_shape()) {
      const auto count = static_cast<std::uint64_t>(shape->num_elements());
      elements += count;
      bytes += count * dtype_size(variable.dtype);
    }
    if (rows.size() == kMaxVariables) continue;
    std::string notes = variable.trainable ? "trainable" : "";
    if (variable.is_partitioned()) {
      notes +=
          fmt::format("{}in {}", notes.empty() ? "" : ", ", counted(variable.parts.size(), "part"));
    }
    rows.push_back({printable(variable.name), to_string(variable.dtype), to_string(variable.shape),
                    std::move(notes)});
  }
  fmt::print("\n  {}, {}, {}\n{}", counted(variables.size(), "variable"),
             counted(elements, "element"), size_text(bytes), aligned(rows, 4));
  if (variables.size() > rows.size()) {
    fmt::print("    ... and {} more (--json lists all)\n", variables.size() - rows.size());
  }
}

// "Add 3, Cast, ..." in lines.
void print_words(const std::vector<std::string>& words) {
  std::string line = "   ";
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string word = words[i] + (i + 1 < words.size() ? "," : "");
    if (line.size() + 1 + word.size() > kLineWidth) {
      fmt::print("{}\n", line);
      line = "   ";
    }
    line += " " + word;
  }
  fmt::print("{}\n", line);
}

void print_ops(const VariantDescription& variant) {
  std::uint64_t nodes = 0;
  std::vector<std::string> words;
  for (const auto& [op, count] : variant.ops) {
    nodes += static_cast<std::uint64_t>(count);
    words.push_back(count == 1 ? printable(op) : fmt::format("{} {}", printable(op), count));
  }
  fmt::print("\n  {} of {}\n", counted(nodes, "node"), counted(words.size(), "op"));
  print_words(words);
  if (variant.unsupported_ops.empty()) return;
  words.clear();
  for (const std::string& op : variant.unsupported_ops) words.push_back(printable(op));
  fmt::print("\n  {} not supported\n", counted(words.size(), "op"));
  print_words(words);
}

void print_unsupported_nodes(const std::vector<UnsupportedNode>& nodes) {
  if (nodes.empty()) return;
  constexpr std::size_t kMaxNodes = 50;
  constexpr std::size_t kMaxReason = 1024;
  fmt::print("\n  {} cannot run\n", counted(nodes.size(), "node"));
  for (std::size_t i = 0; i < std::min(nodes.size(), kMaxNodes); ++i) {
    const UnsupportedNode& node = nodes[i];
    std::string place = printable(node.node);
    if (!node.function.empty()) place += fmt::format(" in function {}", printable(node.function));
    if (!node.op.empty()) place += fmt::format(" ({})", printable(node.op));
    fmt::print("    {}: {}\n", place, printable(node.reason, kMaxReason));
  }
  if (nodes.size() > kMaxNodes) {
    fmt::print("    ... and {} more (--json lists all)\n", nodes.size() - kMaxNodes);
  }
}

void print_table(const std::string& path, const ModelDescription& description) {
  fmt::print("{}\n  {}, {}", printable(path, 4096), kind_text(description.kind),
             size_text(description.bytes));
  if (!description.assets.empty()) fmt::print(", {}", counted(description.assets.size(), "asset"));
  fmt::print("\n");
  for (const VariantDescription& variant : description.variants) {
    if (description.kind != ModelKind::kGraphDef) {
      fmt::print("\ngraph {}{}\n", tags_text(variant.tags),
                 variant.tags.empty() ? " (no tags)" : "");
    }
    for (const auto& [name, signature] : variant.signatures) print_signature(name, signature);
    print_variables(variant.variables);
    if (!variant.attachments.empty()) {
      fmt::print("\n  {}\n", counted(variant.attachments.size(), "attachment"));
      print_words(variant.attachments);
    }
    print_ops(variant);
    print_unsupported_nodes(variant.unsupported_nodes);
  }
  if (description.assets.empty()) return;
  fmt::print("\nassets\n");
  for (const std::string& asset : description.assets) fmt::print("  {}\n", printable(asset, 4096));
}

struct ShowOptions {
  HandleOptions module;
  bool json = false;
};

ExitStatus show(const ShowOptions& options) {
  const ModelDescription description =
      describe(open_model_files(resolve_handle(options.module)), builtin_ops());
  if (options.json) {
    // Names may be bytes that are no UTF-8.
    fmt::print("{}\n",
               to_json(description).dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_table(options.module.handle, description);
  }
  return kDone;
}

}  // namespace

CommandEntry add_show(CLI::App& program) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = program.add_subcommand(
      "show", "Say what a module is: graphs, signatures, variables, assets, ops");
  add_handle(*command, options->module);
  command->add_flag("--json", options->json, "Print one JSON object");
  command->footer(examples_text({
      "tf1hub show examples/data/text-embedding-en-64/module",
      "tf1hub show --json frozen_graph.pb",
  }));
  return {command, [options] { return show(*options); }};
}

}  // namespace hub::cli
