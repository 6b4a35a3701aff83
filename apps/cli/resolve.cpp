// tf1hub resolve: where a module is on this machine.

#include <fmt/core.h>

#include <memory>

#include "cli/commands.h"
#include "cli/handle.h"

namespace hub::cli {

CommandEntry add_resolve(CLI::App& program) {
  auto module = std::make_shared<HandleOptions>();
  CLI::App* command = program.add_subcommand(
      "resolve", "Print where a module is on this machine; download it where it is not");
  add_handle(*command, *module);
  command->footer(examples_text({
                      "tf1hub resolve https://tfhub.dev/google/nnlm-en-dim128/1",
                      "tf1hub resolve module.tar.gz",
                      "du -h $(tf1hub resolve google/elmo/tensorFlow1/elmo/3)",
                  }) +
                  "TFHUB_CACHE_DIR says where downloads are kept; docs/caching.md has the rest.");
  return {command, [module] {
            fmt::print("{}\n", resolve_handle(*module));
            return kDone;
          }};
}

}  // namespace hub::cli
