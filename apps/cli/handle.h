#pragma once

// The MODULE argument of commands, and what it names on this machine.

#include <CLI/CLI.hpp>
#include <stdexcept>
#include <string>

#include "hub/resolver.h"

namespace hub::cli {

struct HandleOptions {
  std::string handle;
  bool offline = false;
};

// Declares MODULE and --offline.
void add_handle(CLI::App& command, HandleOptions& options);

// There is no such module, or it could not be downloaded: exit status 3.
class NotResolvedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The path. Shows the progress of a download where standard error is a terminal; Ctrl-C ends it
// and leaves nothing half-made. Errors: NotResolvedError; CANCELLED after Ctrl-C.
std::string resolve_handle(const HandleOptions& options);

}  // namespace hub::cli
