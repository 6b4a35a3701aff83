#pragma once

// Whether a model is whole: without running it, but looking at every byte.

#include <cstdint>
#include <string>
#include <vector>

#include "format/module_files.h"

namespace hub {

struct Verification {
  // What is wrong, each with its place; nothing: the model is whole.
  std::vector<std::string> problems;
  // What was looked at.
  std::int64_t tensors = 0;
  std::int64_t graphs = 0;
  std::int64_t signatures = 0;
  std::int64_t variables = 0;
  std::int64_t assets = 0;
  // Ops that this library does not have, sorted. Not a problem of the model.
  std::vector<std::string> unsupported_ops;
};

// Every checksum, every graph with the functions that it calls, every signature's tensors with
// dtype and shape, every variable's node and stored tensor, every asset to its last byte, every op
// that initialises something, every name in a collection, and the rules of modules: which
// collections they have, each set of tags once, one output for what holds state.
Verification verify_model(const ModuleFiles& files);

}  // namespace hub
