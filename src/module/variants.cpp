#include "module/variants.h"

#include <set>
#include <vector>

#include "base/errors.h"

namespace hub {

std::size_t find_variant(const ModuleFiles& files, std::span<const std::string> tags) {
  const std::vector<MetaGraph>& variants = files.model.meta_graphs;
  const std::set<std::string> wanted(tags.begin(), tags.end());
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (std::set(variants[i].tags.begin(), variants[i].tags.end()) == wanted) return i;
  }
  if (wanted.empty() && variants.size() == 1) return 0;
  std::vector<std::string> available;
  for (const MetaGraph& variant : variants) available.push_back(tags_text(variant.tags));
  throw value_error("No such graph variant: tags=", tags_text(tags), ". Details: ", files.path,
                    " has ", available.empty() ? "no graphs" : join(available), ".");
}

std::string tags_text(std::span<const std::string> tags) {
  const std::set<std::string> sorted(tags.begin(), tags.end());
  return printable(cat("{", join(sorted), "}"));
}

}  // namespace hub
