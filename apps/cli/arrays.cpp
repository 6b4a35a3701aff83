#include "cli/arrays.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/file.h"
#include "cli/commands.h"
#include "common/convert.h"
#include "common/json_tensor.h"
#include "common/npy.h"
#include "common/npz.h"

namespace hub::cli {
namespace {

using Json = nlohmann::json;

Json parse_json(std::string_view text, const std::string& place) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw UsageError(cat(place, " is no JSON (strings are in double quotes): ", error.what()));
  }
}

class InputReader {
 public:
  explicit InputReader(const ExpectedDType& expected) : expected_(expected) {}

  void add_file(const std::string& path) {
    if (path.ends_with(".json")) {
      const Json json = parse_json(read_file(path), path);
      if (!json.is_object()) throw UsageError(path + " is no JSON object of names and values");
      for (const auto& [name, value] : json.items()) add_json(name, value);
    } else if (path.ends_with(".npz")) {
      for (auto& [name, tensor] : read_npz(path)) add(name, tensor);
    } else {
      throw UsageError("--inputs takes a .npz or .json file, not " + path);
    }
  }

  void add_single(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError("--input takes NAME=FILE.npy or NAME=JSON, not " + printable(text));
    }
    const std::string name = text.substr(0, equals);
    const std::string value = text.substr(equals + 1);
    if (value.ends_with(".npy")) {
      add(name, parse_npy(read_file(value), value));
    } else {
      add_json(name, parse_json(value, cat("The value of input '", name, "'")));
    }
  }

  TensorMap take() { return std::move(inputs_); }

 private:
  void add_json(const std::string& name, const Json& value) {
    add(name, tensor_from_json(value, expected_(name), name));
  }

  void add(const std::string& name, const Tensor& tensor) {
    const std::optional<DType> dtype = expected_(name);
    const bool is_new =
        inputs_.emplace(name, dtype ? convert_tensor(tensor, *dtype, name) : tensor).second;
    if (!is_new) throw UsageError(cat("Input '", name, "' is given twice."));
  }

  const ExpectedDType& expected_;
  TensorMap inputs_;
};

}  // namespace

TensorMap read_inputs(const InputOptions& options, const ExpectedDType& expected) {
  return checking_usage([&] {
    InputReader reader(expected);
    if (!options.file.empty()) reader.add_file(options.file);
    for (const std::string& input : options.single) reader.add_single(input);
    return reader.take();
  });
}

void check_output_name(const std::string& path) {
  if (path.ends_with(".npz") || path.ends_with(".json")) return;
  throw UsageError("Outputs are written to a .npz or .json file, not " + path);
}

void write_outputs(const std::string& path, const TensorMap& outputs) {
  if (path.ends_with(".npz")) {
    write_file_atomically(path, serialize_npz(outputs));
    return;
  }
  Json json = Json::object();
  for (const auto& [name, tensor] : outputs) json[name] = tensor_to_json(tensor);
  // Names may be bytes that are no UTF-8; strings among the values are base64 then.
  write_file_atomically(path, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace hub::cli
