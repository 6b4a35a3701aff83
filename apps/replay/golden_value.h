#pragma once

// The values of a golden.json: what is fed, and what must come out
// (tests/data/zoo/README.md describes their form).

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/npz.h"
#include "hub/tensor.h"

namespace hub::replay {

// A golden folder: golden.json, its arrays and the model. Immutable; any thread may read.
class GoldenFolder {
 public:
  // Errors: those of reading golden.json or golden.npz; DATA_LOSS where it is no golden.
  explicit GoldenFolder(std::string path);

  const std::string& path() const { return path_; }
  const nlohmann::json& json() const { return json_; }
  // "hub_module", "saved_model", "frozen_graph" or "checkpoint".
  std::string kind() const;
  // The model's absolute path.
  std::string model_path() const;
  // A path that golden.json gives, made absolute.
  std::string absolute(const std::string& relative) const;

  // The tensors of an input, by part: one under `name`, or "name/indices" and so on for a
  // sparse or ragged value. `module_path` is what {"module_path": ...} begins with.
  // Errors: INVALID_ARGUMENT for a form that is not described.
  std::map<std::string, Tensor> input(const std::string& name, const nlohmann::json& value,
                                      const std::string& module_path) const;

  // What is wrong with an output that the engine gave, by part; nothing if it is as recorded.
  std::optional<std::string> output_difference(const std::string& name, const nlohmann::json& value,
                                               const nlohmann::json& golden_case,
                                               const std::map<std::string, Tensor>& got,
                                               const std::string& module_path) const;

 private:
  Tensor tensor(const nlohmann::json& value, const std::string& module_path) const;
  Tensor array(const nlohmann::json& value) const;
  std::optional<std::string> tensor_difference(const nlohmann::json& value,
                                               const nlohmann::json& golden_case, const Tensor& got,
                                               const std::string& module_path) const;

  std::string path_;
  nlohmann::json json_;
  std::unique_ptr<NpzFile> arrays_;  // none: golden.json has all values
};

// The formula `synthetic_weights`: float32 values made of a name and a shape.
Tensor synthetic_weights(std::string_view name, const Shape& shape);

// The tensors' names, and what golden.json says of each, in the order of the value's parts.
std::map<std::string, const nlohmann::json*> parts_of_value(const std::string& name,
                                                            const nlohmann::json& value);

}  // namespace hub::replay
