#pragma once

// The arrays that a command is given and gives.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/module.h"

namespace hub::cli {

struct InputOptions {
  std::string file;                 // .npz or .json with all inputs
  std::vector<std::string> single;  // NAME=FILE.npy or NAME=JSON
};

// The dtype that the tensor called so shall have, where somebody knows.
using ExpectedDType = std::function<std::optional<DType>(std::string_view name)>;

// Reads the inputs and converts each to the expected dtype (convert_tensor).
// Errors: UsageError for what cannot be converted, JSON that cannot be parsed, a name twice;
// those of reading the files.
TensorMap read_inputs(const InputOptions& options, const ExpectedDType& expected);

// Writes the arrays as .npz or .json, by the name's ending.
void write_outputs(const std::string& path, const TensorMap& outputs);
// Throws UsageError where the name has another ending. For checking before the work is done.
void check_output_name(const std::string& path);

}  // namespace hub::cli
