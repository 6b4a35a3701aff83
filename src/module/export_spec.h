#pragma once

// Writes module folders.

#include <string>

#include "format/tensor_bundle.h"
#include "module/spec_impl.h"

namespace hub {

// Where the values of a module's variables come from.
class VariableValues {
 public:
  virtual ~VariableValues() = default;
  // By the module's names.
  virtual bool has(const std::string& name) const = 0;
  // Adds the variable, or its parts, under its name.
  virtual void write(const std::string& name, BundleWriter& writer) const = 0;
};

// All graphs of the spec, its assets, the values of all variables; all or nothing. Variables that
// `values` does not have are taken from where the spec was read.
// Errors: FAILED_PRECONDITION where a variable has no value anywhere; ALREADY_EXISTS where `path`
// is a module already; NOT_FOUND for a missing asset; those of writing.
void export_spec(const ModuleSpec::Impl& spec, const std::string& path,
                 const VariableValues& values);

}  // namespace hub
