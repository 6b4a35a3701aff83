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
};

// Every checksum, every graph, every signature's tensors with dtype and shape, every
// variable's stored tensor, every asset, every op that initialises something.
Verification verify_model(const ModuleFiles& files);

}  // namespace hub
