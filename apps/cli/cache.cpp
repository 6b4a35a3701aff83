// tf1hub cache: what was downloaded.

#include "resolve/cache.h"

#include <fmt/core.h>

#include <cmath>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/errors.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "resolve/settings.h"

namespace hub::cli {
namespace {

constexpr std::size_t kShortKey = 10;

// What the subcommands have in common, and what each of them has.
struct CacheCommand {
  std::vector<std::string> modules;
  bool json = false;
  bool quiet = false;
  bool all = false;
  bool dry_run = false;
  std::optional<double> older_than_days;
  std::string max_size;
};

std::string cache_directory() {
  const std::string directory = complete_options({}).cache_dir;
  if (directory.empty()) {
    throw value_error("There is no cache: set TFHUB_CACHE_DIR, XDG_CACHE_HOME or HOME.");
  }
  return directory;
}

std::string handle_text(const CacheEntry& entry) {
  return entry.descriptor.handle.empty() ? "(not known)" : printable(entry.descriptor.handle, 4096);
}

std::string date_text(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm local = {};
  ::localtime_r(&time, &local);
  char text[16];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &local)};
}

std::string state_text(const CacheEntry& entry) {
  if (entry.check.state == EntryState::kDamaged) return "damaged: " + entry.check.problem;
  return entry.descriptor.manifest ? "whole" : "no checksums";
}

nlohmann::ordered_json to_json(const CacheEntry& entry) {
  return {{"handle", entry.descriptor.handle},
          {"key", entry.key},
          {"path", entry.path},
          {"bytes", entry.bytes},
          {"files", entry.files},
          {"source", entry.descriptor.source},
          {"downloaded", entry.descriptor.download_time},
          {"last_use", date_text(entry.last_use_seconds)},
          {"whole", entry.check.state == EntryState::kComplete},
          {"problem", entry.check.problem}};
}

ExitStatus list(const CacheCommand& command) {
  const std::string directory = cache_directory();
  const std::vector<CacheEntry> entries = list_cache(directory);
  if (command.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const CacheEntry& entry : entries) all.push_back(to_json(entry));
    fmt::print("{}\n", all.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
    return kDone;
  }
  if (command.quiet) {
    for (const CacheEntry& entry : entries) fmt::print("{}\n", entry.key);
    return kDone;
  }
  std::uint64_t total = 0;
  std::vector<std::vector<std::string>> rows;
  for (const CacheEntry& entry : entries) {
    total += entry.bytes;
    rows.push_back({entry.key.substr(0, kShortKey), size_text(entry.bytes),
                    date_text(entry.last_use_seconds), state_text(entry), handle_text(entry)});
  }
  fmt::print("{}", aligned(rows, 0));
  fmt::print("{} module{}, {}, in {}\n", entries.size(), entries.size() == 1 ? "" : "s",
             size_text(total), directory);
  return kDone;
}

// The entries that the arguments name. Errors: UsageError for a name of several; NOT_FOUND.
std::vector<CacheEntry> chosen(const CacheCommand& command) {
  const std::vector<CacheEntry> entries = list_cache(cache_directory());
  if (command.modules.empty()) return entries;
  std::vector<CacheEntry> found;
  for (const std::string& name : command.modules) {
    const auto entry = checking_usage([&] { return find_entry(entries, name); });
    if (!entry) throw not_found("The cache has no such module. Details: ", printable(name), ".");
    found.push_back(*entry);
  }
  return found;
}

void remove(const CacheCommand& command, const CacheEntry& entry, std::string_view why) {
  fmt::print("{}  {}  {}{}\n", command.dry_run ? "would remove" : "removed",
             entry.key.substr(0, kShortKey), handle_text(entry), why);
  if (!command.dry_run) remove_entry(entry);
}

ExitStatus remove_modules(const CacheCommand& command) {
  if (command.modules.empty() != command.all) {
    throw UsageError("Say which modules to remove, or --all");
  }
  for (const CacheEntry& entry : chosen(command)) remove(command, entry, "");
  return kDone;
}

