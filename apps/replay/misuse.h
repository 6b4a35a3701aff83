#pragma once

// The rows of misuse.json: steps that must be refused, with the right kind of error.

#include <map>
#include <string>
#include <vector>

#include "hub/hub.h"
#include "replay/unit.h"

namespace hub::replay {

// The units of a misuse.json: misuse/ID. Modules that rows name are beside the file.
std::vector<Unit> misuse_units(const std::string& path);

// The functions that rows give to create_module_spec, by name.
const std::map<std::string, ModuleFunction>& misuse_functions();

// Changes of a saved_model.pb, by name, with the row's arguments. Throws Mismatch for a name
// that is not known.
void edit_saved_model(const std::string& path, const std::string& edit,
                      const std::map<std::string, std::string>& arguments);

}  // namespace hub::replay
