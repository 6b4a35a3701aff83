#pragma once

// The file "checkpoint" of a training run's folder: which checkpoints there are.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace hub {

struct CheckpointState {
  std::string model_checkpoint_path;                    // the newest
  std::vector<std::string> all_model_checkpoint_paths;  // from the oldest
  std::vector<double> all_model_checkpoint_timestamps;
  double last_preserved_timestamp = 0;
};

// Errors: DATA_LOSS (kind decode).
CheckpointState parse_checkpoint_state(std::string_view text, std::string_view place);
std::string checkpoint_state_text(const CheckpointState& state);

// The state of a folder, with paths joined to it; none where the folder has no such file.
std::optional<CheckpointState> read_checkpoint_state(const std::string& directory);
void write_checkpoint_state(const std::string& directory, const CheckpointState& state,
                            const FileSystem& files = file_system());
// The prefix of the newest checkpoint of a folder, where its index file exists.
std::optional<std::string> latest_checkpoint(const std::string& directory);

}  // namespace hub
