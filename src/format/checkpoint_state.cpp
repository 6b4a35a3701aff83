#include "format/checkpoint_state.h"

#include <filesystem>

#include "base/errors.h"
#include "format/checkpoint_v1.h"
#include "format/message_io.h"
#include "format/proto/tensor_bundle.pb.h"
#include "format/tensor_bundle.h"

namespace hub {

namespace pb = ::tf1hub::format;

namespace {

std::string state_path(const std::string& directory) {
  return (std::filesystem::path(directory) / "checkpoint").string();
}

// An absolute path stays as it is.
std::string below(const std::string& directory, const std::string& path) {
  return (std::filesystem::path(directory) / path).string();
}

}  // namespace

CheckpointState parse_checkpoint_state(std::string_view text, std::string_view place) {
  pb::CheckpointState message;
  parse_text(message, text, "CheckpointState", place);
  const auto& paths = message.all_model_checkpoint_paths();
  const auto& times = message.all_model_checkpoint_timestamps();
  return {.model_checkpoint_path = message.model_checkpoint_path(),
          .all_model_checkpoint_paths = {paths.begin(), paths.end()},
          .all_model_checkpoint_timestamps = {times.begin(), times.end()},
          .last_preserved_timestamp = message.last_preserved_timestamp()};
}

std::string checkpoint_state_text(const CheckpointState& state) {
  pb::CheckpointState message;
  message.set_model_checkpoint_path(state.model_checkpoint_path);
  for (const auto& path : state.all_model_checkpoint_paths) {
    message.add_all_model_checkpoint_paths(path);
  }
  message.mutable_all_model_checkpoint_timestamps()->Add(
      state.all_model_checkpoint_timestamps.begin(), state.all_model_checkpoint_timestamps.end());
  message.set_last_preserved_timestamp(state.last_preserved_timestamp);
  return serialize_text(message);
}

std::optional<CheckpointState> read_checkpoint_state(const std::string& directory) {
  const std::string path = state_path(directory);
  if (!path_exists(path)) return std::nullopt;
  CheckpointState state = parse_checkpoint_state(read_file(path), path);
  state.model_checkpoint_path = below(directory, state.model_checkpoint_path);
  for (auto& each : state.all_model_checkpoint_paths) each = below(directory, each);
  return state;
}

void write_checkpoint_state(const std::string& directory, const CheckpointState& state,
                            const FileSystem& files) {
  write_file_atomically(state_path(directory), checkpoint_state_text(state), IfExists::kReplace,
                        files);
}

std::optional<std::string> latest_checkpoint(const std::string& directory) {
  const auto state = read_checkpoint_state(directory);
  if (!state || !checkpoint_exists(state->model_checkpoint_path)) return std::nullopt;
  return state->model_checkpoint_path;
}

}  // namespace hub
