// tf1hub show: what a model is.

#include <fmt/core.h>

#include <memory>

#include "base/strings.h"
#include "cli/commands.h"
#include "cli/handle.h"
#include "cli/table.h"
#include "common/describe_json.h"
#include "module/describe.h"
#include "module/model_runner.h"
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
  bool memory = false;
  std::int64_t batch = 1;
  std::int64_t length = 128;
};

// A tensor for a dense input: the first dimension that may be of any size is the batch.
Tensor example_input(const ValueInfo& info, const ShowOptions& options) {
  std::vector<std::int64_t> dims;
  for (int axis = 0; axis < info.shape.rank(); ++axis) {
    const std::int64_t any = axis == 0 ? options.batch : options.length;
    dims.push_back(info.shape.dim(axis) < 0 ? any : info.shape.dim(axis));
  }
  return {info.dtype, Shape(dims)};
}

struct SignatureMemory {
  std::string name;
  MemoryEstimate estimate;
  std::string error;  // why it is not known
};

SignatureMemory signature_memory(const ModelRunner& runner, const std::string& name,
                                 const ShowOptions& options) {
  SignatureMemory result{name, {}, {}};
  try {
    TensorMap inputs;
    for (const auto& [key, value] : runner.signature(name).inputs) {
      if (value.info.kind != ValueKind::kDense || !value.info.shape.has_rank())
        throw unimplemented("The size of input \"", printable(key), "\" is not known.");
      inputs.emplace(key, example_input(value.info, options));
    }
    result.estimate = runner.estimate_memory(name, inputs);
  } catch (const Error& error) {
    result.error = error.message();
  }
  return result;
}

void print_memory(std::uint64_t weights, const std::vector<SignatureMemory>& signatures,
                  const ShowOptions& options) {
  fmt::print("\nweights {}\nvalues at a time, batch {}, other unknown sizes {}\n",
             size_text(weights), options.batch, options.length);
  std::vector<std::vector<std::string>> rows;
  for (const SignatureMemory& signature : signatures) {
    std::string more = signature.error;
    if (signature.estimate.unknown_values > 0) {
      more = fmt::format(
          "and {} of unknown size",
          counted(static_cast<std::uint64_t>(signature.estimate.unknown_values), "value"));
    }
    rows.push_back({printable(signature.name),
                    signature.error.empty() ? size_text(signature.estimate.peak_bytes) : "?",
                    std::move(more)});
  }
  fmt::print("{}", aligned(rows, 2));
}

// Opens the model without reading its checkpoint.
ExitStatus show_memory(const ShowOptions& options) {
  const ModuleFiles files = open_model_files(resolve_handle(options.module));
  const ModelRunner runner(files, {.restore = false});
  std::uint64_t weights = 0;
  for (const ModelVariable& variable : runner.variables()) {
    if (const auto shape = variable.shape.as_shape())
      weights += static_cast<std::uint64_t>(shape->num_elements()) * dtype_size(variable.dtype);
  }
  std::vector<SignatureMemory> signatures;
  for (const auto& [name, bound] : runner.signatures())
    signatures.push_back(signature_memory(runner, name, options));
  if (!options.json) {
    print_memory(weights, signatures, options);
    return kDone;
  }
  nlohmann::ordered_json json{{"weights", weights}, {"signatures", nlohmann::json::object()}};
  for (const SignatureMemory& signature : signatures) {
    nlohmann::ordered_json& entry = json["signatures"][printable(signature.name)];
    if (!signature.error.empty()) {
      entry = {{"error", signature.error}};
      continue;
    }
    entry = {{"values", signature.estimate.peak_bytes},
             {"unknown_values", signature.estimate.unknown_values}};
  }
  fmt::print("{}\n", json.dump());
  return kDone;
}

ExitStatus show(const ShowOptions& options) {
  if (options.memory) return show_memory(options);
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
  CLI::Option* memory = command->add_flag(
      "--memory", options->memory,
      "Say instead what each signature's values take at a time, known before a run");
  command
      ->add_option("--batch", options->batch,
                   "For --memory: the size of an unknown first dimension")
      ->needs(memory)
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  command
      ->add_option("--length", options->length,
                   "For --memory: the size of other unknown dimensions")
      ->needs(memory)
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  command->footer(examples_text({
      "tf1hub show examples/data/text-embedding-en-64/module",
      "tf1hub show --memory --batch 8 examples/data/digits-classification/module",
      "tf1hub show --json frozen_graph.pb",
  }));
  return {command, [options] { return show(*options); }};
}

}  // namespace hub::cli
