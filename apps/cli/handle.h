#pragma once

// The MODULE argument of commands, and what it names on this machine.

#include <CLI/CLI.hpp>
#include <string>

#include "hub/resolver.h"

namespace hub::cli {

struct HandleOptions {
  std::string handle;
  bool offline = false;
};

// Declares MODULE and --offline.
void add_handle(CLI::App& command, HandleOptions& options);

// Options that show the progress of downloads where standard error is a terminal, and that let
// Ctrl-C end them.
ResolveOptions resolve_options(bool offline);

// The path. Errors: those of hub::resolve.
std::string resolve_handle(const HandleOptions& options);

}  // namespace hub::cli
