// tf1hub verify: whether a model is whole.

#include <fmt/core.h>

#include <memory>

#include "base/errors.h"
#include "cli/commands.h"
#include "cli/handle.h"
#include "cli/table.h"
#include "module/verify.h"

namespace hub::cli {
namespace {

std::string counted(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(static_cast<std::uint64_t>(count)), noun,
                     count == 1 ? "" : "s");
}

// A model that is there but cannot be read has failed; nothing: an error of its own.
Verification verify_path(const std::string& path) {
  try {
    return verify_model(open_model_files(path, {.checksums = Checksums::kNever}));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) throw;
    Verification failed;
    failed.problems.emplace_back(error.what());
    return failed;
  }
}

ExitStatus verify(const HandleOptions& module) {
  const Verification result = verify_path(resolve_handle(module));
  for (const std::string& problem : result.problems) fmt::print("FAILED  {}\n", problem);
  if (!result.problems.empty()) {
    fmt::print(stderr, "tf1hub: {}: {} found\n", module.handle,
               counted(static_cast<std::int64_t>(result.problems.size()), "problem"));
    return kNotVerified;
  }
  fmt::print("{} is whole: {}, {}, {}, {}, {}\n", module.handle, counted(result.graphs, "graph"),
             counted(result.signatures, "signature"), counted(result.variables, "variable"),
             counted(result.tensors, "stored tensor"), counted(result.assets, "asset"));
  if (!result.unsupported_ops.empty()) {
    fmt::print("Ops that this library does not have: {}\n", join(result.unsupported_ops));
  }
  return kDone;
}

}  // namespace

CommandEntry add_verify(CLI::App& program) {
  auto module = std::make_shared<HandleOptions>();
  CLI::App* command = program.add_subcommand(
      "verify", "Check every checksum, graph, signature and asset of a module");
  add_handle(*command, *module);
  command->footer(examples_text({"tf1hub verify MODULE && echo whole"}) +
                  "Exit status 5 where something is wrong.");
  return {command, [module] { return verify(*module); }};
}

}  // namespace hub::cli
