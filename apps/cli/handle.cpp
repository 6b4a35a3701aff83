#include "cli/handle.h"

namespace hub::cli {

void add_handle(CLI::App& command, HandleOptions& options) {
  command
      .add_option("MODULE", options.handle,
                  "Folder of a module or SavedModel, graph file, archive, or URL")
      ->required();
  command.add_flag("--offline", options.offline, "Do not use the network: only what is cached");
}

ResolveOptions resolve_options(bool offline) { return {.offline = offline}; }

std::string resolve_handle(const HandleOptions& options) {
  return resolve(options.handle, resolve_options(options.offline));
}

}  // namespace hub::cli
