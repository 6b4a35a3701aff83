#pragma once

// A model opened as the options of `run` and `bench` say, and its inputs.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cli/arrays.h"
#include "cli/handle.h"
#include "module/model_runner.h"

namespace hub::cli {

struct ModelOptions {
  HandleOptions module;
  std::string tags;  // "a,b"
  std::string signature;
  int threads = 0;
  std::uint64_t memory_limit_mb = 0;  // 0: none
  std::optional<std::int64_t> seed;
};

// Declares what the commands have in common.
void add_model_options(CLI::App& command, ModelOptions& options);

struct PreparedModel {
  std::unique_ptr<const ModelRunner> runner;
  std::string signature;  // empty: a graph without signatures
};

struct OpenedModel {
  ModuleFiles files;
  std::unique_ptr<const ModelRunner> runner;
};
// Errors: UsageError for unknown tags; those of ModelRunner.
OpenedModel open_model(const ModelOptions& options);

// The same; the signature is known to exist.
// Errors: UsageError for unknown tags or signatures; those of ModelRunner.
PreparedModel open_prepared(const ModelOptions& options);

// The inputs: those of the signature, and tensors of the graph by their names there.
struct PreparedInputs {
  TensorMap signature_inputs;
  TensorMap feeds;
};
PreparedInputs prepare_inputs(const PreparedModel& model, const InputOptions& options);

}  // namespace hub::cli