// "500MB", "2 GB", "1000": powers of 1000.
std::uint64_t parse_size(const std::string& text) {
  constexpr std::string_view kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  std::size_t used = 0;
  double number = -1;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    used = text.size() + 1;
  }
  if (used <= text.size() && number >= 0) {
    const std::string_view unit = trim(std::string_view(text).substr(used));
    double scale = 1;
    if (unit.empty()) return static_cast<std::uint64_t>(number);
    for (const std::string_view name : kUnits) {
      const bool is_it = unit == name || (name == "kB" && (unit == "KB" || unit == "k"));
      if (is_it && number * scale < 1e18) return static_cast<std::uint64_t>(number * scale);
      scale *= 1000;
    }
  }
  throw UsageError(fmt::format("--max-size is a size such as 500MB or 2GB, not \"{}\"", text));
}

ExitStatus prune(const CacheCommand& command) {
  const std::string directory = cache_directory();
  PruneOptions options{.unused_days = command.older_than_days};
  if (!command.max_size.empty()) options.max_bytes = parse_size(command.max_size);
  std::uint64_t freed = 0;
  for (const Leftover& leftover : find_leftovers(directory)) {
    fmt::print("{}  {}\n", command.dry_run ? "would remove" : "removed", leftover.path);
    freed += leftover.bytes;
    if (!command.dry_run) file_system().remove_all(leftover.path);
  }
  for (const CacheEntry& entry : entries_to_prune(list_cache(directory), options)) {
    remove(command, entry, entry.check.state == EntryState::kDamaged ? "  (damaged)" : "");
    freed += entry.bytes;
  }
  fmt::print("{} {}\n", size_text(freed), command.dry_run ? "would be freed" : "freed");
  return kDone;
}

ExitStatus verify(const CacheCommand& command) {
  int damaged = 0;
  for (const CacheEntry& entry : chosen(command)) {
    const std::vector<std::string> problems = verify_entry(entry);
    if (problems.empty()) {
      fmt::print("{}  {}  {}\n", entry.descriptor.manifest ? "whole " : "seems ",
                 entry.key.substr(0, kShortKey), handle_text(entry));
      continue;
    }
    ++damaged;
    fmt::print("FAILED  {}  {}\n", entry.key.substr(0, kShortKey), handle_text(entry));
    for (const std::string& problem : problems) fmt::print("        {}\n", problem);
  }
  if (damaged == 0) return kDone;
  fmt::print(stderr, "tf1hub: {} damaged: \"tf1hub cache rm\" makes room for a new download\n",
             damaged);
  return kNotVerified;
}

void add_subcommands(CLI::App& cache, CacheCommand& options) {
  CLI::App* ls = cache.add_subcommand("ls", "List the modules that were downloaded");
  ls->add_flag("--json", options.json, "Print one JSON array");
  ls->add_flag("-q,--quiet", options.quiet, "Print keys only");
  CLI::App* rm = cache.add_subcommand("rm", "Remove modules");
  rm->add_option("MODULE", options.modules, "Handles, or keys as ls prints them");
  rm->add_flag("--all", options.all, "Remove all");
  rm->add_flag("--dry-run", options.dry_run, "Only say what would be removed");
  CLI::App* prune = cache.add_subcommand(
      "prune", "Remove what interrupted downloads left, damaged modules, and unused ones");
  prune->add_option("--older-than", options.older_than_days, "Modules not used for so many days")
      ->check(CLI::NonNegativeNumber);
  prune->add_option("--max-size", options.max_size,
                    "The least recently used, until no more than this is left (500MB, 2GB)");
  prune->add_flag("--dry-run", options.dry_run, "Only say what would be removed");
  CLI::App* verify = cache.add_subcommand("verify", "Compare every file with its checksum");
  verify->add_option("MODULE", options.modules, "Handles or keys; default: all");
}

}  // namespace

CommandEntry add_cache(CLI::App& program) {
  auto options = std::make_shared<CacheCommand>();
  CLI::App* command =
      program.add_subcommand("cache", "List, check and remove modules that were downloaded");
  command->require_subcommand(1);
  add_subcommands(*command, *options);
  command->footer(examples_text({
                      "tf1hub cache ls",
                      "tf1hub cache rm https://tfhub.dev/google/nnlm-en-dim128/1",
                      "tf1hub cache prune --older-than 90 --dry-run",
                      "tf1hub cache verify",
                  }) +
                  "The cache is in TFHUB_CACHE_DIR, else in ~/.cache/tf1hub/modules.");
  return {command, [command, options] {
            if (command->got_subcommand("ls")) return list(*options);
            if (command->got_subcommand("rm")) return remove_modules(*options);
            if (command->got_subcommand("prune")) return prune(*options);
            return verify(*options);
          }};
}

}  // namespace hub::cli
