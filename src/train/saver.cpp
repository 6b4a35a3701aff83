#include "hub/saver.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/errors.h"
#include "base/file.h"
#include "format/checkpoint_state.h"
#include "format/tensor_bundle.h"
#include "hub/meta_graph.h"
#include "module/variable_slices.h"

namespace hub::train {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMetaSuffix = ".meta";

// A checkpoint's prefix, or that of a folder's newest one.
std::string prefix_of(const std::string& checkpoint) {
  if (!is_directory(checkpoint)) return checkpoint;
  if (auto latest = hub::latest_checkpoint(checkpoint)) return *latest;
  throw not_found("There is no checkpoint in the folder. Details: ", checkpoint, ".");
}

// Parts are entered as slices of their variable.
struct SavedVariable {
  std::string key;
  Variable variable;
};

std::vector<SavedVariable> saved_variables(const Graph& graph,
                                           const std::map<std::string, Variable>& named) {
  std::vector<SavedVariable> result;
  const auto add = [&](const std::string& key, const Variable& variable) {
    if (!variable.is_partitioned()) return result.push_back({key, variable});
    for (const Variable& part : variable.parts()) result.push_back({key, part});
  };
  for (const auto& [key, variable] : named) add(key, variable);
  if (named.empty()) {
    for (const Variable& variable : collection_variables(graph))
      add(variable.full_name(), variable);
  }
  // As TensorFlow writes them.
  std::ranges::stable_sort(result, {}, &SavedVariable::key);
  return result;
}

void write_values(const std::vector<SavedVariable>& variables, const Session& session,
                  const std::string& prefix) {
  BundleWriter writer(prefix);
  for (const auto& [key, variable] : variables) {
    const Tensor value = session.variable(variable.op());
    if (!value.is_valid()) {
      throw failed_precondition("A variable is saved with a value. Details: \"", variable.name(),
                                "\" is not initialized in the session.");
    }
    if (variable.is_part()) {
      writer.add_slice(key, variable.partition().full_shape, slice_of(variable), value);
    } else {
      writer.add(key, value);
    }
  }
  writer.finish();
}

Tensor stored_value(const BundleReader& reader, const std::string& key, const Variable& variable) {
  const BundleEntry* entry = reader.find(key);
  if (entry == nullptr) {
    throw not_found("Key ", printable(key), " not found in checkpoint. Details: variable \"",
                    variable.name(), "\", checkpoint ", reader.prefix(), ".");
  }
  const PartialShape wanted =
      variable.is_part() ? PartialShape(variable.partition().full_shape) : variable.shape();
  if (!wanted.is_compatible_with(entry->shape) || entry->dtype != variable.dtype()) {
    throw value_error("A variable is restored from a value of its dtype and shape. Details: \"",
                      variable.name(), "\" is ", variable.dtype(), " ", wanted, ", \"",
                      printable(key), "\" in ", reader.prefix(), " is ", entry->dtype, " ",
                      entry->shape, ".");
  }
  return variable.is_part() ? reader.read_slice(key, slice_of(variable)) : reader.read(key);
}

void set_values(const std::vector<SavedVariable>& variables, const BundleReader& reader,
                Session& session) {
  std::vector<Tensor> values;
  for (const auto& [key, variable] : variables)
    values.push_back(stored_value(reader, key, variable));
  for (std::size_t i = 0; i < values.size(); ++i)
    session.set_variable(variables[i].variable.op(), values[i]);
}

double seconds_since_epoch() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void remove_checkpoint(const std::string& prefix) {
  const fs::path path(prefix);
  const std::string directory = path.has_parent_path() ? path.parent_path().string() : ".";
  const std::string base = path.filename().string();
  if (!is_directory(directory)) return;
  for (const std::string& name : list_directory(directory)) {
    const bool belongs = name == base + ".index" || name == cat(base, kMetaSuffix) ||
                         name.starts_with(base + ".data-");
    if (belongs) file_system().remove_all((fs::path(directory) / name).string());
  }
}

}  // namespace

