#include "replay/scenario.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "autodiff/gradients.h"
#include "base/errors.h"
#include "common/json_tensor.h"
#include "hub/hub.h"
#include "replay/golden_instances.h"

namespace hub::replay {
namespace {

using Json = nlohmann::json;

SessionOptions session_options(const EngineOptions& options) {
  return {.threads = options.threads,
          .passes = options.passes,
          .frames_executor = options.executor == ExecutorKind::kFrames};
}

// The scopes around the construction or the call of a module.
class Scopes {
 public:
  Scopes(const Graph& graph, const Json& json) {
    if (json.contains("name_scope")) name_.emplace(graph, json.at("name_scope").get<std::string>());
    if (json.contains("variable_scope"))
      variable_.emplace(graph, json.at("variable_scope").get<std::string>());
  }

 private:
  std::optional<NameScope> name_;
  std::optional<VariableScope> variable_;
};

// The graph of a scenario.
class Scenario {
 public:
  Scenario(const GoldenFolder& golden, const Json& json) : golden_(golden) {
    for (const auto& [name, value] : json.at("feeds").items()) {
      const Tensor tensor = golden.input(name, value, golden.model_path()).at(name);
      feeds_.emplace(name,
                     ops::placeholder(graph_, tensor.dtype(), tensor.shape(), cat("feed_", name)));
      fed_.push_back({feeds_.at(name), tensor});
    }
    for (const Json& module : json.at("modules")) add_module(module);
    for (const Json& call : json.at("calls")) add_call(call);
  }

  const Graph& graph() const { return graph_; }
  const Feeds& feeds() const { return fed_; }
  const std::map<std::string, Outputs>& results() const { return results_; }
  const std::map<std::string, Module>& modules() const { return modules_; }

  Output value(const Json& reference) const {
    if (reference.contains("feed")) return feeds_.at(reference.at("feed").get<std::string>());
    if (reference.contains("constant")) {
      const DType dtype = dtype_from_name(reference.value("dtype", std::string("float32")));
      return ops::constant(graph_, tensor_from_json(reference.at("constant"), dtype, "a scenario"));
    }
    return results_.at(
        reference.at("call").get<std::string>())[reference.value("output", "default")];
  }

  // What a gradient is taken to.
  Output source(const Json& reference) const {
    if (!reference.contains("module")) return value(reference);
    const Module& module = modules_.at(reference.at("module").get<std::string>());
    return module.variable_map().at(reference.at("variable").get<std::string>()).handle();
  }

 private:
  void add_module(const Json& json) {
    const std::string path = json.value("path", std::string("."));
    const std::string folder =
        path == "."
            ? golden_.model_path()
            : (std::filesystem::path(golden_.path()).parent_path() / path / "module").string();
    const Scopes scopes(graph_, json);
    modules_.emplace(json.at("id").get<std::string>(),
                     Module(graph_, folder,
                            {.name = json.value("name", std::string("module")),
                             .trainable = json.value("trainable", false),
                             .tags = json.value("tags", Tags{})}));
  }

  void add_call(const Json& json) {
    const Module& module = modules_.at(json.at("module").get<std::string>());
    const ApplyOptions options = {.signature = json.value("signature", std::string())};
    ValueMap inputs;
    if (json.contains("inputs")) {
      for (const auto& [name, reference] : json.at("inputs").items())
        inputs.emplace(name, value(reference));
    }
    const Scopes scopes(graph_, json);
    Outputs& result = results_[json.at("id").get<std::string>()];
    if (json.contains("while")) {
      result = repeated(module, options, inputs, value(json.at("while")));
    } else if (json.contains("cond")) {
      const std::string& name = inputs.begin()->first;
      const Output x = inputs.begin()->second;
      const Output y = cond(
          value(json.at("cond")),
          [&] {
            return Output(module({{name, x}}, options));
          },
          [&] { return ops::identity(x); });
      result = Outputs({{"default", y}});
    } else if (json.contains("map")) {
      const std::string& name = inputs.begin()->first;
      const Signature signature = module.spec().signature(options.signature, module.tags());
      const auto outputs = map_fn(
          [&](const std::vector<Output>& x) {
            return std::vector<Output>{module({{name, x[0]}}, options)};
          },
          {inputs.begin()->second}, {.dtypes = {signature.outputs.at("default").dtype}});
      result = Outputs({{"default", outputs[0]}});
    } else {
      result = module.apply(inputs, options);
    }
  }

