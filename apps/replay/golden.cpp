#include "replay/golden.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/errors.h"
#include "base/file.h"
#include "replay/compare.h"
#include "replay/golden_description.h"
#include "replay/golden_session.h"
#include "replay/golden_value.h"
#include "replay/scenario.h"
#include "replay/tuning.h"

namespace hub::replay {
namespace {

using Json = nlohmann::json;
using Golden = std::shared_ptr<const GoldenFolder>;

std::shared_ptr<const GoldenModel> open_golden_model(const GoldenFolder& golden,
                                                     const Json& golden_case) {
  if (golden_case.contains("graph")) {
    return open_frozen_graph(golden.absolute(golden_case.at("graph").get<std::string>()));
  }
  const std::string kind = golden.kind();
  if (kind == "frozen_graph") return open_frozen_graph(golden.model_path());
  if (kind == "checkpoint") return open_checkpoint(golden.model_path());
  return open_signatures(
      golden.model_path(),
      {.tags = golden_case.value("tags", std::vector<std::string>{}),
       .synthetic_weights = golden_case.value("weights", std::string()) == "synthetic"});
}

// A case's steps in one session.
class CaseReplay {
 public:
  CaseReplay(const GoldenFolder& golden, const Json& golden_case, const GoldenModel& model,
             const EngineOptions& options)
      : golden_(golden), case_(golden_case), session_(model.session(options)) {}

  void run() {
    const bool watches_variables = case_.contains("variables_changed");
    const auto before = watches_variables ? session_->variables() : std::map<std::string, Tensor>{};
    int number = 0;
    for (const Json& step : case_.at("steps")) {
      try {
        run_step(step);
      } catch (const Mismatch& mismatch) {
        throw Mismatch("step ", number, ": ", mismatch.what());
      }
      ++number;
    }
    if (watches_variables) check_variables(before);
  }

 private:
  GoldenStep read_step(const Json& json) const {
    GoldenStep step;
    step.signature = json.value("signature", case_.value("signature", std::string()));
    step.train_op = case_.value("train_op", std::string());
    const std::string model = golden_.model_path();
    for (const auto& [name, value] : json.at("inputs").items()) {
      step.inputs.merge(golden_.input(name, value, model));
    }
    if (json.contains("feeds")) {
      for (const auto& [name, value] : json.at("feeds").items()) {
        step.feeds.merge(golden_.input(name, value, model));
      }
    }
    for (const auto& [name, value] : json.at("outputs").items()) {
      step.outputs.push_back(name);
      if (value.contains("tensor")) step.tensors[name] = value.at("tensor").get<std::string>();
    }
    return step;
  }

  void run_step(const Json& json) {
    const std::map<std::string, Tensor> outputs = session_->run(read_step(json));
    for (const auto& [name, value] : json.at("outputs").items()) {
      const auto problem =
          golden_.output_difference(name, value, case_, outputs, golden_.model_path());
      if (problem) throw Mismatch(*problem);
    }
  }

  // Those variables must differ from before that did in TensorFlow, and be as recorded.
  void check_variables(const std::map<std::string, Tensor>& before) {
    const auto after = session_->variables();
    const Json& changed = case_.at("variables_changed");
    for (const auto& [name, value] : after) {
      const bool is_same = !difference(value, before.at(name), {}).has_value();
      if (is_same == changed.contains(name)) {
        throw Mismatch("variable ", name, is_same ? " did not change" : " changed");
      }
    }
    for (const auto& [name, statistics] : changed.items()) {
      const auto found = after.find(name);
      if (found == after.end()) throw Mismatch("there is no variable ", name);
      if (const auto problem = statistics_difference(found->second, statistics)) {
        throw Mismatch("variable ", name, ": ", *problem);
      }
    }
  }

