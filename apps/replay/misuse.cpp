#include "replay/misuse.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "common/json_tensor.h"
#include "format/tensor_bundle.h"

namespace hub::replay {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// What comes with training.
const std::set<std::string>& unwritten_verbs() {
  static const std::set<std::string> kVerbs = {
      "register_module_for_export", "LatestModuleExporter", "text_embedding_column",
      "sparse_text_embedding_column", "image_embedding_column"};
  return kVerbs;
}

std::optional<DType> dtype_in(const Json& json) {
  if (!json.contains("dtype")) return std::nullopt;
  return dtype_from_name(json.at("dtype").get<std::string>());
}

// The world of one row: a fresh graph and an empty working directory.
class World {
 public:
  World(std::string zoo, const EngineOptions& options)
      : zoo_(std::move(zoo)),
        options_{.threads = options.threads,
                 .passes = options.passes,
                 .frames_executor = options.executor == ExecutorKind::kFrames} {}

  // Throws what the library throws; Mismatch for a verb that is not known.
  void perform(const Json& step) {
    using Verb = void (World::*)(const Json&);
    static const std::map<std::string, Verb> kVerbs = {
        {"Module", &World::make_module},
        {"load_module_spec", &World::load_spec},
        {"create_module_spec", &World::create_spec},
        {"call", &World::call},
        {"get_input_info_dict", &World::describe_signature},
        {"get_output_info_dict", &World::describe_signature},
        {"get_signature_names", &World::list_signatures},
        {"get_attached_message", &World::read_message},
        {"get_expected_image_size", &World::read_image_size},
        {"new_graph", &World::change_graph},
        {"initialize", &World::initialize},
        {"run_variables_initializer", &World::initialize_variables},
        {"run", &World::run},
        {"export", &World::export_module},
        {"spec_export", &World::export_spec},
        {"use_name_scope", &World::use_name_scope},
        {"files", &World::write_files},
        {"copy", &World::copy},
        {"copy_file", &World::copy_file},
        {"remove", &World::remove},
        {"edit", &World::edit},
        {"checkpoint", &World::write_checkpoint},
        {"load", &World::load},
        {"eval", &World::evaluate},
    };
    const auto found = kVerbs.find(step.at("do").get<std::string>());
    if (found == kVerbs.end()) throw Mismatch("there is no verb ", step.at("do").dump());
    (this->*found->second)(step);
  }

 private:
  std::string local(const std::string& path) const {
    return (fs::path(work_.path()) / path).string();
  }
  std::string module_path(const std::string& name) const {
    return (fs::path(zoo_) / name / "module").string();
  }
  std::string path_in(const Json& step) const {
    if (step.contains("module")) return module_path(step.at("module").get<std::string>());
    return local(step.at("path").get<std::string>());
  }

  // Where Python takes any object, C++ takes texts: the compiler refuses a number.
  [[noreturn]] static void refuse_number() { throw value_error("Expected a string."); }

  void make_module(const Json& step) {
    if (step.contains("python")) refuse_number();
    const ModuleOptions options = {.trainable = step.value("trainable", false),
                                   .tags = step.value("tags", Tags{})};
    const bool is_named = step.contains("module") || step.contains("path");
    module_ =
        is_named ? Module(graph_, path_in(step), options) : Module(graph_, spec_.value(), options);
  }
  void load_spec(const Json& step) { spec_ = load_module_spec(path_in(step)); }

  void create_spec(const Json& step) {
    CreateOptions options;
    options.drop_collections = step.value("drop_collections", std::vector<std::string>{});
    for (const Json& pair : step.value("tags_and_args", Json::array())) {
      GraphVariant variant = {.tags = pair.at(0).get<Tags>()};
      for (const auto& [name, value] : pair.at(1).items()) {
        variant.arguments.emplace(
            name, value.is_boolean() ? Attr(value.get<bool>()) : Attr(value.get<std::int64_t>()));
      }
      options.variants.push_back(std::move(variant));
    }
    spec_ =
        create_module_spec(misuse_functions().at(step.at("module_fn").get<std::string>()), options);
  }

  Output constant(const Json& value, std::optional<DType> dtype) const {
    return ops::constant(graph_, tensor_from_json(value, dtype, "a row"));
  }