  Outputs repeated(const Module& module, const ApplyOptions& options, const ValueMap& inputs,
                   const Output& count) const {
    const std::string& name = inputs.begin()->first;
    const auto outputs = while_loop(
        graph_, [&](const std::vector<Output>& v) { return ops::less(v[0], count); },
        [&](const std::vector<Output>& v) {
          return std::vector<Output>{v[0] + 1, module({{name, v[1]}}, options)};
        },
        {0, inputs.begin()->second.dense()});
    return Outputs({{"default", outputs[1]}});
  }

  const GoldenFolder& golden_;
  Graph graph_;
  std::map<std::string, Output> feeds_;
  Feeds fed_;
  std::map<std::string, Module> modules_;
  std::map<std::string, Outputs> results_;
};

void check_names(const Scenario& built, const Json& scenario) {
  for (const auto& [id, names] : scenario.at("variables").items()) {
    std::vector<std::string> got;
    for (const Variable& variable : built.modules().at(id).variables())
      got.push_back(variable.name());
    if (got != names.get<std::vector<std::string>>())
      throw Mismatch("module ", id, " has the variables ", join(got), ", not ", names.dump());
  }
  std::map<std::string, std::vector<std::string>> got = collection_names(built.graph().state());
  const auto want =
      scenario.at("collections").get<std::map<std::string, std::vector<std::string>>>();
  if (got == want) return;
  for (const auto& [key, names] : want) {
    if (got[key] != names) {
      throw Mismatch("collection ", key, " holds ", join(got[key]), ", not ", join(names));
    }
  }
  throw Mismatch("there are other collections than ", scenario.at("collections").dump());
}

void run_scenario(const GoldenFolder& golden, const Json& scenario, const Scenario& built,
                  const EngineOptions& options) {
  std::vector<Endpoint> fetches;
  std::vector<std::pair<std::string, std::string>> names;  // call, part
  for (const auto& [id, outputs] : built.results()) {
    for (const auto& [name, value] : outputs) {
      const std::vector<std::string> parts = part_names(name, value.info());
      const std::vector<Output> tensors = value.parts();
      for (std::size_t i = 0; i < parts.size(); ++i) {
        names.emplace_back(id, parts[i]);
        fetches.emplace_back(tensors[i]);
      }
    }
  }
  Session session(built.graph(), session_options(options));
  session.initialize();
  const std::vector<Tensor> values = session.run(fetches, built.feeds());
  std::map<std::string, std::map<std::string, Tensor>> got;
  for (std::size_t i = 0; i < values.size(); ++i) got[names[i].first][names[i].second] = values[i];
  for (const auto& [id, outputs] : scenario.at("outputs").items()) {
    for (const auto& [name, value] : outputs.items()) {
      const auto problem =
          golden.output_difference(name, value, scenario, got[id], golden.model_path());
      if (problem) throw Mismatch("call ", id, ": ", *problem);
    }
  }
}

}  // namespace

Replay open_scenario(std::shared_ptr<const GoldenFolder> golden, const Json& scenario) {
  auto built = std::make_shared<const Scenario>(*golden, scenario);
  return [golden, built, &scenario](const EngineOptions& options) {
    check_names(*built, scenario);
    run_scenario(*golden, scenario, *built, options);
  };
}

Replay open_scenario_gradient(std::shared_ptr<const GoldenFolder> golden, const Json& scenario,
                              const Json& gradient) {
  auto built = std::make_shared<const Scenario>(*golden, scenario);
  const Output y = built->value(gradient.at("of"));
  const Output x = built->source(gradient.at("wrt"));
  const std::vector<GradientValue> values = gradients(built->graph(), {y}, {x});
  const Output fetch = dense_gradient(built->graph(), values.at(0));
  if (!fetch) throw Mismatch("there is no gradient");
  return [golden, built, fetch, &scenario, &gradient](const EngineOptions& options) {
    Session session(built->graph(), session_options(options));
    session.initialize();
    const std::map<std::string, Tensor> got = {{"gradient", session.run(fetch, built->feeds())}};
    const auto problem = golden->output_difference("gradient", gradient.at("value"), scenario, got,
                                                   golden->model_path());
    if (problem) throw Mismatch(*problem);
  };
}

}  // namespace hub::replay
