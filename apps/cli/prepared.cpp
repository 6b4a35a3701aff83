#include "cli/prepared.h"

#include "base/errors.h"
#include "cli/commands.h"
#include "module/variants.h"

namespace hub::cli {
namespace {

// The dtype of each tensor that a signature takes.
std::map<std::string, DType> part_dtypes(const BoundSignature& signature) {
  std::map<std::string, DType> dtypes;
  for (const auto& [name, value] : signature.inputs) {
    const ValueInfo& info = value.info;
    const std::vector<std::string> parts = part_names(name, info);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool is_values = info.kind == ValueKind::kSparse ? i == 1 : i == 0;
      dtypes[parts[i]] = is_values                         ? info.dtype
                         : info.kind == ValueKind::kSparse ? DType::kInt64
                                                           : info.row_splits_dtype;
    }
  }
  return dtypes;
}

std::optional<OutputId> find_tensor(const GraphData& graph, std::string_view name) {
  try {
    return graph.find_output(name);
  } catch (const Error&) {
    return std::nullopt;  // whoever uses the input says so
  }
}

std::optional<DType> tensor_dtype(const GraphData& graph, std::string_view name) {
  const std::optional<OutputId> tensor = find_tensor(graph, name);
  if (!tensor || graph.fact(*tensor).dtype == DType::kInvalid) return std::nullopt;
  return graph.fact(*tensor).dtype;
}

}  // namespace

void add_model_options(CLI::App& command, ModelOptions& options) {
  add_handle(command, options.module);
  command.add_option("--tags", options.tags,
                     "Tags of the graph, as a,b; default: the graph without tags, or the only one");
  command.add_option("--signature", options.signature,
                     "Signature to apply; default: default or serving_default");
  command.add_option("--threads", options.threads, "Threads to use; default: one for each CPU")
      ->check(CLI::Range(1, 1024));
  command
      .add_option("--memory-limit", options.memory_limit_mb,
                  "Refuse a run whose values would take more megabytes at a time")
      ->check(CLI::Range(1, 1 << 30));
}

OpenedModel open_model(const ModelOptions& options) {
  ModuleFiles files = open_model_files(resolve_handle(options.module));
  std::vector<std::string> tags;
  if (!options.tags.empty()) tags = split(options.tags, ',');
  checking_usage([&] { return find_variant(files, tags); });
  auto runner = std::make_unique<const ModelRunner>(
      files, RunnerOptions{.tags = tags,
                           .engine = {.threads = options.threads,
                                      .memory_limit = options.memory_limit_mb << 20},
                           .seed = options.seed});
  return {std::move(files), std::move(runner)};
}

PreparedModel open_prepared(const ModelOptions& options) {
  PreparedModel model;
  model.runner = open_model(options).runner;
  if (model.runner->signatures().empty() && options.signature.empty()) return model;
  model.signature = options.signature.empty() ? default_signature_name(model.runner->signatures())
                                              : options.signature;
  checking_usage([&] { static_cast<void>(model.runner->signature(model.signature)); });
  return model;
}

PreparedInputs prepare_inputs(const PreparedModel& model, const InputOptions& options) {
  const GraphData& graph = model.runner->graph();
  std::map<std::string, DType> dtypes;
  if (!model.signature.empty()) dtypes = part_dtypes(model.runner->signature(model.signature));
  TensorMap all = read_inputs(options, [&](std::string_view name) {
    const auto found = dtypes.find(std::string(name));
    return found == dtypes.end() ? tensor_dtype(graph, name) : found->second;
  });
  PreparedInputs inputs;
  for (auto& [name, tensor] : all) {
    const bool is_feed =
        !dtypes.contains(name) && (model.signature.empty() || find_tensor(graph, name).has_value());
    (is_feed ? inputs.feeds : inputs.signature_inputs).emplace(name, std::move(tensor));
  }
  return inputs;
}

}  // namespace hub::cli