  Value value(const Json& json) {
    if (json.contains("constant")) return constant(json.at("constant"), dtype_in(json));
    if (json.contains("placeholder")) return ops::placeholder(graph_, *dtype_in(json));
    if (json.contains("same")) {
      auto& shared = same_[json.at("same").get<std::string>()];
      if (!shared) shared = constant(json.at("python"), std::nullopt);
      return shared;
    }
    if (json.contains("python")) return tensor_from_json(json.at("python"), std::nullopt, "a row");
    if (json.contains("sparse")) {
      const Json& sparse = json.at("sparse");
      return SparseValue{constant(sparse.at("indices"), kInt64),
                         constant(sparse.at("values"), dtype_in(sparse).value_or(kFloat)),
                         constant(sparse.at("dense_shape"), kInt64)};
    }
    const Json& ragged = json.at("ragged");
    RaggedValue result;
    result.values = constant(ragged.at("values"), std::nullopt);
    const DType splits_dtype =
        dtype_from_name(ragged.value("row_splits_dtype", std::string("int64")));
    for (const Json& splits : ragged.at("row_splits"))
      result.row_splits.push_back(constant(splits, splits_dtype));
    return result;
  }

  void call(const Json& step) {
    const Json& inputs = step.at("inputs");
    const ApplyOptions options = {.signature = step.value("signature", std::string())};
    ValueMap values;
    Value only;
    if (!inputs.is_null() && inputs.contains("dict")) {
      for (const auto& [name, json] : inputs.at("dict").items()) values.emplace(name, value(json));
    } else if (!inputs.is_null()) {
      only = value(inputs);
    }
    results_.clear();
    const auto add = [&](const Value& result) {
      for (const Output& part : result.parts()) results_.emplace_back(part);
    };
    if (step.value("as_dict", false)) {
      const Outputs outputs =
          only.is_valid() ? module_->apply(only, options) : module_->apply(values, options);
      for (const auto& entry : outputs) add(entry.second);
    } else {
      add(only.is_valid() ? (*module_)(only, options) : (*module_)(values, options));
    }
  }

  const ModuleSpec& spec() const { return spec_ ? *spec_ : module_->spec(); }
  void describe_signature(const Json& step) {
    static_cast<void>(
        spec().signature(step.value("signature", std::string()), step.value("tags", Tags{})));
  }
  void list_signatures(const Json& step) {
    static_cast<void>(spec().signature_names(step.at("tags").get<Tags>()));
  }
  void read_message(const Json& step) {
    const auto key = step.at("key").get<std::string>();
    const Tags tags = step.value("tags", Tags{});
    if (step.value("required", false)) {
      static_cast<void>(spec().required_attached_message(key, tags));
    } else {
      static_cast<void>(spec().attached_message(key, tags));
    }
  }
  void read_image_size(const Json& step) {
    static_cast<void>(
        expected_image_size(spec(), {.signature = step.value("signature", std::string())}));
  }

  void change_graph(const Json&) { graph_ = Graph(); }
  Session& session() {
    if (!session_) session_.emplace(first_graph_, options_);
    return *session_;
  }
  void initialize(const Json&) { session().initialize(); }
  void initialize_variables(const Json&) {
    std::vector<Endpoint> initializers;
    for (const Variable& variable : collection_variables(first_graph_))
      initializers.emplace_back(variable.initializer());
    session().run(initializers);
  }
  void run(const Json&) { session().run(results_); }

  // The current graph's session is given: in Python the current graph itself must be right.
  void export_module(const Json& step) {
    if (step.contains("session") || !(graph_ == first_graph_)) {
      module_->export_to(local("exported"), Session(Graph(), options_));
    } else {
      module_->export_to(local("exported"), session());
    }
  }
  void export_spec(const Json& step) {
    SpecExportOptions options;
    if (step.contains("checkpoint_path"))
      options.checkpoint_path = local(step.at("checkpoint_path").get<std::string>());
    spec_->export_to(local("exported"), options);
  }

  void use_name_scope(const Json& step) {
    const NameScope scope(graph_, step.at("name").get<std::string>());
    ops::constant(graph_, 1, kInt32);
  }

  void write_files(const Json& step) {
    const std::string folder = local(step.at("at").get<std::string>());
    fs::create_directories(folder);
    for (const auto& [name, hex] : step.at("files").items()) {
      const auto digits = hex.get<std::string>();
      std::string bytes;
      for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
      write_file_atomically((fs::path(folder) / name).string(), bytes);
    }
  }
  void copy(const Json& step) {
    fs::copy(module_path(step.at("module").get<std::string>()),
             local(step.at("at").get<std::string>()), fs::copy_options::recursive);
  }
  void copy_file(const Json& step) {
    fs::copy_file(fs::path(module_path(step.at("module").get<std::string>())) /
                      step.at("file").get<std::string>(),
                  local(step.at("to").get<std::string>()), fs::copy_options::overwrite_existing);
  }
  void remove(const Json& step) { fs::remove_all(local(step.at("path").get<std::string>())); }