Saver::Saver(const Graph& graph, SaverOptions options)
    : graph_(graph), options_(std::move(options)) {
  if (saved_variables(graph_, options_.variables).empty())
    throw value_error("No variables to save.");
}

std::string Saver::save(const Session& session, const std::string& prefix,
                        std::optional<std::int64_t> global_step) {
  const std::string checkpoint = global_step ? cat(prefix, "-", *global_step) : prefix;
  const fs::path path(checkpoint);
  const std::string directory = path.has_parent_path() ? path.parent_path().string() : ".";
  file_system().create_directories(directory);
  with_context(
      [&] {
        write_values(saved_variables(graph_, options_.variables), session, checkpoint);
        if (options_.write_meta_graph)
          write_file_atomically(cat(checkpoint, kMetaSuffix), export_meta_graph_def(graph_));
      },
      [&] { return cat("while saving ", checkpoint); });
  std::erase_if(kept_, [&](const Kept& kept) { return kept.prefix == checkpoint; });
  kept_.push_back({checkpoint, seconds_since_epoch()});
  std::vector<Kept> old;
  if (options_.max_to_keep > 0 && std::cmp_greater(kept_.size(), options_.max_to_keep)) {
    const auto first_kept = kept_.end() - options_.max_to_keep;
    old.assign(kept_.begin(), first_kept);
    kept_.erase(kept_.begin(), first_kept);
  }
  CheckpointState state;
  for (const Kept& kept : kept_) {
    state.all_model_checkpoint_paths.push_back(fs::path(kept.prefix).lexically_relative(directory));
    state.all_model_checkpoint_timestamps.push_back(kept.saved_at_seconds);
  }
  state.model_checkpoint_path = state.all_model_checkpoint_paths.back();
  write_checkpoint_state(directory, state);
  for (const Kept& kept : old) remove_checkpoint(kept.prefix);
  return checkpoint;
}

std::vector<std::string> Saver::last_checkpoints() const {
  std::vector<std::string> result;
  for (const Kept& kept : kept_) result.push_back(kept.prefix);
  return result;
}

void Saver::restore(Session& session, const std::string& prefix) const {
  const BundleReader reader(prefix);
  set_values(saved_variables(graph_, options_.variables), reader, session);
}

void Saver::recover_last_checkpoints(const std::string& directory) {
  kept_.clear();
  const auto state = read_checkpoint_state(directory);
  if (!state) return;
  const auto& times = state->all_model_checkpoint_timestamps;
  for (std::size_t i = 0; i < state->all_model_checkpoint_paths.size(); ++i) {
    const std::string& prefix = state->all_model_checkpoint_paths[i];
    if (path_exists(bundle_index_path(prefix)))
      kept_.push_back({prefix, i < times.size() ? times[i] : 0});
  }
}

std::optional<std::string> latest_checkpoint(const std::string& directory) {
  return hub::latest_checkpoint(directory);
}

std::vector<StoredVariable> list_variables(const std::string& checkpoint) {
  const BundleReader reader(prefix_of(checkpoint));
  std::vector<StoredVariable> result;
  for (const std::string_view key : reader.keys()) {
    const BundleEntry& entry = reader.entry(key);
    result.push_back({std::string(key), entry.dtype, entry.shape});
  }
  return result;
}

Tensor load_variable(const std::string& checkpoint, std::string_view name) {
  return BundleReader(prefix_of(checkpoint)).read(name);
}

std::vector<std::string> warm_start(
    Session& session, const std::string& checkpoint,
    const std::function<std::optional<std::string>(const Variable& variable)>& name_of) {
  const BundleReader reader(prefix_of(checkpoint));
  std::vector<SavedVariable> variables;
  std::vector<std::string> names;
  for (const Variable& variable : collection_variables(session.graph())) {
    const std::optional<std::string> key = name_of(variable);
    if (!key) continue;
    variables.push_back({*key, variable});
    names.push_back(variable.name());
  }
  set_values(variables, reader, session);
  return names;
}

}  // namespace hub::train
