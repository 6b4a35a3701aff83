// tf1hub diff: in what two models differ.

#include <fmt/core.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/commands.h"
#include "cli/handle.h"
#include "module/diff.h"
#include "module/variants.h"

namespace hub::cli {
namespace {

using Json = nlohmann::ordered_json;

// So many of one kind are printed for each graph; --json lists all.
constexpr std::size_t kMaxLines = 20;

struct DiffCommand {
  HandleOptions first;
  HandleOptions second;
  bool json = false;
};

Json text_json(const std::optional<std::string>& text) {
  if (!text) return nullptr;
  return *text;
}

void print_json(const std::vector<Difference>& differences) {
  Json list = Json::array();
  for (const Difference& difference : differences) {
    Json entry = {{"kind", to_string(difference.kind)},
                  {"tags", difference.tags ? Json(*difference.tags) : Json(nullptr)},
                  {"name", difference.name},
                  {"first", text_json(difference.first)},
                  {"second", text_json(difference.second)}};
    if (difference.largest) {
      const bool is_finite = *difference.largest <= std::numeric_limits<double>::max();
      entry["largest_difference"] = is_finite ? Json(*difference.largest) : Json("inf");
    }
    list.push_back(std::move(entry));
  }
  const Json json = {{"equal", differences.empty()}, {"differences", std::move(list)}};
  fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// "graph {train}, signature".
std::string place_of(const Difference& difference) {
  std::string place;
  if (difference.tags && difference.kind != DifferenceKind::kGraph) {
    place = "graph " + tags_text(*difference.tags) + ", ";
  }
  return place + std::string(to_string(difference.kind));
}

std::string line_of(const Difference& difference) {
  std::string line = place_of(difference);
  if (!difference.name.empty()) line += " " + printable(difference.name);
  line += ": ";
  if (!difference.first)
    return line + "only in B" + (difference.second->empty() ? "" : ": ") +
           printable(*difference.second);
  if (!difference.second)
    return line + "only in A" + (difference.first->empty() ? "" : ": ") +
           printable(*difference.first);
  if (*difference.first != *difference.second) {
    return line + printable(*difference.first) + " | " + printable(*difference.second);
  }
  if (difference.largest) {
    return line + fmt::format("{}, numbers differ by up to {:.6g}", *difference.first,
                              *difference.largest);
  }
  return line + *difference.first + ", contents differ";
}

void print_lines(const std::vector<Difference>& differences) {
  std::map<std::string, std::size_t> counts;
  for (const Difference& difference : differences) {
    if (++counts[place_of(difference)] <= kMaxLines) fmt::print("{}\n", line_of(difference));
  }
  for (const auto& [place, count] : counts) {
    if (count > kMaxLines) fmt::print("{}: {} more\n", place, count - kMaxLines);
  }
}

ExitStatus diff(const DiffCommand& command) {
  const ModuleFiles first = open_model_files(resolve_handle(command.first));
  const ModuleFiles second = open_model_files(resolve_handle(command.second));
  const std::vector<Difference> differences = diff_models(first, second);
  if (command.json) {
    print_json(differences);
  } else {
    print_lines(differences);
  }
  return differences.empty() ? kDone : kFailed;
}

}  // namespace

CommandEntry add_diff(CLI::App& program) {
  auto options = std::make_shared<DiffCommand>();
  CLI::App* command = program.add_subcommand("diff", "Say in what two models differ");
  command->add_option("A", options->first.handle, "A module: path or handle")->required();
  command->add_option("B", options->second.handle, "Another one")->required();
  command->add_flag("--offline", options->first.offline,
                    "Do not use the network: only what is cached");
  command->add_flag("--json", options->json, "Print one JSON object");
  command->footer(examples_text({"tf1hub diff MODULE tuned && echo equal"}) +
                  "Exit status 0 where nothing differs, 1 where something does.");
  return {command, [options] {
            options->second.offline = options->first.offline;
            return diff(*options);
          }};
}

}  // namespace hub::cli