  void edit(const Json& step) {
    std::map<std::string, std::string> arguments;
    for (const char* key : {"from", "to", "key"}) {
      if (!step.contains(key)) continue;
      const Json& argument = step.at(key);
      arguments[key] = argument.is_string() ? argument.get<std::string>() : argument.dump();
    }
    edit_saved_model(local(step.at("at").get<std::string>()) + "/saved_model.pb",
                     step.at("edit").get<std::string>(), arguments);
  }

  void write_checkpoint(const Json& step) {
    BundleWriter writer(local(step.at("at").get<std::string>()));
    for (const auto& [name, shape] : step.at("variables").items()) {
      Tensor value(kFloat, Shape(shape.get<std::vector<std::int64_t>>()));
      std::ranges::fill(value.mutable_bytes(), std::byte{0});
      writer.add(name, value);
    }
    writer.finish();
  }

  void load(const Json& step) {
    if (!step.at("python").is_string()) refuse_number();
    static_cast<void>(hub::load(local(step.at("python").get<std::string>())));
  }

  void evaluate(const Json& step) {
    const EvalFunction function(load_module_spec(path_in(step)));
    const Json& inputs = step.at("inputs");
    TensorMap values;
    if (inputs.is_null()) {
      function(values);
    } else if (inputs.contains("dict")) {
      for (const auto& [name, json] : inputs.at("dict").items())
        values.emplace(name, tensor_of(json));
      function(values);
    } else {
      function(tensor_of(inputs));
    }
  }
  static Tensor tensor_of(const Json& json) {
    return tensor_from_json(json.at(json.contains("constant") ? "constant" : "python"),
                            dtype_in(json), "a row");
  }

  std::string zoo_;
  SessionOptions options_;
  TempDirectory work_;
  Graph graph_;
  Graph first_graph_ = graph_;
  std::optional<ModuleSpec> spec_;
  std::optional<Module> module_;
  std::optional<Session> session_;
  std::vector<Endpoint> results_;
  std::map<std::string, Output> same_;
};

// What Python would call the error: "ValueError", "NotFoundError".
std::string class_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::kValue: return "ValueError";
    case ErrorKind::kType: return "TypeError";
    case ErrorKind::kKey: return "KeyError";
    case ErrorKind::kRuntime: return "RuntimeError";
    case ErrorKind::kIo: return "OSError";
    case ErrorKind::kNotImplemented: return "NotImplementedError";
    case ErrorKind::kDecode: return "DecodeError";
    case ErrorKind::kStatus: break;
  }
  std::string name;  // "NOT_FOUND" -> "NotFound"
  bool begins = true;
  for (const char c : error_code_name(error.code())) {
    if (c != '_') name += begins ? c : static_cast<char>(std::tolower(c));
    begins = c == '_';
  }
  return name + "Error";
}

void replay_row(const std::string& zoo, const Json& row, const EngineOptions& options) {
  const bool must_fail = !row.at("raises").is_null();
  const std::string expected = must_fail ? row.at("raises").get<std::string>() : "";
  const int at_step = row.value("at_step", -1);
  World world(zoo, options);
  int number = 0;
  for (const Json& step : row.at("steps")) {
    try {
      world.perform(step);
    } catch (const Error& error) {
      const std::string got = class_of(error);
      const bool is_any_status = expected == "OpError" && error.kind() == ErrorKind::kStatus;
      if (!must_fail || number != at_step || (got != expected && !is_any_status)) {
        throw Mismatch("step ", number, " raises ", got, ": ", error.what(), "; expected ",
                       must_fail ? cat(expected, " at step ", at_step) : "no error");
      }
      return;
    }
    ++number;
  }
  if (must_fail) throw Mismatch("nothing is refused; expected ", expected, " at step ", at_step);
}

Replay open_row(const std::string& zoo, const std::shared_ptr<const Json>& rows, const Json& row) {
  for (const Json& step : row.at("steps")) {
    const auto verb = step.at("do").get<std::string>();
    if (unwritten_verbs().contains(verb)) throw Mismatch(verb, " is not supported yet");
  }
  return [zoo, rows, &row](const EngineOptions& options) { replay_row(zoo, row, options); };
}

}  // namespace

std::vector<Unit> misuse_units(const std::string& path) {
  std::vector<Unit> units;
  try {
    const auto rows = std::make_shared<const Json>(Json::parse(read_file(path)).at("rows"));
    const std::string zoo = fs::absolute(path).parent_path().string();
    for (const Json& row : *rows) {
      units.push_back({.id = cat("misuse/", row.at("id").get<std::string>()),
                       .kind = UnitKind::kMisuse,
                       .open = [zoo, rows, &row] { return open_row(zoo, rows, row); }});
    }
  } catch (const Json::exception& error) {
    throw data_loss("A misuse.json is JSON with rows. Details: \"", path, "\": ", error.what(),
                    ".");
  }
  return units;
}

}  // namespace hub::replay