  const GoldenFolder& golden_;
  const Json& case_;
  std::unique_ptr<GoldenSession> session_;
};

Replay open_case(const Golden& golden, const Json& golden_case) {
  const auto model = open_golden_model(*golden, golden_case);
  return [golden, model, &golden_case](const EngineOptions& options) {
    CaseReplay(*golden, golden_case, *model, options).run();
  };
}

void add_scenario_units(const Golden& golden, const std::string& name, std::vector<Unit>& units) {
  static const Json kNone = Json::array();
  const auto list = [](const Json& json, const char* key) -> const Json& {
    return json.contains(key) ? json.at(key) : kNone;
  };
  int number = 0;
  for (const Json& scenario : list(golden->json(), "scenarios")) {
    const std::string id = cat(name, "/scenario", number++);
    units.push_back({.id = id, .kind = UnitKind::kScenario, .open = [golden, &scenario] {
                       return open_scenario(golden, scenario);
                     }});
    int gradient_number = 0;
    for (const Json& gradient : list(scenario, "gradients")) {
      units.push_back({.id = cat(id, "#gradient", gradient_number++),
                       .kind = UnitKind::kScenarioGradient,
                       .open = [golden, &scenario, &gradient] {
                         return open_scenario_gradient(golden, scenario, gradient);
                       }});
    }
  }
  for (const char* key : {"fine_tuning", "fine_tune"}) {
    int tuning_number = 0;
    for (const Json& tuning : list(golden->json(), key)) {
      units.push_back({.id = cat(name, "/tuning", tuning_number++),
                       .kind = UnitKind::kTuning,
                       .open = [golden, &tuning] { return open_tuning(golden, tuning); }});
    }
  }
}

bool is_number(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// The folder's path from its outermost telling component on.
std::vector<std::string> components_of(const std::string& folder) {
  std::vector<std::string> result;
  for (const auto& part : std::filesystem::weakly_canonical(folder)) {
    result.push_back(part.string());
  }
  while (result.size() > 1 && (result.back() == "golden" || is_number(result.back()))) {
    result.pop_back();
  }
  return result;
}

}  // namespace

std::vector<Unit> golden_units(const std::string& folder, const std::string& name) {
  const auto golden = std::make_shared<const GoldenFolder>(folder);
  std::vector<Unit> units;
  std::size_t number = 0;
  for (const Json& golden_case : golden->json().at("cases")) {
    units.push_back({.id = cat(name, "/case", number++),
                     .kind = UnitKind::kCase,
                     .open = [golden, &golden_case] { return open_case(golden, golden_case); }});
  }
  add_scenario_units(golden, name, units);
  if (golden->json().contains("variants") || golden->json().contains("meta_graphs")) {
    units.push_back({.id = cat(name, "/description"),
                     .kind = UnitKind::kDescription,
                     .open = [golden]() -> Replay {
                       return [golden](const EngineOptions&) { check_description(*golden); };
                     },
                     .depends_on_mode = false});
  }
  return units;
}

std::vector<std::string> golden_names(const std::vector<std::string>& folders) {
  std::vector<std::vector<std::string>> components;
  for (const std::string& folder : folders) components.push_back(components_of(folder));
  std::vector<std::string> names(folders.size());
  std::vector<std::size_t> lengths(folders.size());
  // "golden_quantized_graph" alone says little.
  for (std::size_t i = 0; i < folders.size(); ++i) {
    lengths[i] = components[i].back().starts_with("golden") ? 2 : 1;
  }
  bool all_unique = false;
  while (!all_unique) {
    std::map<std::string, int> uses;
    for (std::size_t i = 0; i < folders.size(); ++i) {
      const auto& all = components[i];
      const std::size_t length = std::min(lengths[i], all.size());
      names[i] = join(std::span(all).last(length), "/");
      ++uses[names[i]];
    }
    all_unique = true;
    for (std::size_t i = 0; i < folders.size(); ++i) {
      if (uses[names[i]] < 2 || lengths[i] >= components[i].size()) continue;
      ++lengths[i];
      all_unique = false;
    }
  }
  return names;
}

}  // namespace hub::replay
